// The tokens of an answer, with a strip of values for each prompt that it was read under. Rule: every value
// is also written, so that nothing depends on telling shades apart.
#include "frame.h"

#include <math.h>
#include <stdio.h>

#define TOKEN_SIZE   12.0
#define VALUE_SIZE   9.0
#define CELL_GAP     1.0
#define STRIP_HEIGHT 15.0
#define DARKEST      0.62  // opacity of the largest value: text over it can still be read
#define TOKEN_WIDEST 170.0 // of a token; a longer one is shortened

static const TextStyle TOKEN_STYLE = {
    .size = TOKEN_SIZE, .role = ROLE_INK, .anchor = ANCHOR_MIDDLE, .mono = true};
static const TextStyle VALUE_STYLE = {.size = VALUE_SIZE, .role = ROLE_INK, .anchor = ANCHOR_MIDDLE};

typedef struct TokenPlot {
  const TokenChart *chart;
  Picture *picture;
  double left, right; // of the cells
  double largest;     // the value of the darkest shade
} TokenPlot;

/// *out = a token as it is shown, in one line: line breaks and tabs as signs, a long one shortened.
static Status show_token(const TokenPlot *plot, const char *token, Typeset *out) {
  Str text = {0};
  Status status = STATUS_OK;
  for (const char *c = token; *c != '\0' && status == STATUS_OK; c++) {
    if (*c == '\n') {
      status = str_append_text(&text, "\xe2\x86\xb5");
    } else if (*c == '\t') {
      status = str_append_text(&text, "\xe2\x87\xa5");
    } else {
      status = str_append(&text, c, 1);
    }
  }
  double widest = fmin(TOKEN_WIDEST, plot->right - plot->left - 4);
  if (status == STATUS_OK) status = typeset_wrap(str_text(&text), widest, 1, TOKEN_STYLE, out);
  str_free(&text);
  return status;
}

static void draw_value(const TokenPlot *plot, double value, double x, double y, double width) {
  char text[32];
  if (!is_drawn(value)) {
    draw_text(plot->picture, (Point){x + width / 2, y + 11}, "\xe2\x80\x93", VALUE_STYLE);
    return;
  }
  double share = plot->largest > 0 ? fmin(fmax(value / plot->largest, 0), 1) : 0;
  draw_rectangle(plot->picture, (Point){x + CELL_GAP / 2, y}, width - CELL_GAP, STRIP_HEIGHT - 1,
                 (Paint){.fill = ROLE_SERIES, .opacity = fmax(share * DARKEST, 0.02)});
  (void)snprintf(text, sizeof text, fabs(value) < 99.95 ? "%.1f" : "%.2g", value);
  draw_text(plot->picture, (Point){x + width / 2, y + 11}, text, VALUE_STYLE);
}

static double line_height(const TokenPlot *plot) {
  return 18 + (double)plot->chart->reading_count * STRIP_HEIGHT + 10;
}

static void draw_names(const TokenPlot *plot, double y) {
  for (size_t r = 0; r < plot->chart->reading_count; r++) {
    double at = y + 18 + (double)r * STRIP_HEIGHT;
    TextStyle style = LABEL_STYLE;
    style.size = 11;
    frame_text(plot->picture, plot->chart->readings[r].name, CHART_MARGIN, plot->left - CHART_MARGIN - 8, 1,
               style, &at);
  }
}

/// Draws a token from *x on, or in the next line where it does not fit, and moves *x behind it.
static Status draw_token(const TokenPlot *plot, size_t index, double *x, double *y) {
  const TokenChart *chart = plot->chart;
  Typeset shown = {0};
  TRY(show_token(plot, chart->tokens[index], &shown));
  double width = fmax(typeset_width(shown.lines[0], TOKEN_STYLE) + 4, 22); // room for a value
  if (*x > plot->left && *x + width > plot->right) {
    *x = plot->left;
    *y += line_height(plot);
  }
  if (*x <= plot->left) draw_names(plot, *y);
  draw_text(plot->picture, (Point){*x + width / 2, *y + TOKEN_SIZE}, shown.lines[0], TOKEN_STYLE);
  for (size_t r = 0; r < chart->reading_count; r++)
    draw_value(plot, chart->readings[r].values[index], *x, *y + 18 + (double)r * STRIP_HEIGHT, width);
  *x += width;
  typeset_free(&shown);
  return STATUS_OK;
}

static Status draw_tokens(const TokenPlot *plot, double *y) {
  double x = plot->left;
  for (size_t i = 0; i < plot->chart->count; i++) TRY(draw_token(plot, i, &x, y));
  *y += line_height(plot);
  return STATUS_OK;
}

/// Shades from 0 to the largest value, and what they stand for.
static void draw_scale(const TokenPlot *plot, double *y) {
  enum { STEPS = 20 };
  double width = 120, x = CHART_MARGIN;
  char text[64];
  draw_text(plot->picture, (Point){x, *y + 11}, "0", LABEL_STYLE);
  x += 12;
  for (int i = 0; i < STEPS; i++)
    draw_rectangle(plot->picture, (Point){x + i * width / STEPS, *y}, width / STEPS, 12,
                   (Paint){.fill = ROLE_SERIES, .opacity = DARKEST * (i + 0.5) / STEPS});
  (void)snprintf(text, sizeof text, "%.3g", plot->largest);
  draw_text(plot->picture, (Point){x + width + 6, *y + 11}, text, LABEL_STYLE);
  x += width + 6 + typeset_width(text, LABEL_STYLE) + 10;
  double at = *y - 1;
  frame_text(plot->picture, plot->chart->text.x_label, x, plot->picture->width - CHART_MARGIN - x, 1,
             LABEL_STYLE, &at);
  *y += 28;
}

static void measure(TokenPlot *plot) {
  double names = 0;
  for (size_t r = 0; r < plot->chart->reading_count; r++) {
    names = fmax(names, typeset_width(plot->chart->readings[r].name, LABEL_STYLE));
    for (size_t i = 0; i < plot->chart->count; i++) {
      double value = plot->chart->readings[r].values[i];
      if (is_drawn(value)) plot->largest = fmax(plot->largest, value);
    }
  }
  double room = plot->picture->width - 2 * CHART_MARGIN;
  plot->left = CHART_MARGIN + fmin(names + 8, room * 0.3);
  plot->right = CHART_MARGIN + room;
}

Status plot_tokens(const TokenChart *chart, double width, Picture **out) {
  double y = 0;
  TRY(frame_begin(chart->text, width, &y, out));
  TokenPlot plot = {.chart = chart, .picture = *out};
  measure(&plot);
  draw_scale(&plot, &y);
  Box box = {plot.left, y, plot.right, y + 40};
  if (chart->count == 0) frame_no_data(*out, &box);
  Status status = draw_tokens(&plot, &y);
  if ((*out)->status == STATUS_OK) (*out)->status = status;
  (*out)->height = y + CHART_MARGIN;
  return picture_done(out);
}
