// Discrim-Eval without a model: what is read of its files, what is refused, metrics computed by hand, and
// those of lm-evaluation-harness from its own log-likelihoods.
#include "support/heard.h"
#include "support/process.h"
#include "support/task_rows.h"

#include "io/file.h"
#include "task_data.h"
#include "task_list.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

static Status open_file(const char *name, TaskData *rows) {
  *rows = (TaskData){.type = &task_discrim_eval, .argument = in_folder(folder, name)};
  Status status = task_data_open(rows, folder);
  if (status != STATUS_OK) task_data_free(rows);
  return status;
}

#define LINE(id, age, gender, race)                                                                          \
  "{\"filled_template\": \"Is it \\\"so\\\"?\", \"decision_question_id\": " id                               \
  ", \"fill_type\": \"explicit\", \"age\": " age ", \"gender\": " gender ", \"race\": " race "}\n"
#define USUAL LINE("5", "20.0", "\"male\"", "\"white\"")

// ---- data ----

static void rows_are_read_as_published(void **state) {
  (void)state;
  TaskData rows;
  write_text(in_folder(folder, "read.jsonl"),
             USUAL LINE("94", "100", "\"Non-Binary\"", "\"Native American\""));
  assert_ok(open_file("read.jsonl", &rows));
  assert_int_equal(rows.count, 2);
  assert_string_equal(
      rows.rows[0].data,
      "{\"task\": \"discrim_eval\", \"index\": 0, \"filled_template\": \"Is it \\\"so\\\"?\", "
      "\"decision_question_id\": 5, \"scenario\": \"5\", \"age\": 20, \"gender\": \"male\", "
      "\"race\": \"white\"}");
  assert_true(test_contains(rows.rows[1].data,
                            "\"decision_question_id\": 94, \"scenario\": \"94\", \"age\": "
                            "100, \"gender\": \"non-binary\", \"race\": \"native american\"}"));
  task_data_free(&rows);
}

static void malformed_lines_are_refused_by_line(void **state) {
  (void)state;
  static const struct {
    const char *line, *part;
  } cases[] = {
      {LINE("5", "30", "\"male\"", "\"whte\""),
       "line 2: race: \"whte\" is not white, black, asian, hispanic or native american"},
      {LINE("5", "30", "\"man\"", "\"white\""), "line 2: gender: \"man\" is not male, female or non-binary"},
      {LINE("5", "30", "\"\"", "\"white\""), "line 2"},
      {LINE("5", "30", "null", "\"white\""), "column \"gender\""},
      {LINE("5", "30", "\"male\"", "7"), "column \"race\""},
      {LINE("5", "25", "\"male\"", "\"white\""), "line 2: age must be 20, 30, ... or 100, not 25"},
      {LINE("5", "10", "\"male\"", "\"white\""), "not 10"},
      {LINE("5", "110", "\"male\"", "\"white\""), "not 110"},
      {LINE("5", "-20", "\"male\"", "\"white\""), "not -20"},
      {LINE("5", "20.5", "\"male\"", "\"white\""), "column \"age\""},
      {LINE("5", "\"20\"", "\"male\"", "\"white\""), "column \"age\""},
      {LINE("5", "null", "\"male\"", "\"white\""), "column \"age\""},
      {LINE("-1", "30", "\"male\"", "\"white\""),
       "line 2: decision_question_id must be a whole number from 0"},
      {LINE("9007199254740993", "30", "\"male\"", "\"white\""), "decision_question_id must be"},
      {LINE("\"a\"", "30", "\"male\"", "\"white\""), "column \"decision_question_id\""},
      {"{\"filled_template\": \"\", \"decision_question_id\": 5, \"age\": 30, \"gender\": \"male\", "
       "\"race\": "
       "\"white\"}\n",
       "line 2: column \"filled_template\" is empty"},
      {"{\"filled_template\": \"x\", \"decision_question_id\": 5, \"age\": 30, \"gender\": \"male\"}\n",
       "race"},
      {"{\"filled_template\": \"x\",\n", "broken.jsonl"},
      {USUAL, "line 2: decision_question_id 5 has a second person of age 20 who is male and white"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[1024];
    TaskData rows;
    (void)snprintf(text, sizeof text, "%s%s", USUAL, cases[i].line);
    write_text(in_folder(folder, "broken.jsonl"), text);
    assert_fails(open_file("broken.jsonl", &rows), STATUS_INPUT, cases[i].part);
    assert_true(test_contains(status_message(), "broken.jsonl"));
  }
}

static void missing_people_are_said(void **state) {
  (void)state;
  TaskData rows;
  write_text(in_folder(folder, "whole.jsonl"),
             USUAL LINE("5", "20", "\"female\"", "\"white\"") LINE("6", "20", "\"female\"", "\"white\"")
                 LINE("6", "20", "\"male\"", "\"white\""));
  write_text(in_folder(folder, "part.jsonl"),
             USUAL LINE("5", "20", "\"female\"", "\"white\"") LINE("6", "20", "\"female\"", "\"Asian\""));
  heard_start();
  assert_ok(open_file("whole.jsonl", &rows));
  assert_string_equal(heard_stop(), "");
  task_data_free(&rows);
  heard_start();
  assert_ok(open_file("part.jsonl", &rows));
  assert_true(test_contains(heard_stop(), "part.jsonl: of 8 people, one of each age, gender and race in each "
                                          "scenario, 5 are missing"));
  task_data_free(&rows);
}

// ---- metrics ----

enum { SCENARIOS = 2, TEXT = 256 };
static const char *const GENDERS[] = {"male", "female"}, *const RACES[] = {"white", "black"};

/// By scenario, age, gender and race.
static const double LOGITS[SCENARIOS][2][2][2] = {{{{1, 2}, {-1, 3}}, {{2, -1}, {4, -3}}},
                                                  {{{0, 1}, {2, 1}}, {{-2, -1}, {-2, 3}}}};

/// The first `count` of these people as rows, each with its logit.
static MetricList metrics_of_people(size_t count) {
  static char texts[16][TEXT];
  const char *rows[16];
  for (size_t i = 0; i < count; i++) {
    double logit = LOGITS[i >> 3][i >> 2 & 1][i >> 1 & 1][i & 1];
    (void)snprintf(texts[i], TEXT,
                   "{\"decision_question_id\": %d, \"age\": %d, \"gender\": \"%s\", \"race\": \"%s\", "
                   "\"loglikelihoods\": [%g, -1000, -10, -1000]}",
                   i < 8 ? 7 : 9, (i >> 2 & 1) == 0 ? 20 : 60, GENDERS[i >> 1 & 1], RACES[i & 1], logit - 10);
    rows[i] = texts[i];
  }
  return metrics_of(&task_discrim_eval, rows, count);
}

static size_t n_of(const MetricList *metrics, const char *name) {
  for (size_t i = 0; i < metrics->count; i++)
    if (strcmp(metrics->items[i].name, name) == 0) return metrics->items[i].n;
  fail_msg("there is no metric %s", name);
  return 0;
}

static void groups_by_hand(void **state) {
  (void)state;
  MetricList metrics = metrics_of_people(16);
  assert_metric(&metrics, "share_yes", 9.0 / 16);
  assert_metric(&metrics, "mean_logit", 9.0 / 16);
  assert_metric(&metrics, "logit_difference_gender_female", (-2 + 1 + 2 - 2 + 2 + 0 + 0 + 4) / 8.0);
  assert_metric(&metrics, "logit_difference_race_black", (1 + 4 - 3 - 7 + 1 - 1 + 1 + 5) / 8.0);
  assert_metric(&metrics, "logit_difference_age_20", (-1 + 3 - 5 + 6 + 2 + 2 + 4 - 2) / 8.0);
  assert_metric(&metrics, "logit_slope_age", -9 / 8.0 / 4); // of 40 years
  assert_metric(&metrics, "logit_difference_male_black", (1 - 3 + 1 + 1) / 4.0);
  assert_metric(&metrics, "logit_difference_female_white", (-2 + 2 + 2 + 0) / 4.0);
  assert_metric(&metrics, "logit_difference_female_black", (2 - 5 + 1 + 5) / 4.0);
  assert_metric(&metrics, "share_yes_gender_male", 4.0 / 8);
  assert_metric(&metrics, "share_yes_gender_female", 5.0 / 8);
  assert_metric(&metrics, "selection_ratio_gender_male", 4.0 / 5);
  assert_metric(&metrics, "selection_ratio_gender_female", 1);
  assert_metric(&metrics, "selection_ratio_race_white", 4.0 / 5);
  assert_metric(&metrics, "share_yes_age_60", 3.0 / 8);
  assert_metric(&metrics, "selection_ratio_age_60", 3.0 / 6);
  assert_metric(&metrics, "selection_ratio_male_white", 2.0 / 3);
  assert_metric(&metrics, "selection_ratio_female_black", 1);
  assert_int_equal(n_of(&metrics, "share_yes"), 16);
  assert_int_equal(n_of(&metrics, "logit_difference_gender_female"), 8);
  assert_int_equal(n_of(&metrics, "selection_ratio_male_white"), 4);
  // Of all rows, differences, the slope, and what 10 groups have; nothing of groups that nobody belongs to.
  assert_int_equal(metrics.count, 3 + 6 + 1 + 2 * 10);
  metrics_free(&metrics);
}

/// A sample of two scenarios is one of them twice, or both.
static void intervals_are_over_scenarios(void **state) {
  (void)state;
  MetricList metrics = metrics_of_people(16);
  Interval gender = metrics_get(&metrics, "logit_difference_gender_female");
  assert_true(gender.low == -1 / 4.0 && gender.high == 6 / 4.0);
  Interval ratio = metrics_get(&metrics, "selection_ratio_gender_male");
  assert_true(ratio.low == 1 / 3.0 && ratio.high == 1); // 1 yes beside 3, and 3 beside 2
  metrics_free(&metrics);
  metrics = metrics_of_people(8);
  gender = metrics_get(&metrics, "logit_difference_gender_female");
  assert_true(gender.value == -1 / 4.0 && isnan(gender.low) && isnan(gender.high));
  metrics_free(&metrics);
}

/// Without the last one, 60 years, female and black in scenario 9, three sets are not whole.
static void a_set_that_lacks_one_is_left_out(void **state) {
  (void)state;
  MetricList metrics = metrics_of_people(15);
  assert_metric(&metrics, "share_yes", 8.0 / 15);
  assert_metric(&metrics, "logit_difference_gender_female", (-2 + 1 + 2 - 2 + 2 + 0 + 0) / 7.0);
  assert_metric(&metrics, "logit_difference_race_black", (1 + 4 - 3 - 7 + 1 - 1 + 1) / 7.0);
  assert_metric(&metrics, "logit_difference_age_20", (-1 + 3 - 5 + 6 + 2 + 2 + 4) / 7.0);
  assert_metric(&metrics, "logit_difference_female_black", (2 - 5 + 1) / 3.0);
  assert_metric(&metrics, "selection_ratio_gender_male", 4.0 / 4);
  assert_int_equal(n_of(&metrics, "share_yes"), 15);
  assert_int_equal(n_of(&metrics, "share_yes_gender_male"), 7);
  assert_int_equal(n_of(&metrics, "logit_slope_age"), 7);
  assert_int_equal(n_of(&metrics, "selection_ratio_female_black"), 3);
  metrics_free(&metrics);
}

#define ROW(age, gender, race, ll)                                                                           \
  "{\"decision_question_id\": 1, \"age\": " age ", \"gender\": \"" gender "\", \"race\": \"" race            \
  "\", \"loglikelihoods\": " ll "}"

static void what_cannot_be_compared_is_no_number(void **state) {
  (void)state;
  static const char *const rows[] = {ROW("20", "female", "white", "[-3, -4, -1, -2]"),
                                     ROW("20", "female", "asian", "[-3, -4, -1, -2]")};
  MetricList metrics = metrics_of(&task_discrim_eval, rows, 2);
  assert_metric(&metrics, "mean_logit", -2); // of p(yes) + p(Yes), and of p(no) + p(No)
  assert_metric(&metrics, "answer_mass", exp(-1) + exp(-2) + exp(-3) + exp(-4));
  assert_metric(&metrics, "logit_difference_race_asian", 0);
  assert_true(isnan(metrics_get(&metrics, "logit_difference_gender_female").value)); // no man
  assert_true(isnan(metrics_get(&metrics, "logit_slope_age").value));                // one age
  assert_metric(&metrics, "share_yes_race_white", 0);
  assert_true(isnan(metrics_get(&metrics, "selection_ratio_race_white").value)); // nobody gets a yes
  metrics_free(&metrics);
  // No set of races is whole.
  static const char *const apart[] = {ROW("20", "female", "white", "[-1, -2, -3, -4]"),
                                      ROW("30", "female", "asian", "[-1, -2, -3, -4]")};
  metrics = metrics_of(&task_discrim_eval, apart, 2);
  assert_true(isnan(metrics_get(&metrics, "share_yes_race_asian").value));
  assert_int_equal(n_of(&metrics, "share_yes_race_asian"), 0);
  assert_metric(&metrics, "share_yes", 1);
  metrics_free(&metrics);
}

static void hostile_rows_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *row, *part;
  } cases[] = {{ROW("25", "male", "white", "[-1, -2, -3, -4]"), "a row: age must be"},
               {ROW("20", "m", "white", "[-1, -2, -3, -4]"), "a row: gender: \"m\" is not"},
               {ROW("20", "male", "", "[-1, -2, -3, -4]"), "a row: race: \"\" is not"},
               {ROW("20", "male", "white", "[-1, -2, -3]"), "must be a list of 4 numbers"},
               {ROW("20", "male", "white", "[-1, -2, -3, -4, -5]"), "must be a list of 4 numbers"},
               {ROW("20", "male", "white", "[-1e999, -1e999, -3, -4]"), "not finite"},
               {ROW("20", "male", "white", "[1e999, -1, -3, -4]"), "not finite"},
               {"{}", "decision_question_id"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cJSON *row = NULL;
    MetricList metrics = {0};
    assert_ok(json_parse(cases[i].row, strlen(cases[i].row), "a row", &row));
    const TaskItem twice[] = {{"a row", row}, {"a row", row}};
    assert_fails(task_discrim_eval.measure(&(TaskItems){&task_discrim_eval, twice, 1}, &metrics),
                 STATUS_INPUT, cases[i].part);
    metrics_free(&metrics);
    cJSON_Delete(row);
  }
}

static void a_person_twice_is_refused(void **state) {
  (void)state;
  const char *text = ROW("20", "male", "white", "[-1, -2, -3, -4]");
  cJSON *row = NULL;
  MetricList metrics = {0};
  assert_ok(json_parse(text, strlen(text), "a row", &row));
  const TaskItem twice[] = {{"the first", row}, {"the second", row}};
  assert_fails(task_discrim_eval.measure(&(TaskItems){&task_discrim_eval, twice, 2}, &metrics), STATUS_INPUT,
               "the second: decision_question_id 1 has a second person");
  metrics_free(&metrics);
  cJSON_Delete(row);
}

// ---- the harness ----

/// The items of our own file, with the harness's log-likelihoods: the coefficients of its mixed model are
/// these means.
static void coefficients_are_those_of_the_harness(void **state) {
  (void)state;
  static const char *const names[][2] = {{"female_bias", "logit_difference_gender_female"},
                                         {"non_binary_bias", "logit_difference_gender_non-binary"},
                                         {"black_bias", "logit_difference_race_black"},
                                         {"asian_bias", "logit_difference_race_asian"},
                                         {"hispanic_bias", "logit_difference_race_hispanic"},
                                         {"native_american_bias", "logit_difference_race_native_american"}};
  cJSON *golden = NULL;
  TaskData data = {.type = &task_discrim_eval,
                   .argument = GEE_SOURCE_DIR "/tests/cli/discrim_eval/explicit.jsonl"};
  assert_ok(task_data_open(&data, NULL));
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/cli/discrim_golden.json", &golden));
  const cJSON *rows = cJSON_GetObjectItem(golden, "rows"),
              *metrics_golden = cJSON_GetObjectItem(golden, "metrics");
  assert_int_equal(cJSON_GetArraySize(rows), data.count);
  TaskItem *items = calloc(data.count, sizeof *items);
  assert_non_null(items);
  for (size_t i = 0; i < data.count; i++) {
    cJSON *row = cJSON_Parse(data.rows[i].data);
    assert_true(cJSON_AddItemToObject(row, "loglikelihoods",
                                      cJSON_Duplicate(cJSON_GetArrayItem(rows, (int)i), true)));
    items[i] = (TaskItem){"a row", row};
  }
  MetricList metrics = {0};
  assert_ok(task_discrim_eval.measure(&(TaskItems){&task_discrim_eval, items, data.count}, &metrics));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    double expected = cJSON_GetObjectItem(metrics_golden, names[i][0])->valuedouble;
    double found = metrics_get(&metrics, "%s", names[i][1]).value;
    if (!(fabs(found - expected) <= 1e-7)) fail_msg("%s is %.9f, not %.9f", names[i][1], found, expected);
  }
  double slope = fabs(metrics_get(&metrics, "logit_slope_age").value) *
                 cJSON_GetObjectItem(golden, "age_sd")->valuedouble / 10;
  assert_true(fabs(slope - cJSON_GetObjectItem(metrics_golden, "age_bias")->valuedouble) <= 1e-7);
  metrics_free(&metrics);
  for (size_t i = 0; i < data.count; i++) cJSON_Delete((cJSON *)items[i].row);
  free(items);
  cJSON_Delete(golden);
  task_data_free(&data);
}

int main(void) {
  folder = test_folder();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_read_as_published),
      cmocka_unit_test(malformed_lines_are_refused_by_line),
      cmocka_unit_test(missing_people_are_said),
      cmocka_unit_test(groups_by_hand),
      cmocka_unit_test(intervals_are_over_scenarios),
      cmocka_unit_test(a_set_that_lacks_one_is_left_out),
      cmocka_unit_test(what_cannot_be_compared_is_no_number),
      cmocka_unit_test(hostile_rows_are_refused),
      cmocka_unit_test(a_person_twice_is_refused),
      cmocka_unit_test(coefficients_are_those_of_the_harness),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
