// AdamW, the sum of squares, conversion and dropout against their twins.
#include "support/ops_fixture.h"

#include "ref/ref.h"
#include "util/half.h"
#include "util/rng.h"
#include <math.h>

static const double tolerance = 1e-6;

static void adamw(void **state) {
  (void)state;
  for (const size_t *size = fixture_sizes; *size != 0; size++) {
    size_t n = *size;
    double *values = fixture_random(n, 1), *m = fixture_random(n, 0.01), *v = fixture_zeros(n);
    for (size_t i = 0; i < n; i++) v[i] = (double)(float)(m[i] * m[i]);
    Tensor *dev_values = fixture_f32(1, n, values), *dev_m = fixture_f32(1, n, m),
           *dev_v = fixture_f32(1, n, v);
    for (uint32_t step = 1; step <= 5; step++) {
      double *grads = fixture_random(n, 0.3);
      AdamWShape shape = {1e-2, 0.9, 0.999, 1e-8, 0.01, step, 0.37};
      RefAdamW ref = {1e-2, 0.9, 0.999, 1e-8, 0.01, 0.37, step};
      assert_ok(op_adamw(dev_values, dev_m, dev_v, fixture_f32(1, n, grads), shape));
      ref_adamw(values, m, v, grads, n, ref);
    }
    fixture_compare("adamw values", dev_values, values, tolerance);
    fixture_compare("adamw m", dev_m, m, tolerance);
    fixture_compare("adamw v", dev_v, v, tolerance);
    ops_fixture_clean(NULL);
  }
}

/// Without decay, a zero gradient at the first step does not change a weight: 0 / (0 + ε) is 0.
static void adamw_at_rest(void **state) {
  (void)state;
  const double one[1] = {1.5}, none[1] = {0};
  Tensor *values = fixture_f32(1, 1, one), *m = fixture_f32(1, 1, none), *v = fixture_f32(1, 1, none);
  assert_ok(op_adamw(values, m, v, fixture_f32(1, 1, none), (AdamWShape){1e-2, 0.9, 0.999, 1e-8, 0, 1, 1}));
  fixture_compare("adamw", values, one, 0);
}

static void sum_squares(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 31, 257, 16383, 16385, 100003};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    if (fixture_small() && sizes[i] > 300) continue;
    double *x = fixture_random(sizes[i], 3), expected = 0, found;
    for (size_t k = 0; k < sizes[i]; k++) expected += x[k] * x[k];
    assert_ok(op_sum_squares(&found, fixture_f32(1, sizes[i], x)));
    if (!(fabs(found - expected) <= tolerance * expected))
      fail_msg("sum of squares %.9g, not %.9g", found, expected);
  }
  double nan[1] = {NAN}, found;
  assert_ok(op_sum_squares(&found, fixture_f32(1, 1, nan)));
  assert_true(isnan(found));
}

/// Ties, subnormals, overflow and ordinary numbers round as util/half.h rounds them.
static void convert(void **state) {
  (void)state;
  enum { N = 257 };
  float values[N] = {0,      -0.0f, 1,     65504,         65520,          1e-7f,
                     -6e-8f, 3e-5f, 1e30f, 1.0009765625f, 1.00048828125f, 3.4e38f};
  test_random(values + 12, N - 12, 5);
  double *wide = fixture_zeros(N);
  for (size_t i = 0; i < N; i++) wide[i] = (double)values[i];
  Tensor *x = fixture_f32(1, N, wide);
  for (int type = DTYPE_F16; type <= DTYPE_BF16; type++) {
    uint16_t found[N];
    float back[N];
    Tensor narrow = {0}, *again = fixture_f32(1, N, NULL);
    assert_ok(tensor_create(fixture_ops(), "narrow", MEMORY_WEIGHTS, (DType)type, 1, N, &narrow));
    assert_ok(op_convert(&narrow, x));
    assert_ok(op_convert(again, &narrow));
    assert_ok(tensor_read(&narrow, 0, N, found));
    assert_ok(tensor_read(again, 0, N, back));
    for (size_t i = 0; i < N; i++) {
      uint16_t bits = type == DTYPE_F16 ? half_from_float(values[i]) : bfloat_from_float(values[i]);
      float value = type == DTYPE_F16 ? half_to_float(bits) : bfloat_to_float(bits);
      assert_int_equal(found[i], bits);
      assert_true(back[i] == value);
    }
    tensor_free(&narrow);
  }
  assert_fails(op_convert(x, x), STATUS_FAILED, "op_convert");
}

static void dropout(void **state) {
  (void)state;
  for (const size_t *size = fixture_sizes; *size != 0; size++) {
    size_t M = fixture_small() ? 3 : 33, C = *size;
    double *x = fixture_random(M * C, 1), *expected = fixture_zeros(M * C);
    int32_t *ids = fixture_ints(M);
    for (size_t m = 0; m < M; m++) ids[m] = (int32_t)(1000 - 7 * m);
    Tensor *out = fixture_f32(M, C, NULL);
    ref_dropout(expected, x, ids, M, C, 0.25, UINT64_C(0x123456789abcdef0), 9);
    assert_ok(op_dropout(out, fixture_f32(M, C, x), fixture_i32(1, M, ids), 0.25f,
                         UINT64_C(0x123456789abcdef0), 9));
    fixture_compare("dropout", out, expected, tolerance);
    ops_fixture_clean(NULL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(adamw), OPS_TEST(adamw_at_rest), OPS_TEST(sum_squares), OPS_TEST(convert), OPS_TEST(dropout),
  };
  return RUN_OPS_TESTS(tests);
}
