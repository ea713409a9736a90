// Philox4x32-10. Rule: there is no state; a draw depends only on its arguments.
#include "util/rng.h"

void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

uint32_t rng_bits(uint64_t seed, RngUse use, uint32_t a, uint32_t b, uint32_t c) {
  uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t counter[4] = {a, b, c, (uint32_t)use}, out[4];
  philox4x32(out, counter, key);
  return out[0];
}

float rng_uniform(uint64_t seed, RngUse use, uint32_t a, uint32_t b, uint32_t c) {
  return (float)(rng_bits(seed, use, a, b, c) >> 8) * 0x1p-24f;
}

uint32_t rng_below(uint32_t bound, uint64_t seed, RngUse use, uint32_t a, uint32_t b, uint32_t c) {
  return (uint32_t)((uint64_t)rng_bits(seed, use, a, b, c) * bound >> 32);
}

void rng_shuffle(size_t *order, size_t count, uint64_t seed, uint32_t stream) {
  for (size_t i = count; i > 1; i--) {
    size_t j = rng_below((uint32_t)i, seed, RNG_DATA, stream, (uint32_t)i, 0);
    size_t swap = order[i - 1];
    order[i - 1] = order[j];
    order[j] = swap;
  }
}
