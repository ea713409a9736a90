// Rows of values with their intervals. Rule: the numbers beside the rows are the same that are drawn.
#include "frame.h"
#include "util/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  LANE = 18,          // height of one estimate
  ROW_GAP = 12,       // between rows
  LABEL_LINES = 3,    // at most, of a row's label
  FIGURES_FROM = 520, // width from which the numbers are written beside the rows
};
#define MINUS "\xe2\x88\x92"

typedef struct EstimatePlot {
  const EstimateChart *chart;
  Picture *picture;
  Axis axis;
  Box box;
  double label_width, figures_width; // figures_width 0: none are written
} EstimatePlot;

static bool has_interval(const Estimate *estimate) {
  return is_drawn(estimate->low) && is_drawn(estimate->high);
}

static Status append_figure(const EstimateChart *chart, double value, Str *out) {
  double scale = pow(10, chart->decimals);
  bool zero = fabs(value) * scale < 0.5; // no sign on what is written as 0
  const char *sign = zero ? "" : value < 0 ? MINUS : chart->plus ? "+" : "";
  if (fabs(value) >= 1e7) return str_append_format(out, "%s%.3g", sign, fabs(value));
  return str_append_format(out, "%s%.*f", sign, chart->decimals, fabs(value));
}

/// Appends "+0.040 [+0.030, +0.049]".
static Status append_figures(const EstimateChart *chart, const Estimate *estimate, Str *out) {
  if (!is_drawn(estimate->value)) return str_append_text(out, "not measured");
  TRY(append_figure(chart, estimate->value, out));
  if (!has_interval(estimate)) return STATUS_OK;
  TRY(str_append_text(out, " ["));
  TRY(append_figure(chart, estimate->low, out));
  TRY(str_append_text(out, ", "));
  TRY(append_figure(chart, estimate->high, out));
  return str_append_text(out, "]");
}

static Status measure(EstimatePlot *plot) {
  const EstimateChart *chart = plot->chart;
  double room = plot->picture->width - 2 * CHART_MARGIN;
  for (size_t r = 0; r < chart->count; r++) {
    plot->label_width = fmax(plot->label_width, typeset_width(chart->rows[r].label, INK_STYLE));
    for (size_t s = 0; s < chart->series_count; s++) {
      Str figures = {0};
      Status status = append_figures(chart, &chart->rows[r].estimates[s], &figures);
      plot->figures_width = fmax(plot->figures_width, typeset_width(str_text(&figures), INK_STYLE));
      str_free(&figures);
      TRY(status);
    }
  }
  plot->label_width = fmin(plot->label_width, room * (room > FIGURES_FROM ? 0.3 : 0.36)) + 1;
  if (plot->picture->width < FIGURES_FROM || plot->figures_width > room * 0.36) plot->figures_width = 0;
  return STATUS_OK;
}

static Range find_range(const EstimateChart *chart) {
  Range range = {0};
  for (size_t r = 0; r < chart->count; r++) {
    for (size_t s = 0; s < chart->series_count; s++) {
      const Estimate *estimate = &chart->rows[r].estimates[s];
      if (!is_drawn(estimate->value)) continue;
      range_add(&range, estimate->value);
      range_add(&range, has_interval(estimate) ? estimate->low : NAN);
      range_add(&range, has_interval(estimate) ? estimate->high : NAN);
    }
  }
  for (size_t m = 0; m < chart->mark_count; m++) range_add(&range, chart->marks[m]);
  if (chart->zero || chart->bars) range_add(&range, 0);
  return range;
}

static void draw_whisker(const EstimatePlot *plot, const Estimate *estimate, double y, Paint paint) {
  double low = axis_place(&plot->axis, estimate->low, plot->box.left, plot->box.right);
  double high = axis_place(&plot->axis, estimate->high, plot->box.left, plot->box.right);
  draw_line(plot->picture, (Point){low, y}, (Point){high, y}, paint);
  draw_line(plot->picture, (Point){low, y - 4}, (Point){low, y + 4}, paint);
  draw_line(plot->picture, (Point){high, y - 4}, (Point){high, y + 4}, paint);
}

static void draw_bar_to(const EstimatePlot *plot, double x, double y, size_t series) {
  double zero = axis_place(&plot->axis, 0, plot->box.left, plot->box.right);
  draw_bar(plot->picture, (Point){fmin(zero, x), y - LANE / 2.0 + 2}, fabs(x - zero), LANE - 4, series);
}

static Status draw_estimate(const EstimatePlot *plot, const Estimate *estimate, double y, size_t series) {
  const EstimateChart *chart = plot->chart;
  Str figures = {0};
  Status status = append_figures(chart, estimate, &figures);
  if (status == STATUS_OK && is_drawn(estimate->value)) {
    double x = axis_place(&plot->axis, estimate->value, plot->box.left, plot->box.right);
    if (chart->bars) draw_bar_to(plot, x, y, series);
    if (has_interval(estimate))
      draw_whisker(
          plot, estimate, y,
          (Paint){.line = chart->bars ? ROLE_INK : series_role(series), .width = chart->bars ? 1.2 : 2});
    if (!chart->bars) draw_marker(plot->picture, (Point){x, y}, 4.5, series);
    draw_hint(plot->picture, str_text(&figures));
  }
  if (status == STATUS_OK && plot->figures_width > 0)
    draw_text(plot->picture, (Point){plot->box.right + 16, y + 4}, str_text(&figures), INK_STYLE);
  str_free(&figures);
  return status;
}

/// The height of a row's label and estimates.
static double row_height(const EstimatePlot *plot, const Typeset *label) {
  return fmax((double)label->count * LABEL_LINE, (double)plot->chart->series_count * LANE);
}

static Status draw_row(const EstimatePlot *plot, const EstimateRow *row, const Typeset *label, double top) {
  size_t lanes = plot->chart->series_count;
  double middle = top + row_height(plot, label) / 2;
  for (size_t i = 0; i < label->count; i++)
    draw_text(
        plot->picture,
        (Point){CHART_MARGIN, middle - (double)label->count * LABEL_LINE / 2 + (double)i * LABEL_LINE + 12},
        label->lines[i], INK_STYLE);
  for (size_t s = 0; s < lanes; s++) {
    double y = middle + ((double)s - (double)(lanes - 1) / 2) * LANE;
    TRY(draw_estimate(plot, &row->estimates[s], y, s));
  }
  return STATUS_OK;
}

static Status wrap_labels(const EstimatePlot *plot, Typeset *labels, double *height) {
  for (size_t r = 0; r < plot->chart->count; r++) {
    TRY(typeset_wrap(plot->chart->rows[r].label, plot->label_width, LABEL_LINES, INK_STYLE, &labels[r]));
    *height += row_height(plot, &labels[r]) + ROW_GAP;
  }
  return STATUS_OK;
}

static void draw_marks(const EstimatePlot *plot) {
  for (size_t m = 0; m < plot->chart->mark_count; m++) {
    if (!is_drawn(plot->chart->marks[m])) continue;
    double x = axis_place(&plot->axis, plot->chart->marks[m], plot->box.left, plot->box.right);
    draw_line(plot->picture, (Point){x, plot->box.top}, (Point){x, plot->box.bottom},
              (Paint){.line = ROLE_INK, .width = 1.2, .dash = DASH_LONG});
  }
}

/// Places the box and draws axis, marks and rows; `height` is that of all rows.
static Status draw_rows(EstimatePlot *plot, const Typeset *labels, double y, double height) {
  const EstimateChart *chart = plot->chart;
  Picture *picture = plot->picture;
  double right = picture->width - CHART_MARGIN - (plot->figures_width > 0 ? plot->figures_width + 16 : 10);
  plot->box = (Box){CHART_MARGIN + plot->label_width + 14, y, right, y + fmax(height, 40)};
  plot->axis = axis_along(find_range(chart), right - plot->box.left, (AxisOptions){.plus = chart->plus});
  picture->height = plot->box.bottom + 38 + CHART_MARGIN;
  frame_x_axis(picture, &plot->axis, &plot->box);
  draw_marks(plot);
  frame_axis_label(picture, chart->text.x_label, &plot->axis, (Point){right, plot->box.bottom + 38},
                   ANCHOR_END, right - CHART_MARGIN);
  if (chart->count == 0) frame_no_data(picture, &plot->box);
  y += ROW_GAP / 2.0;
  for (size_t r = 0; r < chart->count; r++) {
    TRY(draw_row(plot, &chart->rows[r], &labels[r], y));
    y += row_height(plot, &labels[r]) + ROW_GAP;
  }
  return STATUS_OK;
}

static Status draw_chart(const EstimateChart *chart, Picture *picture, double y) {
  EstimatePlot plot = {.chart = chart, .picture = picture};
  Typeset *labels = NULL;
  double height = 0;
  Status status = STATUS_OK;
  LegendKind kind = chart->bars ? LEGEND_BARS : LEGEND_DOTS;
  if (chart->series_count > 1) frame_legend(picture, chart->series, chart->series_count, kind, &y);
  TRY(mem_array(&labels, chart->count, "labels"));
  TRY_CLEAN(measure(&plot));
  TRY_CLEAN(wrap_labels(&plot, labels, &height));
  TRY_CLEAN(draw_rows(&plot, labels, y, height));
cleanup:
  for (size_t r = 0; r < chart->count; r++) typeset_free(&labels[r]);
  free(labels);
  return status;
}

Status plot_estimates(const EstimateChart *chart, double width, Picture **out) {
  double y = 0;
  TRY(frame_begin(chart->text, width, &y, out));
  Status status = draw_chart(chart, *out, y);
  if ((*out)->status == STATUS_OK) (*out)->status = status;
  return picture_done(out);
}
