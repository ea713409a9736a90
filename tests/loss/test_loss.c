// The loss against numbers worked out by hand, its derivative against central differences for every
// combination of options, and the unbiased square against its expectation over all outcomes.
#include "support/test.h"

#include "loss/loss.h"
#include "util/rng.h"
#include <math.h>
#include <string.h>

static const LossOptions PLAIN = {
    .lambda_weight = 3, .em_weight = 1, .anneal_max = 1, .entropy_temperature = 1};

static const GapTrend NEW = {0};
// a run some way in, whose first gap was 1.3
static const GapTrend LATER = {.steps = 7, .groups = 2, .first = 1.3, .deviation = {0.5, -0.5}};

static LossSample sample(int group, double H, size_t unit) {
  return (LossSample){.group = group, .H = H, .weight = 1, .em_weight = 1, .unit = unit};
}

static void assert_near(double a, double b, double tolerance) {
  double error = fabs(a - b);
  if (!(error <= tolerance)) fail_msg("%.17g is not %.17g (off by %g)", a, b, error);
}

// Groups {1, 2}, {4}, {3.5}: means 1.5, 4, 3.5; H̄ = 10.5 / 4.
static const int hand_groups[] = {0, 0, 1, 2};
static const double hand_H[] = {1, 2, 4, 3.5};

static void hand_samples(LossSample *out) {
  for (size_t i = 0; i < 4; i++) out[i] = sample(hand_groups[i], hand_H[i], i);
}

static void test_hand_numbers(void **state) {
  (void)state;
  LossSample s[4];
  LossResult r;
  double dH[4];
  hand_samples(s);
  LossOptions o = PLAIN;
  assert_ok(loss_compute(&o, 3, s, 4, &NEW, &r, dH));
  assert_near(r.gap, 2.5, 1e-15);
  assert_near(r.loss_em, 2.625, 1e-15);
  assert_near(r.H_bar, 2.625, 1e-15);
  assert_near(r.loss_bias, 2.5 * 2.5 + 2 * 2 + 0.5 * 0.5, 1e-14);
  assert_near(r.loss, 2.625 + 3 * 10.5, 1e-13);
  assert_int_equal(r.groups_present, 3);
  assert_int_equal(r.present[0], 2);
  // d/dH_0 = 1/4 + 3 · (2(1.5 − 4) + 2(1.5 − 3.5)) / 2;  group 1: 2·2.5 + 2·0.5;  group 2: 2·2 − 2·0.5
  assert_near(dH[0], 0.25 - 13.5, 1e-13);
  assert_near(dH[1], 0.25 - 13.5, 1e-13);
  assert_near(dH[2], 0.25 + 18, 1e-13);
  assert_near(dH[3], 0.25 + 9, 1e-13);

  o.use_l1 = true;
  assert_ok(loss_compute(&o, 3, s, 4, &NEW, &r, dH));
  assert_near(r.loss_bias, 2.5 + 2 + 0.5, 1e-14);
  assert_near(dH[0], 0.25 + 3 * -1.0, 1e-14);
  assert_near(dH[2], 0.25 + 3 * 2.0, 1e-14);
  assert_near(dH[3], 0.25, 1e-14); // above one group, below the other

  o.use_l1 = false;
  o.form = LOSS_CENTRED;
  assert_ok(loss_compute(&o, 3, s, 4, &NEW, &r, dH));
  assert_near(r.loss_bias, 1.125 * 1.125 + 1.375 * 1.375 + 0.875 * 0.875, 1e-14);
}

static void test_weights(void **state) {
  (void)state;
  LossSample s[4];
  LossResult r;
  double dH[4];
  hand_samples(s);
  s[0].weight = 3; // H_0 = (3·1 + 2) / 4
  s[2].em_weight = 0;
  s[3].weight = 0; // group 2 is absent
  assert_ok(loss_compute(&PLAIN, 3, s, 4, &NEW, &r, dH));
  assert_near(r.H[0], 1.25, 1e-15);
  assert_true(isnan(r.H[2]));
  assert_int_equal(r.present[2], 0);
  assert_near(r.gap, 2.75, 1e-15);
  assert_near(r.loss_bias, 2.75 * 2.75, 1e-14);
  assert_near(r.loss_em, 6.5 / 3, 1e-14);
  assert_near(r.H_bar, 2.625, 1e-15);
  assert_near(dH[0], 1.0 / 3 - 3 * 2 * 2.75 * 0.75, 1e-13);
  assert_near(dH[2], 3 * 2 * 2.75, 1e-13);
  assert_near(dH[3], 1.0 / 3, 1e-14);
}

static void test_absent_group_never_counts_as_zero(void **state) {
  (void)state;
  LossSample s[] = {sample(1, 2, 0), sample(1, 3, 1), sample(-1, 9, 2)};
  LossResult r;
  double dH[3];
  assert_ok(loss_compute(&PLAIN, 2, s, 3, &NEW, &r, dH));
  assert_near(r.gap, 0, 0);
  assert_near(r.loss_bias, 0, 0);
  assert_int_equal(r.groups_present, 1);
  assert_true(isnan(r.H[0]));
  for (size_t i = 0; i < 3; i++) assert_near(dH[i], 1.0 / 3, 1e-15);
}

/// One step of a run of two groups with these means; returns the factor of λ.
static double anneal(GapTrend *trend, double a, double b) {
  LossOptions o = PLAIN;
  LossResult r;
  double dH[2];
  o.auto_anneal = true;
  o.anneal_min = 0.25f;
  o.anneal_max = 2;
  const LossSample s[] = {sample(0, a, 0), sample(1, b, 1)};
  assert_ok(loss_compute(&o, 2, s, 2, trend, &r, dH));
  assert_near(r.loss, r.loss_em + r.lambda * r.loss_bias, 1e-13);
  *trend = r.trend;
  return r.lambda / 3;
}

/// The factor by the formula of the header: 1 for four steps, whose mean difference is the first gap; then a
/// step counts a quarter.
static void test_annealing_follows_the_smoothed_gap(void **state) {
  (void)state;
  GapTrend trend = {0};
  const double gaps[] = {1, 0.2, 0.6, 0.2, 0.5, -0.4, -3, -3, -3, 0, 0, 0, 0, 0, 0};
  double smoothed = 0.5; // of the first four
  for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
    double factor = anneal(&trend, 2 + (double)i, 2 + (double)i + gaps[i]); // what all groups share cancels
    if (i >= 4) smoothed += (gaps[i] - smoothed) / 4;
    double expected = i < 4 ? 1 : fmin(fmax(fabs(smoothed) / 0.5, 0.25), 2);
    assert_near(factor, expected, 1e-12);
  }
}

/// Gaps of pure noise, whose signs differ: the factor falls to its floor. A mean of their sizes would not.
static void test_annealing_sees_through_noise(void **state) {
  (void)state;
  GapTrend trend = {0};
  for (size_t i = 0; i < 4; i++) (void)anneal(&trend, 2, 2.5);
  for (size_t i = 0; i < 40; i++) (void)anneal(&trend, 2, i % 2 == 0 ? 2.4 : 1.6);
  assert_near(anneal(&trend, 2, 2.4), 0.25, 1e-12);
}

static void test_annealing_without_a_gap(void **state) {
  (void)state;
  GapTrend trend = {0};
  assert_near(anneal(&trend, 2, 2), 1, 1e-12); // the first gap is 0
  trend = LATER;
  LossOptions o = PLAIN;
  LossResult r;
  double dH[1];
  const LossSample s[] = {sample(0, 1, 0)};
  assert_ok(loss_compute(&o, 2, s, 1, &trend, &r, dH)); // one group: no gap, so the trend stays
  assert_memory_equal(&r.trend, &trend, sizeof trend);
}

/// Several groups: a group that is absent in a step keeps its deviation.
static void test_annealing_with_many_groups(void **state) {
  (void)state;
  LossOptions o = PLAIN;
  LossResult r;
  double dH[4];
  LossSample s[4];
  hand_samples(s); // means 1.5, 4, 3.5; their mean is 3
  assert_ok(loss_compute(&o, 3, s, 4, &NEW, &r, dH));
  assert_near(r.trend.first, 2.5, 1e-14);
  assert_near(r.trend.deviation[0], -1.5, 1e-14);
  assert_near(r.trend.deviation[1], 1, 1e-14);
  s[2].weight = 0; // group 1 is absent: means 1.5 and 3.5
  GapTrend before = r.trend;
  assert_ok(loss_compute(&o, 3, s, 4, &before, &r, dH));
  assert_near(r.trend.deviation[0], -1.25, 1e-14);
  assert_near(r.trend.deviation[1], 1, 1e-14);
  assert_near(r.trend.deviation[2], 0.75, 1e-14);
}

static void test_unbiased_is_gap_squared_less_variance_of_mean(void **state) {
  (void)state;
  const double a[] = {1.0, 2.0, 4.0},
               b[] = {1.5, 2.25, 5.5}; // differences 0.5, 0.25, 1.5: mean 0.75, s² = 0.4375
  LossSample s[6];
  LossResult r;
  double dH[6];
  for (size_t u = 0; u < 3; u++) {
    s[2 * u] = sample(0, a[u], 70 + u);
    s[2 * u + 1] = sample(1, b[u], 70 + u);
  }
  LossOptions o = PLAIN;
  o.unbiased = true;
  assert_ok(loss_compute(&o, 2, s, 6, &NEW, &r, dH));
  assert_near(r.bias_variance, 0.4375 / 3, 1e-14);
  assert_near(r.loss_bias, 0.5625 - 0.4375 / 3, 1e-14);
  o.form = LOSS_CENTRED; // H_g − H̄ = ±gap / 2
  assert_ok(loss_compute(&o, 2, s, 6, &NEW, &r, dH));
  assert_near(r.loss_bias, (0.5625 - 0.4375 / 3) / 2, 1e-14);
}

static void test_single_unit_has_no_variance(void **state) {
  (void)state;
  LossSample s[] = {sample(0, 1, 5), sample(1, 2, 5)};
  LossResult r;
  double dH[2];
  LossOptions o = PLAIN;
  o.unbiased = true;
  assert_ok(loss_compute(&o, 2, s, 2, &NEW, &r, dH));
  assert_near(r.loss_bias, 1, 1e-15);
  assert_near(r.bias_variance, 0, 0);
}

// Units 0–2 have group 0 and units 1–4 have group 1, so they share two units. A unit's means are 2 + z_u and
// 2.5 + 0.8 z_u + 0.6 w_u, where z and w are independent and ±1: each has variance 1, and the covariance is
// 0.8. The average over all 2^9 outcomes must be the square of the true difference.
static void test_unbiased_over_all_outcomes(void **state) {
  (void)state;
  for (int form = LOSS_PAIRWISE; form <= LOSS_CENTRED; form++) {
    LossOptions o = PLAIN;
    o.unbiased = true;
    o.form = (LossForm)form;
    double sum = 0, biased = 0;
    for (unsigned bits = 0; bits < 512; bits++) {
      LossSample s[7];
      size_t n = 0;
      for (size_t u = 0; u < 5; u++) {
        double z = (bits >> u & 1) != 0 ? 1 : -1, w = u > 0 && (bits >> (4 + u) & 1) != 0 ? 1 : -1;
        if (u < 3) s[n++] = sample(0, 2 + z, u);
        if (u > 0) s[n++] = sample(1, 2.5 + 0.8 * z + 0.6 * w, u);
      }
      LossResult r;
      double dH[7];
      assert_int_equal(n, 7);
      assert_ok(loss_compute(&o, 2, s, n, &NEW, &r, dH));
      sum += r.loss_bias / 512;
      biased += (r.loss_bias + r.bias_variance) / 512;
    }
    // Centred: H̄ weighs the groups 3 : 4, so H_g − H̄ is −4/7 and 3/7 of the difference.
    double expected = form == LOSS_PAIRWISE ? 0.25 : 0.25 * (16 + 9) / 49.0;
    assert_near(sum, expected, 1e-13);
    assert_true(biased > expected + 0.1); // the plain square is far off
  }
}

/// The loss with λ kept constant, as the derivative treats it.
static double loss_at(const LossOptions *o, size_t groups, const LossSample *s, size_t count, double lambda) {
  LossResult r;
  double dH[64];
  assert_ok(loss_compute(o, groups, s, count, &LATER, &r, dH));
  return (o->debias_only ? 0 : o->em_weight) * r.loss_em + lambda * r.loss_bias;
}

static void check_derivative(const LossOptions *o, size_t groups, LossSample *s, size_t count) {
  LossResult r;
  double dH[64];
  assert_ok(loss_compute(o, groups, s, count, &LATER, &r, dH));
  for (size_t i = 0; i < count; i++) {
    const double step = 1e-6;
    double H = s[i].H;
    s[i].H = H + step;
    double up = loss_at(o, groups, s, count, r.lambda);
    s[i].H = H - step;
    double down = loss_at(o, groups, s, count, r.lambda);
    s[i].H = H;
    assert_near(dH[i], (up - down) / (2 * step), 1e-7 * (1 + fabs(dH[i])));
  }
}

enum { MIXED = 24 };

/// Samples by `pattern`. 0: paired sets. 1: unequal units, an absent group, and samples in no group. 2: as 1,
/// and with weights.
static void make_samples(int pattern, size_t groups, LossSample *s) {
  for (uint32_t i = 0; i < MIXED; i++) {
    float u = rng_uniform(7, RNG_DATA, i, (uint32_t)pattern, 1), w = rng_uniform(7, RNG_DATA, i, 3, 2);
    s[i] = sample((int)(i % groups), 1 + 2.0 * (double)u + 0.3 * (double)(i % groups), i / groups);
    if (pattern == 0) continue;
    s[i].unit = 1000 - (i * i) % 7;
    if (i % 5 == 0) s[i].group = -1;
    if (s[i].group == 1 && groups > 2) s[i].group = 0;
    if (pattern == 1) continue;
    s[i].weight = i % 7 == 0 ? 0 : (double)w;
    s[i].em_weight = i % 3 == 0 ? 0 : 2 * (double)w;
  }
}

static void test_derivative_of_every_combination(void **state) {
  (void)state;
  LossSample s[MIXED];
  for (int bits = 0; bits < 32; bits++) {
    LossOptions o = PLAIN;
    o.form = (bits & 1) != 0 ? LOSS_CENTRED : LOSS_PAIRWISE;
    o.use_l1 = (bits & 2) != 0;
    o.unbiased = (bits & 4) != 0;
    o.debias_only = (bits & 8) != 0;
    o.auto_anneal = (bits & 16) != 0;
    o.anneal_max = 5;
    o.em_weight = 0.7f;
    if (o.use_l1 && o.unbiased) continue;
    for (int pattern = 0; pattern < 3; pattern++) {
      for (size_t groups = 2; groups <= 5; groups++) {
        make_samples(pattern, groups, s);
        check_derivative(&o, groups, s, MIXED);
      }
    }
  }
}

/// Both divergences are plain means; each derivative is its slope, also with an absent group and weights.
static void test_divergences(void **state) {
  (void)state;
  static const double weights[] = {1, 0.5, 2, 0.5};
  LossSample s[4];
  LossResult r;
  double dH[4];
  LossOptions o = PLAIN;
  hand_samples(s);
  for (size_t i = 0; i < 4; i++) {
    s[i].kl = 0.1 * (double)(i + 1);
    s[i].partner_kl = (double)(i * i);
    s[i].weight = weights[i];
  }
  assert_ok(loss_compute(&o, 3, s, 4, &NEW, &r, dH));
  double without = r.loss;
  assert_ok(loss_add_divergences(&o, s, 4, &r)); // the loss has neither
  assert_true(r.loss == without && isnan(r.kl) && r.kl_slope == 0 && r.partner_slope == 0);

  o.kl_weight = 2;
  assert_ok(loss_compute(&o, 3, s, 4, &NEW, &r, dH));
  assert_true(r.loss == without);
  assert_ok(loss_add_divergences(&o, s, 4, &r));
  assert_near(r.kl, 0.25, 1e-15);
  assert_near(r.loss, without + 0.5, 1e-13);
  assert_near(r.kl_slope, 2.0 / 4, 1e-15);

  o.form = LOSS_SYMMETRIC_KL;
  o.pairing = PAIRING_PAIRED;
  assert_ok(loss_compute(&o, 3, s, 4, &NEW, &r, dH));
  for (size_t i = 0; i < 4; i++) assert_near(dH[i], 0.25, 1e-15); // no contrast of the entropies
  assert_ok(loss_add_divergences(&o, s, 4, &r));
  assert_near(r.gap, 4 - (1 * 1 + 0.5 * 2) / 1.5, 1e-14); // is measured as before
  assert_near(r.loss_bias, (0 + 0.5 * 1 + 2 * 4 + 0.5 * 9) / 4, 1e-14);
  assert_near(r.loss, 2.625 + 3 * r.loss_bias + 2 * 0.25, 1e-13);
  assert_near(r.partner_slope, 3.0 / 4, 1e-15);

  for (size_t i = 0; i < 4; i++) s[i].weight = s[i].group == 0; // a single group is left
  assert_ok(loss_compute(&o, 3, s, 4, &NEW, &r, dH));
  assert_ok(loss_add_divergences(&o, s, 4, &r));
  assert_true(r.partner_slope == 0 && r.loss_bias == 0);
  assert_near(r.loss, 2.625 + 0.5, 1e-13);

  s[2].kl = INFINITY;
  assert_fails(loss_add_divergences(&o, s, 4, &r), STATUS_FAILED, "from the base model");
}

/// λ of the symmetric KL is annealed too, by the gap of the entropies.
static void test_annealing_of_a_symmetric_kl(void **state) {
  (void)state;
  LossSample s[2] = {sample(0, 2, 0), sample(1, 1.35, 0)};
  LossResult gap, divergence;
  double dH[2];
  LossOptions o = PLAIN;
  o.auto_anneal = true;
  assert_ok(loss_compute(&o, 2, s, 2, &LATER, &gap, dH));
  o.form = LOSS_SYMMETRIC_KL;
  o.pairing = PAIRING_PAIRED;
  assert_ok(loss_compute(&o, 2, s, 2, &LATER, &divergence, dH));
  assert_true(gap.lambda < 3 && divergence.lambda == gap.lambda);
  assert_near(divergence.partner_slope, gap.lambda / 2, 1e-15);
}

static void test_errors(void **state) {
  (void)state;
  LossSample s[4];
  LossResult r;
  double dH[4];
  LossOptions o = PLAIN;
  hand_samples(s);
  s[2].H = NAN;
  assert_fails(loss_compute(&o, 3, s, 4, &NEW, &r, dH), STATUS_FAILED, "sample 2");
  s[2].H = INFINITY;
  assert_fails(loss_compute(&o, 3, s, 4, &NEW, &r, dH), STATUS_FAILED, "inf");
  hand_samples(s);
  assert_fails(loss_compute(&o, 2, s, 4, &NEW, &r, dH), STATUS_FAILED, "group 2 of 2");
  assert_fails(loss_compute(&o, 3, s, 0, &NEW, &r, dH), STATUS_INPUT, "[task_weights]");
  assert_fails(loss_compute(&o, 17, s, 4, &NEW, &r, dH), STATUS_INPUT, "1 to 16");
  s[1].weight = -1;
  assert_fails(loss_compute(&o, 3, s, 4, &NEW, &r, dH), STATUS_INPUT, "sample 1");
  for (size_t i = 0; i < 4; i++) s[i].weight = s[i].em_weight = 0;
  assert_fails(loss_compute(&o, 3, s, 4, &NEW, &r, dH), STATUS_INPUT, "[task_weights]");
  hand_samples(s);
  s[0].H = 1e200;
  assert_fails(loss_compute(&o, 3, s, 4, &NEW, &r, dH), STATUS_FAILED, "lambda_weight");
  hand_samples(s);
  o.unbiased = o.use_l1 = true;
  assert_fails(loss_compute(&o, 3, s, 4, &NEW, &r, dH), STATUS_INPUT, "loss.use_l1");
  o = PLAIN;
  o.auto_anneal = true;
  o.anneal_min = 2;
  assert_fails(loss_compute(&o, 3, s, 4, &NEW, &r, dH), STATUS_INPUT, "anneal_min");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hand_numbers),
      cmocka_unit_test(test_weights),
      cmocka_unit_test(test_absent_group_never_counts_as_zero),
      cmocka_unit_test(test_annealing_follows_the_smoothed_gap),
      cmocka_unit_test(test_annealing_sees_through_noise),
      cmocka_unit_test(test_annealing_without_a_gap),
      cmocka_unit_test(test_annealing_with_many_groups),
      cmocka_unit_test(test_unbiased_is_gap_squared_less_variance_of_mean),
      cmocka_unit_test(test_single_unit_has_no_variance),
      cmocka_unit_test(test_unbiased_over_all_outcomes),
      cmocka_unit_test(test_derivative_of_every_combination),
      cmocka_unit_test(test_divergences),
      cmocka_unit_test(test_annealing_of_a_symmetric_kl),
      cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
