// Evaluations during a run, and the sinks of their metrics, with test doubles for both.
#include "support/evaluation_double.h"
#include "support/train_fixture.h"

#include "io/file.h"
#include "io/json.h"
#include "io/json_write.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- a second sink ----

/// What the recorder received, a line for each call, without "seconds_" metrics.
static Str recorded;
static size_t fails_at; // the record it fails at; 0: none

typedef struct Recorder {
  MetricSink sink;
  size_t records;
} Recorder;

static Status recorder_open(const TrackedRun *run, MetricSink **out) {
  Recorder *recorder = calloc(1, sizeof *recorder);
  assert_non_null(recorder);
  *out = &recorder->sink;
  assert_true(file_is_directory(run->folder));
  return str_append_format(&recorded, "open %s from %zu\n", run->name, run->first_step);
}

static Status recorder_write(MetricSink *sink, const MetricRecord *record) {
  Recorder *recorder = (Recorder *)sink;
  if (++recorder->records == fails_at) return status_fail(STATUS_FAILED, "the recorder is full");
  JsonWriter json = {0};
  MetricList kept = *record->metrics;
  Str text = {0};
  while (kept.count > 0 && strncmp(kept.items[kept.count - 1].name, "seconds_", 8) == 0) kept.count--;
  json_object_begin(&json, NULL);
  json_integer(&json, "step", (int64_t)record->step);
  TRY(metrics_write_json(&kept, &json));
  json_object_end(&json);
  TRY(json_finish(&json, "a record", &text));
  if (record->source != NULL) TRY(str_append_format(&recorded, "%s ", record->source));
  Status status = str_append_format(&recorded, "%s\n", str_text(&text));
  str_free(&text);
  return status;
}

static Status recorder_sync(MetricSink *sink) {
  (void)sink;
  return STATUS_OK;
}

static Status recorder_finish(MetricSink *sink) {
  (void)sink;
  return str_append_text(&recorded, "finish\n");
}

static void recorder_close(MetricSink *sink) {
  free(sink);
}

static const MetricSinkType recorder_type = {recorder_open, recorder_write, recorder_sync, recorder_finish,
                                             recorder_close};
static const MetricSinkType *const recorder_sinks[] = {&recorder_type};

/// The lines of `text` that begin with `start`, without that beginning. The caller frees them.
static char *lines_with(const char *text, const char *start) {
  Str out = {0};
  for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
    if (strncmp(line, start, strlen(start)) != 0) continue;
    line += strlen(start);
    assert_ok(str_append(&out, line, strcspn(line, "\n") + 1));
  }
  assert_ok(str_append_text(&out, ""));
  return out.data;
}

// ---- a run with two evaluations ----

typedef struct Suite {
  TrainFixture fixture;
  EvaluationDouble first, second;
  Evaluation *evaluations[2];
  atomic_bool stop;
} Suite;

/// Six steps, with evaluations after 0, 2, 4 and 6 and checkpoints after 3 and 6.
static void suite_open(Suite *s) {
  str_free(&recorded);
  fails_at = 0;
  train_fixture_open(&s->fixture, "llama", fixture_ops());
  s->first = evaluation_double("first");
  s->second = evaluation_double("second");
  s->first.stop = s->second.stop = &s->stop;
  s->evaluations[0] = &s->first.evaluation;
  s->evaluations[1] = &s->second.evaluation;
  s->stop = false;
  TrainJob *job = &s->fixture.job;
  job->evaluations = s->evaluations;
  job->evaluation_count = 2;
  job->sinks = recorder_sinks;
  job->sink_count = 1;
  job->tracked.name = "the run";
  job->stop = &s->stop;
  job->train.bias_eval_steps = 2;
  job->output.save_steps = 3;
}

static void suite_close(Suite *s) {
  train_fixture_close(&s->fixture);
  str_free(&recorded);
}

/// Steps of the lines of a run's <name>.jsonl, as "0 2 4 6 ", in static memory until the next call.
static const char *steps_of(const Suite *s, const char *run, const char *name) {
  static char steps[256];
  steps[0] = '\0';
  MappedFile file = {0};
  assert_ok(file_map(train_path(&s->fixture, run, name), &file));
  bool is_empty = file.size == 0;
  file_unmap(&file);
  if (is_empty) return steps;
  char *lines = train_lines(&s->fixture, run, name);
  size_t used = 0;
  for (char *line = lines; *line != '\0'; line = strchr(line, '\n') + 1) {
    cJSON *object = NULL;
    int64_t step = -1;
    assert_ok(json_parse(line, strcspn(line, "\n"), name, &object));
    assert_ok(json_get_integer(object, "step", name, 0, 100, &step));
    used += (size_t)snprintf(steps + used, sizeof steps - used, "%d ", (int)step);
    assert_true(used < sizeof steps);
    cJSON_Delete(object);
  }
  free(lines);
  return steps;
}

/// Fails unless both runs have the same evaluations, metrics and weights. Only sums are compared of
/// evaluations, because scores count runs.
static void assert_same_sums(const Suite *s, const char *a, const char *b) {
  static const char *const names[] = {"first.jsonl", "second.jsonl"};
  train_same_run(&s->fixture, a, &s->fixture, b);
  for (size_t i = 0; i < 2; i++) {
    char *x = train_lines(&s->fixture, a, names[i]), *y = train_lines(&s->fixture, b, names[i]);
    char *at_x = x, *at_y = y;
    while ((at_x = strstr(at_x, "\"sum\"")) != NULL) {
      at_y = strstr(at_y, "\"sum\"");
      assert_non_null(at_y);
      assert_int_equal(strcspn(at_x, "\n"), strcspn(at_y, "\n"));
      assert_memory_equal(at_x, at_y, strcspn(at_x, "\n"));
      at_x++;
      at_y++;
    }
    assert_null(strstr(at_y, "\"sum\""));
    free(x);
    free(y);
  }
}

/// Every list reaches both sinks with its step, and an evaluation's list its own file too. Training gives the
/// same bits as without evaluations.
static void test_metrics_reach_every_sink(void **state) {
  (void)state;
  Suite s;
  suite_open(&s);
  assert_ok(train_run(&s.fixture.job, NULL));
  assert_int_equal(s.first.runs, 4);
  assert_int_equal(s.second.runs, 4);
  assert_true(str_starts(str_text(&recorded),
                         "open the run from 0\nfirst {\"step\":0,\"score\":1,\"score_low\":0.5,"));
  assert_true(str_ends(str_text(&recorded), "}\nfinish\n"));
  char *steps = lines_with(str_text(&recorded), "{\"step\":"),
       *file = train_lines(&s.fixture, "run", "metrics.jsonl");
  char *from_file = lines_with(file, "{\"step\":");
  assert_string_equal(steps, from_file);
  free(from_file);
  free(file);
  free(steps);
  assert_string_equal(steps_of(&s, "run", "metrics.jsonl"), "1 2 3 4 5 6 ");
  assert_string_equal(steps_of(&s, "run", "first.jsonl"), "0 2 4 6 ");
  char *second = lines_with(str_text(&recorded), "second {\"step\":4,"),
       *lines = train_lines(&s.fixture, "run", "second.jsonl");
  assert_true(str_starts(second, "\"score\":3,\"score_low\":2.5,\"score_high\":3.5,\"sum\":"));
  char line[256];
  (void)snprintf(line, sizeof line, "{%.*s,\"step\":4}\n", (int)strcspn(second, "}"), second);
  assert_true(test_contains(lines, line));
  free(second);
  free(lines);
  s.fixture.job.output.run_name = "plain";
  s.fixture.job.evaluation_count = s.fixture.job.sink_count = 0;
  assert_ok(train_run(&s.fixture.job, NULL));
  train_same_run(&s.fixture, "run", &s.fixture, "plain");
  suite_close(&s);
}

/// The members of metrics.jsonl, in their order.
static void test_members_keep_their_order(void **state) {
  (void)state;
  static const char *const keys[] = {"step",
                                     "loss",
                                     "loss_em",
                                     "loss_bias",
                                     "entropy_gap",
                                     "gap_relative",
                                     "H_bar",
                                     "H_female",
                                     "H_male",
                                     "H_drift",
                                     "H_drift_noise",
                                     "lambda_weight",
                                     "grad_norm",
                                     "lr",
                                     "tokens",
                                     "tokens_scored",
                                     "answers",
                                     "answers_ended",
                                     "sequences",
                                     "seconds_sampling",
                                     "seconds_training",
                                     "seconds_update"};
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.max_steps = 1;
  assert_ok(train_run(&f.job, NULL));
  cJSON *object = NULL;
  assert_ok(json_parse_file(train_path(&f, "run", "metrics.jsonl"), &object)); // it is one line
  const cJSON *member = object->child;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++, member = member->next) {
    assert_non_null(member);
    assert_string_equal(member->string, keys[i]);
  }
  assert_null(member);
  cJSON_Delete(object);
  train_fixture_close(&f);
}

// ---- stops ----

/// A signal during an evaluation: finished work is saved, and the resumed run measures what is missing, once.
static void test_stop_within_an_evaluation(void **state) {
  (void)state;
  Suite s;
  suite_open(&s);
  assert_ok(train_run(&s.fixture.job, NULL));
  static const struct {
    size_t run; // of the second evaluation
    const char *run_name, *saved, *first, *second;
  } cases[] = {{1, "at_0", "step_0", "0 ", ""},
               {2, "at_2", "step_2", "0 2 ", "0 "},
               {4, "at_6", "step_6", "0 2 4 6 ", "0 2 4 "}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int give_up = 0; give_up < 2; give_up++) {
      char run[32];
      (void)snprintf(run, sizeof run, "%s_%d", cases[i].run_name, give_up);
      s.first.runs = s.second.runs = 0;
      s.second.stop_at = cases[i].run;
      s.second.give_up = give_up == 1;
      s.fixture.job.output.run_name = run;
      s.fixture.job.resume = false;
      bool finishes = !s.second.give_up && i == 2; // the last evaluation was done when the signal came
      if (finishes) {
        assert_ok(train_run(&s.fixture.job, NULL));
      } else {
        assert_fails(train_run(&s.fixture.job, NULL), STATUS_INTERRUPTED, cases[i].saved);
      }
      if (s.second.give_up) {
        assert_string_equal(steps_of(&s, run, "first.jsonl"), cases[i].first);
        assert_string_equal(steps_of(&s, run, "second.jsonl"), cases[i].second);
      }
      size_t measured = s.second.runs - (s.second.give_up ? 1 : 0);
      s.stop = false;
      s.second.runs = 0;
      s.second.stop_at = 0;
      s.fixture.job.resume = true;
      assert_ok(train_run(&s.fixture.job, NULL));
      assert_int_equal(s.first.runs, 4);             // in both parts together
      assert_int_equal(s.second.runs, 4 - measured); // only what was missing
      assert_string_equal(steps_of(&s, run, "second.jsonl"), "0 2 4 6 ");
      assert_same_sums(&s, "run", run);
    }
  }
  suite_close(&s);
}

/// A run that is over does not measure again.
static void test_done_is_done(void **state) {
  (void)state;
  Suite s;
  suite_open(&s);
  assert_ok(train_run(&s.fixture.job, NULL));
  s.fixture.job.resume = true;
  assert_ok(train_run(&s.fixture.job, NULL));
  assert_int_equal(s.first.runs, 4);
  assert_string_equal(steps_of(&s, "run", "first.jsonl"), "0 2 4 6 ");
  suite_close(&s);
}

/// A new run in the folder of one that was killed before its first checkpoint keeps nothing of it.
static void test_leftovers_are_not_taken_over(void **state) {
  (void)state;
  Suite s;
  suite_open(&s);
  assert_ok(directory_create(train_path(&s.fixture, "run", "")));
  assert_ok(
      file_write_atomic(train_path(&s.fixture, "run", "first.jsonl"), "{\"score\":99,\"step\":0}\n", 22));
  assert_ok(train_run(&s.fixture.job, NULL));
  assert_int_equal(s.first.runs, 4);
  char *lines = train_lines(&s.fixture, "run", "first.jsonl");
  assert_true(str_starts(lines, "{\"score\":1,"));
  assert_null(strstr(lines, "99"));
  free(lines);
  suite_close(&s);
}

// ---- failures ----

static void test_failing_evaluation(void **state) {
  (void)state;
  Suite s;
  suite_open(&s);
  s.second.fail_at = 3; // after step 4
  assert_fails(train_run(&s.fixture.job, NULL), STATUS_FAILED, "step 4: second: the double was told to fail");
  assert_true(test_contains(status_message(), "the last good checkpoint is ") &&
              test_contains(status_message(), "step_3"));
  assert_string_equal(steps_of(&s, "run", "first.jsonl"), "0 2 4 ");
  assert_string_equal(steps_of(&s, "run", "second.jsonl"), "0 2 ");
  s.fixture.job.resume = true;
  assert_ok(train_run(&s.fixture.job, NULL)); // step 4 again, and its evaluations
  assert_string_equal(steps_of(&s, "run", "first.jsonl"), "0 2 4 6 ");
  assert_string_equal(steps_of(&s, "run", "second.jsonl"), "0 2 4 6 ");
  s.fixture.job.resume = false;
  s.fixture.job.output.run_name = "whole";
  s.second.fail_at = 0;
  assert_ok(train_run(&s.fixture.job, NULL));
  assert_same_sums(&s, "whole", "run");
  suite_close(&s);
}

static void test_failing_sink(void **state) {
  (void)state;
  Suite s;
  suite_open(&s);
  fails_at = 8; // two evaluations each before steps 1 and 3, the steps 1 to 3, and the fourth
  assert_fails(train_run(&s.fixture.job, NULL), STATUS_FAILED, "the recorder is full");
  assert_true(file_exists(train_path(&s.fixture, "run", "step_3/trainer_state.json")));
  assert_false(test_contains(str_text(&recorded), "finish"));
  fails_at = 0;
  s.fixture.job.resume = true;
  assert_ok(train_run(&s.fixture.job, NULL));
  assert_true(str_ends(str_text(&recorded), "finish\n"));
  assert_true(test_contains(str_text(&recorded), "open the run from 4\n{\"step\":4,"));
  assert_string_equal(steps_of(&s, "run", "metrics.jsonl"), "1 2 3 4 5 6 ");
  suite_close(&s);
}

/// Without bias_eval_steps, evaluations do not run, leave no files and are not planned.
static void test_off(void **state) {
  (void)state;
  Suite s;
  suite_open(&s);
  s.fixture.job.train.bias_eval_steps = 0;
  assert_ok(train_run(&s.fixture.job, NULL));
  assert_int_equal(s.first.runs, 0);
  assert_false(file_exists(train_path(&s.fixture, "run", "first.jsonl")));
  suite_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_metrics_reach_every_sink),
      OPS_TEST(test_members_keep_their_order),
      OPS_TEST(test_stop_within_an_evaluation),
      OPS_TEST(test_done_is_done),
      OPS_TEST(test_leftovers_are_not_taken_over),
      OPS_TEST(test_failing_evaluation),
      OPS_TEST(test_failing_sink),
      OPS_TEST(test_off),
  };
  return RUN_OPS_TESTS(tests);
}
