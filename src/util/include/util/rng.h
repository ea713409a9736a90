// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC'11). A draw depends only on its key and counter, so it is the same in any micro batch, on any thread and
// after a resume. cl/philox.h computes the same function on a device.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// What a draw is for. It is part of the counter, so that no two uses share numbers.
typedef enum RngUse {
  RNG_SAMPLE = 1,
  RNG_LORA_INIT = 2,
  RNG_DROPOUT = 3,
  RNG_DATA = 4,
  RNG_BOOTSTRAP = 5,
  RNG_PERMUTE = 6,
  RNG_WEIGHTS = 7
} RngUse;

/// out[4] = Philox4x32-10 for the counter[4] and the key[2].
void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/// One 32-bit draw for (seed, use, a, b, c).
uint32_t rng_bits(uint64_t seed, RngUse use, uint32_t a, uint32_t b, uint32_t c);
/// Uniform in [0, 1): the upper 24 bits of rng_bits, times 2^-24.
float rng_uniform(uint64_t seed, RngUse use, uint32_t a, uint32_t b, uint32_t c);
/// A uniform integer in [0, bound), bound > 0: the upper 32 bits of bound · draw. The relative bias is at
/// most bound / 2^32.
uint32_t rng_below(uint32_t bound, uint64_t seed, RngUse use, uint32_t a, uint32_t b, uint32_t c);
/// Fisher-Yates shuffle of `order` with the draws of (seed, RNG_DATA, stream).
void rng_shuffle(size_t *order, size_t count, uint64_t seed, uint32_t stream);
/// out[count] = numbers `first`, first + 1, … of a stream with mean 0 and standard deviation 1, normally
/// distributed. The same on every machine; the largest of 2^32 are ±6.3.
void rng_normals(float *out, size_t count, uint64_t seed, RngUse use, uint32_t stream, uint64_t first);
