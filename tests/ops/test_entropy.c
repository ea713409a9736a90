// The entropy head against its twin: from one logit to a whole vocabulary, peaked and flat, large and
// shifted; its gradient; log probabilities. A NaN must never be hidden.
#include "support/ops_fixture.h"

#include "ref/ref.h"
#include <math.h>

static void check_row(double *logits, size_t M, size_t V, double tau) {
  double *stats = fixture_zeros(2 * M), *weights = fixture_random(M, 1), *gradient = fixture_zeros(M * V);
  Tensor *dev = fixture_f32(M, V, logits), *dev_stats = fixture_f32(M, 2, NULL);
  float found[2];
  ref_entropy(stats, logits, M, V, tau);
  assert_ok(op_entropy(dev_stats, dev, (float)tau));
  fixture_compare("entropy", dev_stats, stats, 1e-5);
  for (size_t m = 0; m < M; m++) {
    assert_ok(tensor_read(dev_stats, 2 * m, 2, found));
    double error = fabs((double)found[1] - stats[2 * m + 1]);
    if (!(error <= 1e-5)) fail_msg("entropy of %zu logits off by %g nats", V, error);
    if (!(found[1] >= 0 && (double)found[1] <= log((double)V) + 1e-5))
      fail_msg("entropy %g", (double)found[1]);
  }
  ref_entropy_backward(gradient, logits, weights, M, V, tau);
  assert_ok(op_entropy_backward(dev, dev_stats, fixture_f32(1, M, weights), (float)tau));
  double norm = 0;
  for (size_t i = 0; i < M * V; i++) norm = fmax(norm, fabs(gradient[i]));
  if (norm > 1e-4) fixture_compare("entropy_backward", dev, gradient, 1e-4);
}

static void sizes_and_temperatures(void **state) {
  (void)state;
  static const size_t vocabularies[] = {1, 2, 31, 33, 257, 4099, 49152};
  for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++) {
    size_t V = vocabularies[i];
    if (fixture_small() && V > 300) continue;
    for (size_t M = 1; M <= 5; M += 4) {
      check_row(fixture_random(M * V, 8), M, V, 1.0);
      check_row(fixture_random(M * V, 8), M, V, 0.5);
      check_row(fixture_random(M * V, 0.01), M, V, 1.0);
      ops_fixture_clean(NULL);
    }
  }
}

/// With ascending logits every block has a new maximum, with descending ones only the first.
static void order_of_maxima(void **state) {
  (void)state;
  size_t V = fixture_small() ? 600 : 9001;
  double *up = fixture_zeros(V), *down = fixture_zeros(V), *peak = fixture_zeros(V);
  for (size_t i = 0; i < V; i++) {
    up[i] = (double)(float)(60.0 * (double)i / (double)V - 30);
    down[V - 1 - i] = up[i];
    peak[i] = i == V / 2 ? 200 : -100;
  }
  check_row(up, 1, V, 1.0);
  check_row(down, 1, V, 1.0);
  check_row(peak, 1, V, 0.5);
}

/// A shift of all logits changes only log Z.
static void shift(void **state) {
  (void)state;
  enum { V = 257 };
  double *logits = fixture_zeros(V);
  for (size_t i = 0; i < V; i++) logits[i] = 1000.0 + (double)(i % 17) / 4;
  check_row(logits, 1, V, 1.0);
}

/// Rows in which one token is nearly certain: rounding must not put H below 0 or log p above it.
static void nearly_certain(void **state) {
  (void)state;
  enum { M = 200, V = 67 };
  static const float taus[] = {1e-3f, 0.01f, 0.05f, 0.2f};
  int32_t *rows = fixture_ints(M), *targets = fixture_ints(M);
  for (size_t i = 0; i < sizeof taus / sizeof *taus; i++) {
    double *logits = fixture_random(M * V, 8), *stats = fixture_zeros(2 * M);
    for (size_t m = 0; m < M; m++) {
      rows[m] = (int32_t)m;
      targets[m] = 0;
      for (int32_t v = 1; v < V; v++)
        if (logits[m * V + (size_t)v] > logits[m * V + (size_t)targets[m]]) targets[m] = v;
    }
    Tensor *dev = fixture_f32(M, V, logits), *dev_stats = fixture_f32(M, 2, NULL),
           *picked = fixture_f32(1, M, NULL);
    float found[2 * M], log_p[M];
    ref_entropy(stats, logits, M, V, (double)taus[i]);
    assert_ok(op_entropy(dev_stats, dev, taus[i]));
    assert_ok(op_pick_logprob(picked, dev, dev_stats, fixture_i32(1, M, rows), fixture_i32(1, M, targets),
                              taus[i]));
    assert_ok(tensor_read(dev_stats, 0, 2 * M, found));
    assert_ok(tensor_read(picked, 0, M, log_p));
    for (size_t m = 0; m < M; m++) {
      if (!(found[2 * m + 1] >= 0 && stats[2 * m + 1] >= 0))
        fail_msg("tau %g: entropy %g, its twin's %g", (double)taus[i], (double)found[2 * m + 1],
                 stats[2 * m + 1]);
      if (!(log_p[m] <= 0)) fail_msg("tau %g: log probability %g", (double)taus[i], (double)log_p[m]);
    }
  }
}

static void refuses_to_hide_nan(void **state) {
  (void)state;
  enum { V = 257 };
  const double bad[] = {NAN, INFINITY};
  for (size_t i = 0; i < 2; i++) {
    double *logits = fixture_random(V, 1);
    Tensor *stats = fixture_f32(1, 2, logits);
    float found[2];
    logits[40] = bad[i];
    assert_ok(op_entropy(stats, fixture_f32(1, V, logits), 1.0f));
    assert_ok(tensor_read(stats, 0, 2, found));
    assert_true(isnan(found[1]));
    const int32_t first[] = {40};
    Tensor *picked = fixture_f32(1, 1, NULL);
    assert_ok(op_pick_logprob(picked, fixture_f32(1, V, logits), stats,
                              fixture_i32(1, 1, (const int32_t[]){0}), fixture_i32(1, 1, first), 1.0f));
    assert_ok(tensor_read(picked, 0, 1, found));
    assert_true(isnan(found[0]));
  }
}

static void picked_log_probabilities(void **state) {
  (void)state;
  enum { R = 3, V = 257, P = 33 };
  double *logits = fixture_random(R * V, 8), *stats = fixture_zeros(2 * R), *expected = fixture_zeros(P);
  int32_t *rows = fixture_ints(P), *targets = fixture_ints(P);
  ref_entropy(stats, logits, R, V, 0.5);
  for (size_t p = 0; p < P; p++) {
    rows[p] = (int32_t)(p % R);
    targets[p] = (int32_t)(p * 8 % V);
    expected[p] = logits[(size_t)rows[p] * V + (size_t)targets[p]] / 0.5 - stats[2 * rows[p]];
  }
  Tensor *dev = fixture_f32(R, V, logits), *dev_stats = fixture_f32(R, 2, NULL),
         *out = fixture_f32(1, P, NULL);
  assert_ok(op_entropy(dev_stats, dev, 0.5f));
  assert_ok(op_pick_logprob(out, dev, dev_stats, fixture_i32(1, P, rows), fixture_i32(1, P, targets), 0.5f));
  fixture_compare("pick_logprob", out, expected, 1e-6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(sizes_and_temperatures), OPS_TEST(order_of_maxima),     OPS_TEST(shift),
      OPS_TEST(nearly_certain),         OPS_TEST(refuses_to_hide_nan), OPS_TEST(picked_log_probabilities),
  };
  return RUN_OPS_TESTS(tests);
}
