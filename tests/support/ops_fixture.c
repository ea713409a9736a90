// Tensors with sentinels: behind each tensor are spare rows with a pattern that no operation writes.
#include "support/ops_fixture.h"

#include "device/device.h"
#include "util/dequant.h"
#include "util/half.h"
#include "util/rng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 256, SENTINEL = 0x4eadbeef };

const size_t fixture_sizes[] = {1, 31, 33, 257, 0};

static Device *device;
static Ops *ops;
static Tensor wholes[MAX_TENSORS], parts[MAX_TENSORS];
static void *blocks[MAX_TENSORS];
static size_t tensor_count, block_count;
static uint64_t seed;

int ops_fixture_open(void **state) {
  (void)state;
  DeviceOptions options = {.name = getenv("GEE_TEST_DEVICE")};
  if (device_open(&options, &device) != STATUS_OK) {
    (void)fprintf(stderr, "skipped: %s\n", status_message());
    exit(TEST_SKIPPED);
  }
  if (ops_create(device, "auto", &ops) == STATUS_OK) return 0;
  (void)fprintf(stderr, "%s\n", status_message());
  return -1;
}

int ops_fixture_close(void **state) {
  (void)state;
  ops_free(ops);
  device_close(device);
  ops = NULL;
  device = NULL;
  return 0;
}

int ops_fixture_clean(void **state) {
  (void)state;
  while (tensor_count > 0) tensor_free(&wholes[--tensor_count]);
  while (block_count > 0) free(blocks[--block_count]);
  seed = 0;
  return 0;
}

Ops *fixture_ops(void) {
  return ops;
}

struct Device *fixture_device(void) {
  return device;
}

bool fixture_small(void) {
  const char *small = getenv("GEE_TEST_SMALL");
  return small != NULL && strcmp(small, "1") == 0;
}

static void *take_block(size_t count, size_t size) {
  assert_true(block_count < MAX_TENSORS);
  void *block = calloc(count + 1, size);
  assert_non_null(block);
  blocks[block_count++] = block;
  return block;
}

double *fixture_zeros(size_t count) {
  return take_block(count, sizeof(double));
}

int32_t *fixture_ints(size_t count) {
  return take_block(count, sizeof(int32_t));
}

double *fixture_random(size_t count, double scale) {
  double *values = fixture_zeros(count);
  float *draws = take_block(count, sizeof *draws);
  test_random(draws, count, ++seed);
  for (size_t i = 0; i < count; i++) values[i] = (double)(float)(draws[i] * scale);
  return values;
}

static size_t spare_rows(size_t cols) {
  return 1 + 64 / cols;
}

static Tensor *create(DType type, size_t rows, size_t cols, const void *values) {
  assert_true(tensor_count < MAX_TENSORS);
  Tensor *whole = &wholes[tensor_count], *part = &parts[tensor_count];
  size_t spare = spare_rows(cols) * cols;
  assert_ok(tensor_create(ops, "test", MEMORY_ACTIVATIONS, type, rows + spare_rows(cols), cols, whole));
  tensor_count++;
  assert_ok(tensor_write(whole, 0, rows * cols, values));
  int32_t *sentinels = fixture_ints(spare);
  for (size_t i = 0; i < spare; i++) sentinels[i] = SENTINEL;
  assert_ok(tensor_write(whole, rows * cols, spare, sentinels));
  *part = tensor_rows(whole, 0, rows);
  return part;
}

Tensor *fixture_f32(size_t rows, size_t cols, const double *values) {
  float *floats = take_block(rows * cols, sizeof *floats);
  for (size_t i = 0; i < rows * cols; i++) floats[i] = values != NULL ? (float)values[i] : NAN;
  return create(DTYPE_F32, rows, cols, floats);
}

Tensor *fixture_weights(DType type, size_t rows, size_t cols, double *values) {
  size_t count = rows * cols;
  float *floats = take_block(count, sizeof *floats);
  uint16_t *bits = take_block(count, sizeof *bits);
  for (size_t i = 0; i < count; i++) floats[i] = (float)values[i];
  if (type != DTYPE_F32) {
    halves_from_floats(type, floats, count, bits);
    halves_to_floats(type, bits, count, floats);
  }
  for (size_t i = 0; i < count; i++) values[i] = (double)floats[i];
  Tensor *weights = create(type, rows, cols, type == DTYPE_F32 ? (const void *)floats : bits);
  weights->kind = MEMORY_WEIGHTS;
  return weights;
}

static bool is_tame(const float *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!(fabsf(values[i]) < 1e4f)) return false;
  }
  return true;
}

Tensor *fixture_blocks(DType type, size_t rows, size_t cols, double *values) {
  const DTypeInfo *info = dtype_info(type);
  uint8_t *bytes = take_block(dtype_bytes(type, rows * cols), 1);
  float *floats = take_block(info->block_elements, sizeof *floats);
  for (size_t i = 0; i < rows * cols / info->block_elements; i++) {
    uint8_t *block = bytes + i * info->block_bytes;
    do {
      for (size_t b = 0; b < info->block_bytes; b++)
        block[b] = (uint8_t)rng_bits(++seed, RNG_DATA, (uint32_t)b, type, 0);
      dequantise(type, block, 1, floats);
    } while (!is_tame(floats, info->block_elements));
    for (size_t j = 0; j < info->block_elements; j++)
      values[i * info->block_elements + j] = (double)floats[j];
  }
  Tensor *weights = create(type, rows, cols, bytes);
  weights->kind = MEMORY_WEIGHTS;
  return weights;
}

Tensor *fixture_i32(size_t rows, size_t cols, const int32_t *values) {
  return create(DTYPE_I32, rows, cols, values);
}

static void check_sentinels(const char *what, const Tensor *tensor) {
  const Tensor *whole = &wholes[tensor - parts];
  size_t first = tensor->rows * tensor->cols, spare = whole->rows * whole->cols - first;
  int32_t *found = fixture_ints(spare);
  assert_ok(tensor_read(whole, first, spare, found));
  for (size_t i = 0; i < spare; i++) {
    if (found[i] != SENTINEL) fail_msg("%s: wrote %zu elements past its end", what, i + 1);
  }
}

static const float *read_floats(const Tensor *tensor) {
  float *found = take_block(tensor->rows * tensor->cols, sizeof *found);
  assert_ok(tensor_read(tensor, 0, tensor->rows * tensor->cols, found));
  return found;
}

double fixture_error(const Tensor *tensor, const double *expected) {
  return test_relative_l2(read_floats(tensor), expected, tensor->rows * tensor->cols);
}

double fixture_compare(const char *what, const Tensor *tensor, const double *expected, double tolerance) {
  size_t count = tensor->rows * tensor->cols;
  const float *found = read_floats(tensor);
  double error = test_relative_l2(found, expected, count), worst = 0, largest = 0;
  for (size_t i = 0; i < count; i++) {
    worst = fmax(worst, fabs((double)found[i] - expected[i]));
    largest = fmax(largest, fabs(expected[i]));
  }
  if (largest > 0) worst /= largest;
  if (!(error <= tolerance))
    fail_msg("%s [%zu, %zu]: relative error %g", what, tensor->rows, tensor->cols, error);
  if (!(worst <= 4 * tolerance))
    fail_msg("%s [%zu, %zu]: worst element off by %g", what, tensor->rows, tensor->cols, worst);
  check_sentinels(what, tensor);
  return error;
}

void fixture_compare_i32(const char *what, const Tensor *tensor, const int32_t *expected) {
  size_t count = tensor->rows * tensor->cols;
  int32_t *found = fixture_ints(count);
  assert_ok(tensor_read(tensor, 0, count, found));
  for (size_t i = 0; i < count; i++) {
    if (found[i] != expected[i]) fail_msg("%s: element %zu is %d, not %d", what, i, found[i], expected[i]);
  }
  check_sentinels(what, tensor);
}
