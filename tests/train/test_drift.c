// The drift of the mean entropy: its formula on hand-made steps, and that noise alone does not look like it;
// and what is said of it.
#include "support/heard.h"
#include "support/test.h"

#include "drift.h"
#include "util/rng.h"
#include "watch.h"
#include <math.h>
#include <string.h>

enum { MOST_SETS = 32 };

/// Adds a step of `sets` sets of two samples, whose means are H[]; the samples differ within a set.
static void add_step(Drift *drift, size_t first_unit, const double *H, size_t sets) {
  LossSample samples[2 * MOST_SETS] = {0};
  for (size_t i = 0; i < 2 * sets; i++)
    samples[i] = (LossSample){.unit = first_unit + i % sets, .H = H[i % sets] + (i < sets ? 0.25 : -0.25)};
  assert_ok(drift_add(drift, samples, 2 * sets));
}

static void assert_near(double a, double b) {
  double error = fabs(a - b);
  if (!(error <= 1e-12)) fail_msg("%.17g is not %.17g", a, b);
}

static void the_formula(void **state) {
  (void)state;
  static const double steps[][3] = {{1, 2, 3}, {2, 2, 2}, {1, 1, 4}, {0, 1, 0.5}, {0, 0, 0}, {0, 0, 0}};
  // variances of the means: 1/3, 0, 1, 1/12, 0, 0
  static const double variances[] = {1.0 / 3, 1.0 / 6, 4.0 / 9, 17.0 / 48, 17.0 / 60, 17.0 / 72};
  // three sets give two differences a step, so ten are known after the fifth: Student's t until then
  static const double errors[] = {8.57, 4.23, 3.47, 3.16, 3, 3};
  Drift drift = {0};
  double smoothed = 2;
  for (size_t i = 0; i < 6; i++) {
    double mean = (steps[i][0] + steps[i][1] + steps[i][2]) / 3;
    add_step(&drift, 7 * i, steps[i], 3);
    smoothed += (mean - smoothed) / 4;
    DriftEstimate estimate = drift_estimate(&drift);
    assert_near(drift.first, 2);
    assert_near(drift.variance, variances[i]);
    assert_near(estimate.relative, smoothed / 2 - 1);
    assert_near(estimate.noise, errors[i] * sqrt(variances[i] * (1 + 1.0 / 7)) / 2);
    assert_near(drift.last, mean);
  }
}

static bool beyond(const Drift *drift, double limit) {
  return drift_beyond(drift_estimate(drift), limit);
}

static void a_limit_is_what_noise_does_not_explain(void **state) {
  (void)state;
  // an error of sqrt(0.04 · 8 / 7) / 2 = 10.7 %, three of them 32 %
  Drift drift = {
      .freedom = DRIFT_FREEDOM, .variances = 16, .first = 2, .smoothed = 2 * 0.4, .variance = 0.04};
  assert_true(beyond(&drift, 0.25));
  assert_false(beyond(&drift, 0.3));
  assert_false(beyond(&drift, 0)); // off
  drift.smoothed = 2 * 1.6;        // upwards as well
  assert_true(beyond(&drift, 0.25));
  assert_false(beyond(&drift, 0.3));
  drift.freedom = 5; // 3.75 errors of 10.7 % leave 20 % of the 60 %
  assert_true(beyond(&drift, 0.19));
  assert_false(beyond(&drift, 0.21));
  drift.freedom = 0;
  assert_false(beyond(&drift, 0.01));
  assert_false(beyond(&(Drift){0}, 0.25));
}

/// A jump that the smoothed H̄ does not show yet is no good place to go on from.
static void a_good_step_is_good_itself(void **state) {
  (void)state;
  Drift drift = {
      .freedom = DRIFT_FREEDOM, .variances = 16, .first = 2, .smoothed = 2, .last = 2, .variance = 0.01};
  assert_true(drift_is_good(&drift, 0.25));
  drift.last = 2 * 0.74;
  assert_false(drift_is_good(&drift, 0.25));
  assert_true(drift_is_good(&drift, 0.27));
  assert_true(drift_is_good(&drift, 0)); // off
  drift.last = 2 * 1.26;
  assert_false(drift_is_good(&drift, 0.25));
  drift.last = drift.smoothed = 2 * 0.7; // 16 % may be noise
  assert_true(drift_is_good(&drift, 0.31));
  assert_false(drift_is_good(&drift, 0.27));
  assert_true(drift_is_good(&(Drift){0}, 0.25));
}

/// With two sets a step, as with effective_batch = 4 and two groups, a blow-up ends the run before the tenth.
static void a_small_batch_is_watched_from_the_start(void **state) {
  (void)state;
  static const double steps[][2] = {{1.6, 1.7}, {1.9, 2.1}, {2.9, 3.2}, {3.9, 4.2}, {4.3, 4.1}, {4.4, 4.6}};
  Drift drift = {0};
  size_t count = 0;
  while (count < 6 && !beyond(&drift, 0.25)) add_step(&drift, 0, steps[count++], 2);
  assert_int_equal(count, 5);
}

static double normal(uint32_t run, uint32_t step, uint32_t i) {
  double sum = 0;
  for (uint32_t k = 0; k < 12; k++)
    sum += (double)rng_below(1u << 20, 5, RNG_DATA, run, 100 * step + i, k) / (1u << 20);
  return sum - 6;
}

/// The share of runs of 60 steps that pass the limit, whose entropy varies between sets by `spread` and goes
/// along a line to 1 + slope of its start.
static double share_stopped(size_t sets, double spread, double slope, double limit) {
  enum { RUNS = 60, STEPS = 60 };
  size_t stopped = 0;
  for (uint32_t run = 0; run < RUNS; run++) {
    Drift drift = {0};
    bool stops = false;
    for (uint32_t step = 0; step < STEPS; step++) {
      double H[MOST_SETS];
      for (uint32_t i = 0; i < sets; i++)
        H[i] = (1 + slope * step / STEPS) * exp(spread * normal(run, step, i));
      add_step(&drift, 0, H, sets);
      stops = stops || beyond(&drift, limit);
    }
    stopped += stops;
  }
  return (double)stopped / RUNS;
}

/// Healthy runs are left alone, with as few as one set a step; those that collapse or blow up are not.
static void noise_does_not_trip_it(void **state) {
  (void)state;
  static const size_t sets[] = {1, 2, 4, 20};
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    double healthy = share_stopped(sets[i], 0.2, 0, 0.25), warned = share_stopped(sets[i], 0.2, 0, 0.125);
    double collapsed = share_stopped(sets[i], 0.2, -0.99, 0.25), blown = share_stopped(sets[i], 0.2, 3, 0.25);
    if (!(healthy == 0 && warned <= 0.05 && collapsed == 1 && blown >= 0.95))
      fail_msg("%zu sets: stopped %g, warned %g, of collapsing %g, of rising %g", sets[i], healthy, warned,
               collapsed, blown);
  }
  assert_true(share_stopped(20, 0.2, -0.1, 0.25) == 0); // a slow fall by a tenth
}

/// The share of runs that are found beyond the limit when their last step has been done.
static double share_ended(size_t sets, double spread, size_t steps, double last, bool ends) {
  enum { RUNS = 300 };
  size_t ended = 0;
  for (uint32_t run = 0; run < RUNS; run++) {
    Drift drift = {0};
    for (uint32_t step = 0; step < steps; step++) {
      double H[MOST_SETS], level = step + 1 == steps ? last : step + 2 == steps ? (1 + last) / 2 : 1;
      for (uint32_t i = 0; i < sets; i++) H[i] = level * exp(spread * normal(run, step, i));
      add_step(&drift, 0, H, sets);
    }
    ended += drift_beyond(drift_judged(&drift, ends), 0.25);
  }
  return (double)ended / RUNS;
}

/// A run that collapses or blows up in its last two steps, which the smoothed H̄ does not show; and runs that
/// just vary.
static void the_end_is_judged_by_what_it_is(void **state) {
  (void)state;
  static const size_t steps[] = {3, 10, 40};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    double healthy = share_ended(20, 0.2, steps[i], 1, true), few = share_ended(2, 0.2, steps[i], 1, true);
    double fallen = share_ended(20, 0.2, steps[i], 0.3, true),
           before = share_ended(20, 0.2, steps[i], 0.3, false);
    double risen = share_ended(20, 0.2, steps[i], 1.9, true);
    if (!(healthy == 0 && few <= 0.01 && fallen == 1 && before == 0 && risen >= 0.95))
      fail_msg("%zu steps: healthy %g, with few sets %g, fallen %g (%g while it goes on), risen %g", steps[i],
               healthy, few, fallen, before, risen);
  }
  Drift drift = {
      .freedom = DRIFT_FREEDOM, .variances = 3, .first = 5, .smoothed = 4, .last = 1.5, .variance = 0.01};
  DriftEstimate judged = drift_judged(&drift, true);
  assert_true(judged.of_last);
  assert_near(judged.relative, -0.7);
  assert_near(judged.noise, 3 * sqrt(0.02) / 5);
  Str text = {0};
  assert_ok(describe_drift(&drift, judged, &text));
  assert_string_equal(str_text(&text),
                      "the mean entropy has fallen by 70 % since the first step (5.000 to 1.500 "
                      "nats, in the last step; up to 8 % may be noise)");
  str_free(&text);
  assert_false(drift_judged(&drift, false).of_last);
  drift.last = 4.5; // the smoothed one is further away
  assert_false(drift_judged(&drift, true).of_last);
}

/// Each direction has a remedy of its own, and where the gap alone is trained, em_weight is none.
static void the_remedy_fits_the_direction(void **state) {
  (void)state;
  DriftEstimate fallen = {.relative = -0.5}, risen = {.relative = 0.5};
  TrainJob job = {.loss = {.em_weight = 1}};
  assert_string_equal(drift_remedy(fallen, &job), "lower train.learning_rate or loss.em_weight");
  assert_string_equal(drift_remedy(risen, &job), "lower train.learning_rate or raise loss.em_weight");
  job.loss.debias_only = true;
  assert_string_equal(drift_remedy(fallen, &job), "lower train.learning_rate or loss.lambda_weight");
  assert_string_equal(drift_remedy(risen, &job), "lower train.learning_rate or loss.lambda_weight");
}

/// A drift past the limit that noise may explain: the warning says from where on the run ends.
static void the_warning_says_why_the_run_goes_on(void **state) {
  (void)state;
  Drift drift = {.freedom = DRIFT_FREEDOM, .variances = 16, .first = 2, .smoothed = 3, .variance = 0.04};
  TrainJob job = {.train = {.max_drift = 0.25f, .max_steps = 9}};
  LossSample samples[1] = {{0}};
  Answer answers[1] = {{.count = 2}};
  StepBatch batch = {.shape = {.count = 1, .groups = 1}, .samples = samples, .answers = answers};
  StepReport step = {
      .step = 7, .loss = {.groups_present = 1}, .grad_norm = 1, .drift = drift_estimate(&drift)};
  Watch watch = {0};
  heard_start();
  watch_step(&watch, &job, &step, &batch, &drift);
  assert_non_null(strstr(heard_stop(),
                         "step 7: the mean entropy has risen by 50 % since the first step (2.000 "
                         "to 3.000 nats, smoothed over the last steps; up to 32 % may be noise); "
                         "the run goes on: train.max_drift = 0.25 ends it beyond 25 % plus the "
                         "noise, at present 57 %"));
  job.train.max_steps = 7; // and where it does not go on
  watch = (Watch){0};
  heard_start();
  watch_step(&watch, &job, &step, &batch, &drift);
  assert_non_null(
      strstr(heard_stop(), "may be noise); the run counts as done: train.max_drift = 0.25 ends it"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_formula),
      cmocka_unit_test(a_limit_is_what_noise_does_not_explain),
      cmocka_unit_test(a_good_step_is_good_itself),
      cmocka_unit_test(a_small_batch_is_watched_from_the_start),
      cmocka_unit_test(noise_does_not_trip_it),
      cmocka_unit_test(the_end_is_judged_by_what_it_is),
      cmocka_unit_test(the_remedy_fits_the_direction),
      cmocka_unit_test(the_warning_says_why_the_run_goes_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
