// Products with frozen weights in IEEE halves (COMPUTE_F16) by the GPU's kernels, on any device: against
// double precision on factors that are scaled and rounded first, with inputs and weights far outside a half's
// range, rows of unlike size and single huge elements, as models have them. A row's bits do not depend on the
// other rows. A CPU refuses.
#include "support/ops_fixture.h"

#include "context.h"
#include "ref/ref.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const KernelFamily *family; // the device's own

static int open_f16(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  Ops *ops = fixture_ops();
  family = ops->family;
  if (family->cpu_files) assert_fails(ops_use_compute(ops, COMPUTE_F16), STATUS_INPUT, "needs a GPU");
  ops->family = &gpu_family;
  if (ops_use_compute(ops, COMPUTE_F16) == STATUS_OK) return 0;
  (void)fprintf(stderr, "%s\n", status_message());
  return -1;
}

static int close_f16(void **state) {
  fixture_ops()->family = family;
  return ops_fixture_close(state);
}

static Tensor *frozen(DType type, size_t n, size_t k, double *w) {
  Tensor *weights = fixture_weights(type, n, k, w);
  assert_ok(op_measure_weights(weights));
  return weights;
}

typedef struct Case {
  bool back; // dx = dout · w, else out = x · wᵀ
  size_t m, n, k;
  double x, w; // how large
  DType type;
} Case;

static void check(const Case *c) {
  size_t ins = c->back ? c->n : c->k, outs = c->back ? c->k : c->n;
  double *x = fixture_random(c->m * ins, c->x), *w = fixture_random(c->n * c->k, c->w),
         *expected = fixture_random(c->m * outs, c->x * c->w);
  Tensor *weights = frozen(c->type, c->n, c->k, w), *dev_x = fixture_f32(c->m, ins, x),
         *out = fixture_f32(c->m, outs, expected);
  assert_ok(c->back ? op_linear_dx(out, dev_x, weights, 0.5f, -2) : op_linear(out, dev_x, weights, 0.5f, -2));
  ref_round_f16(x, c->m, ins);
  ref_round_f16(w, 1, c->n * c->k);
  if (c->back)
    ref_linear_dx(expected, x, w, c->m, c->n, c->k, 0.5, -2);
  else
    ref_linear(expected, x, w, c->m, c->n, c->k, 0.5, -2);
  fixture_compare(c->back ? "dx" : "out", out, expected, 2 * sqrt((double)ins + 4) * (double)FLT_EPSILON);
  assert_int_equal(ops_fixture_clean(NULL), 0);
}

static void products_of_scaled_factors(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 2, 31, 33, 129};
  static const double inputs[] = {1, 1e5, 1e30, 1e-8, 1e-20}, weights[] = {1e6, 1e-9, 1};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  size_t cases = fixture_small() ? 2 : SIZES * SIZES * SIZES;
  for (size_t i = 0; i < cases; i++)
    for (int back = 0; back < 2; back++)
      check(&(Case){back, sizes[i % SIZES], sizes[(i / SIZES + 2) % SIZES],
                    sizes[(i / SIZES / SIZES + 3) % SIZES], inputs[i % 5], weights[i % 3],
                    i % 3 == 2 ? DTYPE_F32 : DTYPE_BF16});
  if (fixture_small()) return;
  for (int back = 0; back < 2; back++) {
    check(&(Case){back, 33, 31, 65, 1e5, 1, DTYPE_F16});
    check(&(Case){back, 200, 45, 601, 1e-8, 1e-3, DTYPE_F16});
    check(&(Case){back, 5, 2101, 70, 1e30, 1e-3, DTYPE_F32});
  }
}

enum { M = 24, N = 20, K = 75 };

/// Each row is as exact as if it were alone, whatever the others are: from 1e-33 to 1e36.
static void rows_of_unlike_size(void **state) {
  (void)state;
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 0.05), *out = fixture_zeros(M * N);
  float found[M * N];
  for (size_t i = 0; i < M * K; i++) x[i] = (double)(float)(x[i] * pow(10, 3.0 * (double)(i / K) - 33));
  Tensor *weights = frozen(DTYPE_F32, N, K, w), *dev_out = fixture_f32(M, N, NULL);
  assert_ok(op_linear(dev_out, fixture_f32(M, K, x), weights, 1, 0));
  assert_ok(tensor_read(dev_out, 0, M * N, found));
  ref_round_f16(x, M, K);
  ref_round_f16(w, 1, N * K);
  ref_linear(out, x, w, M, N, K, 1, 0);
  for (size_t m = 0; m < M; m++) {
    double error = 0, size = 0;
    for (size_t i = m * N; i < (m + 1) * N; i++) {
      error += ((double)found[i] - out[i]) * ((double)found[i] - out[i]) / (out[m * N] * out[m * N]);
      size += out[i] * out[i] / (out[m * N] * out[m * N]);
    }
    if (!(sqrt(error / size) < 1e-5)) fail_msg("row %zu is off by %g", m, sqrt(error / size));
  }
}

/// Qwen's and Gemma's activations pass 65504 in a few channels (docs/DESIGN.md). What stands beside one keeps
/// its 11 digits, so a product is as near to the exact one as where all are of one size.
static void a_huge_element_among_small_ones(void **state) {
  (void)state;
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 0.05), *out = fixture_zeros(M * N);
  float found[M * N];
  for (size_t m = 0; m < M; m++) x[m * K + 7] = 2e5;
  for (size_t n = 0; n < N; n++) w[n * K + 7] = n % 2 == 0 ? 0 : w[n * K + 7]; // half of them do not see it
  Tensor *weights = frozen(DTYPE_F32, N, K, w), *dev_out = fixture_f32(M, N, NULL);
  assert_ok(op_linear(dev_out, fixture_f32(M, K, x), weights, 1, 0));
  assert_ok(tensor_read(dev_out, 0, M * N, found));
  ref_linear(out, x, w, M, N, K, 1, 0);
  for (size_t i = 0; i < M * N; i++) {
    double size = 0;
    for (size_t k = 0; k < K; k++) size += fabs(x[i / N * K + k] * w[i % N * K + k]);
    if (!(fabs((double)found[i] - out[i]) <= size * 0x1p-10)) fail_msg("%g is %g", out[i], (double)found[i]);
  }
}

/// All rows together, and any part of them, have the same bits, though each has another scale; so have
/// products that are made together, and a trained matrix among them stays float32.
static void a_row_does_not_depend_on_the_others(void **state) {
  (void)state;
  enum { FIRST = 3, ALONE = 5 };
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 1);
  for (size_t i = 0; i < M * K; i++) x[i] = ldexp(x[i], (int)(i / K * 7 % 40) - 20);
  Tensor *weights = frozen(DTYPE_F32, N, K, w), *trained = fixture_f32(N, K, w),
         *dev_x = fixture_f32(M, K, x), *out = fixture_f32(M, N, NULL), *alone = fixture_f32(ALONE, N, NULL),
         *exact = fixture_f32(M, N, NULL),
         *outs[] = {fixture_f32(M, N, NULL), fixture_f32(M, N, NULL), fixture_f32(M, N, NULL)};
  const Tensor *const ws[] = {weights, trained, weights};
  Tensor part = tensor_rows(dev_x, FIRST, ALONE);
  float all[M * N], some[M * N];
  assert_ok(op_linear(out, dev_x, weights, 1, 0));
  assert_ok(op_linear(alone, &part, weights, 1, 0));
  assert_ok(op_linear(exact, dev_x, trained, 1, 0));
  assert_ok(op_linears(outs, dev_x, ws, NULL, 3));
  assert_ok(tensor_read(out, 0, M * N, all));
  assert_ok(tensor_read(alone, 0, ALONE * N, some));
  assert_memory_equal(some, all + FIRST * N, ALONE * N * sizeof *all);
  for (size_t i = 0; i < 3; i++) {
    assert_ok(tensor_read(i == 1 ? exact : out, 0, M * N, all));
    assert_ok(tensor_read(outs[i], 0, M * N, some));
    assert_memory_equal(some, all, sizeof all);
  }
  double *expected = fixture_zeros(M * N);
  ref_linear(expected, x, w, M, N, K, 1, 0);
  fixture_compare("a trained matrix", exact, expected, 1e-6);
}

static void what_is_not_finite_stays_so(void **state) {
  (void)state;
  double *x = fixture_random(M * K, 1e5), *w = fixture_random(N * K, 1);
  const float bad[] = {NAN, INFINITY, -INFINITY};
  float found[M * N];
  Tensor *weights = frozen(DTYPE_F32, N, K, w), *out = fixture_f32(M, N, NULL), *dev_x = fixture_f32(M, K, x);
  for (size_t i = 0; i < 3; i++) assert_ok(tensor_write(dev_x, (2 * i + 1) * K + 70 + i, 1, &bad[i]));
  assert_ok(op_linear(out, dev_x, weights, 1, 0));
  assert_ok(tensor_read(out, 0, M * N, found));
  for (size_t i = 0; i < M * N; i++)
    assert_int_equal(!isfinite(found[i]), i / N == 1 || i / N == 3 || i / N == 5);
}

static void rows_and_weights_of_zeros(void **state) {
  (void)state;
  double *zeros = fixture_zeros(M * K);
  Tensor *weights = frozen(DTYPE_F32, N, K, fixture_zeros(N * K)), *out = fixture_f32(M, N, NULL);
  assert_ok(op_linear(out, fixture_f32(M, K, zeros), weights, 1, 0));
  float found[M * N];
  assert_ok(tensor_read(out, 0, M * N, found));
  for (size_t i = 0; i < M * N; i++) assert_true(found[i] == 0);
}

static void weights_must_be_measured(void **state) {
  (void)state;
  Tensor *weights = fixture_weights(DTYPE_F32, N, K, fixture_random(N * K, 1));
  assert_fails(op_linear(fixture_f32(M, N, NULL), fixture_f32(M, K, fixture_random(M * K, 1)), weights, 1, 0),
               STATUS_FAILED, "op_measure_weights");
}

/// A kernel that the self-test never launches could be wrong unnoticed.
static void the_self_test_launches_its_kernels(void **state) {
  (void)state;
  Ops *ops = fixture_ops();
  const KernelId kernels[] = {KERNEL_gemm_tile, KERNEL_half_rows, KERNEL_row_largest};
  if (fixture_small()) skip();
  assert_ok(ops_selftest_half(ops));
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
    Kernel *compiled = ops->kernels[kernels[i]];
    assert_non_null(compiled);
    ops->kernels[kernels[i]] = NULL;
    assert_fails(ops_selftest_half(ops), STATUS_FAILED, "selftest of linear, f16");
    ops->kernels[kernels[i]] = compiled;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(products_of_scaled_factors),      OPS_TEST(rows_of_unlike_size),
      OPS_TEST(a_huge_element_among_small_ones), OPS_TEST(a_row_does_not_depend_on_the_others),
      OPS_TEST(what_is_not_finite_stays_so),     OPS_TEST(rows_and_weights_of_zeros),
      OPS_TEST(weights_must_be_measured),        OPS_TEST(the_self_test_launches_its_kernels),
  };
  return cmocka_run_group_tests(tests, open_f16, close_f16);
}
