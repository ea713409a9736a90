// Tasks of a user's own without a model: definitions, rows, and metrics computed by hand.
#include "support/process.h"
#include "support/task_rows.h"

#include "eval/user_task.h"
#include "io/file.h"
#include "task_data.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *folder;

#define HEAD                                                                                                 \
  "\"name\": \"mine\", \"description\": \"what\", \"limits\": \"little\", \"data\": \"rows.jsonl\", "
#define CHOICE                                                                                               \
  "{" HEAD "\"kind\": \"choice\", \"context\": \"Q: {q}\", \"choices\": [\"yes\", \"{other}\"], "            \
  "\"answer_index_column\": \"a\""
#define LIST "{" HEAD "\"kind\": \"choice\", \"choices_column\": \"list\", \"answer_text_column\": \"a\""
#define PAIR "{" HEAD "\"kind\": \"pair\", \"first\": \"{x}\", \"second\": \"{y}\""

static Status load(const char *definition, UserTask **task) {
  write_text(in_folder(folder, "mine.json"), definition);
  return user_task_load(in_folder(folder, "mine.json"), task);
}

static Status open_task(const UserTask *task, TaskData *data) {
  *data = (TaskData){.type = user_task_type(task)};
  Status status = task_data_open(data, user_task_folder(task));
  if (status != STATUS_OK) task_data_free(data);
  return status;
}

typedef struct Refused {
  const char *text, *part;
} Refused;

static void expect_refused(const Refused *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    UserTask *task = NULL;
    assert_fails(load(cases[i].text, &task), STATUS_INPUT, cases[i].part);
    assert_true(test_contains(status_message(), "mine.json"));
    assert_null(task);
  }
}

static void definitions_are_refused_by_name(void **state) {
  (void)state;
  static const Refused cases[] = {
      {"{", "not valid JSON"},
      {"[]", "must be an object that describes a task"},
      {"{}", "there is no \"kind\""},
      {"{\"kind\": \"triple\"}", "\"kind\" must be choice or pair, not \"triple\""},
      {"{\"kind\": 3}", "\"kind\""},
      {CHOICE ", \"contxt\": \"x\"}", "unknown member \"contxt\"; did you mean \"context\"?"},
      {CHOICE ", \"zzzzzzzzzzzzzzzzzzzzzz\": 1}", "unknown member \"zzzzzzzzzzzzzzzzzzzzzz\""},
      {CHOICE ", \"kind\": \"pair\"}", "\"kind\""}, // twice
      {CHOICE ", \"first\": \"x\"}", "a choice task has no \"first\""},
      {PAIR ", \"choices\": [\"x\", \"y\"]}", "a pair task has no \"choices\""},
      {"{\"kind\": \"pair\", \"name\": \"a b\"}", "\"name\" must be up to 64 letters"},
      {"{\"kind\": \"pair\", \"name\": \"crows_pairs\"}", "gee-cl has a task crows_pairs of its own"},
      {"{\"kind\": \"pair\", \"name\": \"\"}", "\"name\" is empty"},
      {"{\"kind\": \"pair\", \"name\": \"x\", \"description\": \"a\\u001b[2J\"}",
       "without control characters"},
      {"{\"kind\": \"pair\", \"name\": \"x\", \"description\": \"a\"}", "there is no \"limits\""},
      {"{\"kind\": \"pair\", \"name\": \"x\", \"description\": \"a\", \"limits\": \"b\"}",
       "there is no \"data\""},
      {CHOICE ", \"choices_column\": \"x\"}", "needs either \"choices\" or \"choices_column\""},
      {CHOICE ", \"answer_text_column\": \"x\"}", "needs either \"answer_index_column\""},
      {CHOICE ", \"delimiter\": 1}", "\"delimiter\""},
      {PAIR ", \"delimiter\": \"\"}", "\"delimiter\" stands behind a \"context\", and there is none"},
      {PAIR ", \"context\": \"{\"}", "\"context\": a column stands in braces"},
      {PAIR ", \"context\": \"{}\"}", "a column stands in braces"},
      {PAIR ", \"context\": \"a } b\"}", "found \"} b\""},
      {PAIR ", \"context\": \"{a{b}}\"}", "a column stands in braces"},
      {PAIR ", \"part_columns\": \"x\"}", "\"part_columns\""},
      {PAIR ", \"part_columns\": [1]}", "\"part_columns\" must be a list"},
      {PAIR ", \"part_columns\": [\"first\"]}", "rows have a member \"first\" of their own"},
      {PAIR ", \"cluster_column\": \"index\"}", "rows have a member \"index\" of their own"},
      {PAIR ", \"metrics\": {\"acc\": \"x\"}}",
       "a pair task has share_first and mean_difference, not \"acc\""},
      {PAIR ", \"metrics\": {}}", "\"metrics\" is empty"},
      {PAIR ", \"metrics\": {\"share_first\": 1}}", "the name of share_first"},
      {PAIR ", \"metrics\": {\"share_first\": \"a\", \"mean_difference\": \"a\"}}", "two have the name a"},
      {"{" HEAD "\"kind\": \"pair\", \"first\": \"a\", \"second\": \"b\"}", "its texts name no column"},
      {"{" HEAD "\"kind\": \"choice\", \"choices\": [\"a\"], \"answer_index_column\": \"x\"}",
       "\"choices\" must be a list of 2 to 64 texts"},
      {"{" HEAD "\"kind\": \"choice\", \"choices\": [\"a\", \"\"], \"answer_index_column\": \"x\"}",
       "\"choices\" must be a list of 2 to 64 texts"}};
  expect_refused(cases, sizeof cases / sizeof *cases);
}

/// Two metrics must not have one name, nor two choices one text.
static void what_stands_twice_is_refused(void **state) {
  (void)state;
  static const Refused cases[] = {
      {PAIR ", \"part_columns\": [\"c\", \"d\", \"c\"]}", "mine.json: \"part_columns\" names \"c\" twice"},
      {PAIR ", \"part_columns\": [\"c\", \"c:d\"]}", "metrics of \"c\" and of \"c:d\" could have one name"},
      {PAIR ", \"part_columns\": [\"c:d\", \"c\"]}", "metrics of \"c\" and of \"c:d\" could have one name"},
      {PAIR ", \"part_columns\": [\"b_c\", \"c\"], \"metrics\": {\"share_first\": \"a\", "
            "\"mean_difference\": \"a_b\"}}",
       "metrics of \"c\" and of \"b_c\" could have one name"},
      {"{" HEAD "\"kind\": \"choice\", \"choices\": [\"a\", \"{b}\", \"a\"], \"answer_index_column\": \"x\"}",
       "mine.json: \"choices\": the text \"a\" is there twice"},
      {"{" HEAD "\"kind\": \"pair\", \"first\": \"{a}\", \"second\": \"{a}\"}",
       "\"second\": the text \"{a}\" is there twice"}};
  expect_refused(cases, sizeof cases / sizeof *cases);
}

/// Fails unless the first row of the task is `expected` behind its task and index.
static void expect_row(const char *definition, const char *rows, const char *expected) {
  UserTask *task = NULL;
  TaskData data;
  write_text(in_folder(folder, "rows.jsonl"), rows);
  assert_ok(load(definition, &task));
  assert_ok(open_task(task, &data));
  if (!str_ends(data.rows[0].data, expected))
    fail_msg("%s does not end with %s", data.rows[0].data, expected);
  task_data_free(&data);
  user_task_free(task);
}

static void rows_hold_what_is_asked(void **state) {
  (void)state;
  expect_row(CHOICE ", \"delimiter\": \"\"}", "{\"q\": \"é {x}?\", \"other\": 7, \"a\": 1}\n",
             "\"index\": 0, \"context\": \"Q: é {x}?\", \"delimiter\": \"\", \"choices\": [\"yes\", \"7\"], "
             "\"answer\": 1}");
  expect_row(
      LIST ", \"cluster_column\": \"who\", \"part_columns\": [\"who\", \"n\"]}",
      "{\"list\": [\"p\", \"q\", \"r\"], \"a\": \"r\", \"who\": \"me\", \"n\": -3}\n",
      "\"index\": 0, \"who\": \"me\", \"n\": \"-3\", \"choices\": [\"p\", \"q\", \"r\"], \"answer\": 2}");
  expect_row("{" HEAD "\"kind\": \"pair\", \"first\": \"{{{x}}}\", \"second\": \"{y}{y}\"}",
             "{\"x\": \"1\", \"y\": \"2\"}\n", "\"index\": 0, \"first\": \"{1}\", \"second\": \"22\"}");
}

/// An absolute path of data is what it says, wherever the definition lies.
static void data_may_be_absolute(void **state) {
  (void)state;
  const char *other = test_folder();
  char text[4096];
  UserTask *task = NULL;
  TaskData data = {0};
  write_text(in_folder(other, "rows.jsonl"), "{\"x\": \"a\", \"y\": \"b\"}\n");
  static const char *const entries[][2] = {{"", "rows.jsonl"}, {"none.csv|", "rows.jsonl"}, {"", "*.jsonl"}};
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    (void)snprintf(text, sizeof text,
                   "{\"name\": \"mine\", \"description\": \"what\", \"limits\": \"little\", \"data\": "
                   "\"%s%s/%s\", \"kind\": \"pair\", \"first\": \"{x}\", \"second\": \"{y}\"}",
                   entries[i][0], other, entries[i][1]);
    assert_ok(load(text, &task));
    assert_ok(open_task(task, &data));
    assert_string_equal(task_path(&data, 1), in_folder(other, "rows.jsonl"));
    task_data_free(&data);
    user_task_free(task);
  }
}

static void rows_are_refused_by_line(void **state) {
  (void)state;
  static const struct {
    const char *definition, *rows, *part;
  } cases[] = {
      {CHOICE "}", "{\"q\": \"x\", \"other\": \"no\", \"a\": 2}\n", "line 1: the answer is 2, not 0 to 1"},
      {CHOICE "}", "{\"q\": \"x\", \"other\": \"no\", \"a\": -1}\n", "line 1: the answer is -1"},
      {CHOICE "}", "{\"q\": \"x\", \"other\": \"no\", \"a\": \"1\"}\n", "column \"a\""},
      {CHOICE "}", "{\"q\": \"x\", \"other\": \"yes\", \"a\": 1}\n",
       "line 1: texts 0 and 1 are both \"yes\""},
      {CHOICE "}", "{\"q\": \"x\", \"other\": \"\", \"a\": 1}\n", "line 1: text 1 is empty"},
      {CHOICE "}", "{\"q\": \"x\", \"other\": 0.5, \"a\": 1}\n", "column \"other\""},
      {CHOICE "}", "{\"q\": null, \"other\": \"no\", \"a\": 1}\n", "column \"q\""},
      {CHOICE "}", "{\"q\": \"x\", \"a\": 1}\n", "mine.json: \"choices\": "}, // and then the line
      {CHOICE "}", "{\"q\": \"x\", \"a\": 1}\n", "rows.jsonl: line 1: no member \"other\""},
      {CHOICE "}", "{\"other\": \"x\", \"a\": 1}\n", "mine.json: \"context\": "},
      {CHOICE ", \"part_columns\": [\"p\"]}", "{\"q\": \"x\", \"other\": \"no\", \"a\": 1}\n",
       "mine.json: \"part_columns\": "},
      {CHOICE ", \"cluster_column\": \"p\"}", "{\"q\": \"x\", \"other\": \"no\", \"a\": 1}\n",
       "mine.json: \"cluster_column\": "},
      {LIST "}", "{\"list\": [\"a\", \"b\"], \"a\": \"b\"}\n{\"list\": [\"a\", \"b\"], \"a\": \"B\"}\n",
       "line 2: the answer \"B\" is none of the choices"},
      {LIST "}", "{\"list\": [\"a\"], \"a\": \"a\"}\n", "line 1: there are 1 choices"},
      {LIST "}", "{\"list\": \"a\", \"a\": \"a\"}\n", "column \"list\""},
      {LIST "}", "{\"list\": [\"a\", 1], \"a\": \"a\"}\n", "column \"list\""},
      {LIST "}", "", "there are no items of mine"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    UserTask *task = NULL;
    TaskData data;
    write_text(in_folder(folder, "rows.jsonl"), cases[i].rows);
    assert_ok(load(cases[i].definition, &task));
    assert_fails(open_task(task, &data), STATUS_INPUT, cases[i].part);
    user_task_free(task);
  }
}

/// The metrics of rows by a definition.
static MetricList measured(const char *definition, const char *const *rows, size_t count) {
  UserTask *task = NULL;
  assert_ok(load(definition, &task));
  MetricList metrics = metrics_of(user_task_type(task), rows, count);
  user_task_free(task);
  return metrics;
}

static void choices_by_hand(void **state) {
  (void)state;
  static const char *const rows[] = {"{\"who\": \"a\", \"correct\": true, \"correct_norm\": false}",
                                     "{\"who\": \"a\", \"correct\": false, \"correct_norm\": false}",
                                     "{\"who\": \"b\", \"correct\": true, \"correct_norm\": true}",
                                     "{\"who\": \"b\", \"correct\": true, \"correct_norm\": false}"};
  MetricList metrics = measured(LIST ", \"part_columns\": [\"who\"]}", rows, 4);
  assert_metric(&metrics, "acc", 0.75);
  assert_metric(&metrics, "acc_norm", 0.25);
  assert_metric(&metrics, "acc_who:a", 0.5);
  assert_metric(&metrics, "acc_norm_who:b", 0.5);
  double low = metrics_get(&metrics, "acc").low;
  metrics_free(&metrics);
  metrics = measured(LIST ", \"cluster_column\": \"who\", \"metrics\": {\"acc\": \"hits\"}}", rows, 4);
  assert_metric(&metrics, "hits", 0.75);
  assert_true(isnan(metrics_get(&metrics, "acc_norm").value));
  // Two clusters: samples have shares of 0.5, 0.75 and 1.
  assert_true(metrics_get(&metrics, "hits").low == 0.5 && metrics_get(&metrics, "hits").high == 1);
  assert_true(low < 0.5);
  metrics_free(&metrics);
}

static void pairs_by_hand(void **state) {
  (void)state;
  static const char *const rows[] = {"{\"loglikelihoods\": [-2, -3]}", "{\"loglikelihoods\": [-4, -4]}",
                                     "{\"loglikelihoods\": [-9, -7]}"};
  MetricList metrics = measured(PAIR "}", rows, 3);
  assert_metric(&metrics, "share_first", 1.0 / 3); // a tie is none
  assert_metric(&metrics, "mean_difference", -1.0 / 3);
  metrics_free(&metrics);
}

int main(void) {
  folder = test_folder();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(definitions_are_refused_by_name),
      cmocka_unit_test(what_stands_twice_is_refused),
      cmocka_unit_test(rows_hold_what_is_asked),
      cmocka_unit_test(data_may_be_absolute),
      cmocka_unit_test(rows_are_refused_by_line),
      cmocka_unit_test(choices_by_hand),
      cmocka_unit_test(pairs_by_hand),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
