// Warnings about steps that train nothing, or not what it seems to. Rule: each is given once, and a healthy
// run hears none.
#include "support/heard.h"
#include "support/train_fixture.h"

#include "watch.h"
#include <stdio.h>
#include <string.h>

// ---- runs ----

/// Runs a job and returns what it heard.
static const char *listen_to(TrainFixture *f, const char *run) {
  f->job.output.run_name = run;
  heard_start();
  assert_ok(train_run(&f->job, NULL));
  return heard_stop();
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
  assert_int_equal(heard_count("no gap was measured"), 1);
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
  assert_int_equal(heard_count("step 1: the gradient is exactly 0: the groups' entropies are equal"), 1);
  assert_int_equal(heard_count("warning: "), 2); // each once
  f.job.loss.unbiased = true;
  f.job.train.effective_batch = TRAIN_GROUPS;
  f.job.output.run_name = "one";
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "loss.unbiased needs at least two sets");
  train_fixture_close(&f);
}

// ---- answers ----

/// Gives a step's answers to the watch, as texts in which '.' is the end token; returns what it heard.
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
  heard_start();
  watch_step(watch, &job, &step, &batch, &(Drift){0});
  return heard_stop();
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

/// A model that is sure of every token from the first step on; one that becomes so has drifted.
static void test_certainty_is_watched(void **state) {
  (void)state;
  TrainJob job = {.loss = {.em_weight = 1}};
  Answer answers[2] = {{.count = 2}, {.count = 1}};
  StepBatch batch = {.shape = {.groups = 2, .count = 2}, .answers = answers};
  StepReport step = {.step = 3, .loss = {.groups_present = 2, .H_bar = 1e-9, .gap = 1e-9}, .grad_norm = 1};
  Watch watch = {0};
  heard_start();
  watch_step(&watch, &job, &step, &batch, &(Drift){.first = 2});
  assert_string_equal(heard_stop(), "");
  heard_start();
  watch_step(&watch, &job, &step, &batch, &(Drift){.first = 1e-8});
  watch_step(&watch, &job, &step, &batch, &(Drift){.first = 1e-8});
  (void)heard_stop();
  assert_int_equal(heard_count("step 3: the mean entropy is 1e-09 nats: the model is sure of every token"),
                   1);
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
  heard_start();
  Watch watch = {0};
  watch_step(&watch, &job, &step, &batch, &(Drift){0});
  watch_step(&watch, &job, &step, &batch, &(Drift){0});
  (void)heard_stop();
  assert_int_equal(heard_count(expected), 1);
  groups_free(data.groups);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_tiny_rates_are_pointed_out),    OPS_TEST(test_groups_without_answers),
      OPS_TEST(test_equal_answers_and_no_gradient), OPS_TEST(test_answers_are_watched),
      OPS_TEST(test_certainty_is_watched),          OPS_TEST(test_absent_groups_are_watched),
  };
  return RUN_OPS_TESTS(tests);
}
