// Products with frozen weights in eight bits (COMPUTE_INT8) against double precision on factors that are
// rounded first: odd sizes, alpha and beta, every stored type, views. A row's bits depend neither on the
// other rows nor on its place, and nothing but these products is rounded. Skipped where the device refuses.
#include "support/ops_fixture.h"

#include "block_list.h"
#include "context.h"
#include "ref/ref.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const DType quantised[] = {
#define BLOCK_ROW(name) DTYPE_##name,
    BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
};
enum { QUANTISED = sizeof quantised / sizeof *quantised };

static int open_int8(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  if (ops_use_compute(fixture_ops(), COMPUTE_INT8) == STATUS_OK) return 0;
  if (!test_contains(status_message(), "set model.compute = f32")) return -1;
  (void)fprintf(stderr, "skipped: %s\n", status_message());
  (void)ops_fixture_close(state);
  exit(TEST_SKIPPED);
}

typedef struct Case {
  size_t m, n, k;
  double alpha, beta;
  DType type;
} Case;

static bool is_quantised(DType type) {
  return dtype_info(type)->kind == DTYPE_QUANTISED;
}

/// Whether weights of the type keep their own eight bits.
static bool keeps_codes(DType type) {
  bool parts = type == DTYPE_Q2_K || type == DTYPE_Q3_K || type == DTYPE_Q6_K;
  return is_quantised(type) && !parts && type != DTYPE_NF4;
}

/// Weights [n, k]; w[n · k] become what is multiplied.
static Tensor *weights_of(DType type, size_t n, size_t k, double *w) {
  Tensor *weights = is_quantised(type) ? fixture_blocks(type, n, k, w) : fixture_weights(type, n, k, w);
  if (!keeps_codes(type)) ref_round_int8(w, n, k);
  return weights;
}

static void check(const Case *c) {
  double *x = fixture_random(c->m * c->k, 1), *w = fixture_random(c->n * c->k, 1),
         *expected = fixture_random(c->m * c->n, 1);
  if (c->beta == 0) // with beta = 0 the output is not read
    for (size_t i = 0; i < c->m * c->n; i++) expected[i] = 0;
  Tensor *weights = weights_of(c->type, c->n, c->k, w), *dev_x = fixture_f32(c->m, c->k, x),
         *out = fixture_f32(c->m, c->n, c->beta == 0 ? NULL : expected);
  assert_ok(op_linear_inference(out, dev_x, weights, (float)c->alpha, (float)c->beta));
  ref_round_int8(x, c->m, c->k);
  ref_linear(expected, x, w, c->m, c->n, c->k, c->alpha, c->beta);
  fixture_compare(dtype_name(c->type), out, expected, 2 * sqrt((double)c->k + 4) * (double)FLT_EPSILON);
  assert_int_equal(ops_fixture_clean(NULL), 0);
}

static void products_of_rounded_factors(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 2, 31, 33, 257};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  for (size_t i = 0; i < SIZES * SIZES * SIZES; i++)
    check(&(Case){sizes[i % SIZES], sizes[i / SIZES % SIZES], sizes[i / SIZES / SIZES], 1, 0, DTYPE_F32});
  for (DType type = DTYPE_F32; type <= DTYPE_BF16; type++) {
    check(&(Case){33, 31, 65, -0.75, 1, type});
    check(&(Case){200, 45, 801, 0.5, -2, type});
    check(&(Case){5, 70, 1601, 1.5, 0, type});
    check(&(Case){3, 4401, 65, 1, 0, type}); // more than one panel to a work item
  }
}

/// The widest block has 256 elements; a slab has 768, so there is a second.
static void products_with_stored_blocks(void **state) {
  (void)state;
  for (size_t i = 0; i < QUANTISED; i++) {
    check(&(Case){1, 33, 256, 1, 0, quantised[i]});
    check(&(Case){7, 15, 1024, 0.5, 1, quantised[i]});
    check(&(Case){194, 17, 1024, 1, 0, quantised[i]});
  }
}

/// More than are rounded at a time.
static void very_many_rows(void **state) {
  (void)state;
  check(&(Case){6300, 3, 2001, 0.5, 1, DTYPE_F32});
}

static float *read_rows(const Tensor *tensor, size_t first, size_t count) {
  float *values = calloc(count * tensor->cols, sizeof *values);
  assert_non_null(values);
  assert_ok(tensor_read(tensor, first * tensor->cols, count * tensor->cols, values));
  return values;
}

/// All rows together, and any part of them, have the same bits.
static void a_row_does_not_depend_on_the_others(void **state) {
  (void)state;
  enum { M = 300, FIRST = 7, N = 1070, K = 1024 };
  static const size_t counts[] = {1, 2, 3, 4, 6, 12, 64, 193};
  static const DType types[] = {DTYPE_F32, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0, DTYPE_Q6_K};
  for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
    Tensor *weights = weights_of(types[t], N, K, fixture_random((size_t)N * K, 1));
    Tensor *x = fixture_f32(M, K, fixture_random((size_t)M * K, 1)), *out = fixture_f32(M, N, NULL);
    assert_ok(op_linear_inference(out, x, weights, 1.25f, 0));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
      Tensor rows = tensor_rows(x, FIRST, counts[i]), *part = fixture_f32(counts[i], N, NULL);
      assert_ok(op_linear_inference(part, &rows, weights, 1.25f, 0));
      float *all = read_rows(out, FIRST, counts[i]), *some = read_rows(part, 0, counts[i]);
      if (memcmp(some, all, counts[i] * N * sizeof *some) != 0)
        fail_msg("%s: %zu rows have other bits alone", dtype_name(types[t]), counts[i]);
      free(all);
      free(some);
    }
    assert_int_equal(ops_fixture_clean(NULL), 0);
  }
}

/// Three products of one x, or the first of them, have the bits that each has alone. Few rows share a launch.
static void products_together_have_the_same_bits(void **state) {
  (void)state;
  enum { K = 512 };
  static const size_t row_counts[] = {1, 2, 8, 9}, widths[] = {70, 4401, 3};
  static const DType types[] = {DTYPE_Q4_1, DTYPE_Q4_0, DTYPE_F16};
  for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++) {
    size_t rows = row_counts[r];
    Tensor *x = fixture_f32(rows, K, fixture_random(rows * K, 1)), *ws[3], *outs[3];
    for (size_t i = 0; i < 3; i++) {
      ws[i] = weights_of(types[i], widths[i], K, fixture_random(widths[i] * K, 1));
      outs[i] = fixture_f32(rows, widths[i], NULL);
    }
    for (size_t count = 1; count <= 3; count++) {
      assert_ok(op_linears_inference(outs, x, (const Tensor *const[]){ws[0], ws[1], ws[2]}, NULL, count));
      for (size_t i = 0; i < count; i++) {
        Tensor *alone = fixture_f32(rows, widths[i], NULL);
        assert_ok(op_linear_inference(alone, x, ws[i], 1, 0));
        float *expected = read_rows(alone, 0, rows), *found = read_rows(outs[i], 0, rows);
        assert_memory_equal(found, expected, rows * widths[i] * sizeof *found);
        free(expected);
        free(found);
      }
    }
    assert_int_equal(ops_fixture_clean(NULL), 0);
  }
}

/// A view's rows lie apart; so do a part of a matrix's columns.
static void views(void **state) {
  (void)state;
  enum { M = 9, N = 40, K = 96, WIDE = 2 * K };
  double *x = fixture_random((size_t)M * WIDE, 1), *w = fixture_random((size_t)N * WIDE, 1);
  double *x_part = fixture_zeros((size_t)M * K), *w_part = fixture_zeros((size_t)N * K),
         *expected = fixture_zeros((size_t)M * N);
  Tensor *weights = fixture_weights(DTYPE_F32, N, WIDE, w), *out = fixture_f32(M, N, NULL);
  Tensor part = tensor_columns(weights, K, K), left = tensor_columns(fixture_f32(M, WIDE, x), 32, K);
  for (size_t i = 0; i < (size_t)M * K; i++) x_part[i] = x[i / K * WIDE + 32 + i % K];
  for (size_t i = 0; i < (size_t)N * K; i++) w_part[i] = w[i / K * WIDE + K + i % K];
  assert_ok(op_linear_inference(out, &left, &part, 1, 0));
  ref_round_int8(x_part, M, K);
  ref_round_int8(w_part, N, K);
  ref_linear(expected, x_part, w_part, M, N, K, 1, 0);
  fixture_compare("views", out, expected, 1e-6);
}

/// LoRA's products, and those of passes that need a gradient.
static void all_other_products_stay_float32(void **state) {
  (void)state;
  enum { M = 40, N = 24, K = 56 };
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 1), *dout = fixture_random(M * N, 1),
         *out = fixture_zeros(M * N), *dx = fixture_zeros(M * K);
  Tensor *dev_x = fixture_f32(M, K, x), *dev_out = fixture_f32(M, N, NULL), *dev_dx = fixture_f32(M, K, NULL);
  Tensor *weights = fixture_weights(DTYPE_F32, N, K, w);
  ref_linear(out, x, w, M, N, K, 1, 0);
  assert_ok(op_linear_inference(dev_out, dev_x, fixture_f32(N, K, w), 1, 0));
  fixture_compare("of LoRA", dev_out, out, 1e-6);
  assert_ok(op_linear(dev_out, dev_x, weights, 1, 0));
  fixture_compare("with a gradient", dev_out, out, 1e-6);
  assert_ok(op_linear_dx(dev_dx, fixture_f32(M, N, dout), weights, 1, 0));
  ref_linear_dx(dx, dout, w, M, N, K, 1, 0);
  fixture_compare("dx", dev_dx, dx, 1e-6);
}

/// What is not finite must not become a number; zeros and numbers near them must not become NaN.
static void what_is_not_finite_stays_so(void **state) {
  (void)state;
  enum { M = 6, N = 20, K = 65 };
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 1);
  float found[M * N];
  for (size_t i = 0; i < K; i++) x[4 * K + i] = 0, x[5 * K + i] = 1e-40;
  Tensor *weights = fixture_weights(DTYPE_F32, N, K, w), *out = fixture_f32(M, N, NULL);
  Tensor *dev_x = fixture_f32(M, K, x);
  const float nan = NAN, infinity = INFINITY;
  assert_ok(tensor_write(dev_x, 1 * K + 4, 1, &nan));
  assert_ok(tensor_write(dev_x, 2 * K + 64, 1, &nan)); // in a block that is not whole
  assert_ok(tensor_write(dev_x, 3 * K + 40, 1, &infinity));
  assert_ok(op_linear_inference(out, dev_x, weights, 1, 0));
  assert_ok(tensor_read(out, 0, M * N, found));
  for (size_t i = 0; i < M * N; i++) {
    size_t row = i / N;
    assert_int_equal(isfinite(found[i]) != 0, row == 0 || row > 3);
    if (row > 3) assert_true(found[i] == 0);
  }
}

static void a_vendors_products_are_refused(void **state) {
  (void)state;
  const GemmCall plain = {.m = 1, .n = 1, .k = 1};
  Ops *vendor = NULL;
  if (!device_can_gemm(fixture_device(), &plain)) skip();
  assert_ok(ops_create(fixture_device(), "vendor", &vendor));
  assert_fails(ops_use_compute(vendor, COMPUTE_INT8), STATUS_INPUT, "set device.gemm = own");
  ops_free(vendor);
}

/// A kernel that the self-test never launches could be wrong unnoticed.
static void the_self_test_launches_its_kernels(void **state) {
  (void)state;
  Ops *ops = fixture_ops();
  assert_ok(ops_selftest(ops, SELFTEST_QUICK, NULL, NULL));
  const KernelId kernels[] = {KERNEL_gemm_int8, KERNEL_int8_rows};
  for (size_t i = 0; i < 2; i++) {
    Kernel *compiled = ops->kernels[kernels[i]];
    assert_non_null(compiled);
    ops->kernels[kernels[i]] = NULL;
    assert_fails(ops_selftest(ops, SELFTEST_QUICK, NULL, NULL), STATUS_FAILED, "selftest of linear, int8");
    ops->kernels[kernels[i]] = compiled;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(products_of_rounded_factors),
      OPS_TEST(products_with_stored_blocks),
      OPS_TEST(very_many_rows),
      OPS_TEST(a_row_does_not_depend_on_the_others),
      OPS_TEST(products_together_have_the_same_bits),
      OPS_TEST(views),
      OPS_TEST(all_other_products_stay_float32),
      OPS_TEST(what_is_not_finite_stays_so),
      OPS_TEST(a_vendors_products_are_refused),
      OPS_TEST(the_self_test_launches_its_kernels),
  };
  return cmocka_run_group_tests(tests, open_int8, ops_fixture_close);
}
