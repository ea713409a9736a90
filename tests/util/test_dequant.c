// Every type that can be decoded, against ggml's own Python library (tests/golden/make_quants.py): blocks of
// random bytes, so that each code, sign, scale and grid entry is met, infinite and NaN scales among them.
#include "support/test.h"

#include "util/dequant.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Byte `place` of the random stream `seed`.
static uint8_t random_byte(uint32_t place, uint32_t seed) {
  uint32_t x = place + seed * 0x9e3779b9u;
  x = (x ^ x >> 16) * 0x85ebca6bu;
  x = (x ^ x >> 13) * 0xc2b2ae35u;
  return (uint8_t)(x ^ x >> 16);
}

/// The bits of each value times its place. Every NaN counts as the same: which one an operation gives depends
/// on the processor.
static uint64_t checksum(const float *values, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    if (isnan(values[i])) bits = 0x7fc00000;
    sum += bits * (2 * (uint64_t)i + 1);
  }
  return sum;
}

/// Decodes `blocks` blocks of random bytes: all at once, and again each by itself at an odd address.
static uint64_t decode_random(DType type, uint32_t seed, size_t blocks) {
  const DTypeInfo *info = dtype_info(type);
  size_t elements = blocks * info->block_elements, size = blocks * info->block_bytes;
  uint8_t *bytes = malloc(size + 1);
  float *values = malloc(elements * sizeof *values), *again = malloc(elements * sizeof *again);
  assert_true(bytes != NULL && values != NULL && again != NULL);
  for (size_t i = 0; i < size; i++) bytes[i] = random_byte((uint32_t)i, seed);
  dequantise(type, bytes, blocks, values);
  memmove(bytes + 1, bytes, size);
  for (size_t i = 0; i < blocks; i++)
    dequantise(type, bytes + 1 + i * info->block_bytes, 1, again + i * info->block_elements);
  uint64_t sum = checksum(values, elements);
  assert_true(checksum(again, elements) == sum);
  free(again);
  free(values);
  free(bytes);
  return sum;
}

static void decodes_as_ggml(void **state) {
  (void)state;
  FILE *file = fopen(GEE_SOURCE_DIR "/tests/util/data/quants.txt", "r");
  bool tried[DTYPE_COUNT] = {false};
  char name[16];
  uint32_t seed = 0;
  size_t blocks = 0;
  uint64_t expected = 0;
  assert_non_null(file);
  while (fscanf(file, "%15s %" SCNu32 " %zu %" SCNx64, name, &seed, &blocks, &expected) == 4) {
    DType type = DTYPE_COUNT;
    assert_true(dtype_from_name(name, &type));
    assert_true(can_dequantise(type));
    if (decode_random(type, seed, blocks) != expected) fail_msg("%s is decoded to other values", name);
    tried[type] = true;
  }
  (void)fclose(file);
  tried[DTYPE_NF4] = true; // not of ggml: tests/util/test_quantise.c
  for (unsigned type = 0; type < DTYPE_COUNT; type++) {
    if (dtype_info((DType)type)->kind == DTYPE_QUANTISED) // no decoder without a test
      assert_true(tried[type] == can_dequantise((DType)type));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_as_ggml),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
