// The divergence of distributions against its twin: from one logit to a whole vocabulary; far apart, close,
// almost and exactly the same; its gradient in the rows that are named and in no other. A NaN must never be
// hidden.
#include "support/ops_fixture.h"

#include "io/json.h"
#include "ref/ref.h"
#include <math.h>
#include <string.h>

/// `pairs` pairs out of `rows` rows of logits, in descending order, with every second row left out.
typedef struct Pairs {
  size_t rows, pairs, V;
  double tau;
  double *logits, *mine, *other; // [rows,V], [pairs,V], [pairs,V]
  int32_t *row;                  // [pairs]
  Tensor *kl;
  Divergence operands;
} Pairs;

/// `apart`: how far the other logits are from the row's own; INFINITY draws them independently.
static Pairs make_pairs(size_t pairs, size_t V, double tau, double scale, double apart) {
  Pairs p = {.rows = 2 * pairs - 1, .pairs = pairs, .V = V, .tau = tau};
  p.logits = fixture_random(p.rows * V, scale);
  p.mine = fixture_zeros(pairs * V);
  p.other = fixture_random(pairs * V, isinf(apart) ? scale : apart);
  p.row = fixture_ints(pairs);
  for (size_t i = 0; i < pairs; i++) {
    p.row[i] = (int32_t)(2 * (pairs - 1 - i));
    memcpy(p.mine + i * V, p.logits + (size_t)p.row[i] * V, V * sizeof *p.mine);
    for (size_t j = 0; j < V && !isinf(apart); j++)
      p.other[i * V + j] = (double)(float)(p.other[i * V + j] + p.mine[i * V + j]);
  }
  Tensor *stats = fixture_f32(p.rows, 2, NULL), *other_stats = fixture_f32(pairs, 2, NULL);
  p.kl = fixture_f32(1, pairs, NULL);
  p.operands = (Divergence){.logits = fixture_f32(p.rows, V, p.logits),
                            .stats = stats,
                            .rows = fixture_i32(1, pairs, p.row),
                            .other = fixture_f32(pairs, V, p.other),
                            .other_stats = other_stats,
                            .tau = (float)tau};
  assert_ok(op_entropy(stats, p.operands.logits, (float)tau));
  assert_ok(op_entropy(other_stats, p.operands.other, (float)tau));
  return p;
}

/// What is left of the logits' own rounding in a KL of this size: an error of 1e-6 in every r.
static double rounding(double kl) {
  return 1e-5 * kl + 2e-6 * sqrt(2 * kl) + 1e-12;
}

static void check_forward(const Pairs *p) {
  double *expected = fixture_zeros(p->pairs);
  float found[8];
  ref_divergence(expected, p->mine, p->other, p->pairs, p->V, p->tau);
  assert_ok(op_divergence(p->kl, &p->operands));
  assert_ok(tensor_read(p->kl, 0, p->pairs, found));
  for (size_t i = 0; i < p->pairs; i++) {
    double error = fabs((double)found[i] - expected[i]);
    if (!(found[i] >= 0)) fail_msg("KL %g of %zu logits", (double)found[i], p->V);
    if (!(error <= rounding(expected[i])))
      fail_msg("KL of %zu logits is %.9g, not %.9g", p->V, (double)found[i], expected[i]);
  }
}

/// The largest error of a row's gradient that comes from log Z of both, which float32 holds to 1e-6 each: r
/// is as wrong as they are.
static double largest_slack(const Pairs *p, const double *weights) {
  double slack = 0;
  for (size_t i = 0; i < p->pairs; i++)
    slack = fmax(slack, (fabs(weights[2 * i]) + fabs(weights[2 * i + 1])) * 2e-6 / p->tau);
  return slack;
}

/// The row of each pair changes by its gradient, and no other row changes.
static void check_backward(const Pairs *p, double forward, double reverse) {
  size_t V = p->V, count = p->rows * V;
  double *weights = fixture_random(2 * p->pairs, 1), *added = fixture_zeros(p->pairs * V);
  double *gradient = fixture_random(count, 1e-3), norm = 0;
  for (size_t i = 0; i < 2 * p->pairs; i++) weights[i] *= i % 2 == 0 ? forward : reverse;
  ref_divergence_backward(added, p->mine, p->other, weights, p->pairs, V, p->tau);
  for (size_t i = 0; i < p->pairs * V; i++) norm = fmax(norm, fabs(added[i]));
  // to see the small gradient of a close pair beside what it is added to
  for (size_t i = 0; i < count; i++) gradient[i] = (double)(float)(gradient[i] * norm);
  Tensor *dev = fixture_f32(p->rows, V, gradient);
  assert_ok(op_divergence_backward(dev, p->kl, fixture_f32(p->pairs, 2, weights), &p->operands));
  for (size_t i = 0; i < p->pairs * V; i++) gradient[(size_t)p->row[i / V] * V + i % V] += added[i];
  double slack = largest_slack(p, weights);
  if (slack < 1e-5 * norm) fixture_compare("divergence_backward", dev, gradient, 1e-4);
  float *found = (float *)fixture_ints(count);
  assert_ok(tensor_read(dev, 0, count, found));
  for (size_t i = 0; i < count; i++) {
    if (!(fabs((double)found[i] - gradient[i]) <= 1e-5 * norm + slack))
      fail_msg("gradient %zu of %zu logits is %.9g, not %.9g", i % V, V, (double)found[i], gradient[i]);
  }
}

static void check_pairs(size_t pairs, size_t V, double tau, double apart) {
  Pairs p = make_pairs(pairs, V, tau, 8, apart);
  check_forward(&p);
  check_backward(&p, 1, 1);
  check_backward(&p, 1, 0);
  check_backward(&p, 0, 1);
}

static void sizes_and_distances(void **state) {
  (void)state;
  static const size_t vocabularies[] = {1, 2, 31, 33, 257, 4099, 49152};
  static const double distances[] = {INFINITY, 1, 0.2, 0.01};
  for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++) {
    size_t V = vocabularies[i];
    if (fixture_small() && V > 300) continue;
    for (size_t d = 0; d < sizeof distances / sizeof *distances; d++) {
      check_pairs(1, V, 1.0, distances[d]);
      check_pairs(4, V, 0.5, distances[d]);
      ops_fixture_clean(NULL);
    }
  }
}

/// Equal logits, or such as differ by a shift, are the same distribution: KL and gradient are exactly 0, or
/// as near as the rounding of log Z lets them be.
static void the_same_distribution(void **state) {
  (void)state;
  size_t V = fixture_small() ? 257 : 49152;
  Pairs same = make_pairs(2, V, 0.5, 8, 0);
  double *zeros = fixture_zeros(same.rows * V);
  float kl[2];
  Tensor *gradient = fixture_f32(same.rows, V, zeros), *weights = fixture_f32(2, 2, fixture_random(4, 1));
  assert_ok(op_divergence(same.kl, &same.operands));
  assert_ok(tensor_read(same.kl, 0, 2, kl));
  assert_true(kl[0] == 0 && kl[1] == 0);
  assert_ok(op_divergence_backward(gradient, same.kl, weights, &same.operands));
  float *found = (float *)fixture_ints(same.rows * V);
  assert_ok(tensor_read(gradient, 0, same.rows * V, found));
  for (size_t i = 0; i < same.rows * V; i++) assert_true(found[i] == 0);

  Pairs shifted = make_pairs(1, 2, 1.0, 8, INFINITY);
  for (size_t j = 0; j < 2; j++) shifted.other[j] = shifted.mine[j] + 1000;
  shifted.operands.other = fixture_f32(1, 2, shifted.other);
  Tensor *stats = fixture_f32(1, 2, NULL);
  assert_ok(op_entropy(stats, shifted.operands.other, 1.0f));
  shifted.operands.other_stats = stats;
  assert_ok(op_divergence(shifted.kl, &shifted.operands));
  assert_ok(tensor_read(shifted.kl, 0, 1, kl));
  assert_true(kl[0] >= 0 && kl[0] < 1e-7f);
}

/// What one distribution takes for certain is all but impossible in the other.
static void opposite_certainties(void **state) {
  (void)state;
  enum { V = 257 };
  Pairs p = make_pairs(1, V, 1.0, 1, INFINITY);
  for (size_t j = 0; j < V; j++) p.mine[j] = p.other[j] = 0;
  p.mine[3] = p.other[200] = 60;
  p.operands.logits = fixture_f32(1, V, p.mine);
  p.operands.other = fixture_f32(1, V, p.other);
  Tensor *stats = fixture_f32(1, 2, NULL), *other_stats = fixture_f32(1, 2, NULL);
  assert_ok(op_entropy(stats, p.operands.logits, 1.0f));
  assert_ok(op_entropy(other_stats, p.operands.other, 1.0f));
  p.operands.stats = stats;
  p.operands.other_stats = other_stats;
  check_forward(&p);
  check_backward(&p, 1, 1);
}

// ---- PyTorch's kl_div, on logits that have gone wrong elsewhere (make_divergence.py) ----

static double *numbers_of(const cJSON *row, const char *name, size_t *count) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(row, name), *item = NULL;
  double *values = fixture_zeros((size_t)cJSON_GetArraySize(list));
  *count = 0;
  cJSON_ArrayForEach(item, list) values[(*count)++] = item->valuedouble;
  return values;
}

static double number_of(const cJSON *row, const char *name) {
  return cJSON_GetObjectItemCaseSensitive(row, name)->valuedouble;
}

static const char *name_of(const cJSON *row) {
  return cJSON_GetObjectItemCaseSensitive(row, "name")->valuestring;
}

/// How far r may be off: by the rounding of log Z, which is as large as the logits. What is masked (−1e30) is
/// not part of it.
static double slack_of(const double *z, const double *y, size_t V, double tau) {
  double largest = 1;
  for (size_t i = 0; i < V; i++) {
    if (fabs(z[i]) < 1e29) largest = fmax(largest, fabs(z[i]));
    if (fabs(y[i]) < 1e29) largest = fmax(largest, fabs(y[i]));
  }
  return 3e-7 * largest / tau + 3e-7;
}

static void check_golden_gradient(const cJSON *row, const Pairs *p, bool forward, double slack) {
  size_t V = 0;
  const double *expected = numbers_of(row, forward ? "forward" : "reverse", &V);
  double weights[] = {forward, !forward}, norm = 0;
  float *found = (float *)fixture_ints(V);
  Tensor *gradient = fixture_f32(1, V, fixture_zeros(V));
  assert_ok(op_divergence_backward(gradient, p->kl, fixture_f32(1, 2, weights), &p->operands));
  assert_ok(tensor_read(gradient, 0, V, found));
  for (size_t i = 0; i < V; i++) norm = fmax(norm, fabs(expected[i]));
  double bound = 1e-5 * norm + (forward ? slack * (1 + fmin(1, number_of(row, "kl"))) : slack) / p->tau;
  for (size_t i = 0; i < V; i++) {
    if (!(fabs((double)found[i] - expected[i]) <= bound))
      fail_msg("%s: gradient %zu is %.9g, not %.9g", name_of(row), i, (double)found[i], expected[i]);
  }
}

static void check_golden(const cJSON *row) {
  size_t V = 0;
  double *z = numbers_of(row, "z", &V), *y = numbers_of(row, "y", &V), tau = number_of(row, "tau");
  double expected = number_of(row, "kl"), slack = slack_of(z, y, V, tau);
  int32_t first = 0;
  float kl;
  Tensor *stats = fixture_f32(1, 2, NULL), *other_stats = fixture_f32(1, 2, NULL);
  Pairs p = {.rows = 1, .pairs = 1, .V = V, .tau = tau, .kl = fixture_f32(1, 1, NULL)};
  p.operands = (Divergence){fixture_f32(1, V, z), stats,       fixture_i32(1, 1, &first),
                            fixture_f32(1, V, y), other_stats, (float)tau};
  assert_ok(op_entropy(stats, p.operands.logits, (float)tau));
  assert_ok(op_entropy(other_stats, p.operands.other, (float)tau));
  assert_ok(op_divergence(p.kl, &p.operands));
  assert_ok(tensor_read(p.kl, 0, 1, &kl));
  double bound = 1e-5 * expected + slack * (fmin(1, expected) + sqrt(2 * expected)) + slack * slack;
  if (!(kl >= 0 && fabs((double)kl - expected) <= bound))
    fail_msg("%s: KL is %.9g, not %.9g", name_of(row), (double)kl, expected);
  check_golden_gradient(row, &p, true, slack);
  check_golden_gradient(row, &p, false, slack);
}

static void as_pytorch(void **state) {
  (void)state;
  cJSON *json = NULL;
  const cJSON *row = NULL;
  size_t count = 0;
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/ops/divergence.json", &json));
  cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(json, "rows")) {
    check_golden(row);
    ops_fixture_clean(NULL);
    count++;
  }
  assert_int_equal(count, 22);
  cJSON_Delete(json);
}

/// A masked token is −inf: with probability 0 in both, or in p alone, it counts as it should; in q alone the
/// divergence is infinite, which is told and not hidden.
static void minus_infinity(void **state) {
  (void)state;
  enum { V = 33 };
  for (int masked = 1; masked < 4; masked++) {
    double expected, sum = 0;
    float kl, found[V];
    Pairs p = make_pairs(1, V, 1.0, 2, INFINITY);
    if ((masked & 1) != 0) p.mine[7] = -INFINITY;
    if ((masked & 2) != 0) p.other[7] = -INFINITY;
    Tensor *stats = fixture_f32(1, 2, NULL), *other_stats = fixture_f32(1, 2, NULL);
    p.operands.logits = fixture_f32(1, V, p.mine);
    p.operands.other = fixture_f32(1, V, p.other);
    assert_ok(op_entropy(stats, p.operands.logits, 1.0f));
    assert_ok(op_entropy(other_stats, p.operands.other, 1.0f));
    p.operands.stats = stats;
    p.operands.other_stats = other_stats;
    assert_ok(op_divergence(p.kl, &p.operands));
    assert_ok(tensor_read(p.kl, 0, 1, &kl));
    if (masked == 2) {
      assert_true(isinf(kl));
      continue;
    }
    for (size_t side = 0; side < 2; side++) { // −1e3 is as good, and the twin can take it
      double *logits = side == 0 ? p.mine : p.other;
      if (isinf(logits[7])) logits[7] = -1e3;
    }
    ref_divergence(&expected, p.mine, p.other, 1, V, 1.0);
    assert_true(fabs((double)kl - expected) <= rounding(expected));
    Tensor *gradient = fixture_f32(1, V, fixture_zeros(V));
    assert_ok(op_divergence_backward(gradient, p.kl, fixture_f32(1, 2, (double[]){1, 1}), &p.operands));
    assert_ok(tensor_read(gradient, 0, V, found));
    for (size_t i = 0; i < V; i++) sum += (double)found[i];
    assert_true(fabs(sum) <= 1e-5); // a gradient by logits sums to 0
  }
}

static void refuses_to_hide_nan(void **state) {
  (void)state;
  const double bad[] = {NAN, INFINITY};
  for (size_t i = 0; i < 2; i++) {
    Pairs p = make_pairs(1, 257, 1.0, 1, INFINITY);
    float kl;
    p.other[40] = bad[i];
    p.operands.other = fixture_f32(1, 257, p.other);
    Tensor *stats = fixture_f32(1, 2, NULL);
    assert_ok(op_entropy(stats, p.operands.other, 1.0f));
    p.operands.other_stats = stats;
    assert_ok(op_divergence(p.kl, &p.operands));
    assert_ok(tensor_read(p.kl, 0, 1, &kl));
    assert_true(isnan(kl));
  }
}

static void wrong_shapes(void **state) {
  (void)state;
  Pairs p = make_pairs(3, 31, 1.0, 1, INFINITY);
  Tensor *weights = fixture_f32(3, 2, fixture_random(6, 1)), *gradient = fixture_f32(5, 31, NULL);
  Tensor *two = fixture_f32(1, 2, NULL);
  assert_fails(op_divergence(two, &p.operands), STATUS_FAILED, "kl is [1, 2], needs [1, 3]");
  assert_fails(op_divergence_backward(gradient, two, weights, &p.operands), STATUS_FAILED, "kl is [1, 2]");
  assert_fails(op_divergence_backward(gradient, p.kl, two, &p.operands), STATUS_FAILED, "weights is [1, 2]");
  assert_fails(op_divergence_backward(weights, p.kl, weights, &p.operands), STATUS_FAILED,
               "gradient is [3, 2]");
  Divergence wrong = p.operands;
  wrong.other = fixture_f32(3, 30, NULL);
  assert_fails(op_divergence(p.kl, &wrong), STATUS_FAILED, "other is [3, 30], needs [3, 31]");
  wrong = p.operands;
  wrong.rows = fixture_f32(1, 3, NULL);
  assert_fails(op_divergence(p.kl, &wrong), STATUS_FAILED, "rows");
  wrong = p.operands;
  wrong.other_stats = wrong.stats;
  assert_fails(op_divergence(p.kl, &wrong), STATUS_FAILED, "other stats is [5, 2], needs [3, 2]");
  wrong = p.operands;
  wrong.stats = wrong.other_stats;
  assert_fails(op_divergence(p.kl, &wrong), STATUS_FAILED, "stats is [3, 2], needs [5, 2]");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(sizes_and_distances), OPS_TEST(the_same_distribution), OPS_TEST(opposite_certainties),
      OPS_TEST(refuses_to_hide_nan), OPS_TEST(wrong_shapes),          OPS_TEST(as_pytorch),
      OPS_TEST(minus_infinity),
  };
  return RUN_OPS_TESTS(tests);
}
