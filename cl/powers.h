// Powers of two that bring numbers into the range of IEEE halves (FACTORS_F16). A scaled half is below 2^15,
// and what is 2^28 times smaller than the largest is still a normal number, which no instruction takes for 0.
#include "platform.h"

/// The power of two that brings `largest` into [2^14, 2^15), as far as it and its inverse are normal numbers;
/// 1 for 0 and for what is not finite.
INLINE float half_scale(float largest) {
  uint exponent = bits_of_float(largest) >> 23 & 255u; // largest is 2^(exponent − 127) … twice that
  uint wanted = 14 + 2 * 127 - exponent;
  if (exponent == 0) wanted = largest > 0.0f ? 253 : 127;
  if (exponent == 255) wanted = 127;
  return float_of_bits((wanted < 253 ? wanted : 253) << 23);
}

/// 1 / power of a normal power of two, exact where a division need not be.
INLINE float inverse_power(float power) {
  return float_of_bits((254u << 23) - bits_of_float(power));
}
