// The cross-entropy of given tokens against its twin: from one logit to a whole vocabulary, a row followed by
// none, one and many tokens, nearly certain rows; and the likeliest token's log probability, which must be
// the one that is picked for it. A NaN must never be hidden.
#include "support/ops_fixture.h"

#include "ref/ref.h"
#include <math.h>
#include <string.h>

enum { M = 5, MOST = 8 };

/// Tokens that are given after rows: one after row 0, none after 1, two after 2, up to four after 4.
typedef struct Given {
  size_t count;
  int32_t *rows, *tokens;
  double *weights, *sums; // [count], [M]
} Given;

static Given draw_given(size_t V) {
  static const int32_t rows[MOST] = {0, 2, 2, 3, 4, 4, 4, 4};
  Given given = {
      .rows = fixture_ints(MOST), .tokens = fixture_ints(MOST), .weights = fixture_random(MOST, 1)};
  given.sums = fixture_zeros(M);
  for (size_t i = 0, after = 0; i < MOST; i++) {
    after = i > 0 && rows[i] == rows[i - 1] ? after + 1 : 0;
    if (after >= V) continue; // the pairs are distinct
    given.rows[given.count] = rows[i];
    given.tokens[given.count] = (int32_t)(after == 0 ? V - 1 : after - 1);
    given.sums[rows[i]] += given.weights[given.count++];
  }
  return given;
}

static void check(size_t V, double scale) {
  double *logits = fixture_random(M * V, scale), *gradient = fixture_zeros(M * V), *top = fixture_zeros(M);
  double *stats = fixture_zeros(2 * M), norm = 0;
  Given given = draw_given(V);
  Tensor *dev = fixture_f32(M, V, logits), *dev_stats = fixture_f32(M, 2, NULL);
  Tensor *largest = fixture_f32(1, M, NULL);
  assert_ok(op_entropy(dev_stats, dev, 1.0f));
  assert_ok(op_largest_logprob(largest, dev, dev_stats));
  ref_entropy(stats, logits, M, V, 1);
  for (size_t m = 0; m < M; m++) {
    top[m] = -INFINITY;
    for (size_t j = 0; j < V; j++) top[m] = fmax(top[m], logits[m * V + j] - stats[2 * m]);
  }
  if (V > 1) fixture_compare("largest_logprob", largest, top, 1e-5);
  assert_ok(op_cross_entropy_backward(dev, dev_stats, fixture_f32(1, M, given.sums)));
  assert_ok(op_subtract_targets(dev, fixture_i32(1, given.count, given.rows),
                                fixture_i32(1, given.count, given.tokens),
                                fixture_f32(1, given.count, given.weights)));
  ref_cross_entropy_backward(gradient, logits, M, V, given.rows, given.tokens, given.weights, given.count);
  for (size_t i = 0; i < M * V; i++) norm = fmax(norm, fabs(gradient[i]));
  if (norm > 1e-4) fixture_compare("cross_entropy_backward", dev, gradient, 1e-5);
}

static void sizes_and_scales(void **state) {
  (void)state;
  static const size_t vocabularies[] = {1, 2, 31, 33, 257, 4099, 49152};
  for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++) {
    if (fixture_small() && vocabularies[i] > 300) continue;
    check(vocabularies[i], 8);
    check(vocabularies[i], 0.01);
    ops_fixture_clean(NULL);
  }
}

/// What says whether a token is the likeliest: both numbers are made in the same way, so they are equal.
static void the_likeliest_is_picked_alike(void **state) {
  (void)state;
  enum { V = 301 };
  double *logits = fixture_random(M * V, 8);
  int32_t *rows = fixture_ints(M), *best = fixture_ints(M);
  for (size_t m = 0; m < M; m++) {
    rows[m] = (int32_t)m;
    for (int32_t v = 1; v < V; v++)
      if (logits[m * V + (size_t)v] > logits[m * V + (size_t)best[m]]) best[m] = v;
  }
  logits[3 * V + (size_t)best[3]] = 90; // certain: the log probability is rounded, and must not be above 0
  Tensor *dev = fixture_f32(M, V, logits), *stats = fixture_f32(M, 2, NULL);
  Tensor *largest = fixture_f32(1, M, NULL), *picked = fixture_f32(1, M, NULL);
  float a[M], b[M];
  assert_ok(op_entropy(stats, dev, 1.0f));
  assert_ok(op_largest_logprob(largest, dev, stats));
  assert_ok(op_pick_logprob(picked, dev, stats, fixture_i32(1, M, rows), fixture_i32(1, M, best), 1.0f));
  assert_ok(tensor_read(largest, 0, M, a));
  assert_ok(tensor_read(picked, 0, M, b));
  for (size_t m = 0; m < M; m++) {
    if (!(a[m] == b[m])) fail_msg("row %zu: %.9g and %.9g", m, (double)a[m], (double)b[m]);
    assert_true(a[m] <= 0);
  }
}

/// Of every kind that processors make: quiet with no other bit, with all (NVIDIA's), negative, and with the
/// lowest bit of a float.
static void keeps_nan(void **state) {
  (void)state;
  enum { V = 40 };
  const uint64_t nans[] = {0x7ff8000000000000, 0x7fffffffffffffff, 0xffffffffffffffff, 0x7ff8000020000000};
  for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
    double *logits = fixture_random(M * V, 1), *weights = fixture_random(M, 1);
    memcpy(&logits[V + 7], &nans[i], sizeof nans[i]);
    Tensor *dev = fixture_f32(M, V, logits), *stats = fixture_f32(M, 2, NULL);
    Tensor *largest = fixture_f32(1, M, NULL);
    float found[M], row[V];
    assert_ok(op_entropy(stats, dev, 1.0f));
    assert_ok(op_largest_logprob(largest, dev, stats));
    assert_ok(op_cross_entropy_backward(dev, stats, fixture_f32(1, M, weights)));
    assert_ok(tensor_read(largest, 0, M, found));
    assert_ok(tensor_read(dev, V, V, row));
    assert_true(isnan(found[1]) && isfinite(found[0]) && isnan(row[0]) && isnan(row[7]));
    ops_fixture_clean(NULL);
  }
}

static void wrong_shapes(void **state) {
  (void)state;
  Tensor *logits = fixture_f32(2, 9, fixture_zeros(18)), *stats = fixture_f32(2, 2, fixture_zeros(4));
  Tensor *three = fixture_f32(1, 3, fixture_zeros(3)), *ids = fixture_i32(1, 3, fixture_ints(3));
  assert_fails(op_largest_logprob(three, logits, stats), STATUS_FAILED, "largest");
  assert_fails(op_cross_entropy_backward(logits, stats, three), STATUS_FAILED, "weights");
  assert_fails(op_subtract_targets(logits, three, ids, three), STATUS_FAILED, "rows");
  assert_fails(op_subtract_targets(logits, ids, fixture_i32(1, 2, fixture_ints(2)), three), STATUS_FAILED,
               "targets");
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(sizes_and_scales), OPS_TEST(the_likeliest_is_picked_alike),
                                     OPS_TEST(keeps_nan), OPS_TEST(wrong_shapes)};
  return RUN_OPS_TESTS(tests);
}
