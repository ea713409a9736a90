// Quantised weights as kernels read them: to the bit the elements that the host decodes (util/dequant.h), and
// products, rows and gradients to the bit those of these elements as float32. Each type of block_list.h, at
// odd sizes, as a whole and as a view, with gee-cl's own GEMM and the vendor's.
#include "support/gemm_fixture.h"
#include "support/ops_fixture.h"

#include "block_list.h"
#include "util/dequant.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const DType types[] = {
#define BLOCK_ROW(name) DTYPE_##name,
    BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
};
enum { TYPES = sizeof types / sizeof *types };

/// A quantised matrix: its blocks, and its elements as the host decodes them.
typedef struct Blocks {
  DType type;
  size_t rows, cols;
  uint8_t *bytes;
  float *values;
} Blocks;

static bool is_tame(const float *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!(fabsf(values[i]) < 1e4f)) return false;
  }
  return true;
}

/// Blocks of random bytes; if `tame`, those with numbers that are neither large nor infinite nor NaN.
static Blocks draw_blocks(DType type, size_t rows, size_t cols, bool tame) {
  const DTypeInfo *info = dtype_info(type);
  size_t count = rows * (cols / info->block_elements);
  Blocks out = {type, rows, cols, calloc(count, info->block_bytes), calloc(rows * cols, sizeof(float))};
  assert_true(out.bytes != NULL && out.values != NULL);
  uint64_t random = (uint64_t)type + 1;
  for (size_t i = 0; i < count;) {
    uint8_t *block = out.bytes + i * info->block_bytes;
    float *values = out.values + i * info->block_elements;
    for (size_t b = 0; b < info->block_bytes; b++) {
      random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
      block[b] = (uint8_t)(random >> 56);
    }
    dequantise(type, block, 1, values);
    if (!tame || is_tame(values, info->block_elements)) i++;
  }
  return out;
}

static void free_blocks(Blocks *blocks) {
  free(blocks->bytes);
  free(blocks->values);
}

static Tensor make(Ops *ops, DType type, size_t rows, size_t cols, const void *values) {
  Tensor tensor;
  assert_ok(tensor_create(ops, "test", MEMORY_ACTIVATIONS, type, rows, cols, &tensor));
  if (values != NULL) assert_ok(tensor_write(&tensor, 0, rows * cols, values));
  return tensor;
}

static float *read_all(const Tensor *tensor) {
  float *values = calloc(tensor->rows * tensor->cols, sizeof *values);
  assert_non_null(values);
  assert_ok(tensor_read(tensor, 0, tensor->rows * tensor->cols, values));
  return values;
}

/// Every NaN counts as the same: which one an operation gives depends on the processor.
static void assert_same_bits(const char *what, DType type, const float *found, const float *expected,
                             size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (isnan(found[i]) && isnan(expected[i])) continue;
    if (memcmp(&found[i], &expected[i], sizeof *found) != 0)
      fail_msg("%s of %s: element %zu is %.9g, not %.9g", what, dtype_name(type), i, (double)found[i],
               (double)expected[i]);
  }
}

/// Whatever the bytes, infinite and NaN scales among them.
static void decodes_as_the_host(void **state) {
  (void)state;
  for (size_t t = 0; t < TYPES; t++) {
    size_t rows = fixture_small() ? 3 : 67, cols = 2 * dtype_info(types[t])->block_elements;
    Blocks blocks = draw_blocks(types[t], rows, cols, false);
    Tensor stored = make(gemm_own, types[t], rows, cols, blocks.bytes);
    Tensor widened = make(gemm_own, DTYPE_F32, rows, cols, NULL);
    assert_ok(op_convert(&widened, &stored));
    float *found = read_all(&widened);
    assert_same_bits("op_convert", types[t], found, blocks.values, rows * cols);
    free(found);
    tensor_free(&widened);
    tensor_free(&stored);
    free_blocks(&blocks);
  }
}

/// The second block of every row but the first.
static void decodes_views(void **state) {
  (void)state;
  enum { ROWS = 5 };
  for (size_t t = 0; t < TYPES; t++) {
    size_t block = dtype_info(types[t])->block_elements, cols = 3 * block;
    Blocks blocks = draw_blocks(types[t], ROWS, cols, false);
    Tensor stored = make(gemm_own, types[t], ROWS, cols, blocks.bytes);
    Tensor widened = make(gemm_own, DTYPE_F32, ROWS - 1, block, NULL);
    Tensor rows = tensor_rows(&stored, 1, ROWS - 1), part = tensor_columns(&rows, block, block);
    assert_ok(op_convert(&widened, &part));
    float *found = read_all(&widened);
    for (size_t r = 0; r + 1 < ROWS; r++)
      assert_same_bits("a view", types[t], found + r * block, blocks.values + (r + 1) * cols + block, block);
    free(found);
    tensor_free(&widened);
    tensor_free(&stored);
    free_blocks(&blocks);
  }
}

static void reads_rows_of_a_table(void **state) {
  (void)state;
  enum { TOKENS = 7, ROWS = 9 };
  static const int32_t ids[TOKENS] = {8, 0, 3, 3, 7, 1, 0};
  for (size_t t = 0; t < TYPES; t++) {
    size_t cols = 3 * dtype_info(types[t])->block_elements;
    Blocks blocks = draw_blocks(types[t], ROWS, cols, false);
    Tensor table = make(gemm_own, types[t], ROWS, cols, blocks.bytes);
    Tensor out = make(gemm_own, DTYPE_F32, TOKENS, cols, NULL),
           tokens = make(gemm_own, DTYPE_I32, 1, TOKENS, ids);
    assert_ok(op_embed(&out, &table, &tokens));
    float *found = read_all(&out);
    for (size_t i = 0; i < TOKENS; i++)
      assert_same_bits("op_embed", types[t], found + i * cols, blocks.values + (size_t)ids[i] * cols, cols);
    free(found);
    tensor_free(&table);
    tensor_free(&out);
    tensor_free(&tokens);
    free_blocks(&blocks);
  }
}

/// found = 0.75 · x · wᵀ − 0.5 · start, as computed in double precision, but for the rounding of float32.
static void assert_near_twin(const Blocks *w, const float *found, const float *x, const float *start,
                             size_t m) {
  for (size_t i = 0; i < m * w->rows; i++) {
    double sum = 0, size = 0;
    for (size_t k = 0; k < w->cols; k++) {
      double term = (double)x[i / w->rows * w->cols + k] * (double)w->values[i % w->rows * w->cols + k];
      sum += term;
      size += fabs(term);
    }
    double expected = 0.75 * sum - 0.5 * (double)start[i];
    double limit = 2e-6 * (size + fabs((double)start[i]));
    if (!(fabs((double)found[i] - expected) <= limit))
      fail_msg("op_linear of %s, %zu rows: element %zu is %.9g, not %.9g", dtype_name(w->type), m, i,
               (double)found[i], expected);
  }
}

/// out = 0.75 · x · wᵀ − 0.5 · out, or the same of dx, with w as stored and as float32: the same bits.
static void check_product(Ops *ops, const Blocks *w, size_t m, bool gradient) {
  size_t in = gradient ? w->rows : w->cols, outs = gradient ? w->cols : w->rows;
  float *x = calloc(m * in, sizeof *x), *start = calloc(m * outs, sizeof *start);
  assert_true(x != NULL && start != NULL);
  test_random(x, m * in, 1);
  test_random(start, m * outs, 2);
  Tensor left = make(ops, DTYPE_F32, m, in, x);
  Tensor weights[2] = {make(ops, w->type, w->rows, w->cols, w->bytes),
                       make(ops, DTYPE_F32, w->rows, w->cols, w->values)};
  float *found[2];
  for (size_t i = 0; i < 2; i++) {
    Tensor out = make(ops, DTYPE_F32, m, outs, start);
    assert_ok(gradient ? op_linear_dx(&out, &left, &weights[i], 0.75f, -0.5f)
                       : op_linear(&out, &left, &weights[i], 0.75f, -0.5f));
    found[i] = read_all(&out);
    tensor_free(&out);
  }
  assert_same_bits(gradient ? "op_linear_dx" : "op_linear", w->type, found[0], found[1], m * outs);
  if (!gradient) assert_near_twin(w, found[0], x, start, m);
  for (size_t i = 0; i < 2; i++) {
    tensor_free(&weights[i]);
    free(found[i]);
  }
  tensor_free(&left);
  free(x);
  free(start);
}

/// Whether products with the type are to be tested. A simulator takes seconds for each, and GPU kernels
/// multiply what was decoded before, so there two types are enough.
static bool multiplies(size_t t) {
  return !fixture_small() || t == 0 || t + 1 == TYPES;
}

/// Odd numbers of rows, more than a slab of k in both directions, and more than a panel.
static void products_are_those_of_the_elements(void **state) {
  (void)state;
  static const size_t rows[] = {1, 33, 300}, counts[] = {1, 3, 20};
  Ops *const gemms[] = {gemm_own, gemm_vendor};
  for (size_t t = 0; t < TYPES; t++) {
    if (!multiplies(t)) continue;
    size_t block = dtype_info(types[t])->block_elements;
    for (size_t r = 0; r < (fixture_small() ? 2 : 3); r++) {
      Blocks w = draw_blocks(types[t], rows[r], block < 256 ? block + 128 * r : 256 * (1 + r), true);
      for (size_t i = 0; i < 6 && gemms[i / 3] != NULL; i++) {
        if (fixture_small() && counts[i % 3] > 3) continue;
        check_product(gemms[i / 3], &w, counts[i % 3], false);
        check_product(gemms[i / 3], &w, counts[i % 3], true);
      }
      free_blocks(&w);
    }
  }
}

/// A CPU has another kernel for few rows, and there are tiles of several heights.
static void products_of_few_rows(void **state) {
  (void)state;
  for (size_t t = 0; t < TYPES; t++) {
    if (!multiplies(t)) continue;
    size_t block = dtype_info(types[t])->block_elements;
    Blocks w = draw_blocks(types[t], 33, block < 256 ? 5 * block : 2 * block, true);
    for (size_t m = 1; m < 10; m++) {
      if (fixture_small() && m != 2) continue;
      check_product(gemm_own, &w, m, false);
    }
    free_blocks(&w);
  }
}

static void other_types_are_refused(void **state) {
  (void)state;
  const DType grid = DTYPE_IQ2_XS;
  assert_false(ops_can_read(grid));
  assert_false(ops_can_read(DTYPE_I32));
  assert_true(ops_can_read(DTYPE_BF16));
  Tensor w = make(gemm_own, grid, 2, 256, NULL), x = make(gemm_own, DTYPE_F32, 1, 256, NULL);
  Tensor out = make(gemm_own, DTYPE_F32, 1, 2, NULL), wide = make(gemm_own, DTYPE_F32, 2, 256, NULL);
  Tensor id = make(gemm_own, DTYPE_I32, 1, 1, NULL);
  assert_fails(op_linear(&out, &x, &w, 1.0f, 0.0f), STATUS_FAILED, "no kernel reads IQ2_XS");
  assert_fails(op_convert(&wide, &w), STATUS_FAILED, "no kernel reads IQ2_XS");
  assert_fails(op_embed(&x, &w, &id), STATUS_FAILED, "no kernel reads IQ2_XS");
  tensor_free(&w);
  tensor_free(&x);
  tensor_free(&out);
  tensor_free(&wide);
  tensor_free(&id);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_as_the_host),   cmocka_unit_test(decodes_views),
      cmocka_unit_test(reads_rows_of_a_table), cmocka_unit_test(products_are_those_of_the_elements),
      cmocka_unit_test(products_of_few_rows),  cmocka_unit_test(other_types_are_refused),
  };
  return cmocka_run_group_tests(tests, gemm_fixture_open, gemm_fixture_close);
}
