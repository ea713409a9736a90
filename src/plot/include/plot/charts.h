// The charts. Each is given its data as plain arrays, which it only reads, and a width in units (1/96 inch)
// from 240 on; what is narrower is drawn at 240. Series differ in colour, dash and marker, and titles and
// labels that are too long are wrapped or end with "…". Values that cannot be drawn (NaN, infinite, beyond
// 1e100) are left out, a chart without any says "no data", and names may be any bytes in any script. Failures
// are of memory alone. Free *out with picture_free.
#pragma once

#include "plot/picture.h"
#include <stdbool.h>
#include <stddef.h>

/// What stands around a chart. `title` is drawn, and read aloud; the others may be NULL.
typedef struct ChartText {
  const char *title;
  const char *note;    // under the title: what is to be known to read the chart
  const char *x_label; // with its unit: "entropy (nats)"
  const char *y_label;
} ChartText;

// ---- lines ----

typedef struct Series {
  const char *name;
  const double *x, *y;      // [count]; where y cannot be drawn, the line is broken
  const double *low, *high; // [count]: a band around the line; or both NULL
  size_t count;
} Series;

typedef struct LineChart {
  ChartText text;
  const Series *series;
  size_t count;
  bool whole_x; // x counts something: steps, tokens
  bool zero;    // the y axis shows 0, with a line
} LineChart;

STATUS_CHECKED Status plot_lines(const LineChart *chart, double width, double height, Picture **out);

// ---- intervals and bars, a row for each label ----

/// A value with its interval. low and high are NaN where there is none, value is NaN where nothing was
/// measured.
typedef struct Estimate {
  double value, low, high;
} Estimate;

typedef struct EstimateRow {
  const char *label;
  const Estimate *estimates; // [series_count]
} EstimateRow;

typedef struct EstimateChart {
  ChartText text;
  const char *const *series; // what the estimates of a row are: "before", "after"
  size_t series_count;
  const EstimateRow *rows;
  size_t count;
  const double *marks; // values with a dashed line, such as 0.8 for four fifths
  size_t mark_count;
  bool bars;    // a bar from 0 to each value; else dots, and the axis need not show 0
  bool zero;    // the axis shows 0, with a line
  int decimals; // of the values, which are written beside the rows where there is room
  bool plus;    // positive values have a plus sign
} EstimateChart;

/// The height follows from the number of rows.
STATUS_CHECKED Status plot_estimates(const EstimateChart *chart, double width, Picture **out);

// ---- before and after, a dot for each set ----

typedef struct PairPoint {
  const char *label; // shown when pointed at; may be NULL
  double before, after;
} PairPoint;

/// Each point is a dot on the left and one on the right, joined by a line: solid where it came closer to 0,
/// dashed where it went away. The means stand out, with their intervals.
typedef struct PairChart {
  ChartText text; // y_label: what is measured
  const char *before, *after;
  const PairPoint *points;
  size_t count;
  Estimate before_mean, after_mean; // NaN: not drawn
  int decimals;                     // of the means, which are written below
} PairChart;

STATUS_CHECKED Status plot_pairs(const PairChart *chart, double width, double height, Picture **out);

// ---- the tokens of an answer ----

/// The same answer read under one prompt.
typedef struct TokenReading {
  const char *name;
  const double *values; // [count], ≥ 0
} TokenReading;

/// A line of text, and below it, for each reading, a strip that is darker where the value is larger, with the
/// value in it. text.x_label names what is measured, with its unit.
typedef struct TokenChart {
  ChartText text;
  const char *const *tokens; // [count]
  size_t count;
  const TokenReading *readings;
  size_t reading_count;
} TokenChart;

STATUS_CHECKED Status plot_tokens(const TokenChart *chart, double width, Picture **out);
