// The tasks whose results are texts or long log-likelihoods, without a model: GSM8K's numbers as
// lm-evaluation-harness extracts and compares them, perplexity from rows, data that are not as published.
#include "support/task_rows.h"

#include "io/file.h"
#include "io/json.h"
#include "task_data.h"
#include "task_list.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- GSM8K ----

/// The row that the task makes of a text that the model wrote to a problem with this answer.
static cJSON *decide(const char *answer, const char *text, size_t size) {
  cJSON *row = cJSON_CreateObject(), *decided = NULL;
  JsonWriter json = {0};
  Str out = {0};
  int32_t ids[] = {5};
  TaskGeneration written = {.text = (char *)(uintptr_t)text, .size = size, .ids = ids, .count = 1};
  assert_non_null(cJSON_AddStringToObject(row, "answer", answer));
  json_object_begin(&json, NULL);
  assert_ok(task_gsm8k.decide(&(TaskItem){"item 0 of gsm8k", row},
                              &(TaskAnswers){.generations = &written, .generation_count = 1}, &json));
  json_object_end(&json);
  assert_ok(json_finish(&json, "a row", &out));
  assert_ok(json_parse_with_nul(str_text(&out), out.size, "a row", &decided));
  str_free(&out);
  cJSON_Delete(row);
  return decided;
}

static void expect_numbers(const char *answer, const char *text, const char *strict, const char *flexible,
                           bool strict_right, bool flexible_right) {
  const char *names[] = {"strict", "flexible"}, *numbers[] = {strict, flexible};
  bool right[] = {strict_right, flexible_right};
  cJSON *row = decide(answer, text, strlen(text));
  for (size_t k = 0; k < 2; k++) {
    char key[32];
    (void)snprintf(key, sizeof key, "%s_right", names[k]);
    const cJSON *found = cJSON_GetObjectItem(row, names[k]), *judged = cJSON_GetObjectItem(row, key);
    if (strcmp(found->valuestring, numbers[k]) != 0 || cJSON_IsTrue(judged) != (int)right[k])
      fail_msg("\"%s\" gives the %s number \"%s\" (%s), not \"%s\"", text, names[k], found->valuestring,
               cJSON_IsTrue(judged) ? "right" : "wrong", numbers[k]);
  }
  cJSON_Delete(row);
}

/// A hyphen belongs to a number, a lone full stop is none, and two are.
static void numbers_by_hand(void **state) {
  (void)state;
  expect_numbers("#### 7", "So 3 + 4 = 7.\n#### 7", "7", "7", true, true);
  expect_numbers("#### 7", "#### .\n#### -", ".", "[invalid]", false, false);
  expect_numbers("#### 7", "#### --7, 5. .. 6", "[invalid]", "6", false, false);
  expect_numbers("#### 7", "7 $", "[invalid]", "7", false, true);
  expect_numbers("#### 7", "7 $$", "[invalid]", "$$", false, false);
  expect_numbers("a #### 3\n#### $7,000.", "#### 7000", "7000", "7000", true, true);
}

/// NUL is a character like others, as in Python: the text goes on behind it, and it is no blank.
static void a_text_goes_on_behind_a_nul(void **state) {
  (void)state;
  static const char text[] = "so 1\0####\0"
                             "3 and #### 7\0"
                             "8";
  cJSON *row = decide("#### 7", text, sizeof text - 1);
  assert_string_equal(cJSON_GetObjectItem(row, "generation")->valuestring,
                      "so 1\uFFFD####\uFFFD3 and #### 7\uFFFD8");
  assert_string_equal(cJSON_GetObjectItem(row, "strict")->valuestring, "7");
  assert_string_equal(cJSON_GetObjectItem(row, "flexible")->valuestring, "8");
  assert_true(cJSON_IsTrue(cJSON_GetObjectItem(row, "strict_right")));
  cJSON_Delete(row);
}

/// The 51 texts of golden/PROTOCOLS.md, which went through lm-evaluation-harness's own filters.
static void numbers_as_the_harness_finds_them(void **state) {
  (void)state;
  char path[700];
  cJSON *golden = NULL;
  const cJSON *each;
  if (test_shared() == NULL) skip();
  (void)snprintf(path, sizeof path, "%s/golden/gsm8k_extract.json", test_shared());
  assert_ok(json_parse_file(path, &golden));
  const cJSON *answers = cJSON_GetObjectItem(golden, "gold_answers"),
              *cases = cJSON_GetObjectItem(golden, "cases");
  assert_int_equal(cJSON_GetArraySize(cases), 51);
  cJSON_ArrayForEach(each, cases) {
    const cJSON *part[6];
    for (int i = 0; i < 6; i++) assert_non_null(part[i] = cJSON_GetArrayItem(each, i));
    expect_numbers(cJSON_GetArrayItem(answers, part[1]->valueint)->valuestring, part[0]->valuestring,
                   part[2]->valuestring, part[3]->valuestring, part[4]->valueint == 1,
                   part[5]->valueint == 1);
  }
  cJSON_Delete(golden);
}

// ---- perplexity ----

#define WINDOW(windows, context, ll, predicted)                                                              \
  "{\"document\": 0, \"windows\": " windows ", \"bytes\": 12, \"words\": 3, \"context\": [" context          \
  "], \"tokens\": [1, 2], \"loglikelihoods\": [" ll "], \"predicted\": [" predicted "]}"

static void perplexity_by_hand(void **state) {
  (void)state;
  static const char *const rows[] = {WINDOW("2", "", "-6, -4", "2, 1"), WINDOW("2", "2", "-3", "2")};
  MetricList metrics = metrics_of(&task_perplexity, rows, 2);
  assert_metric(&metrics, "nll_sum", 9);
  assert_metric(&metrics, "nll_mean", 9.0 / 4);
  assert_metric(&metrics, "ppl", exp(9.0 / 4));
  assert_metric(&metrics, "nll_mean_no_bos", 7.0 / 3);
  assert_metric(&metrics, "word_ppl", exp(9.0 / 3));
  assert_metric(&metrics, "byte_ppl", exp(9.0 / 12));
  assert_metric(&metrics, "bits_per_byte", 9.0 / 12 / log(2));
  Interval mean = metrics_get(&metrics, "nll_mean");
  assert_true(mean.low >= 1.5 && mean.low < mean.value && mean.high > mean.value && mean.high <= 3);
  metrics_free(&metrics);
  // --limit left the second window out: how many words and bytes the first one has is not known
  metrics = metrics_of(&task_perplexity, rows, 1);
  assert_metric(&metrics, "ppl", exp(3));
  assert_true(isnan(metrics_get(&metrics, "word_ppl").value));
  assert_true(isnan(metrics_get(&metrics, "bits_per_byte").value));
  metrics_free(&metrics);
}

// ---- data ----

/// Opens a task on a file with this text and fails unless all parts are in the message.
static void expect_refused(const TaskType *type, const char *name, const char *argument, const char *text,
                           size_t size, const char *part) {
  char path[700];
  const char *folder = test_folder();
  TaskData data = {.type = type, .argument = argument};
  (void)snprintf(path, sizeof path, "%s/gsm8k", folder);
  assert_ok(directory_create(path));
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_ok(file_write_atomic(path, text, size));
  assert_int_equal(task_data_open(&data, folder), STATUS_INPUT);
  if (!test_contains(status_message(), part)) fail_msg("\"%s\" is not in \"%s\"", part, status_message());
  task_data_free(&data);
}

static void malformed_data_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *argument, *text, *part;
  } problems[] = {
      {NULL, "{\"question\": \"q\", \"answer\": \"7\"}\n", "line 1: the answer has no \"#### \""},
      {NULL, "{\"question\": \"q\", \"answer\": \"#### 7\"}\n{\"question\": \"\", \"answer\": \"#### 7\"}\n",
       "line 2: column \"question\" is empty"},
      {NULL, "{\"question\": \"q\"}\n", "answer"},
      {NULL, "{\"question\": 5, \"answer\": \"#### 7\"}\n", "line 1"},
      {"1", "{\"question\": \"q\", \"answer\": \"#### 7\"}\n", "no items"},
      {"five", "{\"question\": \"q\", \"answer\": \"#### 7\"}\n", "gsm8k:five: give a number"},
      {"101", "{\"question\": \"q\", \"answer\": \"#### 7\"}\n", "from 0 to 100"},
      {"-1", "{\"question\": \"q\", \"answer\": \"#### 7\"}\n", "gsm8k:-1: give a number"},
      {"99999999999999999999", "{\"question\": \"q\", \"answer\": \"#### 7\"}\n", "from 0 to 100"},
  };
  for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
    expect_refused(&task_gsm8k, task_gsm8k.files[0], problems[i].argument, problems[i].text,
                   strlen(problems[i].text), problems[i].part);
  expect_refused(&task_perplexity, "perplexity.txt", NULL, "good \xFF text", 11, "byte 5 is not UTF-8");
  expect_refused(&task_perplexity_llamacpp, "perplexity.txt", NULL, "a\xC3", 2, "byte 1 is not UTF-8");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_by_hand),
      cmocka_unit_test(a_text_goes_on_behind_a_nul),
      cmocka_unit_test(numbers_as_the_harness_finds_them),
      cmocka_unit_test(perplexity_by_hand),
      cmocka_unit_test(malformed_data_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
