// Checks the numbers of a tensor while it is converted: all are finite, the new type holds each of them, and
// is fine enough for them all.
#pragma once

#include "util/dtype.h"
#include "util/status.h"
#include <stddef.h>
#include <stdint.h>

/// Zero-initialise with the type that the tensor becomes: F32, F16 or BF16.
typedef struct RoundingCheck {
  DType type;
  size_t seen;
  double squares, lost; // sums of the squares of the numbers, and of what rounding took from them
} RoundingCheck;

/// Looks at the next values[count], and at what they became: halves[count], or NULL for F32. STATUS_INPUT
/// names the first element that is NaN or infinite, or becomes infinite.
STATUS_CHECKED Status rounding_add(RoundingCheck *check, const float *values, const uint16_t *halves,
                                   size_t count);
/// After the last element. STATUS_INPUT if rounding took more than 1 % of the tensor (root mean square), as
/// F16 does of numbers around 1e-7.
STATUS_CHECKED Status rounding_finish(const RoundingCheck *check);
