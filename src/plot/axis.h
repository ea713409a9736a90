// An axis: its range, and ticks at round numbers.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { AXIS_MOST_TICKS = 24, AXIS_TEXT = 48 };

/// The values that an axis must show. Grows by range_add, which passes over what cannot be drawn.
typedef struct Range {
  double low, high;
  bool any;
} Range;

/// Whether a value can be drawn: finite, and not so large that differences overflow.
bool is_drawn(double value);
void range_add(Range *range, double value);

typedef struct Axis {
  double low, high;   // what the ends of the axis stand for
  double first, step; // of the ticks
  size_t ticks;
  int exponent; // labels show value / 10^exponent
  int decimals; // of the labels
  bool plus;    // positive labels have a plus sign
} Axis;

typedef struct AxisOptions {
  size_t steps; // at most so many between the smallest and the largest value; at least 2
  bool whole;   // ticks are whole numbers
  bool tight;   // the axis ends where the values do, and not at a tick
  bool plus;
} AxisOptions;

/// Chooses range and ticks: 1, 2 or 5 times a power of ten apart. An empty range becomes 0 to 1; a single
/// value gets some room around it.
Axis axis_fit(Range range, AxisOptions options);
double axis_tick(const Axis *axis, size_t index);
/// Where a value lies between `from` and `to`.
double axis_place(const Axis *axis, double value, double from, double to);
/// The text of a tick, with a true minus sign.
void axis_text(const Axis *axis, double value, char out[AXIS_TEXT]);
/// "×10⁶" for labels that are divided by that; "" for exponent 0.
void axis_factor(const Axis *axis, char out[AXIS_TEXT]);
