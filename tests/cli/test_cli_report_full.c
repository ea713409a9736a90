// gee-cl report on a run that trained every weight, so that no base model is beside it.
#include "support/process.h"
#include "support/report_page.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char CONFIG[] =
    "[model]\npath = %s/model\n[data]\ntrain = %s/prompts.jsonl\nheld_out = 0.5\neval_answers = 2\n"
    "[groups]\ncounterfactual = swap\n[sampling]\nmax_new_tokens = 6\n[loss]\npairing = paired\n[train]\n"
    "mode = full\nmax_steps = 3\neffective_batch = 4\nlearning_rate = 1e-4\nbias_eval_steps = 2\n[output]\n"
    "save_root = %s/runs\nrun_name = full\nsave_steps = 0\n";

static const char *folder, *run;

static int set_up(void **state) {
  (void)state;
  char text[2048];
  folder = test_folder();
  if (folder == NULL) return -1;
  const char *config = in_folder(folder, "config.ini");
  run = in_folder(folder, "runs/full");
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  write_text(in_folder(folder, "model/tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  write_text(in_folder(folder, "prompts.jsonl"),
             "{\"prompt\": \"She says it.\"}\n{\"prompt\": \"He sings all day.\"}\n"
             "{\"prompt\": \"She paints walls.\"}\n{\"prompt\": \"He bakes bread for his town.\"}\n");
  (void)snprintf(text, sizeof text, CONFIG, folder, folder, folder);
  write_text(config, text);
  assert_code(GEE("train", config), 0);
  return 0;
}

/// A model whose every weight was trained has no base beside it: what the run measured before its first step
/// is shown.
static void says_what_the_run_measured(void **state) {
  (void)state;
  char number[64];
  assert_code(GEE("report", run), 0);
  char *text = read_file(in_folder(run, "report/report.html"), NULL),
       *lines = read_file(in_folder(run, "bias_eval.jsonl"), NULL);
  cJSON *first = cJSON_ParseWithOpts(lines, NULL, false);
  const cJSON *gap = cJSON_GetObjectItem(cJSON_GetObjectItem(first, "paired"), "gap");
  (void)snprintf(number, sizeof number, "%.4f", fabs(gap->valuedouble));
  assert_true(test_contains(text, "before the first step. At step "));
  const char *lead = strstr(text, "As the run itself measured");
  assert_non_null(lead);
  const char *shown = strstr(lead, number);
  assert_true(shown != NULL && shown < strstr(lead, "before the first step"));
  cJSON_Delete(first);
  free(lines);
  free(text);
}

/// Fails unless the page has the changes that gee-cl compare gives.
static void assert_changes_shown(const char *text, const char *base, const char *other) {
  static const char *const keys[] = {"change", "low", "high", "p_holm"};
  size_t numbers = 0;
  assert_code(GEE("compare", base, other, "--format", "json", "--output", in_folder(folder, "changes.json")),
              0);
  char *bytes = read_file(in_folder(folder, "changes.json"), NULL);
  cJSON *changes = cJSON_Parse(bytes);
  const cJSON *metric = NULL;
  cJSON_ArrayForEach(metric, cJSON_GetObjectItem(cJSON_GetObjectItem(changes, "tasks"), "crows_pairs")) {
    const cJSON *found = cJSON_GetObjectItem(metric, "trained");
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
      const cJSON *number = cJSON_GetObjectItem(found, keys[k]);
      if (!cJSON_IsNumber(number)) continue; // of too few pairs
      assert_shown(text, keys[k], number);
      numbers++;
    }
  }
  assert_true(numbers > 8);
  assert_true(test_contains(text, "Change: from the first model"));
  cJSON_Delete(changes);
  free(bytes);
}

/// Fails unless the page has every value of a results file.
static void assert_values_shown(const char *text, const char *path) {
  char *bytes = read_file(path, NULL);
  cJSON *results = cJSON_Parse(bytes);
  const cJSON *task = cJSON_GetObjectItem(cJSON_GetObjectItem(results, "tasks"), "crows_pairs"),
              *metric = NULL;
  assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(task, "metrics")) > 5);
  cJSON_ArrayForEach(metric, cJSON_GetObjectItem(task, "metrics"))
      assert_shown(text, metric->string, cJSON_GetObjectItem(metric, "value"));
  cJSON_Delete(results);
  free(bytes);
}

static void evaluate(const char *model, const char *name) {
  char out[64], items[64];
  (void)snprintf(out, sizeof out, "%s.json", name);
  (void)snprintf(items, sizeof items, "%s.jsonl", name);
  assert_code(GEE("eval", "--model", model, "--tasks", "crows_pairs", "--data-dir", in_folder(folder, "data"),
                  "--output", in_folder(folder, out), "--items", in_folder(folder, items)),
              0);
}

/// The results of gee-cl eval itself, of the model before and after training.
static void real_results(void **state) {
  static const char csv[] =
      ",sent_more,sent_less,stereo_antistereo,bias_type,annotations,anon_writer,anon_annotators\n"
      "0,He is strong.,She is strong.,stereo,gender,x,a0,x\n1,She cooks.,He cooks.,stereo,gender,x,a0,x\n"
      "2,Old men sleep.,Young men sleep.,antistereo,age,x,a0,x\n3,He sings.,She sings.,stereo,gender,x,a0,x\n"
      "4,He is a judge.,She is a judge.,stereo,gender,x,a0,x\n5,He bakes.,She bakes.,stereo,gender,x,a0,x\n"
      "6,She is ill.,He is ill.,stereo,gender,x,a0,x\n7,He is old.,She is old.,stereo,gender,x,a0,x\n"
      "8,He paints.,She paints.,stereo,gender,x,a0,x\n9,She runs.,He runs.,stereo,gender,x,a0,x\n";
  (void)state;
  assert_ok(directory_create(in_folder(folder, "data/crows_pairs")));
  write_text(in_folder(folder, "data/crows_pairs/crows_pairs_anonymized.csv"), csv);
  evaluate(in_folder(folder, "model"), "base");
  evaluate(in_folder(run, "final"), "trained");
  const char *paths[] = {in_folder(folder, "base.json"), in_folder(folder, "trained.json")};
  assert_code(GEE("report", run, "--compare", paths[0], "--compare", paths[1]), 0);
  char *text = read_file(in_folder(run, "report/report.html"), NULL);
  for (size_t i = 0; i < 2; i++) assert_values_shown(text, paths[i]);
  assert_false(test_contains(text, "Not comparable"));
  assert_changes_shown(text, paths[0], paths[1]);
  assert_false(file_exists(in_folder(run, "report/.eval_results"))); // ten pairs are not the benchmark
  free(text);
}

/// What verify and compare refuse is not reported.
static void the_reader_is_that_of_compare(void **state) {
  (void)state;
  const char *bad = in_folder(folder, "bad.json"), *base = in_folder(folder, "base.json");
  write_text(bad, "{\"format\": \"gee-cl results 1\", \"tasks\": {}, \"tasks\": {}}");
  ASSERT_ERROR(GEE("report", run, "--compare", bad), 2, "bad.json: \"tasks\" appears twice");
  write_text(bad, "{\"tasks\": {}}");
  ASSERT_ERROR(GEE("report", run, "--compare", bad), 2, "bad.json", "\"format\"");
  ASSERT_ERROR(GEE("report", run, "--compare", base, "--compare", in_folder(folder, "./base.json")), 2,
               "base.json is there twice");
}

/// Fails unless a report into `output` is refused, naming the file, whose bytes stay.
static void assert_kept(const char *output, const char *name) {
  const char *path = in_folder(output, name);
  write_text(path, "mine");
  ASSERT_ERROR(GEE("report", run, "--output", output), 2, path, "move it away, or name another folder");
  char *text = read_file(path, NULL);
  assert_string_equal(text, "mine");
  free(text);
  assert_int_equal(remove(path), 0);
}

/// A report replaces a report, and nothing else.
static void nothing_of_others_is_lost(void **state) {
  (void)state;
  const char *other = in_folder(folder, "other"), *own = in_folder(run, "report");
  assert_ok(directory_create(other));
  assert_kept(other, "notes.txt");
  assert_kept(other, "report.html");
  assert_kept(other, "MODEL_CARD.md");
  assert_code(GEE("report", run, "--output", other), 0); // an empty folder
  assert_kept(other, "notes.txt");
  assert_code(GEE("report", run, "--pictures"), 0);
  assert_kept(own, "notes.txt");
  assert_kept(own, "pictures/notes.txt");
  write_text(in_folder(own, "notes.txt"), "mine");
  ASSERT_ERROR(GEE("report", run), 2, "report/notes.txt is not of a report of gee-cl");
  assert_int_equal(remove(in_folder(own, "notes.txt")), 0);
  ASSERT_ERROR(GEE("report", run, "--output", run), 2, "is not of a report of gee-cl");
  assert_code(GEE("report", run, "--output", other), 0); // an earlier report
  assert_code(GEE("report", run), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(says_what_the_run_measured), cmocka_unit_test(real_results),
      cmocka_unit_test(the_reader_is_that_of_compare), cmocka_unit_test(nothing_of_others_is_lost)};
  return cmocka_run_group_tests(tests, set_up, NULL);
}
