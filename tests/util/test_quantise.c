// Numbers made into blocks: Q8_0 to the bit as ggml's Python library makes them, NF4 as bitsandbytes' levels
// say (tests/golden/make_quants.py has both, and the numbers), and Q4_K with smaller errors than Q4_0 and
// Q4_1 have.
#include "support/test.h"

#include "util/dequant.h"
#include "util/quantise.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256, BLOCKS = 1024, COUNT = BLOCK * BLOCKS };

static uint8_t random_byte(uint32_t place) {
  uint32_t x = place + 99 * 0x9e3779b9u;
  x = (x ^ x >> 16) * 0x85ebca6bu;
  x = (x ^ x >> 13) * 0xc2b2ae35u;
  return (uint8_t)(x ^ x >> 16);
}

static float *make_numbers(void) {
  float *values = calloc(COUNT, sizeof *values);
  assert_non_null(values);
  for (uint32_t i = 0; i < COUNT; i++) {
    int sum = -510;
    for (uint32_t b = 0; b < 4; b++) sum += random_byte(4 * i + b);
    values[i] = ldexpf((float)sum, (int)(i / BLOCK % 28) - 20);
    if (i / BLOCK == 0) values[i] = 0;
    if (i / BLOCK == 1) values[i] = i % 32 == 0 ? 127.0f : 0.5f * (float)(random_byte(4 * i) - 127);
  }
  return values;
}

static uint64_t sum_bytes(const uint8_t *bytes, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += bytes[i] * (2 * (uint64_t)i + 1);
  return sum;
}

static uint64_t sum_floats(const float *values, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    sum += bits * (2 * (uint64_t)i + 1);
  }
  return sum;
}

static uint8_t *blocks_of(DType type, const float *values) {
  size_t size = dtype_bytes(type, COUNT);
  uint8_t *bytes = calloc(size, 1);
  assert_non_null(bytes);
  quantise(type, values, COUNT / dtype_info(type)->block_elements, bytes);
  return bytes;
}

static float *decode(DType type, const uint8_t *bytes) {
  float *values = calloc(COUNT, sizeof *values);
  assert_non_null(values);
  dequantise(type, bytes, COUNT / dtype_info(type)->block_elements, values);
  return values;
}

static FILE *open_expected(void) {
  FILE *file = fopen(GEE_SOURCE_DIR "/tests/util/data/quantised.txt", "r");
  assert_non_null(file);
  return file;
}

static void blocks_are_those_of_the_peers(void **state) {
  (void)state;
  uint64_t q8_0 = 0, nf4 = 0, decoded = 0;
  FILE *file = open_expected();
  assert_int_equal(fscanf(file, "Q8_0 %" SCNx64 " NF4 %" SCNx64 " NF4 %" SCNx64, &q8_0, &nf4, &decoded), 3);
  (void)fclose(file);
  float *values = make_numbers();
  uint8_t *bytes = blocks_of(DTYPE_Q8_0, values);
  assert_true(sum_bytes(bytes, dtype_bytes(DTYPE_Q8_0, COUNT)) == q8_0);
  free(bytes);
  bytes = blocks_of(DTYPE_NF4, values);
  float *again = decode(DTYPE_NF4, bytes);
  // the layout is our own, so the sum is of it: the scale, then the first 32 codes low and the others high
  assert_true(sum_bytes(bytes, dtype_bytes(DTYPE_NF4, COUNT)) == nf4);
  assert_true(sum_floats(again, COUNT) == decoded);
  free(again);
  free(bytes);
  free(values);
}

/// The mean over blocks, but for the first 32, of the root mean square error relative to the block's.
static double mean_error(const float *values, const float *again) {
  double sum = 0;
  for (size_t b = 32; b < BLOCKS; b++) {
    double lost = 0, squares = 0;
    for (size_t i = b * BLOCK; i < (b + 1) * BLOCK; i++) {
      double value = (double)values[i], difference = value - (double)again[i];
      lost += difference * difference;
      squares += value * value;
    }
    sum += sqrt(lost / squares);
  }
  return sum / (BLOCKS - 32);
}

static void q4_k_loses_less_than_its_peers(void **state) {
  (void)state;
  char line[80];
  double q4_0 = 0, q4_1 = 0;
  FILE *file = open_expected();
  for (int i = 0; i < 3; i++) assert_non_null(fgets(line, sizeof line, file));
  assert_int_equal(fscanf(file, "Q4_0 %lf Q4_1 %lf", &q4_0, &q4_1), 2);
  (void)fclose(file);
  float *values = make_numbers();
  uint8_t *bytes = blocks_of(DTYPE_Q4_K, values);
  float *again = decode(DTYPE_Q4_K, bytes);
  double error = mean_error(values, again);
  print_message("relative error of Q4_K %.4f, of Q4_0 %.4f, of Q4_1 %.4f\n", error, q4_0, q4_1);
  assert_true(error <= 0.84 * q4_0);
  assert_true(error <= 0.92 * q4_1);
  for (size_t i = 0; i < BLOCK; i++) assert_true(again[i] == 0);
  free(again);
  free(bytes);
  free(values);
}

/// What a block can hold exactly comes back exactly, and odd blocks are near.
static void odd_blocks_are_kept(void **state) {
  (void)state;
  float values[5][BLOCK], again[5 * BLOCK];
  for (size_t i = 0; i < BLOCK; i++) {
    values[0][i] = (float)(i % 16);        // whole codes
    values[1][i] = (float)(i % 16) - 8.0f; // with an offset
    values[2][i] = -0.5f;                  // one number below 0
    values[3][i] = 0.5f;                   // and above
    values[4][i] =
        i % 32 == 31 ? 100.0f : 1e-3f * (float)(i % 2); // one of each part that is far from the others
  }
  uint8_t bytes[5 * 144];
  quantise(DTYPE_Q4_K, values[0], 5, bytes);
  dequantise(DTYPE_Q4_K, bytes, 5, again);
  const double most[5] = {1e-3, 1e-3, 1e-3, 1e-3, 1e-2};
  for (size_t b = 0; b < 5; b++) {
    double lost = 0, squares = 0;
    for (size_t i = 0; i < BLOCK; i++) {
      double value = (double)values[b][i], difference = value - (double)again[b * BLOCK + i];
      lost += difference * difference;
      squares += value * value;
    }
    if (!(sqrt(lost / squares) <= most[b])) fail_msg("block %zu loses %g", b, sqrt(lost / squares));
  }
}

/// What the largest floats become is far from them where scales have 16 bits, so that loading sees it; the
/// smallest vanish.
static void extremes_do_no_harm(void **state) {
  (void)state;
  const DType types[] = {DTYPE_Q8_0, DTYPE_Q4_K, DTYPE_NF4};
  for (size_t t = 0; t < 3; t++) {
    for (int small = 0; small < 2; small++) {
      float values[BLOCK], again[BLOCK];
      uint8_t bytes[9 * 34];
      for (size_t i = 0; i < BLOCK; i++) values[i] = (i % 2 == 0 ? 1.0f : -1.0f) * (small ? 1e-42f : 3.4e38f);
      quantise(types[t], values, BLOCK / dtype_info(types[t])->block_elements, bytes);
      dequantise(types[t], bytes, BLOCK / dtype_info(types[t])->block_elements, again);
      for (size_t i = 0; i < BLOCK; i++) {
        bool near = fabs((double)again[i] - (double)values[i]) < 0.9 * fabs((double)values[i]);
        if (small) assert_true(fabsf(again[i]) < 1e-40f);
        if (!small) assert_true(near == (types[t] == DTYPE_NF4));
      }
    }
  }
}

static void only_three_types_are_made(void **state) {
  (void)state;
  for (unsigned type = 0; type < DTYPE_COUNT + 1; type++)
    assert_true(can_quantise((DType)type) == (type == DTYPE_Q8_0 || type == DTYPE_Q4_K || type == DTYPE_NF4));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_are_those_of_the_peers), cmocka_unit_test(q4_k_loses_less_than_its_peers),
      cmocka_unit_test(odd_blocks_are_kept),           cmocka_unit_test(extremes_do_no_harm),
      cmocka_unit_test(only_three_types_are_made),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
