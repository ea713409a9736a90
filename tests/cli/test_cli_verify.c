// `gee-cl verify` as a user sees it: what holds, what was changed, and what is not here.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder, *pairs;

static Ran verify(const char *name) {
  return GEE("verify", in_folder(folder, name));
}

static void a_result_holds(void **state) {
  (void)state;
  Ran ran = verify("results.json");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "right        crows_pairs: "));
  assert_true(test_contains(ran.out, "computed again from 12 items"));
  assert_true(test_contains(ran.out, "crows_pairs_anonymized.csv: its SHA-256"));
  assert_true(test_contains(ran.out, "items.jsonl: its SHA-256"));
  assert_true(test_contains(ran.out, "right        weights of "));
  assert_false(test_contains(ran.out, "WRONG"));
}

static void a_changed_figure_is_named(void **state) {
  (void)state;
  static const char *const keys[] = {"value", "low", "high", "n"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    char key[32], other[32], said[32];
    (void)snprintf(key, sizeof key, "\"%s\":", keys[i]);
    (void)snprintf(other, sizeof other, "\"%s\": 0.123, \"x\":", keys[i]);
    (void)snprintf(said, sizeof said, ": %s is 0.123 there", keys[i]);
    copy_changed(folder, "results.json", "changed.json", key, other);
    Ran ran = verify("changed.json");
    assert_code(ran, 1);
    assert_true(test_contains(ran.out, "WRONG        crows_pairs: pct_stereotype"));
    assert_true(test_contains(ran.out, said));
    assert_true(test_contains(ran.err, "2 checks failed")); // "x" is nothing that a metric has
  }
}

static void changed_settings_are_named(void **state) {
  (void)state;
  static const char *const changed[][3] = {
      {"\"limit\":\t0", "\"limit\":\t5", "limit is not what the config says"},
      {"\"dtype\":\t\"stored\"", "\"dtype\":\t\"BF16\"", "dtype is not what the config says"},
      {"\\nlimit = 0", "\\nlimit = 5", "limit is not what the config says"},
      {"\"dtype\":\t", "\"compute\": \"bf16\", \"dtype\":\t", "compute is not what the config says"},
      {"\\ncompute = f32", "\\ncompute = bf16", "compute is not what the config says"},
      {"\"config\":\t\"", "\"config\":\t\"[no]\\n", "unknown section [no]"}};
  for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
    copy_changed(folder, "results.json", "changed.json", changed[i][0], changed[i][1]);
    Ran ran = verify("changed.json");
    assert_code(ran, 1);
    assert_true(test_contains(ran.out, "WRONG        settings: ") && test_contains(ran.out, changed[i][2]));
  }
}

/// What no figure follows from is read by people all the same.
static void members_that_were_made_up_are_named(void **state) {
  (void)state;
  static const char *const changed[][3] = {
      {"\"format\"", "\"fairness_certified\": true, \"format\"",
       "the result: \"fairness_certified\" is nothing"},
      {"\"value\"", "\"p\": 0.001, \"value\"", "pct_stereotype: \"p\" is nothing that eval writes"},
      {"\"dtype\"", "\"audit\": 1, \"dtype\"", "sha256: \"audit\" is nothing that eval writes"},
      {"Its authors advise against", "Its authors advise", "limits of crows_pairs: they are not the text"},
      {"\"seconds\":\t", "\"seconds\":\t-", "\"seconds\" is no number of seconds"},
      {"\"finished\":\t\"2", "\"finished\":\t\"x", "\"finished\" is no time"}};
  for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
    copy_changed(folder, "results.json", "changed.json", changed[i][0], changed[i][1]);
    Ran ran = verify("changed.json");
    assert_code(ran, 1);
    assert_true(test_contains(ran.out, "WRONG        ") && test_contains(ran.out, changed[i][2]));
  }
}

static void a_missing_hash_of_the_data_is_said(void **state) {
  (void)state;
  copy_changed(folder, "results.json", "changed.json", "\"data\":\t[", "\"data\":\t[], \"argument\": [");
  Ran ran = verify("changed.json");
  assert_true(test_contains(ran.out, "not checked  crows_pairs: no hash of the data is given"));
  assert_true(test_contains(ran.out, "crows_pairs_anonymized.csv: no hash of the data"));
}

static void changed_items_are_named(void **state) {
  (void)state;
  copy_changed(folder, "items.jsonl", "moved.jsonl", "\"loglikelihoods\": [-", "\"loglikelihoods\": [-1");
  Ran ran = GEE("verify", in_folder(folder, "results.json"), "--items", in_folder(folder, "moved.jsonl"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "moved.jsonl is not the file"));
  // with a hash to fit, the figures show it
  char hash[SHA256_TEXT], other[SHA256_TEXT];
  assert_ok(file_sha256(in_folder(folder, "items.jsonl"), hash));
  assert_ok(file_sha256(in_folder(folder, "moved.jsonl"), other));
  copy_changed(folder, "results.json", "rehashed.json", hash, other);
  ran = GEE("verify", in_folder(folder, "rehashed.json"), "--items", in_folder(folder, "moved.jsonl"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "from the items"));
}

/// Everything fits together but the data: what is missing was measured, or was never asked.
static void items_that_were_left_out_are_seen(void **state) {
  (void)state;
  const char *data = in_folder(folder, "data"), *eleven = in_folder(folder, "eleven.json");
  assert_code(GEE("eval", "--model", in_folder(folder, "model"), "--tasks", "crows_pairs", "--data-dir", data,
                  "--limit", "11", "--output", eleven, "--items", in_folder(folder, "eleven.jsonl")),
              0);
  Ran ran = verify("eleven.json");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "right        items of crows_pairs: all 11 that config and data give"));
  copy_changed(folder, "eleven.json", "limit.json", "\"limit\":\t11", "\"limit\":\t0");
  copy_changed(folder, "limit.json", "whole.json", "\\nlimit = 11", "\\nlimit = 0");
  ran = verify("whole.json");
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "crows_pairs: there are 11 items, and the data give 12"));
  assert_true(test_contains(ran.out, "crows_pairs: items_sha256 is not that of the items"));
  assert_false(test_contains(ran.out, "from the items\n"));
}

static void changed_inputs_are_named(void **state) {
  (void)state;
  char hash[SHA256_TEXT], other[SHA256_TEXT];
  copy_changed(folder, "items.jsonl", "asked.jsonl", "Old 4 nurses", "Old 5 nurses");
  assert_ok(file_sha256(in_folder(folder, "items.jsonl"), hash));
  assert_ok(file_sha256(in_folder(folder, "asked.jsonl"), other));
  copy_changed(folder, "results.json", "asked.json", hash, other);
  Ran ran = GEE("verify", in_folder(folder, "asked.json"), "--items", in_folder(folder, "asked.jsonl"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "asked.jsonl:3: \"sent_more\" is not what the data say"));
}

/// Of a changed item, whose file has a hash to fit, the line and the member are named.
static void a_decision_against_its_answers_is_named(void **state) {
  (void)state;
  static const char *const changed[][3] = {
      {"\"prefers\": \"sent_", "\"prefers\": \"not_sent_", "\"prefers\" is not what the task decides on"},
      {"\"tokens\": [", "\"tokens\": [1", "\"tokens\" is not what the task decides on its answers"},
      {", \"prefers\"", ", \"audited\": true, \"prefers\"", "\"audited\" is no member of such an item"}};
  char hash[SHA256_TEXT], other[SHA256_TEXT];
  assert_ok(file_sha256(in_folder(folder, "items.jsonl"), hash));
  for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
    copy_changed(folder, "items.jsonl", "decided.jsonl", changed[i][0], changed[i][1]);
    assert_ok(file_sha256(in_folder(folder, "decided.jsonl"), other));
    copy_changed(folder, "results.json", "decided.json", hash, other);
    Ran ran = GEE("verify", in_folder(folder, "decided.json"), "--items", in_folder(folder, "decided.jsonl"));
    assert_code(ran, 1);
    assert_true(test_contains(ran.out, "WRONG        items of crows_pairs: "));
    assert_true(test_contains(ran.out, "decided.jsonl:1: ") && test_contains(ran.out, changed[i][2]));
  }
}

static void a_task_that_was_taken_out_is_named(void **state) {
  (void)state;
  copy_changed(folder, "results.json", "fewer.json", "\\ntasks = crows_pairs", "\\ntasks = crows_pairs,bbq");
  Ran ran = verify("fewer.json");
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "the list of tasks: the config asks for bbq, which is not there"));
  copy_changed(folder, "results.json", "more.json", "\"tasks\":\t{",
               "\"tasks\":\t{\"skill\": {\"metrics\": {}},");
  ran = verify("more.json");
  assert_code(ran, 1);
  assert_true(
      test_contains(ran.out, "the list of tasks: skill is there, and the config does not ask for it"));
  assert_true(test_contains(ran.out, "not checked  skill: it is no task of this program"));
}

static void changed_and_missing_data_are_told_apart(void **state) {
  (void)state;
  char *data = read_file(pairs, NULL);
  write_text(pairs, "something else\n");
  Ran ran = verify("results.json");
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "crows_pairs_anonymized.csv: its SHA-256 is "));
  assert_true(test_contains(ran.out, " 1 wrong"));
  assert_int_equal(unlink(pairs), 0);
  ran = verify("results.json");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "crows_pairs_anonymized.csv: the file is not here"));
  assert_true(test_contains(ran.out, "not checked  items of crows_pairs: "));
  write_text(pairs, data);
  free(data);
}

static void what_is_no_result_is_refused(void **state) {
  (void)state;
  ASSERT_ERROR(verify("items.jsonl"), 2, "items.jsonl");
  ASSERT_ERROR(verify("nowhere.json"), 2, "nowhere.json");
  ASSERT_ERROR(GEE("verify"), 2, "RUN_OR_RESULT is needed");
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  const char *model = in_folder(folder, "model"), *data = in_folder(folder, "data");
  assert_ok(directory_create(model));
  assert_ok(directory_create(in_folder(data, "crows_pairs")));
  tiny_model_write(model);
  write_text(in_folder(model, "tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  pairs = in_folder(data, "crows_pairs/crows_pairs_anonymized.csv");
  Str text = {0};
  assert_ok(str_append_text(&text, ",sent_more,sent_less,stereo_antistereo,bias_type\n"));
  for (size_t i = 0; i < 12; i++)
    assert_ok(str_append_format(&text, "%zu,Old %zu nurses said no.,Old doctors ran %zu times.,stereo,age\n",
                                i, i * i, i));
  write_file(pairs, text.data, text.size);
  str_free(&text);
  assert_code(GEE("eval", "--model", model, "--tasks", "crows_pairs", "--data-dir", data, "--output",
                  in_folder(folder, "results.json"), "--items", in_folder(folder, "items.jsonl")),
              0);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_result_holds),
      cmocka_unit_test(a_changed_figure_is_named),
      cmocka_unit_test(changed_settings_are_named),
      cmocka_unit_test(members_that_were_made_up_are_named),
      cmocka_unit_test(a_missing_hash_of_the_data_is_said),
      cmocka_unit_test(changed_items_are_named),
      cmocka_unit_test(items_that_were_left_out_are_seen),
      cmocka_unit_test(changed_inputs_are_named),
      cmocka_unit_test(a_decision_against_its_answers_is_named),
      cmocka_unit_test(a_task_that_was_taken_out_is_named),
      cmocka_unit_test(changed_and_missing_data_are_told_apart),
      cmocka_unit_test(what_is_no_result_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
