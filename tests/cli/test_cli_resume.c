// Resuming with another max_steps: refused if the learning rate curve changes, accepted and noted with
// --extend, always accepted with a constant rate. And checkpoints made by another version or with other task
// weights.
#include "support/stopped_run.h"

#include "io/file.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINEAR "train.schedule=linear"
#define EIGHT  "train.max_steps=8"

static const char *folder;
static const char *const resume[] = {"--resume", NULL};
static const char *const extend[] = {"--resume", "--extend", NULL};
static const char *const linear[] = {LINEAR, NULL};
static const char *const linear_eight[] = {LINEAR, EIGHT, NULL};

static const char *path_of(const char *run, const char *name) {
  char path[200];
  (void)snprintf(path, sizeof path, "runs/%s/%s", run, name);
  return in_folder(folder, path);
}

static void assert_refused(Ran ran, const char *const *parts) {
  assert_code(ran, 2);
  for (; *parts != NULL; parts++) {
    if (!test_contains(ran.err, *parts)) fail_msg("\"%s\" is not in: %s", *parts, ran.err);
  }
}
#define ASSERT_REFUSED(ran, ...) assert_refused((ran), (const char *const[]){__VA_ARGS__, NULL})

static void assert_rate(const char *run, size_t step, double rate) {
  double lr = stopped_metric(NULL, run, step, "lr");
  if (!(fabs(lr - rate) <= 1e-7 * rate))
    fail_msg("%s: step %zu has the rate %g, not %g", run, step, lr, rate);
}

static void assert_extended(const char *run, size_t first, size_t last, double from) {
  for (size_t step = first; step <= last; step++)
    assert_true(stopped_metric(NULL, run, step, "extended_from") == from);
  assert_false(stopped_has_metric(NULL, run, first - 1, "extended_from"));
}

/// After step 2 of 4 the rate has fallen by half; of 8 steps it would have fallen by a quarter. Neither curve
/// may be taken silently.
static void another_curve_is_refused(void **state) {
  (void)state;
  static const char *const schedules[] = {"train.schedule=linear", "train.schedule=cosine"};
  for (size_t i = 0; i < 2; i++) {
    const char *const made[] = {schedules[i], NULL}, *const longer[] = {schedules[i], EIGHT, NULL};
    const char *const shorter[] = {schedules[i], "train.max_steps=3", NULL};
    stopped_make("curve", made);
    stopped_copy("curve", NULL, "refused");
    char *before = read_file(path_of("refused", "metrics.jsonl"), NULL);
    ASSERT_REFUSED(stopped_train(NULL, "refused", longer, resume), "step_2 was made with train.max_steps = 4",
                   "the config has 8", "--extend");
    ASSERT_REFUSED(stopped_train(NULL, "refused", shorter, resume), "train.max_steps = 4",
                   "the config has 3");
    ASSERT_REFUSED(stopped_train(NULL, "refused", shorter, extend), "train.max_steps = 4", "not shortened");
    char *after = read_file(path_of("refused", "metrics.jsonl"), NULL);
    assert_string_equal(before, after); // nothing of it was touched
    free(before);
    free(after);
    assert_code(stopped_train(NULL, "refused", made, resume), 0);
    stopped_assert_same(NULL, "curve", NULL, "refused");
    assert_ok(directory_remove(in_folder(folder, "runs")));
  }
}

static void an_extended_run_says_so(void **state) {
  (void)state;
  stopped_make("short", linear);
  assert_rate("short", 3, 1e-2 * 2 / 4);
  stopped_copy("short", NULL, "long");
  assert_code(stopped_train(NULL, "long", linear_eight, extend), 0);
  assert_rate("long", 3, 1e-2 * 6 / 8);
  assert_rate("long", 8, 1e-2 * 1 / 8);
  assert_extended("long", 3, 8, 4);
  // stopped again after step 6, and resumed without --extend
  stopped_copy("short", NULL, "twice");
  assert_code(stopped_train(NULL, "twice", linear_eight, extend), 0);
  assert_ok(directory_remove(path_of("twice", "final")));
  assert_ok(directory_remove(path_of("twice", "step_8")));
  assert_code(stopped_train(NULL, "twice", linear_eight, resume), 0);
  stopped_assert_same(NULL, "long", NULL, "twice");
  ASSERT_REFUSED(stopped_train(NULL, "twice", linear, resume), "train.max_steps = 8", "the config has 4");
  // and once more, after its end
  const char *const ten[] = {LINEAR, "train.max_steps=10", NULL};
  assert_code(stopped_train(NULL, "twice", ten, extend), 0);
  assert_rate("twice", 9, 1e-2 * 2 / 10);
  assert_true(stopped_metric(NULL, "twice", 8, "extended_from") == 4);
  assert_true(stopped_metric(NULL, "twice", 10, "extended_from") == 8);
}

static void extend_is_for_the_length_alone(void **state) {
  (void)state;
  const char *const seed[] = {LINEAR, EIGHT, "train.seed=3", NULL}, *const constant[] = {EIGHT, NULL};
  stopped_make("base", linear);
  stopped_copy("base", NULL, "stopped");
  ASSERT_REFUSED(stopped_train(NULL, "stopped", linear_eight, (const char *const[]){"--extend", NULL}),
                 "--extend needs --resume");
  ASSERT_REFUSED(stopped_train(NULL, "stopped", linear, extend), "train.max_steps = 4", "drop --extend");
  ASSERT_REFUSED(stopped_train(NULL, "stopped", seed, extend), "only allows a larger train.max_steps",
                 "train.seed = 15");
  ASSERT_REFUSED(stopped_train(NULL, "stopped", constant, extend), "only allows a larger train.max_steps",
                 "train.schedule = linear");
  ASSERT_REFUSED(stopped_train(NULL, "nothing", linear_eight, extend), "there is no run ");
  assert_false(file_exists(path_of("nothing", "")));
  assert_ok(directory_create(path_of("empty", "")));
  ASSERT_REFUSED(stopped_train(NULL, "empty", linear_eight, extend), "no checkpoint to extend");
  ASSERT_REFUSED(
      stopped_train(NULL, "stopped", linear_eight, (const char *const[]){"--resume", "--dry-run", NULL}),
      "train.max_steps = 4");
  assert_code(stopped_train(NULL, "stopped", linear_eight,
                            (const char *const[]){"--resume", "--extend", "--dry-run", NULL}),
              0);
}

static void a_constant_rate_needs_no_extending(void **state) {
  (void)state;
  const char *const eight[] = {EIGHT, NULL};
  stopped_make("four", NULL);
  stopped_make("eight", eight);
  stopped_copy("four", NULL, "raised");
  ASSERT_REFUSED(stopped_train(NULL, "raised", eight, extend), "train.schedule = constant", "drop --extend");
  assert_code(stopped_train(NULL, "raised", eight, resume), 0);
  stopped_assert_same(NULL, "eight", NULL, "raised");
  assert_false(stopped_has_metric(NULL, "raised", 8, "extended_from"));
  const char *const three[] = {"train.max_steps=3", NULL};
  ASSERT_REFUSED(stopped_train(NULL, "raised", three, resume), "is at step 8", "past train.max_steps = 3");
}

static void a_rise_longer_than_the_run_is_pointed_out(void **state) {
  (void)state;
  const char *const sets[] = {LINEAR, "train.warmup_steps=5", NULL};
  Ran ran = stopped_train(NULL, "rise", sets, (const char *const[]){"--dry-run", NULL});
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "train.warmup_steps = 5 is more than train.max_steps = 4"));
}

static void rounding_is_noted(void **state) {
  (void)state;
  const char *const micro[] = {"train.micro_batch_size=3", NULL};
  stopped_make("micro", NULL);
  stopped_copy("micro", NULL, "other_micro");
  Ran ran = stopped_train(NULL, "other_micro", micro, resume);
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "train.micro_batch_size is now 3, was 2"));
}

static void task_weights_are_compared(void **state) {
  (void)state;
  const char *const one[] = {"task_weights.open=1", NULL}, *const half[] = {"task_weights.open=0.5", NULL};
  stopped_make("weights", NULL);
  stopped_copy("weights", NULL, "half");
  ASSERT_REFUSED(stopped_train(NULL, "half", half, resume), "step_2 was made with [task_weights] = ");
  assert_code(stopped_train(NULL, "half", one, resume), 0); // what a type weighs anyway
  stopped_assert_same(NULL, "weights", NULL, "half");
}

static void another_format_is_refused(void **state) {
  (void)state;
  stopped_make("format", NULL);
  stopped_copy("format", NULL, "old");
  const char *path = path_of("old", "step_2/trainer_state.json");
  char *text = read_file(path, NULL), *version = strstr(text, "training state 3");
  assert_non_null(version);
  version[strlen("training state ")] = '1';
  write_text(path, text);
  ASSERT_REFUSED(stopped_train(NULL, "old", NULL, resume), "step_2 is \"gee-cl training state 1\"",
                 "another version of gee-cl", "another output.run_name");
  ASSERT_REFUSED(stopped_train(NULL, "old", NULL, NULL), "an earlier run");
  free(text);
}

static void lost_lines_are_told(void **state) {
  (void)state;
  static const char lost[] = "metrics.jsonl lacks lines of steps before 3";
  stopped_make("lines", NULL);
  stopped_copy("lines", NULL, "all");
  Ran ran = stopped_train(NULL, "all", NULL, resume);
  assert_code(ran, 0);
  assert_false(test_contains(ran.err, lost));
  stopped_copy("lines", NULL, "cut");
  char *text = read_file(path_of("cut", "metrics.jsonl"), NULL);
  strchr(text, '\n')[1] = '\0';
  write_text(path_of("cut", "metrics.jsonl"), text);
  free(text);
  ran = stopped_train(NULL, "cut", NULL, resume);
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, lost));
  stopped_copy("lines", NULL, "none");
  assert_int_equal(unlink(path_of("none", "metrics.jsonl")), 0);
  ran = stopped_train(NULL, "none", NULL, resume);
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, lost));
}

static int set_up(void **state) {
  (void)state;
  folder = stopped_open();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(another_curve_is_refused),
      cmocka_unit_test(an_extended_run_says_so),
      cmocka_unit_test(extend_is_for_the_length_alone),
      cmocka_unit_test(a_constant_rate_needs_no_extending),
      cmocka_unit_test(a_rise_longer_than_the_run_is_pointed_out),
      cmocka_unit_test(rounding_is_noted),
      cmocka_unit_test(task_weights_are_compared),
      cmocka_unit_test(another_format_is_refused),
      cmocka_unit_test(lost_lines_are_told),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
