// SVG as text. Cairo's own SVG surface is not used: it draws letters as outlines, which cannot be searched,
// read aloud or follow a page's colours and depend on the fonts that are installed, and numbers its ids from
// a counter of the process, so that two pictures in one page take each other's letters. Rule: coordinates
// have at most two digits after the point, so that no machine rounds them otherwise.
#include "theme.h"
#include "util/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Status append_character(Str *out, const char *bytes, Utf8Char c) {
  switch (c.code) {
  case '<':
    return str_append_text(out, "&lt;");
  case '>':
    return str_append_text(out, "&gt;");
  case '&':
    return str_append_text(out, "&amp;");
  case '"':
    return str_append_text(out, "&quot;");
  case '\'':
    return str_append_text(out, "&#39;");
  case '\n':
  case '\t':
    return str_append(out, bytes, c.size);
  default:
    break;
  }
  bool control = c.code < 0x20 || (c.code >= 0x7f && c.code < 0xa0) || (c.code & 0xfffe) == 0xfffe;
  if (c.valid && !control) return str_append(out, bytes, c.size);
  return str_append_text(out, "\xef\xbf\xbd");
}

Status markup_append(Str *out, const char *text, size_t size) {
  for (size_t at = 0; at < size;) {
    Utf8Char c = utf8_read(text + at, size - at);
    TRY(append_character(out, text + at, c));
    at += c.size;
  }
  return STATUS_OK;
}

/// A number with at most two digits after the point, and none that are not needed.
static Status append_number(Str *out, double value) {
  char text[64];
  double rounded = round(value * 100) / 100;
  (void)snprintf(text, sizeof text, "%.2f", rounded + 0.0); // + 0: no "-0"
  size_t size = strlen(text);
  while (text[size - 1] == '0') size--;
  if (text[size - 1] == '.') size--;
  return str_append(out, text, size);
}

static Status append_member(Str *out, const char *name, double value) {
  TRY(str_append_format(out, " %s=\"", name));
  TRY(append_number(out, value));
  return str_append_text(out, "\"");
}

static Status append_paint(Str *out, const Paint *paint) {
  bool fill = paint->fill != ROLE_NONE, line = paint->line != ROLE_NONE;
  TRY(str_append_text(out, " class=\""));
  if (fill) TRY(str_append_format(out, "f%s%s", theme_class(paint->fill), line ? " " : ""));
  if (line) TRY(str_append_format(out, "l%s", theme_class(paint->line)));
  TRY(str_append_text(out, "\""));
  if (fill && theme_opacity(*paint) < 1) TRY(append_member(out, "fill-opacity", theme_opacity(*paint)));
  if (line) TRY(append_member(out, "stroke-width", paint->width));
  if (line && paint->dash != DASH_SOLID)
    TRY(str_append_format(out, " stroke-dasharray=\"%s\"", theme_dash(paint->dash)));
  return STATUS_OK;
}

static Status append_path(Str *out, const Shape *shape, const Point *points) {
  TRY(str_append_text(out, "<path d=\""));
  for (size_t i = 0; i < shape->points; i++) {
    TRY(str_append_text(out, i == 0 ? "M" : i == 1 ? "L" : " "));
    TRY(append_number(out, points[i].x));
    TRY(str_append_text(out, " "));
    TRY(append_number(out, points[i].y));
  }
  TRY(str_append_text(out, shape->kind == SHAPE_AREA ? "Z\"" : "\""));
  return append_paint(out, &shape->paint);
}

static Status append_circle(Str *out, const Shape *shape, const Point *points) {
  TRY(str_append_text(out, "<circle"));
  TRY(append_member(out, "cx", points->x));
  TRY(append_member(out, "cy", points->y));
  TRY(append_member(out, "r", shape->radius));
  return append_paint(out, &shape->paint);
}

static Status append_text(Str *out, const Shape *shape, const Point *points) {
  static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
  const TextStyle *style = &shape->style;
  TRY(str_append_text(out, "<text"));
  TRY(append_member(out, "x", points->x));
  TRY(append_member(out, "y", points->y));
  TRY(append_member(out, "font-size", style->size));
  TRY(str_append_format(out, " class=\"f%s%s%s\"%s>", theme_class(style->role), style->bold ? " b" : "",
                        style->mono ? " m" : "", anchors[style->anchor]));
  return markup_append(out, shape->text, strlen(shape->text));
}

static Status append_shape(Str *out, const Picture *picture, const Shape *shape) {
  static const char *const names[] = {"path", "path", "circle", "text"};
  const Point *points = picture->points + shape->first;
  bool text = shape->kind == SHAPE_TEXT;
  if (text) TRY(append_text(out, shape, points));
  if (shape->kind == SHAPE_CIRCLE) TRY(append_circle(out, shape, points));
  if (!text && shape->kind != SHAPE_CIRCLE) TRY(append_path(out, shape, points));
  if (!text && shape->hint == NULL) return str_append_text(out, "/>\n");
  if (!text) TRY(str_append_text(out, ">"));
  if (shape->hint != NULL) {
    TRY(str_append_text(out, "<title>"));
    TRY(markup_append(out, shape->hint, strlen(shape->hint)));
    TRY(str_append_text(out, "</title>"));
  }
  return str_append_format(out, "</%s>\n", names[shape->kind]);
}

Status picture_svg(const Picture *picture, PlotTheme theme, Str *out) {
  TRY(str_append_text(out,
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" aria-label=\""));
  TRY(markup_append(out, picture->title, strlen(picture->title)));
  TRY(str_append_text(out, "\" viewBox=\"0 0 "));
  TRY(append_number(out, picture->width));
  TRY(str_append_text(out, " "));
  TRY(append_number(out, picture->height));
  TRY(str_append_text(out, "\""));
  TRY(append_member(out, "width", picture->width));
  TRY(append_member(out, "height", picture->height));
  TRY(str_append_text(out, ">\n"));
  if (theme != PLOT_PAGE) {
    TRY(str_append_text(out, "<style>"));
    TRY(theme_css(theme, out));
    TRY(str_append_text(out, "</style>\n<path d=\"M0 0H"));
    TRY(append_number(out, picture->width));
    TRY(str_append_text(out, "V"));
    TRY(append_number(out, picture->height));
    TRY(str_append_text(out, "H0Z\" class=\"fp\"/>\n"));
  }
  for (size_t i = 0; i < picture->count; i++) TRY(append_shape(out, picture, &picture->shapes[i]));
  return str_append_text(out, "</svg>\n");
}
