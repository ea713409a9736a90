// `gee-cl compare` as a user sees it: results of a tiny model, what is shown, and what is refused.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "io/json.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static char model[512], data[512];

static void write_pairs(size_t changed) {
  Str text = {0};
  assert_ok(str_append_text(&text, ",sent_more,sent_less,stereo_antistereo,bias_type\n"));
  for (size_t i = 0; i < 30; i++)
    assert_ok(str_append_format(&text,
                                "%zu,The old %zu nurses said %s.,The old doctors ran %zu times.,stereo,%s\n",
                                i, i * i, i == changed ? "yes" : "no", i, i % 3 == 0 ? "age|x" : "gender"));
  write_file(in_folder(data, "crows_pairs/crows_pairs_anonymized.csv"), text.data, text.size);
  str_free(&text);
}

/// Writes <name>.json and <name>.jsonl.
static void evaluate(const char *name, const char *dtype, const char *limit) {
  char output[64], items[64];
  (void)snprintf(output, sizeof output, "%s.json", name);
  (void)snprintf(items, sizeof items, "%s.jsonl", name);
  assert_code(GEE("eval", "--model", model, "--dtype", dtype, "--limit", limit, "--tasks", "crows_pairs",
                  "--data-dir", data, "--output", in_folder(folder, output), "--items",
                  in_folder(folder, items)),
              0);
}

#define COMPARE(a, b, ...) GEE("compare", in_folder(folder, a), in_folder(folder, b), ##__VA_ARGS__)

static void every_form_has_the_numbers(void **state) {
  (void)state;
  Ran ran = COMPARE("f32.json", "bf16.json");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "crows_pairs/pct_stereotype"));
  assert_true(test_contains(ran.err, "keeps weights as F32"));
  assert_false(test_contains(ran.err, "same model"));
  assert_false(test_contains(ran.out, "pct_stereotype_age"));
  assert_true(test_contains(ran.out, "more metrics: --all-metrics"));
  ran = COMPARE("f32.json", "bf16.json", "--format", "markdown", "--all-metrics");
  assert_code(ran, 0);
  assert_false(test_contains(ran.out, "more metrics"));
  assert_true(test_contains(ran.out, "| crows\\_pairs/pct\\_stereotype\\_age\\|x |"));
  ran = COMPARE("f32.json", "bf16.json", "--format", "csv");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "\ncrows_pairs,pct_stereotype,30,30,f32,"));
  const char *output = in_folder(folder, "comparison.json");
  assert_code(COMPARE("f32.json", "bf16.json", "--format=json", "--output", output), 0);
  cJSON *json = NULL, *base = NULL;
  assert_ok(json_parse_file(output, &json));
  assert_ok(json_parse_file(in_folder(folder, "f32.json"), &base));
  const cJSON *metric = cJSON_GetObjectItem(
      cJSON_GetObjectItem(cJSON_GetObjectItem(json, "tasks"), "crows_pairs"), "mean_ll_more");
  const cJSON *printed = cJSON_GetObjectItem(
      cJSON_GetObjectItem(
          cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(base, "tasks"), "crows_pairs"),
                              "metrics"),
          "mean_ll_more"),
      "value");
  const cJSON *f32 = cJSON_GetObjectItem(metric, "f32"), *bf16 = cJSON_GetObjectItem(metric, "bf16");
  double value = cJSON_GetObjectItem(f32, "value")->valuedouble;
  assert_true(fabs(value - printed->valuedouble) < 1e-15);
  assert_true(fabs(cJSON_GetObjectItem(bf16, "value")->valuedouble - value -
                   cJSON_GetObjectItem(bf16, "change")->valuedouble) < 1e-12);
  assert_true(cJSON_GetObjectItem(bf16, "low")->valuedouble < cJSON_GetObjectItem(bf16, "high")->valuedouble);
  cJSON_Delete(json);
  cJSON_Delete(base);
}

static void the_same_model_is_noted(void **state) {
  (void)state;
  evaluate("again", "f32", "0");
  Ran ran = COMPARE("f32.json", "again.json");
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "same model"));
  assert_true(test_contains(ran.out, "+0.0000 (no item changed)  1.000"));
}

static void what_differs_is_refused_by_name(void **state) {
  (void)state;
  evaluate("five", "f32", "5");
  ASSERT_ERROR(COMPARE("f32.json", "five.json"), 2, "cannot be compared", "the limit on items");
  write_pairs(20);
  evaluate("other", "f32", "0");
  ASSERT_ERROR(COMPARE("f32.json", "other.json"), 2, "the data file", "crows_pairs_anonymized.csv");
  ASSERT_ERROR(GEE("compare", in_folder(folder, "f32.json")), 2, "two results or more");
  ASSERT_ERROR(COMPARE("f32.json", "f32.json"), 2, "there twice");
  ASSERT_ERROR(COMPARE("f32.json", "bf16.json", "--format", "xml"), 2, "xml", "markdown");
  ASSERT_ERROR(COMPARE("f32.json", "bf16.json", "--output", in_folder(folder, "bf16.json")), 2,
               "overwrite a result");
  ASSERT_ERROR(COMPARE("f32.json", "bf16.json", "--items", in_folder(folder, "f32.jsonl")), 2,
               "1 --items and 2 results");
}

static void tampered_files_are_refused(void **state) {
  (void)state;
  copy_changed(folder, "f32.json", "value.json", "\"value\":\t1,", "\"value\":\t1.5,");
  ASSERT_ERROR(COMPARE("f32.json", "value.json"), 2, "not what its items give", "value is 1.5");
  copy_changed(folder, "f32.json", "metric.json", "\"likelihood_diff\"", "\"made_up\"");
  ASSERT_ERROR(COMPARE("f32.json", "metric.json"), 2, "not what its items give");
  copy_changed(folder, "f32.jsonl", "f32.tampered.jsonl", "-", "-1");
  ASSERT_ERROR(COMPARE("f32.json", "bf16.json", "--items", in_folder(folder, "f32.tampered.jsonl"), "--items",
                       in_folder(folder, "bf16.jsonl")),
               2, "f32.tampered.jsonl is not the file", "SHA-256");
  copy_changed(folder, "f32.json", "lost.json", "f32.jsonl", "nowhere.jsonl");
  ASSERT_ERROR(COMPARE("f32.json", "lost.json"), 2, "nowhere.jsonl", "not there", "--items");
  copy_changed(folder, "f32.json", "noitems.json", "\"items\":\t{", "\"it\":\t{");
  ASSERT_ERROR(COMPARE("f32.json", "noitems.json"), 2, "names no items");
}

/// Results that no version of gee-cl wrote: a message, never a crash.
static void hostile_results_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "[]",
      "{}",
      "{\"format\": 1}",
      "{\"format\": \"gee-cl results 2\"}",
      "{\"format\": \"gee-cl results 1\"}",
      "{\"format\": \"gee-cl results 1\", \"tasks\": {}}",
      "{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs\": 1}}",
      "{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs:x\": {}}}",
      "{\"format\": \"gee-cl results 1\", \"tasks\": {\"x\": {}}}",
      "{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs\": {}, \"crows_pairs\": {}}}",
      "{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs\": {}}, \"items\": \"x\"}",
      "{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs\": {}}, \"items\": {\"path\": 1}}",
      ("{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs\": {}}, \"items\": {\"path\": \"/\", "
       "\"sha256\": \"\"}}"),
      "{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs\": {\"items\": 9e99}}}",
  };
  static const char *const rows[] = {"",
                                     "{",
                                     "[]\n",
                                     "{}\n",
                                     "{\"task\": \"mmlu\"}\n",
                                     "{\"task\": \"crows_pairs\"}\n",
                                     "{\"task\": \"crows_pairs\", \"index\": 0, \"loglikelihoods\": [1]}\n"};
  write_text(in_folder(folder, "row.jsonl"), "{\"task\": \"crows_pairs\", \"index\": 0}\n");
  const char *good = in_folder(folder, "f32.jsonl");
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    write_text(in_folder(folder, "bad.json"), texts[i]);
    Ran ran = COMPARE("f32.json", "bad.json", "--items", good, "--items", in_folder(folder, "row.jsonl"));
    assert_code(ran, 2); // a task that is not known has a note besides
    assert_true(test_contains(ran.err, "bad.json"));
  }
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    write_text(in_folder(folder, "bad.json"),
               "{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs\": "
               "{\"items\": 1, \"metrics\": []}}}");
    write_text(in_folder(folder, "bad.jsonl"), rows[i]);
    Ran ran = COMPARE("f32.json", "bad.json", "--items", good, "--items", in_folder(folder, "bad.jsonl"));
    ASSERT_ERROR(ran, 2, "bad.json");
  }
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  (void)snprintf(model, sizeof model, "%s/model", folder);
  (void)snprintf(data, sizeof data, "%s/data", folder);
  assert_ok(directory_create(model));
  assert_ok(directory_create(in_folder(data, "crows_pairs")));
  tiny_model_write(model);
  write_text(in_folder(model, "tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  write_pairs(SIZE_MAX);
  evaluate("f32", "f32", "0");
  evaluate("bf16", "bf16", "0");
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_form_has_the_numbers),      cmocka_unit_test(the_same_model_is_noted),
      cmocka_unit_test(what_differs_is_refused_by_name), cmocka_unit_test(tampered_files_are_refused),
      cmocka_unit_test(hostile_results_are_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
