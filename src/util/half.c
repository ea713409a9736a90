// 16-bit floats on the host. Rule: every NaN stays a NaN, and every value that 16 bits can represent is
// exact.
#include "util/half.h"

#include <math.h>
#include <string.h>

static float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

float half_to_float(uint16_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1fu;
  uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) { // zero and subnormals: mantissa * 2^-24
    float value = ldexpf((float)mantissa, -24);
    return sign != 0 ? -value : value;
  }
  if (exponent == 0x1f) return float_of_bits(sign | 0x7f800000u | mantissa << 13);
  return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t half_from_float(float value) {
  uint32_t bits = bits_of_float(value);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); // 65520 and more round to infinity
  if (magnitude < 0x38800000u) { // below 2^-14: a subnormal, in units of 2^-24
    float scaled = ldexpf(float_of_bits(magnitude), 24);
    return (uint16_t)(sign | (uint16_t)nearbyintf(scaled));
  }
  // Round to nearest even: add just under half a unit, and one more if the last bit kept is odd. A carry into
  // the exponent gives the right result, because the exponent lies above the mantissa.
  uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

float bfloat_to_float(uint16_t bits) {
  return float_of_bits((uint32_t)bits << 16);
}

uint16_t bfloat_from_float(float value) {
  uint32_t bits = bits_of_float(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
  return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

void halves_to_floats(DType type, const uint16_t *from, size_t count, float *to) {
  for (size_t i = 0; i < count; i++) {
    to[i] = type == DTYPE_F16 ? half_to_float(from[i]) : bfloat_to_float(from[i]);
  }
}

void halves_from_floats(DType type, const float *from, size_t count, uint16_t *to) {
  for (size_t i = 0; i < count; i++) {
    to[i] = type == DTYPE_F16 ? half_from_float(from[i]) : bfloat_from_float(from[i]);
  }
}
