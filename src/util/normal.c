// Normally distributed numbers from Philox, by the inverse of the normal distribution function: Wichura's
// PPND7 (algorithm AS 241, Applied Statistics 37, 1988), right to 1.2e-7 of a number. Rule: only + − · / and
// sqrt, which IEEE 754 defines to the last bit, so every machine makes the same bytes; libm's log does not.
#include "util/rng.h"

#include <math.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF // gcc does not contract in C11
#endif

enum { WORDS = 4 }; // of a Philox block; each gives a number

/// log x for 0 < x < 1: log(2^e m) = e log 2 + 2 atanh((m − 1)/(m + 1)) with m in [√½, √2), where seven terms
/// of atanh's series are right to 1e-12.
static double natural_log(double x) {
  int exponent = 0;
  double m = frexp(x, &exponent), sum = 0;
  if (m < 0x1.6a09e667f3bcdp-1) {
    m *= 2;
    exponent--;
  }
  double s = (m - 1) / (m + 1), square = s * s;
  for (int term = 15; term >= 1; term -= 2) sum = sum * square + 1.0 / term;
  return 2 * s * sum + 0x1.62e42fefa39efp-1 * exponent;
}

/// The number below which a share u = (bits + ½) / 2^32 of the distribution lies.
static float normal_of(uint32_t bits) {
  double q = ((double)bits + 0.5) * 0x1p-32 - 0.5;
  if (fabs(q) <= 0.425) {
    double r = 0.180625 - q * q;
    double above = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179;
    return (float)(q * above / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1));
  }
  // The tail has at least 2^-33, so r < 4.8: PPND7's third piece, for r > 5, is never needed.
  double r = sqrt(-natural_log(0.5 - fabs(q))) - 1.6;
  double above = ((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777;
  double value = above / ((0.12021132975 * r + 0.73700164250) * r + 1);
  return (float)(q < 0 ? -value : value);
}

void rng_normals(float *out, size_t count, uint64_t seed, RngUse use, uint32_t stream, uint64_t first) {
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t words[WORDS];
  for (size_t i = 0; i < count; i++) {
    uint64_t number = first + i, block = number / WORDS;
    if (i == 0 || number % WORDS == 0)
      philox4x32(words, (const uint32_t[]){(uint32_t)block, (uint32_t)(block >> 32), stream, (uint32_t)use},
                 key);
    out[i] = normal_of(words[number % WORDS]);
  }
}
