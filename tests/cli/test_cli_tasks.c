// Tasks of a user's own, on a tiny model: the examples in configs/tasks run, and a built-in task that is
// written as a user's gives the same log-likelihoods.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *model;

#define EVAL(tasks, ...) GEE("eval", "--model", model, "--tasks", tasks, __VA_ARGS__)
#define TASKS            GEE_SOURCE_DIR "/configs/tasks/"

static const cJSON *member(const cJSON *json, const char *key) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
  if (value == NULL) fail_msg("there is no \"%s\"", key);
  return value;
}

/// A member of a metric, as a number.
static double metric(const cJSON *results, const char *task, const char *name, const char *part) {
  return member(member(member(member(member(results, "tasks"), task), "metrics"), name), part)->valuedouble;
}

/// The row `index` of a file of items; free with cJSON_Delete.
static cJSON *read_item(const char *path, size_t index) {
  char *text = read_file(path, NULL), *rest = NULL, *line = strtok_r(text, "\n", &rest);
  for (size_t i = 0; i < index; i++) line = strtok_r(NULL, "\n", &rest);
  cJSON *row = cJSON_Parse(line);
  assert_non_null(row);
  free(text);
  return row;
}

static void examples_run(void **state) {
  (void)state;
  const char *output = in_folder(folder, "examples.json"), *items = in_folder(folder, "examples.jsonl");
  cJSON *results = NULL;
  Ran ran = EVAL(TASKS "capitals.json," TASKS "pronouns.json", "--output", output, "--items", items);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "show how a task is written"));
  assert_ok(json_parse_file(output, &results));
  assert_true(metric(results, "capitals", "accuracy", "n") == 12);
  assert_true(metric(results, "capitals", "accuracy_continent:Asia", "n") == 4);
  assert_null(
      cJSON_GetObjectItem(member(member(member(results, "tasks"), "capitals"), "metrics"), "acc_norm"));
  assert_true(metric(results, "pronouns", "share_she", "n") == 8);
  assert_true(metric(results, "pronouns", "mean_she_minus_he_occupation:nurse", "n") == 2);
  const cJSON *files = member(member(member(results, "tasks"), "capitals"), "data");
  assert_int_equal(cJSON_GetArraySize(files), 2); // the definition is among what the numbers depend on
  assert_true(test_contains(member(cJSON_GetArrayItem(files, 0), "path")->valuestring, "capitals.json"));
  cJSON_Delete(results);
  cJSON *row = read_item(items, 1);
  assert_string_equal(member(row, "context")->valuestring,
                      "Question: What is the capital of Italy?\nAnswer:");
  assert_int_equal(member(row, "answer")->valueint, 2);
  assert_int_equal(cJSON_GetArraySize(member(row, "loglikelihoods")), 4);
  cJSON_Delete(row);
  row = read_item(items, 13);
  assert_string_equal(member(row, "first")->valuestring, "she closed the door.");
  cJSON_Delete(row);
}

/// The items of a task of the user's own are those of its table, too.
static void they_are_verified(void **state) {
  (void)state;
  Ran ran = GEE("verify", in_folder(folder, "examples.json"));
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "right        the list of tasks"));
  assert_true(test_contains(ran.out, "right        items of capitals: all 12 ") &&
              test_contains(ran.out, "right        items of pronouns: all 8 "));
}

/// A choice that is not the likeliest, in items whose hash was made to fit. No metric says so: of this task
/// they count what is correct.
static void a_choice_against_its_loglikelihoods_is_seen(void **state) {
  (void)state;
  const char *forged = in_folder(folder, "forged.jsonl");
  char hash[SHA256_TEXT], other[SHA256_TEXT];
  assert_ok(file_sha256(in_folder(folder, "examples.jsonl"), hash));
  copy_changed(folder, "examples.jsonl", "forged.jsonl", "\"choice\": ", "\"choice\": 1");
  assert_ok(file_sha256(forged, other));
  copy_changed(folder, "examples.json", "forged.json", hash, other);
  Ran ran = GEE("verify", in_folder(folder, "forged.json"), "--items", forged);
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "right        capitals: "));
  assert_true(
      test_contains(ran.out, "forged.jsonl:1: \"choice\" is not what the task decides on its answers"));
}

/// lm-evaluation-harness's users met results that depended on which other tasks were asked (lmms-eval#569),
/// and on how many at once (lm-evaluation-harness#335, #879).
static void a_task_gives_the_same_beside_others(void **state) {
  (void)state;
  const char *alone = in_folder(folder, "alone.jsonl"), *one = in_folder(folder, "one.jsonl");
  assert_code(EVAL(TASKS "pronouns.json", "--output", in_folder(folder, "alone.json"), "--items", alone), 0);
  assert_code(EVAL(TASKS "pronouns.json," TASKS "capitals.json", "--limit=1", "--output",
                   in_folder(folder, "one.json"), "--items", one),
              0);
  char *both = read_file(in_folder(folder, "examples.jsonl"), NULL), *last = read_file(alone, NULL),
       *first = read_file(one, NULL);
  assert_string_equal(strstr(both, "{\"task\": \"pronouns\""), last);
  *(strchr(first, '\n') + 1) = '\0';
  assert_int_equal(strncmp(first, last, strlen(first)), 0);
  free(both);
  free(last);
  free(first);
}

/// Fails unless both files have rows with the same numbers under "loglikelihoods".
static void expect_same_numbers(const char *built_in, const char *own, size_t rows) {
  for (size_t i = 0; i < rows; i++) {
    cJSON *a = read_item(in_folder(folder, built_in), i), *b = read_item(in_folder(folder, own), i);
    assert_true(cJSON_Compare(member(a, "loglikelihoods"), member(b, "loglikelihoods"), true));
    cJSON_Delete(a);
    cJSON_Delete(b);
  }
}

static void pairs_are_those_of_crows_pairs(void **state) {
  (void)state;
  const char *data = in_folder(folder, "data");
  cJSON *built_in = NULL, *own = NULL;
  assert_ok(directory_create(in_folder(folder, "data/crows_pairs")));
  write_text(in_folder(folder, "data/crows_pairs/crows_pairs_anonymized.csv"),
             "sent_more,sent_less,stereo_antistereo,bias_type\n"
             "Old men forget.,Young men forget.,stereo,age\n"
             "\"She said \"\"no\"\".\",He said no.,antistereo,gender\n"
             "The {nurse} ran.,The {doctor} ran.,stereo,gender\n");
  write_text(in_folder(folder, "own.json"),
             "{\"name\": \"own\", \"kind\": \"pair\", \"description\": \"x\", \"limits\": \"y\", \"data\": "
             "\"data/crows_pairs/crows_pairs_anonymized.csv\", \"first\": \"{sent_more}\", \"second\": "
             "\"{sent_less}\", \"part_columns\": [\"bias_type\"]}");
  assert_code(EVAL("crows_pairs", "--data-dir", data, "--output", in_folder(folder, "a.json"), "--items",
                   in_folder(folder, "a.jsonl")),
              0);
  assert_code(EVAL(in_folder(folder, "own.json"), "--output", in_folder(folder, "b.json"), "--items",
                   in_folder(folder, "b.jsonl")),
              0);
  expect_same_numbers("a.jsonl", "b.jsonl", 3);
  assert_ok(json_parse_file(in_folder(folder, "a.json"), &built_in));
  assert_ok(json_parse_file(in_folder(folder, "b.json"), &own));
  assert_true(metric(built_in, "crows_pairs", "pct_stereotype", "value") ==
              metric(own, "own", "share_first", "value"));
  assert_true(metric(built_in, "crows_pairs", "pct_stereotype_gender", "low") ==
              metric(own, "own", "share_first_bias_type:gender", "low"));
  cJSON_Delete(built_in);
  cJSON_Delete(own);
}

static void choices_are_those_of_mmlu(void **state) {
  (void)state;
  const char *path = in_folder(folder, "questions.jsonl");
  char task[600];
  write_text(path, "{\"question\": \"Why?\", \"a\": \"x \", \"b\": \"y\", \"c\": \"z\", \"d\": \"w\", "
                   "\"choices\": [\"x \", \"y\", "
                   "\"z\", \"w\"], \"subject\": \"high_art\", \"answer\": 1}\n"
                   "{\"question\": \"Who?\", \"a\": \"1\", \"b\": \"2\", \"c\": \"3\", \"d\": \"4\", "
                   "\"choices\": [\"1\", \"2\", "
                   "\"3\", \"4\"], \"subject\": \"high_art\", \"answer\": 3}\n");
  write_text(
      in_folder(folder, "questions.json"),
      "{\"name\": \"questions\", \"kind\": \"choice\", \"description\": \"x\", \"limits\": \"y\", \"data\": "
      "\"questions.jsonl\", \"context\": \"The following are multiple choice questions (with answers) about "
      "high art.\\n\\n{question}\\nA. {a}\\nB. {b}\\nC. {c}\\nD. {d}\\nAnswer:\", \"choices\": [\"A\", "
      "\"B\", "
      "\"C\", \"D\"], \"answer_index_column\": \"answer\"}");
  (void)snprintf(task, sizeof task, "mmlu:%s", path);
  assert_code(EVAL(task, "--output", in_folder(folder, "c.json"), "--items", in_folder(folder, "c.jsonl")),
              0);
  assert_code(EVAL(in_folder(folder, "questions.json"), "--output", in_folder(folder, "d.json"), "--items",
                   in_folder(folder, "d.jsonl")),
              0);
  expect_same_numbers("c.jsonl", "d.jsonl", 2);
}

static void a_task_is_refused_before_a_device_is_touched(void **state) {
  (void)state;
  const char *output = in_folder(folder, "no.json");
  ASSERT_ERROR(EVAL("missing.json", "--output", output), 2, "missing.json: cannot open");
  ASSERT_ERROR(EVAL(TASKS "capitals.json," TASKS "capitals.json", "--output", output), 2,
               "capitals is named twice");
  write_text(in_folder(folder, "lost.json"), "{\"name\": \"lost\", \"kind\": \"pair\", \"description\": "
                                             "\"x\", \"limits\": \"y\", \"data\": \"lost.csv\", "
                                             "\"first\": \"{a}\", \"second\": \"{b}\"}");
  ASSERT_ERROR(EVAL(in_folder(folder, "lost.json"), "--output", output), 2,
               "lost.csv: there is no such file");
  write_text(in_folder(folder, "lost.csv"), "a,c\n1,2\n");
  ASSERT_ERROR(EVAL(in_folder(folder, "lost.json"), "--output", output), 2,
               "lost.json: \"second\": ", "lost.csv: no column \"b\"");
  write_text(in_folder(folder, "lost.json"),
             "{\"name\": \"lost\", \"kind\": \"pair\", \"description\": \"x\", \"limits\": \"y\", \"data\": "
             "\"lost.csv\", \"first\": \"{a}\", \"second\": \"{c}\", \"part_columns\": [\"a\", \"a\"]}");
  ASSERT_ERROR(EVAL(in_folder(folder, "lost.json"), "--output", output), 2,
               "lost.json: \"part_columns\" names \"a\" twice");
  assert_false(file_exists(output));
}

/// What stands behind a built-in task's name may end with .json too.
static void a_file_behind_a_name_is_no_task(void **state) {
  (void)state;
  char task[600];
  (void)snprintf(task, sizeof task, "mmlu:%s", in_folder(folder, "list.json"));
  write_text(in_folder(folder, "list.json"), "[{\"question\": \"Why?\", \"choices\": [\"a\", \"b\", \"c\", "
                                             "\"d\"], \"subject\": \"art\", \"answer\": 1}]");
  assert_code(EVAL(task, "--output", in_folder(folder, "list.out.json")), 0);
  ASSERT_ERROR(EVAL("mmlu:nowhere.json", "--output", in_folder(folder, "no.json")), 2,
               "nowhere.json: there is no such file");
  ASSERT_ERROR(EVAL("mmul:x.json", "--output", in_folder(folder, "no.json")), 2, "mmul:x.json: cannot open");
}

static void results_are_compared(void **state) {
  (void)state;
  const char *task = in_folder(folder, "mine.json"), *a = in_folder(folder, "mine.a.json"),
             *b = in_folder(folder, "mine.b.json");
  char *definition = read_file(TASKS "capitals.json", NULL), *rows = read_file(TASKS "capitals.jsonl", NULL);
  write_text(task, definition);
  write_text(in_folder(folder, "capitals.jsonl"), rows);
  assert_code(EVAL(task, "--output", a, "--items", in_folder(folder, "mine.a.jsonl")), 0);
  assert_code(EVAL(task, "--output", b, "--items", in_folder(folder, "mine.b.jsonl")), 0);
  Ran ran = GEE("compare", a, b);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "accuracy"));
  *strstr(definition, "Twelve") = 't';
  write_text(task, definition);
  ASSERT_ERROR(GEE("compare", a, b), 2, "mine.a.json: the task capitals was measured with another");
  free(definition);
  free(rows);
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  model = in_folder(folder, "model");
  assert_ok(directory_create(model));
  tiny_model_write(model);
  write_text(in_folder(model, "tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(examples_run),
      cmocka_unit_test(they_are_verified),
      cmocka_unit_test(a_choice_against_its_loglikelihoods_is_seen),
      cmocka_unit_test(a_task_gives_the_same_beside_others),
      cmocka_unit_test(pairs_are_those_of_crows_pairs),
      cmocka_unit_test(choices_are_those_of_mmlu),
      cmocka_unit_test(results_are_compared),
      cmocka_unit_test(a_file_behind_a_name_is_no_task),
      cmocka_unit_test(a_task_is_refused_before_a_device_is_touched),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
