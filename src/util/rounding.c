// Checks of converted numbers. Rule: all of a piece is looked at in one loop without a branch, which
// compilers turn into vectors; only a piece with a fault is searched for it.
#include "util/rounding.h"

#include "util/half.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

static const double largest_loss = 0.01; // of the tensor

/// True if all are finite: an exponent of all ones is infinity or NaN.
static bool all_finite(const float *values, size_t count) {
  uint32_t bad = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    bad |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
  }
  return bad == 0;
}

static bool all_halves_finite(DType type, const uint16_t *halves, size_t count) {
  uint32_t exponent = type == DTYPE_F16 ? 0x7c00u : 0x7f80u, bad = 0;
  for (size_t i = 0; i < count; i++) bad |= (uint32_t)((halves[i] & exponent) == exponent);
  return bad == 0;
}

static Status fail_not_finite(const RoundingCheck *check, const float *values, size_t count) {
  size_t i = 0;
  while (i < count && isfinite(values[i])) i++;
  return status_fail(STATUS_INPUT, "element %zu is %g; every element must be a finite number",
                     check->seen + i, i < count ? (double)values[i] : 0.0);
}

static Status fail_too_large(const RoundingCheck *check, const float *values, const uint16_t *halves,
                             size_t count) {
  size_t i = 0;
  while (i + 1 < count && all_halves_finite(check->type, halves + i, 1)) i++;
  return status_fail(STATUS_INPUT, "element %zu is %g, too large for %s; use %s", check->seen + i,
                     (double)values[i], dtype_name(check->type),
                     check->type == DTYPE_F16 ? "bf16 or f32" : "f32");
}

/// Adds up what F16 loses below 2^-14, where its steps no longer shrink with the numbers.
static void add_losses(RoundingCheck *check, const float *values, const uint16_t *halves, size_t count) {
  for (size_t i = 0; i < count; i++) {
    double value = (double)values[i];
    check->squares += value * value;
    if (fabs(value) >= 0x1p-14) continue;
    double lost = value - (double)half_to_float(halves[i]);
    check->lost += lost * lost;
  }
}

Status rounding_add(RoundingCheck *check, const float *values, const uint16_t *halves, size_t count) {
  if (!all_finite(values, count)) return fail_not_finite(check, values, count);
  if (halves != NULL) {
    if (!all_halves_finite(check->type, halves, count)) return fail_too_large(check, values, halves, count);
    if (check->type == DTYPE_F16) add_losses(check, values, halves, count);
  }
  check->seen += count;
  return STATUS_OK;
}

Status rounding_finish(const RoundingCheck *check) {
  double loss = sqrt(check->lost / check->squares); // NaN if all numbers are zero
  if (!(loss > largest_loss)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "rounding to %s takes %.3g %% of its numbers away; use bf16 or f32",
                     dtype_name(check->type), 100 * loss);
}
