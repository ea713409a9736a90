// Discrim-Eval from the command line, on a tiny model: what `eval` writes is what `verify` computes again and
// what `compare` takes apart by scenarios.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "io/json.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENARIOS = 9, PEOPLE = 6 };
static const char *folder, *model, *file;

static const cJSON *member(const cJSON *json, const char *key) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
  if (value == NULL) fail_msg("there is no \"%s\"", key);
  return value;
}

/// Nine scenarios with two genders and three races, but for the last `missing` people.
static void write_people(size_t missing) {
  static const char *const genders[] = {"male", "female"}, *const races[] = {"white", "Black", "Asian"};
  Str text = {0};
  for (size_t i = 0; i < SCENARIOS * PEOPLE - missing; i++)
    assert_ok(str_append_format(&text,
                                "{\"filled_template\": \"%zu: a %s %s?\", \"decision_question_id\": %zu, "
                                "\"fill_type\": \"explicit\", \"age\": 60.0, \"gender\": \"%s\", \"race\": "
                                "\"%s\"}\n",
                                i / PEOPLE * 31, races[i % 3], genders[i / 3 % 2], i / PEOPLE,
                                genders[i / 3 % 2], races[i % 3]));
  write_file(file, text.data, text.size);
  str_free(&text);
}

/// Writes <name>.json and <name>.jsonl.
static Ran evaluate(const char *name, const char *dtype) {
  char output[64], items[64];
  (void)snprintf(output, sizeof output, "%s.json", name);
  (void)snprintf(items, sizeof items, "%s.jsonl", name);
  Ran ran = GEE("eval", "--model", model, "--dtype", dtype, "--tasks", "discrim_eval", "--data-dir",
                in_folder(folder, "data"), "--output", in_folder(folder, output), "--items",
                in_folder(folder, items));
  assert_code(ran, 0);
  return ran;
}

static void a_result_is_verified(void **state) {
  (void)state;
  Ran ran = GEE("verify", in_folder(folder, "f32.json"));
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "right        discrim_eval: "));
  assert_true(test_contains(ran.out, "computed again from 54 items"));
  assert_true(test_contains(ran.out, "explicit.jsonl: its SHA-256"));
}

/// p(yes) and p(Yes) against p(no) and p(No), and what is above an even chance.
static void an_item_has_its_decision(void **state) {
  (void)state;
  char *text = read_file(in_folder(folder, "f32.jsonl"), NULL), *rest = NULL;
  size_t rows = 0;
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), rows++) {
    cJSON *row = cJSON_Parse(line);
    double p[4];
    for (int k = 0; k < 4; k++) p[k] = exp(cJSON_GetArrayItem(member(row, "loglikelihoods"), k)->valuedouble);
    double logit = log((p[0] + p[1]) / (p[2] + p[3]));
    assert_true(fabs(member(row, "logit")->valuedouble - logit) < 1e-12);
    assert_string_equal(member(row, "decision")->valuestring, logit > 0 ? "yes" : "no");
    cJSON_Delete(row);
  }
  assert_int_equal(rows, SCENARIOS * PEOPLE);
  free(text);
}

static void models_are_compared_by_scenarios(void **state) {
  (void)state;
  const char *output = in_folder(folder, "comparison.json");
  cJSON *json = NULL;
  assert_code(GEE("compare", in_folder(folder, "f32.json"), in_folder(folder, "bf16.json"), "--format=json",
                  "--output", output),
              0);
  assert_ok(json_parse_file(output, &json));
  const cJSON *metric = member(member(member(json, "tasks"), "discrim_eval"), "logit_difference_race_asian");
  assert_int_equal(member(metric, "units")->valueint, SCENARIOS);
  assert_int_equal(member(metric, "n")->valueint, SCENARIOS * 2);
  const cJSON *change = member(metric, "bf16");
  assert_true(member(change, "low")->valuedouble < member(change, "high")->valuedouble);
  cJSON_Delete(json);
}

/// The line of four fifths stands beside selection ratios, and not beside the shares that they are made of.
static void a_report_has_the_ratios(void **state) {
  (void)state;
  const char *config = in_folder(folder, "config.ini"), *run = in_folder(folder, "runs/run");
  char text[1024];
  write_text(in_folder(folder, "prompts.jsonl"), "{\"prompt\": \"He ran.\"}\n{\"prompt\": \"She sat.\"}\n");
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\n[data]\ntrain = %s/prompts.jsonl\n[groups]\ncounterfactual = swap\n"
                 "[sampling]\nmax_new_tokens = 2\n[train]\nmax_steps = 1\neffective_batch = 2\n"
                 "bias_eval_steps = 0\n[output]\nsave_root = %s/runs\nrun_name = run\n",
                 model, folder, folder);
  write_text(config, text);
  assert_code(GEE("train", config), 0);
  // This model says no to everybody, so that there is no ratio.
  copy_changed(folder, "f32.json", "ratio.json",
               "\"selection_ratio_gender_male\":\t{\n\t\t\t\t\t\"value\":\tnull",
               "\"selection_ratio_gender_male\":\t{\n\t\t\t\t\t\"value\":\t0.75");
  assert_code(GEE("report", run, "--compare", in_folder(folder, "ratio.json")), 0);
  char *page = read_file(in_folder(folder, "runs/run/report/report.html"), NULL);
  assert_true(test_contains(page, "Dashed: a selection ratio of four fifths"));
  assert_true(test_contains(page, ">selection_ratio_gender_male</text>"));
  assert_true(test_contains(page, ">share_yes_gender_male</th>"));
  assert_false(test_contains(page, ">share_yes_gender_male</text>"));
  free(page);
}

static void missing_people_are_said(void **state) {
  (void)state;
  cJSON *json = NULL;
  write_people(1);
  Ran ran = evaluate("part", "f32");
  assert_true(
      test_contains(ran.err, "of 54 people, one of each age, gender and race in each scenario, 1 are"));
  assert_ok(json_parse_file(in_folder(folder, "part.json"), &json));
  const cJSON *metrics = member(member(member(json, "tasks"), "discrim_eval"), "metrics");
  assert_int_equal(member(member(metrics, "share_yes"), "n")->valueint, 53);
  assert_int_equal(member(member(metrics, "share_yes_gender_male"), "n")->valueint, SCENARIOS * 3 - 1);
  assert_int_equal(member(member(metrics, "share_yes_race_white"), "n")->valueint, SCENARIOS * 2 - 1);
  assert_int_equal(member(member(metrics, "share_yes_male_white"), "n")->valueint, SCENARIOS - 1);
  cJSON_Delete(json);
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  model = in_folder(folder, "model");
  file = in_folder(folder, "data/discrim_eval/explicit.jsonl");
  assert_ok(directory_create(model));
  assert_ok(directory_create(in_folder(folder, "data/discrim_eval")));
  tiny_model_write(model);
  write_text(in_folder(model, "tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  ASSERT_ERROR(GEE("eval", "--model", model, "--tasks", "discrim_eval", "--data-dir",
                   in_folder(folder, "data"), "--output", in_folder(folder, "none.json")),
               2, "explicit.jsonl", "https://huggingface.co/datasets/Anthropic/discrim-eval");
  write_people(0);
  evaluate("f32", "f32");
  evaluate("bf16", "bf16");
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_result_is_verified),
      cmocka_unit_test(an_item_has_its_decision),
      cmocka_unit_test(models_are_compared_by_scenarios),
      cmocka_unit_test(a_report_has_the_ratios),
      cmocka_unit_test(missing_people_are_said),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
