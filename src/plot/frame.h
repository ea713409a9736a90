// What all charts have: title and note, a legend above the data, axes, markers.
#pragma once

#include "axis.h"
#include "plot/charts.h"
#include "typeset.h"

#define CHART_LEAST_WIDTH 240.0
#define CHART_MARGIN      14.0 // around everything
#define TITLE_SIZE        15.0
#define LABEL_SIZE        12.0
#define LABEL_LINE        16.0 // from one line of labels to the next

/// The place of the data; top < bottom.
typedef struct Box {
  double left, top, right, bottom;
} Box;

/// A picture with the chart's title and note. *y = where the next thing begins. The caller sets the height.
STATUS_CHECKED Status frame_begin(ChartText text, double width, double *y, Picture **out);
/// Draws text that is wrapped to at most `most` lines from *y on, and moves *y below it. NULL or "": nothing.
void frame_text(Picture *picture, const char *text, double left, double width, size_t most, TextStyle style,
                double *y);
/// `label` with the axis's factor, if it has one, in one line that ends at `width`.
void frame_axis_label(Picture *picture, const char *label, const Axis *axis, Point at, Anchor anchor,
                      double width);

/// How series number `series` is drawn.
Role series_role(size_t series);
Dash series_dash(size_t series);
/// A marker of the series' shape. The first two are a filled dot and a hollow square.
void draw_marker(Picture *picture, Point at, double radius, size_t series);

/// A bar of series number `series`.
void draw_bar(Picture *picture, Point corner, double width, double height, size_t series);

/// What the samples of a legend look like.
typedef enum LegendKind { LEGEND_LINES, LEGEND_DOTS, LEGEND_BARS } LegendKind;
/// A row of samples with their names, wrapped to the width, and moves *y below it.
void frame_legend(Picture *picture, const char *const *names, size_t count, LegendKind kind, double *y);

/// Vertical grid lines with labels below the box.
void frame_x_axis(Picture *picture, const Axis *axis, const Box *box);
/// Horizontal grid lines with labels left of the box.
void frame_y_axis(Picture *picture, const Axis *axis, const Box *box);
/// The width of the widest label.
double axis_labels_width(const Axis *axis);
/// An axis along a length that has room for all of its labels.
Axis axis_along(Range range, double length, AxisOptions options);
/// "no data" in the middle.
void frame_no_data(Picture *picture, const Box *box);

extern const TextStyle LABEL_STYLE, INK_STYLE;
