// Lines over a common x axis, with bands. Rule: a line is broken where a value is missing; it never bridges a
// gap.
#include "frame.h"
#include "util/memory.h"

#include <math.h>
#include <stdlib.h>

enum {
  MARKER_DISTANCE = 26, // between markers along x: enough to tell lines apart without hiding them
  LEAST_HEIGHT = 180,   // of the axes with their labels
  LEGEND_ROW = 24,      // more rows of a legend make the picture higher
};

typedef struct LinePlot {
  Picture *picture;
  Axis x, y;
  Box box;
} LinePlot;

static Point place(const LinePlot *plot, double x, double y) {
  return (Point){axis_place(&plot->x, x, plot->box.left, plot->box.right),
                 axis_place(&plot->y, y, plot->box.bottom, plot->box.top)};
}

static bool has_point(const Series *series, size_t i) {
  return is_drawn(series->x[i]) && is_drawn(series->y[i]);
}

static bool has_band(const Series *series, size_t i) {
  return series->low != NULL && is_drawn(series->x[i]) && is_drawn(series->low[i]) &&
         is_drawn(series->high[i]);
}

static void find_ranges(const LineChart *chart, Range *x, Range *y) {
  for (size_t s = 0; s < chart->count; s++) {
    const Series *series = &chart->series[s];
    for (size_t i = 0; i < series->count; i++) {
      if (has_point(series, i)) {
        range_add(x, series->x[i]);
        range_add(y, series->y[i]);
      }
      if (has_band(series, i)) {
        range_add(x, series->x[i]);
        range_add(y, series->low[i]);
        range_add(y, series->high[i]);
      }
    }
  }
  if (chart->zero) range_add(y, 0);
}

/// Draws the band of points first … end − 1, which all have one.
static void draw_band_part(const LinePlot *plot, const Series *series, size_t first, size_t end, Role role,
                           Point *points) {
  size_t count = end - first;
  for (size_t i = 0; i < count; i++) {
    points[i] = place(plot, series->x[first + i], series->low[first + i]);
    points[2 * count - 1 - i] = place(plot, series->x[first + i], series->high[first + i]);
  }
  if (count == 1) {
    draw_line(plot->picture, points[0], points[1], (Paint){.line = role, .width = 1.5});
    return;
  }
  draw_area(plot->picture, points, 2 * count, (Paint){.fill = role, .opacity = 0.16});
}

static void draw_line_part(const LinePlot *plot, const Series *series, size_t first, size_t end, size_t index,
                           Point *points) {
  for (size_t i = first; i < end; i++) points[i - first] = place(plot, series->x[i], series->y[i]);
  draw_path(plot->picture, points, end - first,
            (Paint){.line = series_role(index), .width = 2, .dash = series_dash(index)});
}

static void draw_markers(const LinePlot *plot, const Series *series, size_t index) {
  double last = -INFINITY;
  for (size_t i = 0; i < series->count; i++) {
    if (!has_point(series, i)) continue;
    Point at = place(plot, series->x[i], series->y[i]);
    bool alone =
        (i == 0 || !has_point(series, i - 1)) && (i + 1 == series->count || !has_point(series, i + 1));
    if (!alone && fabs(at.x - last) < MARKER_DISTANCE) continue;
    draw_marker(plot->picture, at, 3.5, index);
    last = at.x;
  }
}

typedef bool (*HasPart)(const Series *series, size_t i);
/// The end of the run of points from `first` on that `has` holds for.
static size_t run_end(const Series *series, size_t first, HasPart has) {
  size_t end = first;
  while (end < series->count && has(series, end)) end++;
  return end;
}

static Status draw_series(const LinePlot *plot, const Series *series, size_t index) {
  Point *points = NULL;
  size_t size = 0;
  TRY(mem_product(series->count, 2, &size, "a line's points"));
  TRY(mem_array(&points, size, "a line's points"));
  for (size_t i = 0, end; i < series->count; i = end + 1) {
    end = run_end(series, i, has_band);
    if (end > i) draw_band_part(plot, series, i, end, series_role(index), points);
  }
  for (size_t i = 0, end; i < series->count; i = end + 1) {
    end = run_end(series, i, has_point);
    if (end > i + 1) draw_line_part(plot, series, i, end, index, points);
  }
  draw_markers(plot, series, index);
  free(points);
  return STATUS_OK;
}

static Status draw_legend(const LineChart *chart, Picture *picture, double *y) {
  const char **names = NULL;
  if (chart->count < 2) return STATUS_OK;
  TRY(mem_array(&names, chart->count, "names of lines"));
  for (size_t i = 0; i < chart->count; i++) names[i] = chart->series[i].name;
  frame_legend(picture, names, chart->count, LEGEND_LINES, y);
  free(names);
  return STATUS_OK;
}

/// Legend, axes and lines from y on.
static Status draw_chart(const LineChart *chart, double height, double y, Picture *picture) {
  Range x_range = {0}, y_range = {0};
  LinePlot plot = {.picture = picture};
  double room = picture->width - 2 * CHART_MARGIN;
  find_ranges(chart, &x_range, &y_range);
  double above = y;
  TRY(draw_legend(chart, picture, &y));
  picture->height = fmax(height + fmax(0, y - above - LEGEND_ROW), y + LEAST_HEIGHT);
  plot.box =
      (Box){CHART_MARGIN, y + 26, picture->width - CHART_MARGIN - 8, picture->height - CHART_MARGIN - 38};
  plot.y = axis_fit(y_range, (AxisOptions){.steps = (size_t)((plot.box.bottom - plot.box.top) / 36)});
  plot.box.left += axis_labels_width(&plot.y) + 8;
  plot.x = axis_along(x_range, plot.box.right - plot.box.left,
                      (AxisOptions){.whole = chart->whole_x, .tight = true});
  frame_axis_label(picture, chart->text.y_label, &plot.y, (Point){CHART_MARGIN, y + 12}, ANCHOR_START, room);
  frame_y_axis(picture, &plot.y, &plot.box);
  frame_x_axis(picture, &plot.x, &plot.box);
  frame_axis_label(picture, chart->text.x_label, &plot.x, (Point){plot.box.right, plot.box.bottom + 38},
                   ANCHOR_END, room);
  if (!x_range.any) frame_no_data(picture, &plot.box);
  for (size_t s = 0; s < chart->count; s++) TRY(draw_series(&plot, &chart->series[s], s));
  return STATUS_OK;
}

Status plot_lines(const LineChart *chart, double width, double height, Picture **out) {
  double y = 0;
  TRY(frame_begin(chart->text, width, &y, out));
  Status status = draw_chart(chart, height, y, *out);
  if ((*out)->status == STATUS_OK) (*out)->status = status;
  return picture_done(out);
}
