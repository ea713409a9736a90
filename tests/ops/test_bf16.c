// Products with frozen weights in bfloat16 (COMPUTE_BF16) against double precision on factors that are
// rounded first: both forms, odd sizes, alpha and beta, stored types. A row's bits do not depend on the other
// rows, and nothing but these products is rounded. Skipped where the device refuses.
#include "support/ops_fixture.h"

#include "block_list.h"
#include "context.h"
#include "ref/ref.h"
#include "util/half.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_bf16(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  if (ops_use_compute(fixture_ops(), COMPUTE_BF16) == STATUS_OK) return 0;
  if (!test_contains(status_message(), "set model.compute = f32")) {
    (void)fprintf(stderr, "%s\n", status_message());
    return -1;
  }
  (void)fprintf(stderr, "skipped: %s\n", status_message());
  (void)ops_fixture_close(state);
  exit(TEST_SKIPPED);
}

/// The same numbers, rounded to bfloat16.
static double *rounded(const double *values, size_t count) {
  double *out = fixture_zeros(count);
  for (size_t i = 0; i < count; i++) out[i] = (double)bfloat_to_float(bfloat_from_float((float)values[i]));
  return out;
}

typedef struct Case {
  bool back; // dx = dout · w, else out = x · wᵀ
  size_t m, n, k;
  double alpha, beta;
  DType type;
} Case;

static size_t outs_of(const Case *c) {
  return c->m * (c->back ? c->k : c->n);
}

static void multiply(const Case *c, Tensor *out, const Tensor *x, const Tensor *w) {
  float alpha = (float)c->alpha, beta = (float)c->beta;
  assert_ok(c->back ? op_linear_dx(out, x, w, alpha, beta) : op_linear(out, x, w, alpha, beta));
}

static void check(const Case *c) {
  size_t ins = c->back ? c->n : c->k, outs = c->back ? c->k : c->n;
  double *x = fixture_random(c->m * ins, 1), *w = fixture_random(c->n * c->k, 1),
         *expected = fixture_random(c->m * outs, 1);
  if (c->beta == 0) // with beta = 0 the output is not read
    for (size_t i = 0; i < c->m * outs; i++) expected[i] = 0;
  Tensor *weights = fixture_weights(c->type, c->n, c->k, w), *dev_x = fixture_f32(c->m, ins, x),
         *out = fixture_f32(c->m, outs, c->beta == 0 ? NULL : expected);
  multiply(c, out, dev_x, weights);
  double *x_held = rounded(x, c->m * ins), *w_held = rounded(w, c->n * c->k);
  if (c->back)
    ref_linear_dx(expected, x_held, w_held, c->m, c->n, c->k, c->alpha, c->beta);
  else
    ref_linear(expected, x_held, w_held, c->m, c->n, c->k, c->alpha, c->beta);
  fixture_compare(c->back ? "dx" : "out", out, expected, 2 * sqrt((double)ins + 4) * (double)FLT_EPSILON);
  assert_int_equal(ops_fixture_clean(NULL), 0);
}

static void products_of_rounded_factors(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 2, 31, 33, 257};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  if (fixture_small()) {
    for (int back = 0; back < 2; back++) check(&(Case){back, 3, 66, 35, 0.5, -2, DTYPE_BF16});
    return;
  }
  for (size_t i = 0; i < SIZES * SIZES * SIZES; i++)
    for (int back = 0; back < 2; back++)
      check(&(Case){back, sizes[i % SIZES], sizes[i / SIZES % SIZES], sizes[i / SIZES / SIZES], 1, 0,
                    DTYPE_F32});
  for (DType type = DTYPE_F32; type <= DTYPE_BF16; type++) {
    for (int back = 0; back < 2; back++) {
      check(&(Case){back, 33, 31, 65, -0.75, 1, type});
      check(&(Case){back, 200, 45, 601, 0.5, -2, type});
      check(&(Case){back, 5, 601, 70, 1.5, 0, type});
    }
  }
}

/// More than are rounded at a time.
static void very_many_rows(void **state) {
  (void)state;
  if (fixture_small()) skip();
  check(&(Case){false, 4200, 3, 2001, 0.5, 1, DTYPE_F32});
}

/// All rows together, and any part of them, have the same bits.
static void a_row_does_not_depend_on_the_others(void **state) {
  (void)state;
  enum { M = 300, FIRST = 7 };
  static const size_t counts[] = {1, 2, 3, 4, 12, 64, 193};
  if (fixture_small()) skip();
  for (int back = 0; back < 2; back++) {
    Case c = {back, M, 70, 600, 1.25, 0, DTYPE_F32};
    size_t ins = back ? c.n : c.k, outs = back ? c.k : c.n;
    double *w = fixture_random(c.n * c.k, 1);
    Tensor *weights = fixture_weights(c.type, c.n, c.k, w),
           *x = fixture_f32(M, ins, fixture_random(M * ins, 1)), *out = fixture_f32(M, outs, NULL);
    float *all = calloc(outs_of(&c), sizeof *all), *some = calloc(outs_of(&c), sizeof *some);
    assert_true(all != NULL && some != NULL);
    multiply(&c, out, x, weights);
    assert_ok(tensor_read(out, 0, outs_of(&c), all));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
      Tensor rows = tensor_rows(x, FIRST, counts[i]), *part = fixture_f32(counts[i], outs, NULL);
      multiply(&c, part, &rows, weights);
      assert_ok(tensor_read(part, 0, counts[i] * outs, some));
      if (memcmp(some, all + FIRST * outs, counts[i] * outs * sizeof *some) != 0)
        fail_msg("%s: %zu rows have other bits alone", back ? "dx" : "out", counts[i]);
    }
    free(all);
    free(some);
    assert_int_equal(ops_fixture_clean(NULL), 0);
  }
}

static float *read_all(const Tensor *tensor) {
  float *values = calloc(tensor->rows * tensor->cols, sizeof *values);
  assert_non_null(values);
  assert_ok(tensor_read(tensor, 0, tensor->rows * tensor->cols, values));
  return values;
}

/// Weights [n, k] of any type that kernels read.
static Tensor *weights_of(DType type, size_t n, size_t k) {
  double *w = fixture_random(n * k, 1);
  return dtype_info(type)->kind == DTYPE_QUANTISED ? fixture_blocks(type, n, k, w)
                                                   : fixture_weights(type, n, k, w);
}

/// A CPU has a kernel for few rows, which decodes each type of weights in its own way.
static void few_rows_have_the_bits_of_many(void **state) {
  (void)state;
  static const DType types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16,
#define BLOCK_ROW(name) DTYPE_##name,
                                BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
  };
  enum { MANY = 7, FIRST = 2, N = 70 };
  if (fixture_small()) skip();
  for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
    size_t k = dtype_info(types[t])->kind == DTYPE_QUANTISED ? 512 : 601;
    Tensor *weights = weights_of(types[t], N, k);
    Tensor *x = fixture_f32(MANY, k, fixture_random(MANY * k, 1)), *out = fixture_f32(MANY, N, NULL);
    assert_ok(op_linear(out, x, weights, 1.25f, 0));
    float *many = read_all(out);
    for (size_t rows = 1; rows <= 3; rows++) {
      Tensor part = tensor_rows(x, FIRST, rows), *few_out = fixture_f32(rows, N, NULL);
      assert_ok(op_linear(few_out, &part, weights, 1.25f, 0));
      float *few = read_all(few_out);
      if (memcmp(few, many + FIRST * N, rows * N * sizeof *few) != 0)
        fail_msg("%s: %zu rows have other bits alone", dtype_name(types[t]), rows);
      free(few);
    }
    free(many);
    assert_int_equal(ops_fixture_clean(NULL), 0);
  }
}

/// Three products of one x, or the first of them, have the bits that each has alone.
static void products_together_have_the_same_bits(void **state) {
  (void)state;
  enum { K = 512 };
  static const size_t widths[] = {70, 200, 3};
  static const DType types[] = {DTYPE_Q4_1, DTYPE_BF16, DTYPE_Q6_K};
  if (fixture_small()) skip();
  for (size_t rows = 1; rows <= 4; rows++) {
    Tensor *x = fixture_f32(rows, K, fixture_random(rows * K, 1)), *ws[3], *outs[3];
    for (size_t i = 0; i < 3; i++) {
      ws[i] = weights_of(types[i], widths[i], K);
      outs[i] = fixture_f32(rows, widths[i], NULL);
    }
    for (size_t count = 1; count <= 3; count++) {
      assert_ok(op_linears(outs, x, (const Tensor *const[]){ws[0], ws[1], ws[2]}, NULL, count));
      for (size_t i = 0; i < count; i++) {
        Tensor *alone = fixture_f32(rows, widths[i], NULL);
        assert_ok(op_linear(alone, x, ws[i], 1, 0));
        float *expected = read_all(alone), *found = read_all(outs[i]);
        assert_memory_equal(found, expected, rows * widths[i] * sizeof *found);
        free(expected);
        free(found);
      }
    }
    assert_int_equal(ops_fixture_clean(NULL), 0);
  }
}

/// LoRA's products, and the gradients of weights.
static void all_other_products_stay_float32(void **state) {
  (void)state;
  enum { M = 40, N = 24, K = 56 };
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 1), *dout = fixture_random(M * N, 1),
         *out = fixture_zeros(M * N), *dw = fixture_zeros(N * K);
  Tensor *dev_x = fixture_f32(M, K, x), *dev_out = fixture_f32(M, N, NULL), *dev_dw = fixture_f32(N, K, NULL);
  assert_ok(op_linear(dev_out, dev_x, fixture_f32(N, K, w), 1, 0));
  ref_linear(out, x, w, M, N, K, 1, 0);
  fixture_compare("out", dev_out, out, 1e-6);
  assert_ok(op_linear_dw(dev_dw, fixture_f32(M, N, dout), dev_x, 1, 0));
  ref_linear_dw(dw, dout, x, M, N, K, 1, 0);
  fixture_compare("dw", dev_dw, dw, 1e-6);
}

/// Where the vendor's GEMM takes bfloat16, it computes the products of weights that are stored so, with no
/// tile at all; those of other weights stay gee-cl's own.
static void a_vendors_products_are_rounded(void **state) {
  (void)state;
  enum { M = 70, N = 24, K = 2100 }; // K is more than a vendor's GEMM sums at once
  const GemmMatrix bf16 = {.type = DTYPE_BF16};
  const GemmCall call = {.m = 1, .n = 1, .k = 1, .a = bf16, .b = bf16, .math = GEMM_HALF_INPUTS};
  Ops *ops = fixture_ops();
  if (!device_can_gemm(fixture_device(), &call) || fixture_small()) skip();
  assert_true(ops->vendor_rounds);
  Kernel *tile = ops->kernels[KERNEL_gemm_tile];
  ops->kernels[KERNEL_gemm_tile] = NULL;
  check(&(Case){false, M, N, K, 0.5, -2, DTYPE_BF16});
  check(&(Case){true, M, N, K, 1, 0, DTYPE_BF16});
  check(&(Case){false, 1, N, 33, 1, 0, DTYPE_BF16});
  ops->kernels[KERNEL_gemm_tile] = tile;
  check(&(Case){false, M, N, K, 0.5, -2, DTYPE_F32});
}

/// On a CPU, where gee-cl's own are faster anyway. On a GPU without bfloat16 the vendor's multiply what is
/// not rounded.
static void a_vendors_products_are_refused(void **state) {
  (void)state;
  const GemmCall plain = {.m = 1, .n = 1, .k = 1};
  Ops *vendor = NULL;
  if (!device_can_gemm(fixture_device(), &plain) || fixture_small()) skip();
  assert_ok(ops_create(fixture_device(), "vendor", &vendor));
  if (vendor->family->cpu_files)
    assert_fails(ops_use_compute(vendor, COMPUTE_BF16), STATUS_INPUT, "set device.gemm = own");
  else
    assert_ok(ops_use_compute(vendor, COMPUTE_BF16));
  ops_free(vendor);
}

static void not_a_number_stays_so(void **state) {
  (void)state;
  enum { M = 5, N = 20, K = 33 };
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 1);
  const uint32_t all_ones = 0xffffffff; // a NaN to which half of the last place must not be added
  float nan, found[M * N];
  memcpy(&nan, &all_ones, sizeof nan);
  x[2 * K + 4] = (double)nan;  // rounded with others at once
  x[3 * K + 32] = (double)nan; // and alone
  Tensor *weights = fixture_weights(DTYPE_F32, N, K, w), *out = fixture_f32(M, N, NULL);
  Tensor *dev_x = fixture_f32(M, K, x);
  assert_ok(tensor_write(dev_x, 2 * K + 4, 1, &nan));
  assert_ok(tensor_write(dev_x, 3 * K + 32, 1, &nan));
  assert_ok(op_linear(out, dev_x, weights, 1, 0));
  assert_ok(tensor_read(out, 0, M * N, found));
  for (size_t i = 0; i < M * N; i++) assert_int_equal(isnan(found[i]), i / N == 2 || i / N == 3);
}

/// A kernel that the self-test never launches could be wrong unnoticed.
static void the_self_test_launches_its_kernels(void **state) {
  (void)state;
  Ops *ops = fixture_ops();
  if (fixture_small()) skip();
  assert_ok(ops_selftest(ops, SELFTEST_QUICK, NULL, NULL));
  bool cpu = ops->family->cpu_files;
  const KernelId kernels[] = {cpu ? KERNEL_gemm_bf16 : KERNEL_gemm_tile, KERNEL_round_rows, KERNEL_gemv_bf16};
  for (size_t i = 0; i < (cpu ? 3 : 1); i++) {
    Kernel *compiled = ops->kernels[kernels[i]];
    assert_non_null(compiled);
    ops->kernels[kernels[i]] = NULL;
    assert_fails(ops_selftest(ops, SELFTEST_QUICK, NULL, NULL), STATUS_FAILED, "selftest of linear, bf16");
    ops->kernels[kernels[i]] = compiled;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(products_of_rounded_factors),
      OPS_TEST(very_many_rows),
      OPS_TEST(a_row_does_not_depend_on_the_others),
      OPS_TEST(few_rows_have_the_bits_of_many),
      OPS_TEST(products_together_have_the_same_bits),
      OPS_TEST(all_other_products_stay_float32),
      OPS_TEST(not_a_number_stays_so),
      OPS_TEST(a_vendors_products_are_refused),
      OPS_TEST(a_vendors_products_are_rounded),
      OPS_TEST(the_self_test_launches_its_kernels),
  };
  return cmocka_run_group_tests(tests, open_bf16, ops_fixture_close);
}
