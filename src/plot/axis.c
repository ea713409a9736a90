// Ranges and ticks. Rule: whatever the values, an axis is finite, low < high, and has at most AXIS_MOST_TICKS
// ticks.
#include "axis.h"
#include "util/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LARGEST_DRAWN 1e100 // far from where sums and differences overflow
#define MINUS         "\xe2\x88\x92"

bool is_drawn(double value) {
  return isfinite(value) && fabs(value) <= LARGEST_DRAWN;
}

void range_add(Range *range, double value) {
  if (!is_drawn(value)) return;
  range->low = range->any ? fmin(range->low, value) : value;
  range->high = range->any ? fmax(range->high, value) : value;
  range->any = true;
}

/// Makes a range that is empty, or so narrow that ticks could not be told apart, wide enough.
static Range widened(Range range, bool whole) {
  if (!range.any) return (Range){0, 1, true};
  double largest = fmax(fabs(range.low), fabs(range.high));
  double least = fmax(largest * 1e-9, 1e-100);
  if (whole) least = fmax(least, 0.5);
  if (range.high - range.low >= least) return range;
  double room = fmax(largest * 0.05, whole || !(largest > 0) ? 1 : least);
  return (Range){range.low - room, range.high + room, true};
}

/// The smallest of 1, 2, 5, 10 times a power of ten that is not less than `value`.
static double round_step(double value) {
  static const double digits[] = {1, 2, 5, 10};
  double power = pow(10, floor(log10(value)));
  for (size_t i = 0; i < 4; i++) {
    if (digits[i] * power >= value * (1 - 1e-9)) return digits[i] * power;
  }
  return 10 * power;
}

/// Labels of more than five digits are divided by a power of a thousand.
static int label_exponent(double largest, double step) {
  if (largest >= 1e5 || (largest < 1e-3 && step < 1e-4)) return 3 * (int)floor(log10(largest) / 3 + 1e-9);
  return 0;
}

Axis axis_fit(Range range, AxisOptions options) {
  Range r = widened(range, options.whole);
  Axis axis = {.plus = options.plus};
  size_t steps = options.steps < 2 ? 2 : size_min(options.steps, AXIS_MOST_TICKS - 3);
  axis.step = round_step((r.high - r.low) / (double)steps);
  if (options.whole) axis.step = fmax(axis.step, 1);
  axis.low = options.tight ? r.low : floor(r.low / axis.step + 1e-9) * axis.step;
  axis.high = options.tight ? r.high : ceil(r.high / axis.step - 1e-9) * axis.step;
  axis.first = ceil(axis.low / axis.step - 1e-9) * axis.step;
  double count = floor((axis.high - axis.first) / axis.step + 1e-9) + 1;
  axis.ticks = count < 1 ? 0 : count > AXIS_MOST_TICKS ? AXIS_MOST_TICKS : (size_t)count;
  axis.exponent = label_exponent(fmax(fabs(axis.low), fabs(axis.high)), axis.step);
  double digits = -floor(log10(axis.step) + 1e-9) + axis.exponent;
  axis.decimals = digits < 0 ? 0 : digits > 12 ? 12 : (int)digits;
  return axis;
}

double axis_tick(const Axis *axis, size_t index) {
  double value = axis->first + (double)index * axis->step;
  return fabs(value) < axis->step * 1e-6 ? 0 : value;
}

double axis_place(const Axis *axis, double value, double from, double to) {
  return from + (value - axis->low) / (axis->high - axis->low) * (to - from);
}

void axis_text(const Axis *axis, double value, char out[AXIS_TEXT]) {
  double shown = fabs(value) / pow(10, axis->exponent);
  const char *sign = value < 0 ? MINUS : value > 0 && axis->plus ? "+" : "";
  (void)snprintf(out, AXIS_TEXT, "%s%.*f", sign, axis->decimals, shown);
}

void axis_factor(const Axis *axis, char out[AXIS_TEXT]) {
  static const char *const digits[] = {"\xe2\x81\xb0", "\xc2\xb9",     "\xc2\xb2",     "\xc2\xb3",
                                       "\xe2\x81\xb4", "\xe2\x81\xb5", "\xe2\x81\xb6", "\xe2\x81\xb7",
                                       "\xe2\x81\xb8", "\xe2\x81\xb9"};
  char plain[16];
  out[0] = '\0';
  if (axis->exponent == 0) return;
  (void)snprintf(plain, sizeof plain, "%d", axis->exponent);
  (void)snprintf(out, AXIS_TEXT,
                 "\xc3\x97"
                 "10");
  for (const char *c = plain; *c != '\0'; c++) {
    size_t used = strlen(out);
    (void)snprintf(out + used, AXIS_TEXT - used, "%s", *c == '-' ? "\xe2\x81\xbb" : digits[*c - '0']);
  }
}
