// Titles, legends, axes. Rule: nothing is drawn over the data; legends and labels stand outside the box.
#include "frame.h"

#include <math.h>
#include <string.h>

const TextStyle LABEL_STYLE = {.size = LABEL_SIZE, .role = ROLE_SOFT};
const TextStyle INK_STYLE = {.size = LABEL_SIZE, .role = ROLE_INK};
static const TextStyle TITLE_STYLE = {.size = TITLE_SIZE, .role = ROLE_INK, .bold = true};
static const Paint GRID_LINE = {.line = ROLE_GRID, .width = 1};
static const Paint ZERO_LINE = {.line = ROLE_SOFT, .width = 1};

enum { SAMPLE_WIDTH = 26, MARKER_WIDTH = 12, LEGEND_GAP = 18 };

void frame_text(Picture *picture, const char *text, double left, double width, size_t most, TextStyle style,
                double *y) {
  Typeset lines = {0};
  if (text == NULL || text[0] == '\0' || picture->status != STATUS_OK) return;
  picture->status = typeset_wrap(text, width, most, style, &lines);
  for (size_t i = 0; i < lines.count; i++) {
    double line = round(style.size * 1.32);
    draw_text(picture, (Point){left, *y + style.size}, lines.lines[i], style);
    *y += line;
  }
  typeset_free(&lines);
}

Status frame_begin(ChartText text, double width, double *y, Picture **out) {
  TRY(picture_create(fmax(width, CHART_LEAST_WIDTH), 0, text.title, out));
  double room = (*out)->width - 2 * CHART_MARGIN;
  *y = CHART_MARGIN - 2;
  frame_text(*out, text.title, CHART_MARGIN, room, 2, TITLE_STYLE, y);
  *y += 2;
  frame_text(*out, text.note, CHART_MARGIN, room, 4, LABEL_STYLE, y);
  *y += 8;
  return STATUS_OK;
}

/// Draws one line that ends with "…" if it is wider than `width`.
static void draw_fitted(Picture *picture, Point at, const char *text, double width, TextStyle style) {
  Typeset lines = {0};
  if (picture->status != STATUS_OK) return;
  picture->status = typeset_wrap(text, width, 1, style, &lines);
  if (lines.count > 0) draw_text(picture, at, lines.lines[0], style);
  typeset_free(&lines);
}

void frame_axis_label(Picture *picture, const char *label, const Axis *axis, Point at, Anchor anchor,
                      double width) {
  char factor[AXIS_TEXT];
  Str text = {0};
  TextStyle style = LABEL_STYLE;
  style.anchor = anchor;
  axis_factor(axis, factor);
  if (picture->status == STATUS_OK)
    picture->status = str_append_format(&text, "%s%s%s", label != NULL ? label : "",
                                        label != NULL && factor[0] != '\0' ? ", " : "", factor);
  draw_fitted(picture, at, str_text(&text), width, style);
  str_free(&text);
}

// ---- series ----

Role series_role(size_t series) {
  return (Role)(ROLE_SERIES + (int)(series % SERIES_COLOURS));
}

Dash series_dash(size_t series) {
  return (Dash)(series % DASHES);
}

/// A regular polygon; `turn` in radians.
static void draw_polygon(Picture *picture, Point at, double radius, size_t corners, double turn,
                         Paint paint) {
  Point points[8];
  for (size_t i = 0; i < corners; i++) {
    double angle = turn + 2 * 3.14159265358979323846 * (double)i / (double)corners;
    points[i] = (Point){at.x + radius * cos(angle), at.y + radius * sin(angle)};
  }
  draw_area(picture, points, corners, paint);
}

void draw_marker(Picture *picture, Point at, double radius, size_t series) {
  static const double quarter = 3.14159265358979323846 / 2;
  Role role = series_role(series);
  Paint filled = {.fill = role, .line = ROLE_PAPER, .width = 1};
  Paint hollow = {.fill = ROLE_PAPER, .line = role, .width = 1.8};
  switch (series % 6) {
  case 0:
    draw_circle(picture, at, radius, filled);
    break;
  case 1:
    draw_polygon(picture, at, radius * 1.2, 4, quarter / 2, hollow);
    break;
  case 2:
    draw_polygon(picture, at, radius * 1.3, 3, -quarter, filled);
    break;
  case 3:
    draw_polygon(picture, at, radius * 1.3, 4, 0, hollow);
    break;
  case 4:
    draw_polygon(picture, at, radius * 1.3, 3, quarter, filled);
    break;
  default:
    draw_circle(picture, at, radius, hollow);
    break;
  }
}

void draw_bar(Picture *picture, Point corner, double width, double height, size_t series) {
  Role role = series_role(series);
  draw_rectangle(picture, corner, width, height,
                 (Paint){.fill = role, .line = role, .width = 1, .opacity = series % 2 == 0 ? 0.55 : 0.15});
}

/// The sample of a series, around the height `y` from `x` on.
static void draw_sample(Picture *picture, double x, double y, LegendKind kind, size_t series) {
  if (kind == LEGEND_BARS) {
    draw_bar(picture, (Point){x, y - 5}, MARKER_WIDTH, 10, series);
    return;
  }
  double width = kind == LEGEND_LINES ? SAMPLE_WIDTH : MARKER_WIDTH;
  if (kind == LEGEND_LINES)
    draw_line(picture, (Point){x, y}, (Point){x + width, y},
              (Paint){.line = series_role(series), .width = 2, .dash = series_dash(series)});
  draw_marker(picture, (Point){x + width / 2, y}, 4, series);
}

void frame_legend(Picture *picture, const char *const *names, size_t count, LegendKind kind, double *y) {
  double x = CHART_MARGIN, right = picture->width - CHART_MARGIN;
  double sample = (kind == LEGEND_LINES ? SAMPLE_WIDTH : MARKER_WIDTH) + 6;
  for (size_t i = 0; i < count; i++) {
    double width = fmin(typeset_width(names[i], INK_STYLE), right - CHART_MARGIN - sample);
    if (x > CHART_MARGIN && x + sample + width > right) {
      x = CHART_MARGIN;
      *y += LABEL_LINE + 2;
    }
    draw_sample(picture, x, *y + 8, kind, i);
    draw_fitted(picture, (Point){x + sample, *y + 12}, names[i], width + 1, INK_STYLE);
    x += sample + width + LEGEND_GAP;
  }
  if (count > 0) *y += LABEL_LINE + 8;
}

// ---- axes ----

double axis_labels_width(const Axis *axis) {
  double widest = 0;
  for (size_t i = 0; i < axis->ticks; i++) {
    char text[AXIS_TEXT];
    axis_text(axis, axis_tick(axis, i), text);
    widest = fmax(widest, typeset_width(text, LABEL_STYLE));
  }
  return widest;
}

Axis axis_along(Range range, double length, AxisOptions options) {
  Axis axis = {0};
  for (size_t steps = 10; steps >= 2; steps--) {
    options.steps = steps;
    axis = axis_fit(range, options);
    double step = axis.step / (axis.high - axis.low) * length;
    if (step >= axis_labels_width(&axis) + 14) break;
  }
  return axis;
}

void frame_x_axis(Picture *picture, const Axis *axis, const Box *box) {
  TextStyle style = LABEL_STYLE;
  style.anchor = ANCHOR_MIDDLE;
  for (size_t i = 0; i < axis->ticks; i++) {
    double value = axis_tick(axis, i), x = axis_place(axis, value, box->left, box->right);
    char text[AXIS_TEXT];
    axis_text(axis, value, text);
    draw_line(picture, (Point){x, box->top}, (Point){x, box->bottom + 4},
              fabs(value) > 0 ? GRID_LINE : ZERO_LINE);
    draw_text(picture, (Point){x, box->bottom + 18}, text, style);
  }
}

void frame_y_axis(Picture *picture, const Axis *axis, const Box *box) {
  TextStyle style = LABEL_STYLE;
  style.anchor = ANCHOR_END;
  for (size_t i = 0; i < axis->ticks; i++) {
    double value = axis_tick(axis, i), y = axis_place(axis, value, box->bottom, box->top);
    char text[AXIS_TEXT];
    axis_text(axis, value, text);
    draw_line(picture, (Point){box->left, y}, (Point){box->right, y},
              fabs(value) > 0 ? GRID_LINE : ZERO_LINE);
    draw_text(picture, (Point){box->left - 8, y + 4}, text, style);
  }
}

void frame_no_data(Picture *picture, const Box *box) {
  TextStyle style = LABEL_STYLE;
  style.anchor = ANCHOR_MIDDLE;
  draw_text(picture, (Point){(box->left + box->right) / 2, (box->top + box->bottom) / 2 + 4}, "no data",
            style);
}
