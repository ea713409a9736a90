// Before and after: two columns of dots, joined. Rule: every pair that can be drawn is a line of its own, so
// that a change of the mean cannot hide sets that went the other way.
#include "frame.h"
#include "util/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  LEAST_HEIGHT = 220,
  DOT_RADIUS = 3,
  MEAN_DISTANCE = 16, // of a mean from the outermost dot
};

typedef struct PairPlot {
  const PairChart *chart;
  Picture *picture;
  Axis axis;
  Box box;
  double left, right;     // x of the two columns
  double *before, *after; // [count]: how far each dot is moved outwards, so that none hides another
  double widest;          // the largest of these
} PairPlot;

static bool is_pair(const PairPoint *point) {
  return is_drawn(point->before) && is_drawn(point->after);
}

static double place(const PairPlot *plot, double value) {
  return axis_place(&plot->axis, value, plot->box.bottom, plot->box.top);
}

static Range find_range(const PairChart *chart) {
  Range range = {0};
  const Estimate *means[] = {&chart->before_mean, &chart->after_mean};
  for (size_t i = 0; i < chart->count; i++) {
    if (!is_pair(&chart->points[i])) continue;
    range_add(&range, chart->points[i].before);
    range_add(&range, chart->points[i].after);
  }
  for (size_t m = 0; m < 2 && range.any; m++) {
    if (!is_drawn(means[m]->value)) continue;
    range_add(&range, means[m]->value);
    range_add(&range, means[m]->low);
    range_add(&range, means[m]->high);
  }
  if (range.any) range_add(&range, 0);
  return range;
}

// ---- dots that do not hide each other ----

static double value_of(const PairPoint *point, bool after) {
  return after ? point->after : point->before;
}

/// Whether dot i, moved by `shift`, touches one of the dots before it.
static bool touches(const PairPlot *plot, const double *shifts, size_t i, double shift, bool after) {
  double y = place(plot, value_of(&plot->chart->points[i], after));
  for (size_t j = 0; j < i; j++) {
    if (!is_pair(&plot->chart->points[j])) continue;
    double dy = place(plot, value_of(&plot->chart->points[j], after)) - y, dx = shifts[j] - shift;
    if (dx * dx + dy * dy < 4.0 * DOT_RADIUS * DOT_RADIUS) return true;
  }
  return false;
}

/// Moves each dot outwards until it touches none, up to a limit where there are too many.
static void spread(PairPlot *plot, double *shifts, bool after) {
  double most = (plot->box.right - plot->box.left) * 0.12;
  for (size_t i = 0; i < plot->chart->count; i++) {
    if (!is_pair(&plot->chart->points[i])) continue;
    while (shifts[i] < most && touches(plot, shifts, i, shifts[i], after)) shifts[i] += DOT_RADIUS;
    plot->widest = fmax(plot->widest, shifts[i]);
  }
}

// ---- drawing ----

static void draw_dot(const PairPlot *plot, Point at, Role role, const char *label) {
  draw_circle(plot->picture, at, DOT_RADIUS, (Paint){.fill = role, .line = ROLE_PAPER, .width = 0.6});
  if (label != NULL) draw_hint(plot->picture, label);
}

static void draw_pair(const PairPlot *plot, size_t i) {
  const PairPoint *point = &plot->chart->points[i];
  bool away = fabs(point->after) > fabs(point->before);
  Point from = {plot->left - plot->before[i], place(plot, point->before)};
  Point to = {plot->right + plot->after[i], place(plot, point->after)};
  Role role = series_role(away);
  draw_line(plot->picture, from, to,
            (Paint){.line = role, .width = away ? 1.4 : 0.8, .dash = away ? DASH_LONG : DASH_SOLID});
  draw_dot(plot, from, role, point->label);
  draw_dot(plot, to, role, point->label);
}

/// The mean beside its column (`side` −1: left of it).
static void draw_mean(const PairPlot *plot, const Estimate *mean, double column, double side) {
  double x = column + side * (plot->widest + MEAN_DISTANCE), y = place(plot, mean->value);
  Paint ink = {.line = ROLE_INK, .width = 2};
  if (!is_drawn(mean->value)) return;
  if (is_drawn(mean->low) && is_drawn(mean->high)) {
    double low = place(plot, mean->low), high = place(plot, mean->high);
    draw_line(plot->picture, (Point){x, low}, (Point){x, high}, ink);
    draw_line(plot->picture, (Point){x - 4, low}, (Point){x + 4, low}, ink);
    draw_line(plot->picture, (Point){x - 4, high}, (Point){x + 4, high}, ink);
  }
  draw_rectangle(plot->picture, (Point){x - 4, y - 4}, 8, 8, (Paint){.fill = ROLE_INK});
}

/// What solid and dashed lines mean, with how many there are of each.
static Status draw_legend(const PairChart *chart, Picture *picture, double *y) {
  size_t away = 0, pairs = 0;
  Str text = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < chart->count; i++) {
    if (!is_pair(&chart->points[i])) continue;
    pairs++;
    away += fabs(chart->points[i].after) > fabs(chart->points[i].before);
  }
  TRY_CLEAN(str_append_format(&text, "Solid: not further from 0 than before (%zu). Dashed: further (%zu).",
                              pairs - away, away));
  if (is_drawn(chart->before_mean.value) || is_drawn(chart->after_mean.value))
    TRY_CLEAN(str_append_text(&text, " Squares: means with 95 % intervals."));
  if (pairs > 0)
    frame_text(picture, str_text(&text), CHART_MARGIN, picture->width - 2 * CHART_MARGIN, 3, INK_STYLE, y);
  *y += 8;
cleanup:
  str_free(&text);
  return status;
}

/// The name of a column below it, and its mean.
static void draw_name(const PairPlot *plot, const char *name, const Estimate *mean, double column) {
  TextStyle style = INK_STYLE;
  double half = fmin(column - plot->box.left, plot->box.right - column);
  double width = 2 * fmin(half, (plot->right - plot->left) / 2 - 4), y = plot->box.bottom + 8;
  char text[48];
  style.anchor = ANCHOR_MIDDLE;
  frame_text(plot->picture, name, column, width, 2, style, &y);
  if (!is_drawn(mean->value)) return;
  (void)snprintf(text, sizeof text, fabs(mean->value) < 1e9 ? "mean %s%.*f" : "mean %s%.*g",
                 mean->value < 0 ? "\xe2\x88\x92" : "+", plot->chart->decimals, fabs(mean->value));
  style.bold = true;
  frame_text(plot->picture, text, column, width, 1, style, &y);
}

static Status draw_columns(PairPlot *plot) {
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&plot->before, plot->chart->count, "dots"));
  TRY_CLEAN(mem_array(&plot->after, plot->chart->count, "dots"));
  spread(plot, plot->before, false);
  spread(plot, plot->after, true);
  double room = fmax((plot->box.right - plot->box.left) * 0.25, plot->widest + MEAN_DISTANCE + 8);
  plot->left = plot->box.left + room;
  plot->right = plot->box.right - room;
  for (size_t i = 0; i < plot->chart->count; i++) {
    if (is_pair(&plot->chart->points[i])) draw_pair(plot, i);
  }
  draw_mean(plot, &plot->chart->before_mean, plot->left, -1);
  draw_mean(plot, &plot->chart->after_mean, plot->right, 1);
  draw_name(plot, plot->chart->before, &plot->chart->before_mean, plot->left);
  draw_name(plot, plot->chart->after, &plot->chart->after_mean, plot->right);
cleanup:
  free(plot->before);
  free(plot->after);
  return status;
}

static Status draw_chart(const PairChart *chart, double height, double y, Picture *picture) {
  PairPlot plot = {.chart = chart, .picture = picture};
  Range range = find_range(chart);
  TRY(draw_legend(chart, picture, &y));
  picture->height = fmax(height, y + LEAST_HEIGHT);
  plot.box = (Box){CHART_MARGIN, y + 26, picture->width - CHART_MARGIN, picture->height - CHART_MARGIN - 48};
  if (!range.any) {
    frame_no_data(picture, &plot.box);
    return STATUS_OK;
  }
  size_t ticks = (size_t)((plot.box.bottom - plot.box.top) / 44);
  plot.axis = axis_fit(range, (AxisOptions){.steps = ticks, .plus = true});
  plot.box.left += axis_labels_width(&plot.axis) + 8;
  frame_axis_label(picture, chart->text.y_label, &plot.axis, (Point){CHART_MARGIN, y + 12}, ANCHOR_START,
                   picture->width - 2 * CHART_MARGIN);
  frame_y_axis(picture, &plot.axis, &plot.box);
  return draw_columns(&plot);
}

Status plot_pairs(const PairChart *chart, double width, double height, Picture **out) {
  double y = 0;
  TRY(frame_begin(chart->text, width, &y, out));
  Status status = draw_chart(chart, height, y, *out);
  if ((*out)->status == STATUS_OK) (*out)->status = status;
  return picture_done(out);
}
