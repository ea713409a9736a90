// Philox4x32-10 (Salmon et al. 2011), the same as in src/util/rng.c: a draw depends only on its key and
// counter.
#include "platform.h"

/// The first word of Philox4x32-10 for the counter (c0 … c3) and the key (k0, k1).
INLINE uint philox_bits(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1) {
  for (int round = 0; round < 10; round++) {
    uint high0 = multiply_high(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
    uint high2 = multiply_high(0xCD9E8D57u, c2), low2 = 0xCD9E8D57u * c2;
    c0 = high2 ^ c1 ^ k0;
    c1 = low2;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c0;
}
