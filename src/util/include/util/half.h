// 16-bit floats on the host: IEEE binary16 and bfloat16, to and from float32.
//
//   binary16  s eeeee mmmmmmmmmm      bias 15
//   bfloat16  s eeeeeeee mmmmmmm      the upper half of a float32
#pragma once

#include "util/dtype.h"
#include <stdint.h>

float half_to_float(uint16_t bits);
/// Rounds to nearest even; overflow becomes infinity, NaN stays NaN.
uint16_t half_from_float(float value);

float bfloat_to_float(uint16_t bits);
/// Rounds to nearest even; NaN stays NaN.
uint16_t bfloat_from_float(float value);

/// Converts whole arrays. `type` is DTYPE_F16 or DTYPE_BF16. `to` and `from` must not overlap.
void halves_to_floats(DType type, const uint16_t *from, size_t count, float *to);
void halves_from_floats(DType type, const float *from, size_t count, uint16_t *to);
