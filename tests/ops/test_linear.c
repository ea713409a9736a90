// Linear layers against double precision: all forms, odd sizes, alpha and beta, stored types, both GEMMs.
// With gee-cl's own GEMM, and with cuBLAS, a row's bits must not depend on the other rows.
// Rule: the memory behind an output holds a pattern, which must survive.
#include "support/gemm_fixture.h"
#include "support/ops_fixture.h"

#include "ref/ref.h"
#include "util/half.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE = 64, SENTINEL = 0x4eadbeef };

typedef enum Form { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT } Form;
static const char *const form_names[] = {"op_linear", "op_linear_dx", "op_linear_dw"};

typedef struct Case {
  Form form;
  size_t m, n, k; // rows of x, columns of out, columns of x
  float alpha, beta;
  DType type; // of w
} Case;

/// A tensor of `type` with values[rows · cols] rounded to it. rounded[rows · cols], unless NULL, gets the
/// rounded values.
static Tensor make(Ops *ops, DType type, size_t rows, size_t cols, const float *values, double *rounded) {
  Tensor tensor;
  size_t count = rows * cols;
  assert_ok(tensor_create(ops, "test", MEMORY_ACTIVATIONS, type, rows, cols, &tensor));
  uint16_t *halves = calloc(count, sizeof *halves);
  assert_non_null(halves);
  for (size_t i = 0; i < count; i++) {
    if (type == DTYPE_F16) halves[i] = half_from_float(values[i]);
    if (type == DTYPE_BF16) halves[i] = bfloat_from_float(values[i]);
    float value = type == DTYPE_F16 ? half_to_float(halves[i]) : bfloat_to_float(halves[i]);
    if (rounded != NULL) rounded[i] = (double)(type == DTYPE_F32 ? values[i] : value);
  }
  assert_ok(tensor_write(&tensor, 0, count, type == DTYPE_F32 ? (const void *)values : halves));
  free(halves);
  return tensor;
}

static float *random_floats(size_t count, uint64_t seed) {
  float *values = calloc(count, sizeof *values);
  assert_non_null(values);
  test_random(values, count, seed);
  return values;
}

static Status call(Form form, Tensor *out, const Tensor *left, const Tensor *right, float alpha, float beta) {
  if (form == FORWARD) return op_linear(out, left, right, alpha, beta);
  if (form == INPUT_GRADIENT) return op_linear_dx(out, left, right, alpha, beta);
  return op_linear_dw(out, left, right, alpha, beta);
}

static void reference(const Case *c, double *out, const double *left, const double *right) {
  double alpha = (double)c->alpha, beta = (double)c->beta;
  if (c->form == FORWARD) ref_linear(out, left, right, c->m, c->n, c->k, alpha, beta);
  if (c->form == INPUT_GRADIENT) ref_linear_dx(out, left, right, c->m, c->n, c->k, alpha, beta);
  if (c->form == WEIGHT_GRADIENT) ref_linear_dw(out, left, right, c->m, c->n, c->k, alpha, beta);
}

static size_t max(size_t a, size_t b) {
  return a > b ? a : b;
}

/// Runs one case. *result, unless result is NULL, is the output, which the caller frees.
static void run(Ops *ops, const Case *c, float **result) {
  bool dw = c->form == WEIGHT_GRADIENT;
  size_t left_cols = c->form == FORWARD ? c->k : c->n;
  size_t right_rows = dw ? c->m : c->n;
  size_t out_rows = dw ? c->n : c->m, out_cols = c->form == FORWARD ? c->n : c->k;
  size_t inner = c->form == FORWARD ? c->k : dw ? c->m : c->n, count = out_rows * out_cols;
  size_t most = max(max(c->m * left_cols, right_rows * c->k), count + SPARE);
  double *left_held = calloc(most, sizeof *left_held), *right_held = calloc(most, sizeof *right_held);
  double *expected = calloc(most, sizeof *expected);
  float *left = random_floats(most, 1), *right = random_floats(most, 2), *start = random_floats(most, 3);
  assert_true(left_held != NULL && right_held != NULL && expected != NULL);
  for (size_t i = 0; i < count; i++) {
    if (c->beta == 0.0f) start[i] = NAN; // with beta = 0 the output must not be read
    expected[i] = c->beta == 0.0f ? 0 : (double)start[i];
  }
  Tensor left_tensor = make(ops, DTYPE_F32, c->m, left_cols, left, left_held);
  Tensor right_tensor = make(ops, dw ? DTYPE_F32 : c->type, right_rows, c->k, right, right_held);
  Tensor whole;
  assert_ok(tensor_create(ops, "out", MEMORY_ACTIVATIONS, DTYPE_F32, 1, count + SPARE, &whole));
  const int32_t sentinel = SENTINEL;
  for (size_t i = 0; i < SPARE; i++) memcpy(&start[count + i], &sentinel, sizeof sentinel);
  assert_ok(tensor_write(&whole, 0, count + SPARE, start));
  Tensor out;
  assert_ok(tensor_view(&whole, 0, out_rows, out_cols, &out));
  assert_ok(call(c->form, &out, &left_tensor, &right_tensor, c->alpha, c->beta));
  assert_ok(tensor_read(&whole, 0, count + SPARE, start));
  reference(c, expected, left_held, right_held);
  double error = test_relative_l2(start, expected, count);
  double tolerance = 2 * sqrt((double)inner + 4) * (double)FLT_EPSILON;
  if (!(error <= tolerance)) {
    fail_msg("%s M %zu N %zu K %zu alpha %g beta %g type %d: error %g, tolerance %g", form_names[c->form],
             c->m, c->n, c->k, (double)c->alpha, (double)c->beta, (int)c->type, error, tolerance);
  }
  for (size_t i = 0; i < SPARE; i++) assert_memory_equal(&start[count + i], &sentinel, sizeof sentinel);
  tensor_free(&out);
  tensor_free(&whole);
  tensor_free(&left_tensor);
  tensor_free(&right_tensor);
  free(left_held);
  free(right_held);
  free(expected);
  free(left);
  free(right);
  if (result != NULL) {
    *result = start;
  } else {
    free(start);
  }
}

/// Every form with every combination of odd sizes, then with the stored types, alpha and beta.
static void sweep(Ops *ops) {
  static const size_t sizes[] = {1, 8, 31, 33, 257};
  size_t count = fixture_small() ? 3 : 5;
  for (Form form = FORWARD; form <= WEIGHT_GRADIENT; form++) {
    for (size_t m = 0; m < count; m++) {
      for (size_t n = 0; n < count; n++) {
        for (size_t k = 0; k < count; k++) {
          run(ops, &(Case){form, sizes[m], sizes[n], sizes[k], 1.0f, 0.0f, DTYPE_F32}, NULL);
        }
      }
    }
    for (DType type = DTYPE_F32; type <= DTYPE_BF16; type++) {
      run(ops, &(Case){form, 33, 31, 65, -0.75f, 1.0f, type}, NULL);
      run(ops, &(Case){form, 5, 70, 40, 0.5f, -2.0f, type}, NULL);
      run(ops, &(Case){form, 2, 45, 601, 0.5f, -2.0f, type}, NULL);
      run(ops, &(Case){form, 5, 70, 40, 0.0f, 1.0f, type}, NULL);
      if (!fixture_small()) run(ops, &(Case){form, 200, 300, 577, 1.5f, 0.0f, type}, NULL);
    }
  }
}

static void own_gemm_is_right(void **state) {
  (void)state;
  sweep(gemm_own);
}

static void vendor_gemm_is_right(void **state) {
  (void)state;
  if (gemm_vendor == NULL) skip();
  sweep(gemm_vendor);
}

/// Fewer rows of the same product have the same bits.
static void a_row_does_not_depend_on_the_others(void **state) {
  (void)state;
  static const size_t row_counts[] = {1, 3, 4, 7, 12, 64, 193};
  size_t n = 70, k = fixture_small() ? 30 : 600, counts = fixture_small() ? 5 : 7;
  for (Form form = FORWARD; form <= INPUT_GRADIENT; form++) {
    for (DType type = DTYPE_F32; type <= DTYPE_BF16; type++) {
      float *most;
      size_t cols = form == FORWARD ? n : k;
      run(gemm_own, &(Case){form, row_counts[counts - 1], n, k, 1.25f, 0.0f, type}, &most);
      for (size_t i = 0; i + 1 < counts; i++) {
        float *fewer;
        run(gemm_own, &(Case){form, row_counts[i], n, k, 1.25f, 0.0f, type}, &fewer);
        assert_memory_equal(fewer, most, row_counts[i] * cols * sizeof(float));
        free(fewer);
      }
      free(most);
    }
  }
}

/// Row 5 of the input, multiplied alone, has the same bits.
static void a_row_does_not_depend_on_its_place(void **state) {
  (void)state;
  enum { ROWS = 17, N = 33, K = 129, ROW = 5 };
  float *x = random_floats(ROWS * K, 1), *w = random_floats(N * K, 2);
  float all[ROWS * N], one[N];
  Tensor xs = make(gemm_own, DTYPE_F32, ROWS, K, x, NULL), ws = make(gemm_own, DTYPE_BF16, N, K, w, NULL);
  Tensor row = make(gemm_own, DTYPE_F32, 1, K, x + ROW * K, NULL), out, row_out;
  assert_ok(tensor_create(gemm_own, "out", MEMORY_ACTIVATIONS, DTYPE_F32, ROWS, N, &out));
  assert_ok(tensor_create(gemm_own, "out", MEMORY_ACTIVATIONS, DTYPE_F32, 1, N, &row_out));
  assert_ok(op_linear(&out, &xs, &ws, 1.0f, 0.0f));
  assert_ok(op_linear(&row_out, &row, &ws, 1.0f, 0.0f));
  assert_ok(tensor_read(&out, 0, ROWS * N, all));
  assert_ok(tensor_read(&row_out, 0, N, one));
  assert_memory_equal(one, all + ROW * N, sizeof one);
  tensor_free(&xs);
  tensor_free(&ws);
  tensor_free(&row);
  tensor_free(&out);
  tensor_free(&row_out);
  free(x);
  free(w);
}

/// The bits of out = x wᵀ or of dx = dout w for rows [first, first + rows) of the input.
static float *part_of(Form form, const Tensor *left, const Tensor *right, size_t first, size_t rows) {
  size_t cols = form == FORWARD ? right->rows : right->cols;
  float *values = calloc(rows * cols, sizeof *values);
  Tensor out, part = tensor_rows(left, first, rows);
  assert_non_null(values);
  assert_ok(tensor_create(left->ops, "out", MEMORY_ACTIVATIONS, DTYPE_F32, rows, cols, &out));
  assert_ok(call(form, &out, &part, right, 1.0f, 0.0f));
  assert_ok(tensor_read(&out, 0, rows * cols, values));
  tensor_free(&out);
  return values;
}

/// At a model's sizes, where a GEMM cuts products and sums otherwise for another number of rows.
static void check_parts(Ops *ops, Form form, size_t n, size_t k) {
  static const size_t counts[] = {1, 2, 5, 20, 64, 129, 300};
  enum { ROWS = 700, FIRST = 7 };
  size_t inner = form == FORWARD ? k : n, cols = form == FORWARD ? n : k;
  float *x = random_floats(ROWS * inner, 1), *w = random_floats(n * k, 2);
  Tensor left = make(ops, DTYPE_F32, ROWS, inner, x, NULL), right = make(ops, DTYPE_F32, n, k, w, NULL);
  float *whole = part_of(form, &left, &right, 0, ROWS);
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    float *part = part_of(form, &left, &right, FIRST, counts[i]);
    if (memcmp(part, whole + FIRST * cols, counts[i] * cols * sizeof *part) != 0)
      fail_msg("%s N %zu K %zu: %zu rows have other bits alone", form_names[form], n, k, counts[i]);
    free(part);
  }
  free(whole);
  tensor_free(&left);
  tensor_free(&right);
  free(x);
  free(w);
}

/// gee-cl's own GEMM promises it, and the CUDA back end of cuBLAS. CLBlast does not.
static void a_part_of_a_batch_has_the_same_bits(void **state) {
  (void)state;
  bool cublas = strcmp(device_info(gemm_device)->backend, "cuda") == 0;
  Ops *const gemms[] = {gemm_own, cublas ? gemm_vendor : NULL};
  if (fixture_small()) skip();
  for (size_t i = 0; i < 2 && gemms[i] != NULL; i++) {
    for (Form form = FORWARD; form <= INPUT_GRADIENT; form++) {
      check_parts(gemms[i], form, 192, 576);
      check_parts(gemms[i], form, 576, 576);
      check_parts(gemms[i], form, 1536, 576);
      check_parts(gemms[i], form, 8, 576);
      check_parts(gemms[i], form, 576, 8);
      check_parts(gemms[i], form, 67, 33);
    }
  }
}

/// Three products of one x, or the first of them, have the bits that each has alone.
static void check_together(Ops *ops, size_t rows, const float *x, const float *w) {
  enum { K = 577 };
  static const size_t widths[] = {70, 200, 3};
  static float alone[7 * 200], together[7 * 200];
  Tensor left = make(ops, DTYPE_F32, rows, K, x, NULL), ws[3], outs[3];
  for (size_t i = 0; i < 3; i++) {
    ws[i] = make(ops, (DType)(DTYPE_F32 + i), widths[i], K, w, NULL);
    outs[i] = make(ops, DTYPE_F32, rows, widths[i], w, NULL);
  }
  for (size_t count = 1; count <= 3; count++) {
    assert_ok(op_linears((Tensor *const[]){&outs[0], &outs[1], &outs[2]}, &left,
                         (const Tensor *const[]){&ws[0], &ws[1], &ws[2]}, NULL, count));
    for (size_t i = 0; i < count; i++) {
      Tensor expected = make(ops, DTYPE_F32, rows, widths[i], w, NULL);
      assert_ok(op_linear(&expected, &left, &ws[i], 1.0f, 0.0f));
      assert_ok(tensor_read(&expected, 0, rows * widths[i], alone));
      assert_ok(tensor_read(&outs[i], 0, rows * widths[i], together));
      assert_memory_equal(together, alone, rows * widths[i] * sizeof *alone);
      tensor_free(&expected);
    }
  }
  for (size_t i = 0; i < 3; i++) {
    tensor_free(&ws[i]);
    tensor_free(&outs[i]);
  }
  tensor_free(&left);
}

/// With few rows, for which a CPU has a kernel that computes them in one launch, and with more.
static void products_together_have_the_same_bits(void **state) {
  (void)state;
  static const size_t row_counts[] = {1, 2, 3, 4, 7};
  Ops *const gemms[] = {gemm_own, gemm_vendor};
  float *x = random_floats(7 * 577, 1), *w = random_floats(200 * 577, 2);
  for (size_t g = 0; g < 2 && gemms[g] != NULL; g++) {
    for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++)
      check_together(gemms[g], row_counts[i], x, w);
  }
  free(x);
  free(w);
}

static void assert_same_bits(const Tensor *a, const Tensor *b) {
  static float values[2][200 * 200];
  size_t count = a->rows * a->cols;
  assert_true(count <= sizeof values[0] / sizeof *values[0]);
  assert_ok(tensor_read(a, 0, count, values[0]));
  assert_ok(tensor_read(b, 0, count, values[1]));
  assert_memory_equal(values[0], values[1], count * sizeof *values[0]);
}

/// Three products of one x, of which the second has no adapter, and the gradient of x, beside the same one
/// after the other.
static void check_adapters(Ops *ops, size_t rows, size_t rank, const float *x, const float *w) {
  enum { K = 70 };
  static const size_t widths[] = {70, 200, 3};
  Tensor left = make(ops, DTYPE_F32, rows, K, x, NULL), low = make(ops, DTYPE_F32, rows, rank, w, NULL);
  Tensor ws[3], bs[3], outs[3], alone[3];
  LowRank adapters[3];
  for (size_t i = 0; i < 3; i++) {
    ws[i] = make(ops, (DType)(DTYPE_F32 + i), widths[i], K, w, NULL);
    bs[i] = make(ops, DTYPE_F32, widths[i], rank, x, NULL);
    outs[i] = make(ops, DTYPE_F32, rows, widths[i], w, NULL);
    alone[i] = make(ops, DTYPE_F32, rows, widths[i], w, NULL);
    adapters[i] = (LowRank){i == 1 ? NULL : &low, &bs[i], -0.75f};
    assert_ok(op_linear(&alone[i], &left, &ws[i], 1.0f, 0.0f));
    if (i != 1) assert_ok(op_linear(&alone[i], &low, &bs[i], -0.75f, 1.0f));
  }
  assert_ok(op_linears((Tensor *const[]){&outs[0], &outs[1], &outs[2]}, &left,
                       (const Tensor *const[]){&ws[0], &ws[1], &ws[2]}, adapters, 3));
  for (size_t i = 0; i < 3; i++) assert_same_bits(&outs[i], &alone[i]);
  Tensor a = make(ops, DTYPE_F32, rank, K, w, NULL), dx = make(ops, DTYPE_F32, rows, K, w, NULL);
  for (int beta = 0; beta < 2; beta++) { // left and dx hold what they held, then the last gradients
    assert_ok(op_linear_dx(&left, &outs[1], &ws[1], 1.0f, (float)beta));
    assert_ok(op_linear_dx(&left, &low, &a, 0.5f, 1.0f));
    assert_ok(op_linear_dx_adapted(&dx, &outs[1], &ws[1], (float)beta, &(LowRank){&low, &a, 0.5f}));
    assert_same_bits(&dx, &left);
  }
  for (size_t i = 0; i < 3; i++) {
    tensor_free(&ws[i]);
    tensor_free(&bs[i]);
    tensor_free(&outs[i]);
    tensor_free(&alone[i]);
  }
  tensor_free(&left);
  tensor_free(&low);
  tensor_free(&a);
  tensor_free(&dx);
}

/// Few rows and many, ranks below and above a slab of the sum.
static void an_adapter_with_its_product_has_the_same_bits(void **state) {
  (void)state;
  static const size_t row_counts[] = {1, 3, 4, 31, 200}, ranks[] = {8, 300, 1, 31};
  Ops *const gemms[] = {gemm_own, gemm_vendor};
  size_t most = fixture_small() ? 3 : 5, most_ranks = fixture_small() ? 2 : 4;
  float *x = random_floats(200 * 300, 1), *w = random_floats(200 * 300, 2);
  for (size_t g = 0; g < 2 && gemms[g] != NULL; g++) {
    for (size_t i = 0; i < most; i++) {
      for (size_t r = 0; r < most_ranks; r++) check_adapters(gemms[g], row_counts[i], ranks[r], x, w);
    }
  }
  free(x);
  free(w);
}

/// Sums of positive numbers over a whole vocabulary: a single chain of float32 additions would be off by
/// 4e-6.
static void a_long_sum_keeps_its_digits(void **state) {
  (void)state;
  enum { M = 3, K = 5 };
  Ops *const gemms[] = {gemm_own, gemm_vendor};
  size_t n = fixture_small() ? 4096 : 49152;
  float *dout = random_floats(M * n, 1), *w = random_floats(n * K, 2), dx[M * K];
  double *dout_held = calloc(M * n, sizeof *dout_held), *w_held = calloc(n * K, sizeof *w_held),
         expected[M * K];
  assert_true(dout_held != NULL && w_held != NULL);
  for (size_t i = 0; i < M * n; i++) dout[i] = fabsf(dout[i]);
  for (size_t i = 0; i < n * K; i++) w[i] = fabsf(w[i]);
  for (size_t i = 0; i < 2 && gemms[i] != NULL; i++) {
    for (DType type = DTYPE_F32; type <= DTYPE_BF16; type++) {
      Tensor left = make(gemms[i], DTYPE_F32, M, n, dout, dout_held),
             right = make(gemms[i], type, n, K, w, w_held);
      Tensor out;
      assert_ok(tensor_create(gemms[i], "dx", MEMORY_ACTIVATIONS, DTYPE_F32, M, K, &out));
      assert_ok(op_linear_dx(&out, &left, &right, 1.0f, 0.0f));
      assert_ok(tensor_read(&out, 0, M * K, dx));
      ref_linear_dx(expected, dout_held, w_held, M, n, K, 1.0, 0.0);
      double error = test_relative_l2(dx, expected, M * K);
      if (!(error <= 1e-6))
        fail_msg("%s GEMM, type %d: error %g", i == 0 ? "own" : "vendor", (int)type, error);
      tensor_free(&left);
      tensor_free(&right);
      tensor_free(&out);
    }
  }
  free(dout);
  free(w);
  free(dout_held);
  free(w_held);
}

static void bias_and_its_gradient(void **state) {
  (void)state;
  enum { M = 33, N = 31 };
  float *values = random_floats(M * N, 4), *bias = random_floats(N, 5);
  double expected[M * N], bias_held[N], sums[N];
  Tensor x = make(gemm_own, DTYPE_F32, M, N, values, expected),
         b = make(gemm_own, DTYPE_F32, 1, N, bias, bias_held);
  Tensor db = make(gemm_own, DTYPE_F32, 1, N, bias, sums);
  ref_bias_backward(sums, expected, M, N);
  assert_ok(op_bias_backward(&db, &x));
  assert_ok(op_bias(&x, &b));
  ref_bias(expected, bias_held, M, N);
  assert_ok(tensor_read(&x, 0, M * N, values));
  assert_true(test_relative_l2(values, expected, M * N) <= (double)FLT_EPSILON);
  assert_ok(tensor_read(&db, 0, N, bias));
  assert_true(test_relative_l2(bias, sums, N) <= 2 * sqrt(M) * (double)FLT_EPSILON);
  tensor_free(&x);
  tensor_free(&b);
  tensor_free(&db);
  free(values);
  free(bias);
}

static void wrong_shapes_are_refused(void **state) {
  (void)state;
  float zeros[12] = {0};
  Tensor x = make(gemm_own, DTYPE_F32, 2, 3, zeros, NULL), w = make(gemm_own, DTYPE_F32, 4, 3, zeros, NULL);
  Tensor out = make(gemm_own, DTYPE_F32, 2, 3, zeros, NULL),
         half = make(gemm_own, DTYPE_F16, 2, 3, zeros, NULL);
  assert_fails(op_linear(&out, &x, &w, 1.0f, 0.0f), STATUS_FAILED, "op_linear: out is [2, 3], needs [2, 4]");
  assert_fails(op_linear_dw(&out, &half, &half, 1.0f, 0.0f), STATUS_FAILED, "needs [3, 3]");
  Tensor four = make(gemm_own, DTYPE_F32, 2, 4, zeros, NULL);
  assert_fails(op_linears((Tensor *const[]){&four, &out}, &x, (const Tensor *const[]){&w, &w}, NULL, 2),
               STATUS_FAILED, "op_linears: out is [2, 3], needs [2, 4]");
  assert_fails(op_linears((Tensor *const[]){&four, &four, &four, &four}, &x,
                          (const Tensor *const[]){&w, &w, &w, &w}, NULL, 4),
               STATUS_FAILED, "4 products together");
  assert_fails(
      op_linears((Tensor *const[]){&four}, &x, (const Tensor *const[]){&w}, &(LowRank){&x, &x, 1.0f}, 1),
      STATUS_FAILED, "op_linears: factor is [2, 3], needs [4, 3]");
  assert_fails(op_linear_dx_adapted(&x, &four, &w, 0.0f, &(LowRank){&four, &x, 1.0f}), STATUS_FAILED,
               "op_linear_dx: factor is [2, 3], needs [4, 3]");
  tensor_free(&four);
  assert_fails(op_bias(&x, &w), STATUS_FAILED, "op_bias");
  tensor_free(&x);
  tensor_free(&w);
  tensor_free(&out);
  tensor_free(&half);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(own_gemm_is_right),
      cmocka_unit_test(vendor_gemm_is_right),
      cmocka_unit_test(a_row_does_not_depend_on_the_others),
      cmocka_unit_test(a_row_does_not_depend_on_its_place),
      cmocka_unit_test(a_part_of_a_batch_has_the_same_bits),
      cmocka_unit_test(products_together_have_the_same_bits),
      cmocka_unit_test(an_adapter_with_its_product_has_the_same_bits),
      cmocka_unit_test(a_long_sum_keeps_its_digits),
      cmocka_unit_test(bias_and_its_gradient),
      cmocka_unit_test(wrong_shapes_are_refused),
  };
  return cmocka_run_group_tests(tests, gemm_fixture_open, gemm_fixture_close);
}
