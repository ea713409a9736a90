// How runs end: by the held-out gap (debias_only), by the drift of the entropy, by broken numbers. Rule: a
// run that went wrong leaves no `final`, and the checkpoint that it names is one from before.
#include "support/evaluation_double.h"
#include "support/heard.h"
#include "support/train_fixture.h"

#include "io/file.h"
#include "io/json.h"
#include "support/process.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has(const TrainFixture *f, const char *run, const char *name) {
  return file_exists(train_path(f, run, name)) || file_is_directory(train_path(f, run, name));
}

/// Steps that metrics.jsonl has.
static size_t steps_of(const TrainFixture *f, const char *run) {
  char *lines = train_lines(f, run, "metrics.jsonl");
  size_t count = 0;
  for (const char *c = lines; *c != '\0'; c++) count += *c == '\n';
  free(lines);
  return count;
}

// ---- debias_only ----

/// A debias_only run of at most 12 steps, measured every two of them.
typedef struct Debias {
  TrainFixture fixture;
  EvaluationDouble gap;
  Evaluation *evaluations[1];
  TrainOutcome outcome;
} Debias;

static void debias_open(Debias *d, const Interval *gaps, size_t count) {
  *d = (Debias){.gap = evaluation_double("gap")};
  train_fixture_open(&d->fixture, "llama", fixture_ops());
  d->gap.gaps = gaps;
  d->gap.gap_count = count;
  d->evaluations[0] = &d->gap.evaluation;
  TrainJob *job = &d->fixture.job;
  job->evaluations = d->evaluations;
  job->evaluation_count = 1;
  job->loss.debias_only = true;
  job->loss.target_gap = 0.1f;
  job->loss.target_evals = 2;
  job->train.max_steps = 12;
  job->train.bias_eval_steps = 2;
}

static void debias_close(Debias *d) {
  train_fixture_close(&d->fixture);
}

// after 0, 2, 4, ... steps: two in a row are within ±0.1 after step 8
static const Interval closing[] = {{0.3, 0.2, 0.4},     {0.02, -0.05, 0.09},  {0.12, 0.05, 0.19},
                                   {0.01, -0.08, 0.10}, {-0.04, -0.10, 0.02}, {0, -0.01, 0.01}};

static void test_target_ends_the_run(void **state) {
  (void)state;
  Debias d;
  debias_open(&d, closing, 6);
  assert_ok(train_run(&d.fixture.job, &d.outcome));
  assert_int_equal(d.outcome.end, TRAIN_TARGET);
  assert_int_equal(d.outcome.step, 8);
  assert_int_equal(steps_of(&d.fixture, "run"), 8);
  assert_true(has(&d.fixture, "run", "final"));
  debias_close(&d);
}

/// A run that trains the divergence of partners ends by the gap of the entropies too; nothing but it and the
/// divergence from the base model is in its loss.
static void test_target_ends_a_run_of_any_form(void **state) {
  (void)state;
  Debias d;
  debias_open(&d, closing, 6);
  d.fixture.job.loss.form = LOSS_SYMMETRIC_KL;
  d.fixture.job.loss.kl_weight = 0.5f;
  d.fixture.job.loss.em_weight = 7;
  assert_ok(train_run(&d.fixture.job, &d.outcome));
  assert_int_equal(d.outcome.end, TRAIN_TARGET);
  assert_int_equal(d.outcome.step, 8);
  double loss =
      100 * train_metric(&d.fixture, "run", 7, "loss_bias") + 0.5 * train_metric(&d.fixture, "run", 7, "kl");
  assert_true(train_metric(&d.fixture, "run", 7, "kl") > 0);
  assert_true(fabs(train_metric(&d.fixture, "run", 7, "loss") - loss) <= 1e-9 * loss);
  debias_close(&d);
}

/// An interval that reaches past the target on either side, and the best gap of a step, end nothing.
static void test_other_gaps_end_nothing(void **state) {
  (void)state;
  static const Interval wide[] = {{0, -0.2, 0.2}}, above[] = {{0.05, 0.01, 0.11}}, below[] = {{0, -0.11, 0}};
  static const Interval *const all[] = {wide, above, below};
  for (size_t i = 0; i < 3; i++) {
    Debias d;
    debias_open(&d, all[i], 1);
    d.fixture.job.loss.target_evals = 1;
    assert_ok(train_run(&d.fixture.job, &d.outcome));
    assert_int_equal(d.outcome.end, TRAIN_ALL_STEPS);
    assert_int_equal(d.outcome.step, 12);
    debias_close(&d);
  }
}

static void test_nothing_to_do(void **state) {
  (void)state;
  static const Interval within[] = {{0.01, -0.02, 0.04}};
  Debias d;
  debias_open(&d, within, 1);
  d.fixture.job.output.save_initial = false;
  assert_ok(train_run(&d.fixture.job, &d.outcome));
  assert_int_equal(d.outcome.end, TRAIN_NOTHING_TO_DO);
  assert_int_equal(d.outcome.step, 0);
  assert_int_equal(d.gap.runs, 1);
  assert_false(has(&d.fixture, "run", "final"));
  debias_close(&d);
}

/// A gap of 0 between empty answers is not within the target: neither before the first step nor in a row.
static void test_a_void_gap_reaches_no_target(void **state) {
  (void)state;
  static const Interval zero[] = {{0, 0, 0}};
  Debias d;
  debias_open(&d, zero, 1);
  d.gap.void_until = 3;
  assert_ok(train_run(&d.fixture.job, &d.outcome));
  assert_int_equal(d.outcome.end, TRAIN_TARGET);
  assert_int_equal(d.outcome.step, 8); // measured after 0, 2 and 4 steps in vain
  debias_close(&d);
}

static void test_what_debias_only_needs(void **state) {
  (void)state;
  static const Interval single[] = {{0.01, NAN, NAN}};
  Debias d;
  debias_open(&d, single, 1);
  assert_fails(train_run(&d.fixture.job, NULL), STATUS_INPUT, "raise data.held_out or data.eval_sets");
  d.fixture.job.train.bias_eval_steps = 0;
  assert_fails(train_run(&d.fixture.job, NULL), STATUS_INPUT, "set train.bias_eval_steps");
  d.fixture.job.train.bias_eval_steps = 2;
  d.fixture.job.evaluation_count = 0;
  assert_fails(train_run(&d.fixture.job, NULL), STATUS_INPUT, "set train.bias_eval_steps");
  debias_close(&d);
}

/// A kill after the measurement of step 8, and before anything was saved after it: the checkpoint of step 8
/// was written before that measurement, whose line is in gap.jsonl already. The resumed run must still count
/// it.
static void test_a_measurement_counts_once(void **state) {
  (void)state;
  Debias d;
  debias_open(&d, closing, 6);
  assert_ok(train_run(&d.fixture.job, &d.outcome));
  char *before = train_lines(&d.fixture, "run", "gap.jsonl");
  assert_ok(directory_remove(train_path(&d.fixture, "run", "final")));
  d.fixture.job.resume = true;
  d.gap.runs = 4; // its next measurement is the fifth again
  assert_ok(train_run(&d.fixture.job, &d.outcome));
  assert_int_equal(d.outcome.end, TRAIN_TARGET);
  assert_int_equal(d.outcome.step, 8);
  assert_int_equal(d.gap.runs, 5);
  char *after = train_lines(&d.fixture, "run", "gap.jsonl");
  assert_string_equal(before, after); // no line twice
  free(after);
  assert_ok(train_run(&d.fixture.job, &d.outcome)); // finished: nothing is measured or counted again
  assert_int_equal(d.outcome.end, TRAIN_TARGET);
  assert_int_equal(d.gap.runs, 5);
  free(before);
  debias_close(&d);
}

// ---- drift ----

/// A run that makes the model certain of everything, with checkpoints after every step.
static void collapsing_open(TrainFixture *f, float em_weight) {
  train_fixture_open(f, "llama", fixture_ops());
  f->job.loss.em_weight = em_weight;
  f->job.loss.lambda_weight = 0;
  f->job.train.max_steps = 40;
  f->job.train.effective_batch = TRAIN_SETS * TRAIN_GROUPS;
  f->job.train.learning_rate = 2e-2f;
  f->job.train.max_drift = 0.25f;
  f->job.output.save_steps = 1;
}

/// The checkpoint that the last failure names as the last good one, as a number of steps; 0: none.
static size_t good_step(void) {
  const char *at = strstr(status_message(), "the last good checkpoint is ");
  const char *step = at != NULL ? strstr(at, "/step_") : NULL;
  return step != NULL ? strtoul(step + 6, NULL, 10) : 0;
}

static void assert_undrifted(const TrainFixture *f, size_t step) {
  double drift = train_metric(f, "run", step - 1, "H_drift"),
         noise = train_metric(f, "run", step - 1, "H_drift_noise");
  if (!(fabs(drift) - (isnan(noise) ? INFINITY : noise) <= 0.125))
    fail_msg("the good checkpoint, step %zu, has drifted by %g", step, drift);
  double own = train_metric(f, "run", step - 1, "H_bar") / train_metric(f, "run", 0, "H_bar") - 1;
  if (!(fabs(own) <= 0.25)) fail_msg("the H of the good checkpoint, step %zu, is off by %g", step, own);
}

static void check_drift_stops(float em_weight, const char *word, const char *remedy) {
  TrainFixture f;
  collapsing_open(&f, em_weight);
  heard_start();
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "beyond train.max_drift = 0.25");
  (void)heard_stop();
  assert_true(test_contains(status_message(), word));
  assert_true(test_contains(status_message(), "nats, smoothed over the last steps; up to "));
  assert_true(test_contains(status_message(), remedy));
  size_t good = good_step(), steps = steps_of(&f, "run");
  assert_true(good > 0 && good < steps && steps < 40);
  assert_undrifted(&f, good);
  assert_int_equal(heard_count("warning: step "), 1); // once, before the end
  assert_true(
      heard_count(
          "; the run goes on: train.max_drift = 0.25 ends it beyond 25 % plus the noise, at present ") == 1);
  assert_false(has(&f, "run", "final"));
  assert_true(train_metric(&f, "run", steps - 1, "stopped_by_drift") == 1);
  char *lines = train_lines(&f, "run", "metrics.jsonl");
  const char *flag = strstr(lines, "stopped_by_drift");
  assert_null(strstr(flag + 1, "stopped_by_drift")); // in the last line alone
  free(lines);

  // the same limit is refused, and a larger one goes on with the bits of a run that had it from the start
  f.job.resume = true;
  assert_fails(train_check(&f.job), STATUS_INPUT, "raise train.max_drift to go on");
  assert_int_equal(good_step(), good);
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "raise train.max_drift to go on");
  f.job.train.max_drift = 0;
  f.job.train.max_steps = steps + 3;
  assert_ok(train_run(&f.job, NULL));
  f.job.resume = false;
  f.job.output.run_name = "off";
  assert_ok(train_run(&f.job, NULL));
  train_same_file(train_path(&f, "run", "final/adapter_model.safetensors"),
                  train_path(&f, "off", "final/adapter_model.safetensors"));
  train_same_file(train_path(&f, "run", "final/trainer_state.json"),
                  train_path(&f, "off", "final/trainer_state.json"));
  train_fixture_close(&f);
}

static void test_a_collapse_ends_the_run(void **state) {
  (void)state;
  check_drift_stops(5, "has fallen by", "0.25: lower train.learning_rate or loss.em_weight under");
}

static void test_a_blow_up_ends_the_run(void **state) {
  (void)state;
  check_drift_stops(-5, "has risen by", "0.25: lower train.learning_rate or raise loss.em_weight under");
}

/// A collapse so late that the smoothed entropy does not show it: the run does not count as done. More steps
/// may follow, as the smoothed entropy is what they are judged by.
static void test_a_late_collapse_is_no_end(void **state) {
  (void)state;
  TrainFixture f;
  collapsing_open(&f, 5);
  f.job.train.learning_rate = 0.03f;
  f.job.train.max_steps = 4;
  heard_start();
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED,
               "stopped after step 4: the mean entropy has fallen by ");
  assert_string_equal(heard_stop(), "");
  assert_true(test_contains(status_message(), " nats, in the last step; up to "));
  assert_true(test_contains(status_message(), "0.25: lower train.learning_rate or loss.em_weight under"));
  assert_false(has(&f, "run", "final"));
  assert_true(has(&f, "run", "step_4"));
  assert_true(train_metric(&f, "run", 3, "stopped_by_drift") == 1);
  f.job.resume = true;
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "raise train.max_drift to go on");
  f.job.train.max_drift = 0;
  assert_ok(train_run(&f.job, NULL));
  assert_true(has(&f, "run", "final"));
  train_fixture_close(&f);
}

/// In a run that was stopped and resumed between, the drift is what it is in one that was not.
static void test_drift_survives_a_resume(void **state) {
  (void)state;
  TrainFixture f;
  collapsing_open(&f, 5);
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "max_drift");
  size_t steps = steps_of(&f, "run");
  char *whole = train_lines(&f, "run", "metrics.jsonl");
  f.job.output.run_name = "parts";
  f.job.train.max_drift = 0; // or a part would be judged by its last step
  for (size_t end = 2; end < steps; end += 2) {
    f.job.train.max_steps = end;
    f.job.resume = end > 2;
    assert_ok(train_run(&f.job, NULL));
  }
  f.job.train.max_drift = 0.25f;
  f.job.train.max_steps = 40;
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "max_drift");
  char *parts = train_lines(&f, "parts", "metrics.jsonl");
  assert_string_equal(whole, parts);
  free(whole);
  free(parts);
  train_fixture_close(&f);
}

static void test_a_healthy_run_is_left_alone(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.max_steps = 24;
  f.job.train.max_drift = 0.25f;
  heard_start();
  assert_ok(train_run(&f.job, NULL));
  assert_string_equal(heard_stop(), "");
  train_fixture_close(&f);
}

// ---- broken numbers ----

/// The weights of step_1 are those that broke in step 2: it is not called good, whether it was saved or not.
static void test_a_broken_checkpoint_is_not_good(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.learning_rate = 1e15f; // finite weights, but no finite entropies
  f.job.output.save_steps = 1;
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "lower train.learning_rate");
  assert_true(has(&f, "run", "step_1"));
  assert_null(strstr(status_message(), "last good checkpoint"));
  f.job.output.run_name = "initial";
  f.job.output.save_initial = true;
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "initial/step_0");
  train_fixture_close(&f);
}

/// What cannot be saved is never called final.
static void test_broken_weights_are_not_saved(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.learning_rate = 1e30f;
  f.job.train.max_steps = 1;
  f.job.output.save_initial = true;
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "step 1: the trained weights are no longer finite");
  assert_true(test_contains(status_message(), "the last good checkpoint is "));
  assert_true(test_contains(status_message(), "run/step_0"));
  assert_false(has(&f, "run", "final"));
  train_fixture_close(&f);
}

// ---- damaged states ----

/// Replaces the first `what` in the state of step_2 and tries to resume; the file is whole again afterwards.
static void check_damage(TrainFixture *f, const char *what, const char *by, const char *message) {
  const char *path = train_path(f, "run", "step_2/trainer_state.json");
  size_t size = 0;
  char *text = read_file(path, &size), damaged[16384];
  const char *at = strstr(text, what);
  if (at == NULL) fail_msg("no %s in %s", what, text);
  (void)snprintf(damaged, sizeof damaged, "%.*s%s%s", (int)(at - text), text, by, at + strlen(what));
  write_text(path, damaged);
  assert_fails(train_check(&f->job), STATUS_INPUT, message);
  write_file(path, text, size);
  free(text);
}

static void test_damaged_states_are_refused(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.max_steps = 2;
  assert_ok(train_run(&f.job, NULL));
  assert_ok(directory_remove(train_path(&f, "run", "final")));
  f.job.resume = true;
  assert_ok(train_check(&f.job));
  check_damage(&f, "\"entropy_drift\"", "\"drift\"", "\"entropy_drift\" is missing");
  check_damage(&f, "\"freedom\":", "\"freedom\":\t-1,\n\"x\":", "\"freedom\"");
  check_damage(&f, "\"freedom\":", "\"freedom\":\t11,\n\"x\":", "\"freedom\"");
  check_damage(&f, "\"variances\":", "\"variances\":\t17,\n\"x\":", "\"variances\"");
  check_damage(&f, "\"smoothed\":\t\"0x", "\"smoothed\":\t\"nan", "not a number");
  check_damage(&f, "\"smoothed\":\t\"0x1", "\"smoothed\":\t\"inf\", \"x\":\t\"", "not a number");
  check_damage(&f, "\"deviations\":\t[", "\"deviations\":\t[7, ", "not a number");
  check_damage(&f, "\"deviations\":\t[",
               "\"deviations\":\t[\"0\", \"0\", \"0\", \"0\", \"0\", \"0\", \"0\", \"0\", \"0\", \"0\", "
               "\"0\", \"0\", \"0\", "
               "\"0\", \"0\", ",
               "more than 16 entries");
  check_damage(&f, "\"last_measurement\":\t-1", "\"last_measurement\":\t-2", "\"last_measurement\"");
  assert_ok(train_check(&f.job));
  train_fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_target_ends_the_run),
      OPS_TEST(test_other_gaps_end_nothing),
      OPS_TEST(test_nothing_to_do),
      OPS_TEST(test_a_void_gap_reaches_no_target),
      OPS_TEST(test_what_debias_only_needs),
      OPS_TEST(test_target_ends_a_run_of_any_form),
      OPS_TEST(test_a_measurement_counts_once),
      OPS_TEST(test_a_collapse_ends_the_run),
      OPS_TEST(test_a_blow_up_ends_the_run),
      OPS_TEST(test_a_late_collapse_is_no_end),
      OPS_TEST(test_drift_survives_a_resume),
      OPS_TEST(test_a_healthy_run_is_left_alone),
      OPS_TEST(test_a_broken_checkpoint_is_not_good),
      OPS_TEST(test_broken_weights_are_not_saved),
      OPS_TEST(test_damaged_states_are_refused),
  };
  return RUN_OPS_TESTS(tests);
}
