// `gee-cl eval` as a user sees it, on a tiny model: files and numbers, what is refused, and a run that was
// stopped and goes on.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "io/json.h"
#include "util/hash.h"
#include "util/rng.h"
#include "util/str.h"
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static char model[512], data[512], many[512]; // folders

enum { PAIRS = 40, MANY_PAIRS = 400 }; // the second takes many batches

/// CrowS-Pairs as it is published, but made up. Some sentences share their beginning, and one has a line
/// feed.
static void write_pairs(const char *name, size_t count) {
  Str text = {0};
  static const char *const kinds[] = {"age", "gender"};
  assert_ok(str_append_text(&text, ",sent_more,sent_less,stereo_antistereo,bias_type,annotations\n"));
  for (size_t i = 0; i < count; i++)
    assert_ok(str_append_format(&text,
                                "%zu,\"The %zu old nurses said, \"\"no\"\".%s\",The %zu old doctors ran %zu "
                                "times.,%s,%s,[]\n",
                                i, i * i, i == 3 ? "\nEnd." : "", i * i, i,
                                i % 4 == 0 ? "antistereo" : "stereo", kinds[i % 3 == 0]));
  write_file(in_folder(folder, name), text.data, text.size);
  str_free(&text);
}

static cJSON *read_json(const char *path) {
  cJSON *json = NULL;
  assert_ok(json_parse_file(path, &json));
  return json;
}

static const cJSON *member(const cJSON *json, const char *key) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
  if (value == NULL) fail_msg("there is no \"%s\"", key);
  return value;
}

/// tasks.<task>.metrics.<name>
static const cJSON *task_metric(const cJSON *results, const char *task, const char *name) {
  return member(member(member(member(results, "tasks"), task), "metrics"), name);
}

static const cJSON *metric(const cJSON *results, const char *name) {
  return task_metric(results, "crows_pairs", name);
}

#define EVAL(...) GEE("eval", "--model", model, "--tasks", "crows_pairs", "--data-dir", data, __VA_ARGS__)

static void results_have_metrics_and_items(void **state) {
  (void)state;
  const char *output = in_folder(folder, "results.json"), *items = in_folder(folder, "items.jsonl");
  Ran ran = EVAL("--output", output, "--items", items);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "pct_stereotype "));
  assert_true(test_contains(ran.out, "advise against"));
  cJSON *results = read_json(output);
  double hits = 0, sum = 0;
  char *text = read_file(items, NULL), *rest = NULL;
  size_t index = 0;
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), index++) {
    cJSON *row = cJSON_Parse(line);
    const cJSON *ll = member(row, "loglikelihoods");
    double more = cJSON_GetArrayItem(ll, 0)->valuedouble, less = cJSON_GetArrayItem(ll, 1)->valuedouble;
    assert_string_equal(member(row, "task")->valuestring, "crows_pairs");
    assert_int_equal(member(row, "index")->valueint, index);
    assert_string_equal(member(row, "prefers")->valuestring, more > less ? "sent_more" : "sent_less");
    if (index == 3) assert_true(test_contains(member(row, "sent_more")->valuestring, "\".\nEnd."));
    hits += more > less;
    sum += fabs(more - less);
    cJSON_Delete(row);
  }
  free(text);
  assert_int_equal(index, PAIRS);
  assert_true(fabs(member(metric(results, "pct_stereotype"), "value")->valuedouble - hits / PAIRS) < 1e-15);
  assert_true(fabs(member(metric(results, "likelihood_diff"), "value")->valuedouble - sum / PAIRS) < 1e-12);
  assert_int_equal(member(metric(results, "pct_stereotype_gender"), "n")->valueint, 14);
  assert_int_equal(member(metric(results, "pct_stereotype_dir:antistereo"), "n")->valueint, 10);
  assert_int_equal(strlen(member(member(results, "sha256"), "model")->valuestring), 64);
  assert_false(file_exists(in_folder(folder, "results.json.unfinished")));
  cJSON_Delete(results);
}

static void the_limit_takes_the_first_items(void **state) {
  (void)state;
  const char *output = in_folder(folder, "five.json"), *items = in_folder(folder, "five.jsonl");
  assert_code(EVAL("--output", output, "--items", items, "--limit", "5"), 0);
  char *some = read_file(items, NULL), *all = read_file(in_folder(folder, "items.jsonl"), NULL);
  assert_int_equal(strncmp(some, all, strlen(some)), 0);
  cJSON *results = read_json(output);
  assert_int_equal(member(metric(results, "pct_stereotype"), "n")->valueint, 5);
  cJSON_Delete(results);
  free(some);
  free(all);
  Ran ran = EVAL("--output", "-", "--limit", "2");
  assert_code(ran, 0);
  assert_int_equal(ran.out[0], '{'); // nothing but the results
}

/// The config in the results repeats the run.
static void the_config_in_the_results_repeats_it(void **state) {
  (void)state;
  const char *config = in_folder(folder, "kept.ini"), *output = in_folder(folder, "repeated.json");
  cJSON *first = read_json(in_folder(folder, "five.json")), *second = NULL;
  write_text(config, member(first, "config")->valuestring);
  assert_code(GEE("eval", config, "--output", output), 0);
  second = read_json(output);
  assert_true(cJSON_Compare(member(first, "tasks"), member(second, "tasks"), true));
  assert_string_equal(member(second, "config")->valuestring, member(first, "config")->valuestring);
  cJSON_Delete(first);
  cJSON_Delete(second);
}

static void config_and_options_say_the_same(void **state) {
  (void)state;
  char text[2048];
  const char *config = in_folder(folder, "eval.ini"), *output = in_folder(folder, "config.jsonl");
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\n[eval]\ntasks = crows_pairs\ndata_dir = %s\nlimit = 9\n", model, data);
  write_text(config, text);
  assert_code(
      GEE("eval", config, "--limit", "5", "--output", in_folder(folder, "config.json"), "--items", output),
      0);
  assert_same_file(output, in_folder(folder, "five.jsonl"));
}

/// The task is the gap of `gee-cl gap` on the same sets: the same values and intervals, to the bit.
static void entropy_gap_is_the_gap(void **state) {
  (void)state;
  char text[2048];
  const char *config = in_folder(folder, "gap.ini"), *gap = in_folder(folder, "gap.json");
  const char *output = in_folder(folder, "entropy.json");
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\n[data]\nuse_test_data = true\neval_sets = 6\neval_answers = 2\n"
                 "[sampling]\nmax_new_tokens = 5\n[eval]\ntasks = entropy_gap\n",
                 model);
  write_text(config, text);
  assert_code(GEE("gap", config, "--output", gap), 0);
  assert_code(GEE("eval", config, "--output", output), 0);
  cJSON *expected = read_json(gap), *results = read_json(output);
  static const char *const kinds[] = {"paired", "total"};
  for (size_t k = 0; k < 2; k++) {
    char name[64];
    const cJSON *kind = member(expected, kinds[k]);
    (void)snprintf(name, sizeof name, "%s_gap", kinds[k]);
    const cJSON *found = task_metric(results, "entropy_gap", name);
    assert_true(fabs(member(found, "value")->valuedouble - member(kind, "gap")->valuedouble) < 1e-12);
    assert_true(fabs(member(found, "low")->valuedouble - member(kind, "low")->valuedouble) < 1e-12);
    (void)snprintf(name, sizeof name, "%s_H_male", kinds[k]);
    found = task_metric(results, "entropy_gap", name);
    assert_true(fabs(member(found, "value")->valuedouble - member(member(kind, "H"), "male")->valuedouble) <
                1e-12);
    assert_int_equal(member(found, "n")->valueint, k == 0 ? 24 : 12);
  }
  assert_int_equal(member(member(results, "sampling"), "max_new_tokens")->valueint, 5);
  cJSON_Delete(expected);
  cJSON_Delete(results);
  ASSERT_ERROR(GEE("eval", config, "--output", output, "--tasks", "entropy_gap:nobody"), 2, "nobody");
  assert_code(GEE("eval", config, "--output", output, "--tasks", "entropy_gap:race", "--limit", "2"), 0);
}

/// Each adapter has files of its own; an adapter alone has those that are asked for.
static void adapters_are_evaluated_beside_the_base(void **state) {
  (void)state;
  char text[2048], adapter[700], shared[700];
  const char *config = in_folder(folder, "train.ini"), *output = in_folder(folder, "both.json");
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\n[data]\nuse_test_data = true\n[sampling]\nmax_new_tokens = 4\n"
                 "[train]\nmax_steps = 2\neffective_batch = 4\nlearning_rate = 0.05\n"
                 "[output]\nsave_root = %s/runs\nrun_name = one\n",
                 model, folder);
  write_text(config, text);
  assert_code(GEE("train", config), 0);
  (void)snprintf(adapter, sizeof adapter, "%s/runs/one/final/", folder);
  assert_code(EVAL("--output", output, "--items", in_folder(folder, "both.jsonl"), "--adapter", adapter), 0);
  assert_same_file(in_folder(folder, "both.jsonl"), in_folder(folder, "items.jsonl"));
  cJSON *base = read_json(output), *trained = read_json(in_folder(folder, "both.one-final.json"));
  double before = member(metric(base, "mean_ll_more"), "value")->valuedouble;
  double after = member(metric(trained, "mean_ll_more"), "value")->valuedouble;
  assert_true(fabs(before - after) > 1e-3);
  assert_int_equal(strlen(member(member(trained, "sha256"), "adapter")->valuestring), 64);
  assert_null(cJSON_GetObjectItem(member(base, "sha256"), "adapter"));
  assert_string_equal(member(trained, "adapter_path")->valuestring, adapter);
  cJSON_Delete(base);
  cJSON_Delete(trained);
  output = in_folder(folder, "alone.json");
  assert_code(EVAL("--output", output, "--items", in_folder(folder, "alone.jsonl"), "--adapter", adapter,
                   "--no-base"),
              0);
  assert_same_file(in_folder(folder, "alone.jsonl"), in_folder(folder, "both.one-final.jsonl"));
  ASSERT_ERROR(EVAL("--output", output, "--adapter", adapter, "--adapter", adapter), 2, "two adapters");
  ASSERT_ERROR(EVAL("--output", "-", "--adapter", adapter), 2, "--output - shows one model");
  ASSERT_ERROR(EVAL("--output", output, "--adapter", in_folder(folder, "none")), 2, "none");
  (void)snprintf(shared, sizeof shared, "%s/runs/one/../one/final", folder);
  ASSERT_ERROR(EVAL("--output", output, "--adapter", adapter, "--adapter", shared), 2, "final");
}

// ---- what is refused ----

static void wrong_use_is_refused(void **state) {
  (void)state;
  const char *output = in_folder(folder, "refused.json");
  ASSERT_ERROR(GEE("eval"), 2, "--output is needed");
  ASSERT_ERROR(GEE("eval", "--output", output), 2, "--model is needed");
  ASSERT_ERROR(GEE("eval", "--output", output, "--model", model), 2, "--tasks", "--help");
  ASSERT_ERROR(GEE("eval", "--output", output, "--model", model, "--tasks", "crows_pairs"), 2,
               "--data-dir is needed");
  ASSERT_ERROR(GEE("eval", "--output", output, "--model", model, "--data-dir", data, "--tasks",
                   "crows_pairs,crows_pairs"),
               2, "crows_pairs is named twice");
  ASSERT_ERROR(GEE("eval", "--output", output, "--model", model, "--data-dir", data, "--tasks", "crow_pairs"),
               2, "there is no task \"crow_pairs\"", "did you mean crows_pairs?");
  ASSERT_ERROR(GEE("eval", "--output", output, "--model", model, "--data-dir", data, "--tasks", "zzz"), 2,
               "the tasks are crows_pairs");
  ASSERT_ERROR(
      GEE("eval", "--output", output, "--model", model, "--data-dir", data, "--tasks", "crows_pairs:x"), 2,
      "crows_pairs:x", "takes nothing behind its name");
  ASSERT_ERROR(
      GEE("eval", "--output", output, "--model", model, "--data-dir", folder, "--tasks", "crows_pairs"), 2,
      "crows_pairs_anonymized.csv", "there is no such file", "https://github.com/nyu-mll/crows-pairs");
  ASSERT_ERROR(EVAL("--output", in_folder(folder, "none/results.json")), 2, "there is no folder");
  ASSERT_ERROR(EVAL("--output", output, "--items", output), 2, "--output and --items are both");
  ASSERT_ERROR(EVAL("--output", output, "--items", "-"), 2, "--items");
  ASSERT_ERROR(EVAL("--output", output, "--no-base"), 2, "--no-base needs --adapter");
  ASSERT_ERROR(EVAL("--output", output, "--limit", "-1"), 2, "--limit: eval.limit is \"-1\"");
  ASSERT_ERROR(GEE("eval", "--output", output, "--model", model, "--tasks", ", ,"), 2, "names no task");
  assert_false(file_exists(output));
}

static void malformed_lines_are_named(void **state) {
  (void)state;
  static const struct {
    const char *text, *parts[2];
  } cases[] = {
      {"sent_more,sent_less,stereo_antistereo\na,b,c\n", {"bias_type", "crows_pairs_anonymized.csv"}},
      {"sent_more,sent_less,stereo_antistereo,bias_type\n", {"no items", "crows_pairs"}},
      {"sent_more,sent_less,stereo_antistereo,bias_type\na,b,stereo,age\na,,stereo,age\n",
       {"line 3", "sent_less"}},
      {"sent_more,sent_less,stereo_antistereo,bias_type\na,b,stereo\n", {"line 2", "3"}},
      {"sent_more,sent_less,stereo_antistereo,bias_type\na,b\xFF,stereo,age\n", {"line 2", "UTF-8"}},
      {"sent_more,sent_less,stereo_antistereo,bias_type\na,\"b,stereo,age\n", {"line 2", "quote"}},
      {"", {"crows_pairs_anonymized.csv", ""}},
  };
  char path[600];
  (void)snprintf(path, sizeof path, "%s/crows_pairs", in_folder(folder, "broken"));
  assert_ok(directory_create(path));
  (void)snprintf(path, sizeof path, "broken/crows_pairs/crows_pairs_anonymized.csv");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_text(in_folder(folder, path), cases[i].text);
    ASSERT_ERROR(GEE("eval", "--output", in_folder(folder, "refused.json"), "--model", model, "--tasks",
                     "crows_pairs", "--data-dir", in_folder(folder, "broken")),
                 2, cases[i].parts[0], cases[i].parts[1]);
  }
}

// ---- a run that was stopped ----

#define EVAL_MANY(start, name, ...)                                                                          \
  start("eval", "--model", model, "--tasks", "crows_pairs", "--data-dir", many, "--output",                  \
        in_folder(folder, name ".json"), "--items", in_folder(folder, name ".jsonl"), __VA_ARGS__)
#define WORK in_folder(folder, "killed.json.unfinished/rows.jsonl")

static void expect_whole(void) {
  assert_same_file(in_folder(folder, "killed.jsonl"), in_folder(folder, "whole.jsonl"));
  assert_false(file_exists(in_folder(folder, "killed.json.unfinished")));
}

/// Appends rows as they stand in a work file, each behind its check.
static void append_checked(Str *work, const char *rows) {
  uint64_t hash = hash_bytes(HASH_START, work->data, work->size - 1); // the first line
  for (const char *line = rows, *end = NULL; *line != '\0'; line = end + 1) {
    end = strchr(line, '\n');
    hash = hash_bytes(hash, line, (size_t)(end - line));
    assert_ok(str_append_format(work, "%016" PRIx64 " ", hash));
    assert_ok(str_append(work, line, (size_t)(end + 1 - line)));
  }
}

/// A kill leaves the first bytes of what a whole run writes: here of every length that a draw gives.
static void a_killed_run_gives_the_same_bytes(void **state) {
  (void)state;
  Str whole = {0};
  assert_code(EVAL_MANY(GEE, "whole", "--limit=0"), 0);
  char *rows = read_file(in_folder(folder, "whole.jsonl"), NULL);
  pid_t pid = EVAL_MANY(START_GEE, "killed", "--limit=0");
  assert_true(wait_for_lines(WORK, 1, 20)); // what the rows belong to, before anything is computed
  (void)kill(pid, SIGKILL);
  assert_code(finish_run(pid), -SIGKILL);
  char *left = read_file(WORK, NULL);
  assert_ok(str_append(&whole, left, (size_t)(strchr(left, '\n') + 1 - left)));
  append_checked(&whole, rows);
  for (uint32_t round = 0; round < 10; round++) {
    if (round > 0) assert_ok(directory_create(in_folder(folder, "killed.json.unfinished")));
    if (round > 0) write_file(WORK, whole.data, rng_below((uint32_t)whole.size, 7, RNG_DATA, round, 0, 0));
    assert_code(EVAL_MANY(GEE, "killed", "--resume"), 0);
    expect_whole();
  }
  assert_ok(directory_create(in_folder(folder, "killed.json.unfinished")));
  write_file(WORK, whole.data, whole.size); // complete, for the next test
  free(rows);
  free(left);
  str_free(&whole);
}

/// A kept row with a digit that was changed, one that was taken out, and rows without checks.
static void a_damaged_row_is_refused(void **state) {
  (void)state;
  char *kept = read_file(WORK, NULL), *first = strchr(kept, '\n') + 1, *second = strchr(first, '\n') + 1,
       *third = strchr(second, '\n') + 1;
  char *digit = strpbrk(strstr(second, "\"loglikelihoods\""), "12345678");
  ++*digit;
  write_text(WORK, kept);
  ASSERT_ERROR(EVAL_MANY(GEE, "killed", "--resume"), 2, "error: /", "rows.jsonl:3: the row was changed",
               "start over");
  --*digit;
  Str text = {0};
  assert_ok(str_append(&text, kept, (size_t)(first - kept)));
  assert_ok(str_append_text(&text, second));
  write_file(WORK, text.data, text.size);
  ASSERT_ERROR(EVAL_MANY(GEE, "killed", "--resume"), 2, "rows.jsonl:2: the row was changed");
  str_clear(&text);
  assert_ok(str_append(&text, kept, (size_t)(first - kept)));
  assert_ok(str_append_text(&text, first + 17));
  write_file(WORK, text.data, text.size);
  ASSERT_ERROR(EVAL_MANY(GEE, "killed", "--resume"), 2, "rows.jsonl:2: the row has no check", "start over");
  write_file(WORK, kept, (size_t)(third - kept));
  assert_code(EVAL_MANY(GEE, "killed", "--resume"), 0);
  expect_whole();
  str_free(&text);
  free(kept);
}

/// And by real signals, if the run is not done before they come.
/// A second Ctrl-C does not wait for anything, and what was computed is kept too.
static void a_second_signal_quits_at_once(void **state) {
  (void)state;
  pid_t pid = EVAL_MANY(START_GEE, "killed", "--limit=0");
  if (wait_for_lines(WORK, 20, 2)) {
    (void)kill(pid, SIGINT);
    (void)kill(pid, SIGINT);
  }
  Ran ran = finish_run(pid);
  if (ran.code == 0) return; // it was done before
  assert_code(ran, 130);
  assert_code(EVAL_MANY(GEE, "killed", "--resume"), 0);
  expect_whole();
}

static void a_signal_keeps_what_is_computed(void **state) {
  (void)state;
  static const int signals[] = {SIGINT, SIGKILL, SIGTERM};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    pid_t pid = EVAL_MANY(START_GEE, "killed", "--limit=0");
    if (wait_for_lines(WORK, 20, 2)) (void)kill(pid, signals[i]);
    Ran ran = finish_run(pid);
    if (ran.code == 0) continue;
    assert_code(ran, signals[i] == SIGKILL ? -SIGKILL : 130);
    if (signals[i] != SIGKILL) assert_true(test_contains(ran.err, "--resume goes on"));
    assert_code(EVAL_MANY(GEE, "killed", "--resume"), 0);
    expect_whole();
  }
}

static void rows_of_another_run_are_refused(void **state) {
  (void)state;
  const char *output = in_folder(folder, "stale.json"),
             *work = in_folder(folder, "stale.json.unfinished/rows.jsonl");
  assert_ok(directory_create(in_folder(folder, "stale.json.unfinished")));
  write_text(work, "{\"model\": \"other\"}\n");
  ASSERT_ERROR(EVAL("--output", output), 2, "stale.json.unfinished is there", "--resume");
  ASSERT_ERROR(EVAL("--output", output, "--resume"), 2,
               "error: ", "stale.json.unfinished/rows.jsonl has rows of another run", "\"program\"");
  write_text(work, "{\"task\": \"crows_pairs\", \"index\": 0}\n");
  ASSERT_ERROR(EVAL("--output", output, "--resume"), 2, "does not say which run");
  write_text(work, "what is this?\n");
  ASSERT_ERROR(EVAL("--output", output, "--resume"), 2, "rows.jsonl:1");
  FileLock lock = {0};
  assert_ok(directory_lock(in_folder(folder, "stale.json.unfinished"), false, &lock));
  ASSERT_ERROR(EVAL("--output", output, "--resume"), 2, "stale.json.unfinished"); // a run is at work there
  file_unlock(&lock);
  assert_int_equal(unlink(work), 0);
  assert_code(EVAL("--output", output, "--resume"), 0); // nothing to go on with: from the start
}

/// The first run's result would name items that the second one wrote.
static void two_runs_do_not_write_one_items_file(void **state) {
  (void)state;
  const char *items = in_folder(folder, "shared.jsonl"), *work = in_folder(folder, "shared.jsonl.unfinished");
  FileLock lock = {0};
  assert_ok(directory_lock(work, false, &lock)); // as a run at work holds it
  ASSERT_ERROR(EVAL("--output", in_folder(folder, "second.json"), "--items", items), 2,
               "another process is writing", "shared.jsonl.unfinished");
  file_unlock(&lock);
  assert_code(EVAL("--output", in_folder(folder, "second.json"), "--items", items, "--limit", "2"), 0);
  assert_false(file_exists(work));
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  (void)snprintf(model, sizeof model, "%s/model", folder);
  (void)snprintf(data, sizeof data, "%s/data", folder);
  (void)snprintf(many, sizeof many, "%s/many", folder);
  assert_ok(directory_create(model));
  assert_ok(directory_create(in_folder(folder, "data/crows_pairs")));
  tiny_model_write(model);
  write_text(in_folder(model, "tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  write_pairs("data/crows_pairs/crows_pairs_anonymized.csv", PAIRS);
  assert_ok(directory_create(in_folder(folder, "many/crows_pairs")));
  write_pairs("many/crows_pairs/crows_pairs_anonymized.csv", MANY_PAIRS);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(results_have_metrics_and_items),
      cmocka_unit_test(the_limit_takes_the_first_items),
      cmocka_unit_test(the_config_in_the_results_repeats_it),
      cmocka_unit_test(config_and_options_say_the_same),
      cmocka_unit_test(entropy_gap_is_the_gap),
      cmocka_unit_test(adapters_are_evaluated_beside_the_base),
      cmocka_unit_test(wrong_use_is_refused),
      cmocka_unit_test(malformed_lines_are_named),
      cmocka_unit_test(a_killed_run_gives_the_same_bytes),
      cmocka_unit_test(a_damaged_row_is_refused),
      cmocka_unit_test(a_signal_keeps_what_is_computed),
      cmocka_unit_test(a_second_signal_quits_at_once),
      cmocka_unit_test(rows_of_another_run_are_refused),
      cmocka_unit_test(two_runs_do_not_write_one_items_file),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
