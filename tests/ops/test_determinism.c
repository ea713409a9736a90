// The same inputs give the same bits, and a row's result depends neither on the number of other rows nor on
// its place.
#include "support/ops_fixture.h"

#include <stdlib.h>
#include <string.h>

enum { M = 33, C = 257 };

static void assert_same_bits(const Tensor *a, size_t first_a, const Tensor *b, size_t first_b, size_t count) {
  float *x = calloc(count, sizeof *x), *y = calloc(count, sizeof *y);
  assert_non_null(x);
  assert_non_null(y);
  assert_ok(tensor_read(a, first_a, count, x));
  assert_ok(tensor_read(b, first_b, count, y));
  assert_memory_equal(x, y, count * sizeof *x);
  free(x);
  free(y);
}

static void rows_of_norms(void **state) {
  (void)state;
  double *x = fixture_random(M * C, 2), *dout = fixture_random(M * C, 1);
  Tensor *all = fixture_f32(M, C, x), *w = fixture_f32(1, C, fixture_random(C, 1)),
         *d = fixture_f32(M, C, dout);
  Tensor *out = fixture_f32(M, C, NULL), *rstd = fixture_f32(1, M, NULL), *dx = fixture_f32(M, C, x);
  Tensor *one_out = fixture_f32(1, C, NULL), *one_rstd = fixture_f32(1, 1, NULL);
  assert_ok(op_rmsnorm(out, rstd, all, w, 1e-5f));
  assert_ok(op_rmsnorm_backward(dx, NULL, d, all, w, rstd));
  for (size_t m = 0; m < M; m += 8) {
    Tensor *one = fixture_f32(1, C, x + m * C), *one_dx = fixture_f32(1, C, x + m * C);
    Tensor *one_d = fixture_f32(1, C, dout + m * C);
    assert_ok(op_rmsnorm(one_out, one_rstd, one, w, 1e-5f));
    assert_ok(op_rmsnorm_backward(one_dx, NULL, one_d, one, w, one_rstd));
    assert_same_bits(out, m * C, one_out, 0, C);
    assert_same_bits(dx, m * C, one_dx, 0, C);
  }
}

static void rows_of_entropy(void **state) {
  (void)state;
  double *logits = fixture_random(M * C, 8), *weights = fixture_random(M, 1);
  Tensor *all = fixture_f32(M, C, logits), *stats = fixture_f32(M, 2, NULL),
         *one_stats = fixture_f32(1, 2, NULL);
  assert_ok(op_entropy(stats, all, 0.5f));
  assert_ok(op_entropy_backward(all, stats, fixture_f32(1, M, weights), 0.5f));
  for (size_t m = 0; m < M; m += 8) {
    Tensor *one = fixture_f32(1, C, logits + m * C);
    assert_ok(op_entropy(one_stats, one, 0.5f));
    assert_same_bits(stats, 2 * m, one_stats, 0, 2);
    assert_ok(op_entropy_backward(one, one_stats, fixture_f32(1, 1, weights + m), 0.5f));
    assert_same_bits(all, m * C, one, 0, C);
  }
}

static void rows_of_cross_entropy(void **state) {
  (void)state;
  double *logits = fixture_random(M * C, 8), *weights = fixture_random(M, 1);
  Tensor *all = fixture_f32(M, C, logits), *stats = fixture_f32(M, 2, NULL),
         *largest = fixture_f32(1, M, NULL);
  assert_ok(op_entropy(stats, all, 1.0f));
  assert_ok(op_largest_logprob(largest, all, stats));
  assert_ok(op_cross_entropy_backward(all, stats, fixture_f32(1, M, weights)));
  for (size_t m = 0; m < M; m += 8) {
    Tensor *one = fixture_f32(1, C, logits + m * C), *one_stats = fixture_f32(1, 2, NULL),
           *one_largest = fixture_f32(1, 1, NULL);
    assert_ok(op_entropy(one_stats, one, 1.0f));
    assert_ok(op_largest_logprob(one_largest, one, one_stats));
    assert_same_bits(largest, m, one_largest, 0, 1);
    assert_ok(op_cross_entropy_backward(one, one_stats, fixture_f32(1, 1, weights + m)));
    assert_same_bits(all, m * C, one, 0, C);
  }
}

static void rows_of_divergence(void **state) {
  (void)state;
  double *logits = fixture_random(M * C, 8), *other = fixture_random(M * C, 8),
         *weights = fixture_random(2 * M, 1), *zeros = fixture_zeros(M * C);
  int32_t *order = fixture_ints(M);
  for (size_t m = 0; m < M; m++) order[m] = (int32_t)m;
  Tensor *stats = fixture_f32(M, 2, NULL), *other_stats = fixture_f32(M, 2, NULL),
         *kl = fixture_f32(1, M, NULL);
  Tensor *gradient = fixture_f32(M, C, zeros);
  Divergence all = {fixture_f32(M, C, logits), stats,       fixture_i32(1, M, order),
                    fixture_f32(M, C, other),  other_stats, 0.5f};
  assert_ok(op_entropy(stats, all.logits, 0.5f));
  assert_ok(op_entropy(other_stats, all.other, 0.5f));
  assert_ok(op_divergence(kl, &all));
  assert_ok(op_divergence_backward(gradient, kl, fixture_f32(M, 2, weights), &all));
  for (size_t m = 0; m < M; m += 8) {
    Tensor *one_other_stats = fixture_f32(1, 2, NULL), *one_kl = fixture_f32(1, 1, NULL);
    Tensor *one_gradient = fixture_f32(M, C, zeros);
    Divergence one = {all.logits,      stats, fixture_i32(1, 1, order + m), fixture_f32(1, C, other + m * C),
                      one_other_stats, 0.5f};
    assert_ok(op_entropy(one_other_stats, one.other, 0.5f));
    assert_ok(op_divergence(one_kl, &one));
    assert_same_bits(kl, m, one_kl, 0, 1);
    assert_ok(op_divergence_backward(one_gradient, one_kl, fixture_f32(1, 2, weights + 2 * m), &one));
    assert_same_bits(gradient, m * C, one_gradient, m * C, C);
  }
}

/// A sum and its norm have the bits of both operations one after the other, also where the norm takes the
/// place of what is added.
static void norms_of_sums(void **state) {
  (void)state;
  Tensor *a = fixture_f32(M, C, fixture_random(M * C, 2)), *b = fixture_f32(M, C, fixture_random(M * C, 2));
  Tensor *w = fixture_f32(1, C, fixture_random(C, 1)), *out = fixture_f32(M, C, NULL);
  Tensor *rstd[2] = {fixture_f32(1, M, NULL), fixture_f32(1, M, NULL)};
  Tensor *sum[2] = {fixture_f32(M, C, NULL), fixture_f32(M, C, NULL)};
  assert_ok(op_add(sum[0], a, b));
  assert_ok(op_rmsnorm(out, rstd[0], sum[0], w, 1e-5f));
  assert_ok(op_add_rmsnorm(sum[1], b, rstd[1], a, b, w, 1e-5f));
  assert_same_bits(sum[1], 0, sum[0], 0, M * C);
  assert_same_bits(rstd[1], 0, rstd[0], 0, M);
  assert_same_bits(b, 0, out, 0, M * C);
}

/// Sums over rows, computed twice.
static void sums_repeat(void **state) {
  (void)state;
  double *x = fixture_random(M * C, 2), *zeros = fixture_zeros(C), first, second;
  Tensor *all = fixture_f32(M, C, x), *w = fixture_f32(1, C, fixture_random(C, 1)),
         *out = fixture_f32(M, C, NULL);
  Tensor *rstd = fixture_f32(1, M, NULL), *dw[2] = {fixture_f32(1, C, zeros), fixture_f32(1, C, zeros)};
  assert_ok(op_rmsnorm(out, rstd, all, w, 1e-5f));
  for (int i = 0; i < 2; i++) assert_ok(op_rmsnorm_backward(out, dw[i], all, all, w, rstd));
  assert_same_bits(dw[0], 0, dw[1], 0, C);
  assert_ok(op_sum_squares(&first, all));
  assert_ok(op_sum_squares(&second, all));
  assert_memory_equal(&first, &second, sizeof first);
}

static void attention_repeats(void **state) {
  (void)state;
  enum { D = 64, HEADS = 3 };
  int32_t *spans = fixture_ints(4 * M), *key_spans = fixture_ints(4 * M);
  for (int32_t m = 0; m < M; m++) {
    spans[4 * m + 3] = m + 1;
    key_spans[4 * m] = m;
    key_spans[4 * m + 1] = M;
  }
  AttentionShape shape = {HEADS, 1, D, 0.125f};
  Tensor *q = fixture_f32(M, HEADS * D, fixture_random(M * HEADS * D, 1)),
         *k = fixture_f32(M, D, fixture_random(M * D, 1));
  Tensor *v = fixture_f32(M, D, fixture_random(M * D, 1)),
         *dout = fixture_f32(M, HEADS * D, fixture_random(M * HEADS * D, 1));
  Tensor *dev_spans = fixture_i32(M, 4, spans), *dev_key_spans = fixture_i32(M, 4, key_spans);
  Tensor *results[2][5];
  for (int i = 0; i < 2; i++) {
    Tensor *out = results[i][0] = fixture_f32(M, HEADS * D, NULL),
           *lse = results[i][1] = fixture_f32(M, HEADS, NULL);
    Tensor *dq = results[i][2] = fixture_f32(M, HEADS * D, NULL), *delta = fixture_f32(M, HEADS, NULL);
    results[i][3] = fixture_f32(M, D, NULL);
    results[i][4] = fixture_f32(M, D, NULL);
    Attention operands = {.shape = shape,
                          .q = q,
                          .k = k,
                          .v = v,
                          .spans = dev_spans,
                          .out = out,
                          .lse = lse,
                          .dq = dq,
                          .dk = results[i][3],
                          .dv = results[i][4],
                          .delta = delta,
                          .dout = dout,
                          .key_spans = dev_key_spans};
    assert_ok(op_attention(&operands));
    assert_ok(op_attention_backward(&operands));
  }
  for (int r = 0; r < 5; r++) {
    assert_same_bits(results[0][r], 0, results[1][r], 0, results[0][r]->rows * results[0][r]->cols);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(rows_of_norms),      OPS_TEST(rows_of_entropy),
                                     OPS_TEST(rows_of_divergence), OPS_TEST(rows_of_cross_entropy),
                                     OPS_TEST(norms_of_sums),      OPS_TEST(sums_repeat),
                                     OPS_TEST(attention_repeats)};
  return RUN_OPS_TESTS(tests);
}
