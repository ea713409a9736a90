// How runs end: by the held-out gap (debias_only), by the drift of the entropy, by broken numbers; and the
// warnings about steps that train nothing. Rule: a run that went wrong leaves no `final`, and the checkpoint
// that it names is one from before.
#include "support/evaluation_double.h"
#include "support/train_fixture.h"

#include "io/file.h"
#include "io/json.h"
#include "support/process.h"
#include "util/log.h"
#include "watch.h"
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

// ---- what is logged ----

static char logged[8192];

static void keep(LogLevel level, const char *line, void *user) {
  (void)user;
  size_t used = strlen(logged);
  (void)snprintf(logged + used, sizeof logged - used, "%s%s\n", level == LOG_WARNING ? "warning: " : "",
                 line);
}

static void listen(void) {
  logged[0] = '\0';
  log_set_sink(keep, NULL);
}

static size_t count_logged(const char *part) {
  size_t count = 0;
  for (const char *at = logged; (at = strstr(at, part)) != NULL; at++) count++;
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

/// A run that makes the model certain of everything, with checkpoints after every other step.
static void collapsing_open(TrainFixture *f, float em_weight) {
  train_fixture_open(f, "llama", fixture_ops());
  f->job.loss.em_weight = em_weight;
  f->job.loss.lambda_weight = 0;
  f->job.train.max_steps = 40;
  f->job.train.effective_batch = TRAIN_SETS * TRAIN_GROUPS;
  f->job.train.learning_rate = 2e-2f;
  f->job.train.max_drift = 0.25f;
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
}

static void check_drift_stops(float em_weight, const char *word) {
  TrainFixture f;
  collapsing_open(&f, em_weight);
  listen();
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "beyond train.max_drift = 0.25");
  log_set_sink(NULL, NULL);
  assert_true(test_contains(status_message(), word));
  size_t good = good_step(), steps = steps_of(&f, "run");
  assert_true(good > 0 && good < steps && steps < 40);
  assert_undrifted(&f, good);
  assert_int_equal(count_logged("warning: step "), 1); // once, before the end
  assert_true(count_logged("train.max_drift = 0.25 ends the run beyond 25 %") == 1);
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
  check_drift_stops(5, "has fallen by");
}

static void test_a_blow_up_ends_the_run(void **state) {
  (void)state;
  check_drift_stops(-5, "has risen by");
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
  for (size_t end = 2; end < steps; end += 2) {
    f.job.train.max_steps = end;
    f.job.resume = end > 2;
    assert_ok(train_run(&f.job, NULL));
  }
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
  listen();
  assert_ok(train_run(&f.job, NULL));
  log_set_sink(NULL, NULL);
  assert_string_equal(logged, "");
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

// ---- steps that train nothing ----

/// Runs a job and returns what it logged.
static const char *listen_to(TrainFixture *f, const char *run) {
  f->job.output.run_name = run;
  listen();
  assert_ok(train_run(&f->job, NULL));
  log_set_sink(NULL, NULL);
  return logged;
}

static void test_tiny_rates_are_pointed_out(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.learning_rate = 1e-12f;
  assert_true(
      test_contains(listen_to(&f, "tiny"), "warning: the learning rates of all steps add up to 6.0e-12"));
  f.job.train.learning_rate = 0;
  assert_true(test_contains(listen_to(&f, "zero"), "add up to 0.0e+00"));
  f.job.train.learning_rate = 1e-6f;
  assert_string_equal(listen_to(&f, "small"), "");
  train_fixture_close(&f);
}

/// A type without weight leaves a group without answers that count: in the whole run, or in a step.
static void test_groups_without_answers(void **state) {
  (void)state;
  TrainFixture f;
  TaskWeight none = {"factual", 0};
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.task_weights = &none;
  f.job.task_weight_count = 1;
  f.job.train.effective_batch = 2; // a set a step: some are factual
  f.job.loss.em_weight = 0.1f;
  assert_true(test_contains(listen_to(&f, "some"),
                            "no gap was measured: no answer of group \"female\" has a weight"));
  assert_int_equal(count_logged("no gap was measured"), 1);
  for (size_t i = 0; i < TRAIN_SETS * TRAIN_GROUPS; i++) f.prompts[i].type = f.prompts[i].group;
  f.job.output.run_name = "none";
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "[task_weights] leaves 1 of 2 groups");
  train_fixture_close(&f);
}

static void test_equal_answers_and_no_gradient(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.sampling.max_new_tokens = 1;
  f.job.sampling.temperature = 0; // the same prompts with the same answers under each
  for (size_t i = 0; i < TRAIN_SETS * TRAIN_GROUPS; i++) {
    f.prompts[i].tokens = f.prompts[0].tokens;
    f.prompts[i].distinct = 0;
  }
  f.job.train.max_steps = 2;
  assert_true(test_contains(listen_to(&f, "same"), "step 1: all 8 answers are the same"));
  assert_true(test_contains(logged, "step 1: the gradient is exactly 0: the groups' entropies are equal"));
  assert_int_equal(count_logged("warning: "), 2); // each once
  f.job.loss.unbiased = true;
  f.job.train.effective_batch = TRAIN_GROUPS;
  f.job.output.run_name = "one";
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "loss.unbiased needs at least two sets");
  train_fixture_close(&f);
}

// ---- answers ----

/// Gives a step's answers to the watch, as texts in which '.' is the end token; returns what it logged.
static const char *watch_answers(Watch *watch, const char *const *texts, size_t count, size_t groups) {
  static int32_t tokens[4][8];
  Answer answers[4] = {{0}};
  TrainJob job = {.loss = {.em_weight = 1}};
  StepBatch batch = {.shape = {.groups = groups, .count = count}, .answers = answers};
  StepReport step = {.step = 7, .loss = {.groups_present = groups, .H_bar = 1, .gap = 1}, .grad_norm = 1};
  for (size_t i = 0; i < count; i++) {
    answers[i] = (Answer){.tokens = tokens[i], .count = strlen(texts[i])};
    for (size_t t = 0; t < answers[i].count; t++) tokens[i][t] = texts[i][t];
    answers[i].ended = strchr(texts[i], '.') != NULL;
  }
  listen();
  watch_step(watch, &job, &step, &batch, &(Drift){0});
  log_set_sink(NULL, NULL);
  return logged;
}

static void test_answers_are_watched(void **state) {
  (void)state;
  static const char *const empty[] = {".", ".", ".", "."}, *const some[] = {".", ".", ".", "a."},
                           *const same[] = {"ab", "ab", "ab", "ab"}, *const sets[] = {"ab", "ab", "ac", "ac"},
                           *const longer[] = {"ab", "ab", "abc", "ab"}, *const cut[] = {"a", "b", "c", "d"};
  Watch watch = {0};
  assert_string_equal(watch_answers(&watch, some, 4, 2), "");
  assert_string_equal(watch_answers(&watch, sets, 4, 2), ""); // partners may agree
  assert_string_equal(watch_answers(&watch, longer, 4, 2), "");
  assert_string_equal(watch_answers(&watch, cut, 4, 2), "");  // of one token, but not ended
  assert_string_equal(watch_answers(&watch, same, 4, 4), ""); // a single set
  assert_true(test_contains(watch_answers(&watch, empty, 4, 2), "warning: step 7: every answer is empty"));
  assert_string_equal(watch_answers(&watch, empty, 4, 2), ""); // once
  assert_true(
      test_contains(watch_answers(&watch, same, 4, 2), "warning: step 7: all 4 answers are the same"));
  assert_string_equal(watch_answers(&watch, same, 4, 2), "");
}

/// Of three groups, two can be compared, and the third is not forgotten without a word.
static void test_absent_groups_are_watched(void **state) {
  (void)state;
  static const char *const texts[] = {"a", "b", "c"};
  TrainJob job = {.loss = {.em_weight = 1}};
  Dataset data = {0};
  assert_ok(groups_load("race", &data.groups));
  size_t groups = groups_count(data.groups);
  Answer answers[3] = {{0}};
  int32_t tokens[3];
  for (size_t i = 0; i < 3; i++) {
    tokens[i] = texts[i][0];
    answers[i] = (Answer){.tokens = &tokens[i], .count = 1};
  }
  StepBatch batch = {.shape = {.dataset = &data, .groups = groups, .count = 3}, .answers = answers};
  StepReport step = {.step = 2, .loss = {.groups_present = groups - 1, .H_bar = 1, .gap = 1}, .grad_norm = 1};
  for (size_t g = 0; g < groups; g++) step.loss.present[g] = g != 1;
  char expected[200];
  (void)snprintf(expected, sizeof expected,
                 "step 2: a group is left out of the gap: no answer of group \"%s\" has a weight",
                 groups_name(data.groups, 1));
  listen();
  Watch watch = {0};
  watch_step(&watch, &job, &step, &batch, &(Drift){0});
  watch_step(&watch, &job, &step, &batch, &(Drift){0});
  log_set_sink(NULL, NULL);
  assert_int_equal(count_logged(expected), 1);
  groups_free(data.groups);
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
      OPS_TEST(test_what_debias_only_needs),
      OPS_TEST(test_a_measurement_counts_once),
      OPS_TEST(test_a_collapse_ends_the_run),
      OPS_TEST(test_a_blow_up_ends_the_run),
      OPS_TEST(test_drift_survives_a_resume),
      OPS_TEST(test_a_healthy_run_is_left_alone),
      OPS_TEST(test_a_broken_checkpoint_is_not_good),
      OPS_TEST(test_broken_weights_are_not_saved),
      OPS_TEST(test_tiny_rates_are_pointed_out),
      OPS_TEST(test_groups_without_answers),
      OPS_TEST(test_equal_answers_and_no_gradient),
      OPS_TEST(test_answers_are_watched),
      OPS_TEST(test_absent_groups_are_watched),
      OPS_TEST(test_damaged_states_are_refused),
  };
  return RUN_OPS_TESTS(tests);
}
