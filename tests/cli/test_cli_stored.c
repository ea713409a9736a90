// --dtype stored and model.dtype = stored as a user meets them: the same bytes as with f32, and what is
// refused.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <stdio.h>
#include <string.h>

static const char *folder, *halves; // halves: a tiny model in bf16

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  const char *floats = in_folder(folder, "floats");
  halves = in_folder(folder, "halves");
  assert_ok(directory_create(floats));
  tiny_model_write(floats);
  assert_code(GEE("export", "--model", floats, "--output", halves, "--dtype", "bf16"), 0);
  return 0;
}

static const char *score(const char *dtype) {
  const char *output = in_folder(folder, dtype);
  write_text(in_folder(folder, "lines.jsonl"), "{\"prompt\": \"The sky\", \"answer\": \" is blue\"}\n");
  assert_code(GEE("score", "--model", halves, "--input", in_folder(folder, "lines.jsonl"), "--output", output,
                  "--dtype", dtype),
              0);
  return output;
}

static void scores_are_those_of_f32(void **state) {
  (void)state;
  assert_same_file(score("f32"), score("stored"));
}

/// The adapter that two steps leave.
static const char *train(const char *dtype) {
  char text[2048], adapter[600];
  write_text(in_folder(folder, "prompts.txt"),
             "He works as a nurse.\nShe works as a pilot.\nHe is a judge.\n");
  (void)snprintf(
      text, sizeof text,
      "[model]\npath = %s\ndtype = %s\n[data]\ntrain = %s\nchat = off\nheld_out = 0\n[sampling]\n"
      "max_new_tokens = 4\n[lora]\nrank = 2\ntargets = all\n[train]\nmax_steps = 2\neffective_batch = 4\n"
      "[output]\nsave_root = %s\nrun_name = %s\n",
      halves, dtype, in_folder(folder, "prompts.txt"), in_folder(folder, "runs"), dtype);
  write_text(in_folder(folder, "train.ini"), text);
  assert_code(GEE("train", in_folder(folder, "train.ini")), 0);
  (void)snprintf(adapter, sizeof adapter, "runs/%s/final/adapter_model.safetensors", dtype);
  return in_folder(folder, adapter);
}

static void runs_are_those_of_f32(void **state) {
  (void)state;
  assert_same_file(train("f32"), train("stored"));
}

/// The line of the memory plan that has the weights.
static const char *planned_weights(const char *config, const char *setting) {
  static char line[100];
  Ran ran = GEE("train", in_folder(folder, config), "--dry-run", setting);
  assert_code(ran, 0);
  const char *start = strstr(ran.err, "\n  weights ");
  assert_non_null(start);
  (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(start + 1, "\n"), start + 1);
  return line;
}

static void stored_is_the_default(void **state) {
  (void)state;
  char stored[100];
  copy_changed(folder, "train.ini", "default.ini", "\ndtype", "\n# dtype");
  (void)snprintf(stored, sizeof stored, "%s", planned_weights("train.ini", "--set=model.dtype=stored"));
  assert_string_equal(planned_weights("default.ini", "--set=train.seed=1"), stored);
  assert_string_not_equal(planned_weights("train.ini", "--set=model.dtype=f32"), stored);
  // Where no weight is frozen, all are float32.
  assert_string_not_equal(planned_weights("default.ini", "--set=train.mode=full"), stored);
}

static void answers_of_a_quantised_model_are_those_of_f32(void **state) {
  (void)state;
  const char *model = test_smollm2();
  if (model == NULL) {
    print_message("SmolLM2 is not there (GEE_SMOLLM2)\n");
    skip();
  }
  char answers[2][2000];
  for (size_t i = 0; i < 2; i++) {
    Ran ran = GEE("generate", "--model", model, "--prompt", "The history of bread", "--max-new-tokens", "6",
                  "--temperature", "0", "--dtype", i == 0 ? "f32" : "stored");
    assert_code(ran, 0);
    (void)snprintf(answers[i], sizeof answers[i], "%s", ran.out);
  }
  assert_true(strlen(answers[0]) > 5);
  assert_string_equal(answers[0], answers[1]);
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  const char *to = in_folder(folder, "exported");
  ASSERT_ERROR(GEE("export", "--model", halves, "--output", to, "--dtype", "stored"), 2, "--dtype stored",
               "f32, f16 or bf16");
  assert_false(file_exists(to));
  ASSERT_ERROR(GEE("generate", "--model", halves, "--prompt", "x", "--dtype", "q4_0"), 2,
               "must be one of stored, f32, f16, bf16");
  ASSERT_ERROR(
      GEE("train", in_folder(folder, "train.ini"), "--set=model.dtype=bf16", "--set=train.mode=full"), 2,
      "leave model.dtype out");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scores_are_those_of_f32),
      cmocka_unit_test(runs_are_those_of_f32),
      cmocka_unit_test(stored_is_the_default),
      cmocka_unit_test(answers_of_a_quantised_model_are_those_of_f32),
      cmocka_unit_test(what_makes_no_sense_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
