// Escaping and numbers.
#include "html.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void html_check(Html *html, Status status) {
  if (html->status == STATUS_OK) html->status = status;
}

void html_raw(Html *html, const char *markup) {
  if (html->status == STATUS_OK) html->status = str_append_text(&html->text, markup);
}

void html_format(Html *html, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (length < 0 || (size_t)length >= sizeof text)
    html_check(html,
               status_fail(STATUS_FAILED, "a piece of the page is longer than %zu bytes", sizeof text - 1));
  html_raw(html, html->status == STATUS_OK ? text : "");
}

void html_text(Html *html, const char *text) {
  if (html->status == STATUS_OK) html->status = markup_append(&html->text, text, strlen(text));
}

void html_excerpt(Html *html, const char *text) {
  enum { LONGEST = 600 };
  bool cut = strlen(text) > LONGEST;
  size_t size = cut ? LONGEST : strlen(text);
  while (cut && size > LONGEST - 3 && ((unsigned char)text[size] & 0xc0) == 0x80) size--; // no half character
  if (html->status == STATUS_OK) html->status = markup_append(&html->text, text, size);
  if (cut) html_raw(html, "\xe2\x80\xa6");
}

void html_missing(Html *html, const char *text) {
  html_raw(html, "<p class=\"missing\"><strong>Missing:</strong> ");
  html_text(html, text);
  html_raw(html, "</p>\n");
}

void html_heading(Html *html, const char *id, const char *title) {
  html_format(html, "<h2 id=\"%s\">%s</h2>\n", id, title);
}

void html_number(Html *html, double value, int decimals, bool plus) {
  if (!isfinite(value)) {
    html_raw(html, "<span class=\"none\">not measured</span>");
    return;
  }
  bool zero = fabs(value) * pow(10, decimals) < 0.5; // no sign on what is shown as 0
  const char *sign = zero ? "" : value < 0 ? "\xe2\x88\x92" : plus ? "+" : "";
  html_format(html, "<data value=\"%.17g\">%s%.*f</data>", value, sign, decimals, fabs(value));
}

void html_interval(Html *html, double low, double high, int decimals, bool plus) {
  if (!isfinite(low) || !isfinite(high)) return;
  html_raw(html, "[");
  html_number(html, low, decimals, plus);
  html_raw(html, ", ");
  html_number(html, high, decimals, plus);
  html_raw(html, "]");
}

static void name_picture(ReportPicture *picture, const char *name) {
  size_t size = 0;
  for (; name[size] != '\0' && size + 1 < sizeof picture->name; size++) {
    bool plain = (name[size] >= 'a' && name[size] <= 'z') || (name[size] >= 'A' && name[size] <= 'Z') ||
                 (name[size] >= '0' && name[size] <= '9') || name[size] == '-';
    picture->name[size] = plain ? name[size] : '_';
  }
  picture->name[size] = '\0';
}

void html_picture(Html *html, const char *name, Status status, Picture **picture) {
  ReportOutput *output = html->output;
  html_check(html, status);
  html_raw(html, "<figure>");
  if (html->status == STATUS_OK) html->status = picture_svg(*picture, PLOT_PAGE, &html->text);
  html_raw(html, "</figure>\n");
  if (html->status == STATUS_OK && output->picture_count < REPORT_MOST_PICTURES) {
    name_picture(&output->pictures[output->picture_count], name);
    output->pictures[output->picture_count++].picture = *picture;
  } else {
    picture_free(*picture);
  }
  *picture = NULL;
}
