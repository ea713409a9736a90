// model.quantise and --quantise as a user meets them: runs train on quantised weights and say so, what was
// made on others is refused, and every command that takes a model takes them.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;
static char model[600], config[600], adapter[600];

static int set_up(void **state) {
  (void)state;
  char text[2048];
  folder = test_folder();
  if (folder == NULL) return -1;
  (void)snprintf(model, sizeof model, "%s/model", folder);
  (void)snprintf(config, sizeof config, "%s/train.ini", folder);
  (void)snprintf(adapter, sizeof adapter, "%s/runs/q8_0/final", folder);
  assert_ok(directory_create(model));
  tiny_model_write(model);
  write_text(in_folder(folder, "prompts.txt"),
             "He works as a nurse.\nShe works as a pilot.\nHe is a judge.\nShe is a judge.\n");
  write_text(in_folder(folder, "lines.jsonl"), "{\"prompt\": \"The sky\", \"answer\": \" is blue\"}\n");
  (void)snprintf(
      text, sizeof text,
      "[model]\npath = %s\nquantise = q8_0\n[data]\ntrain = %s\nchat = off\nheld_out = 0\n[sampling]\n"
      "max_new_tokens = 4\n[lora]\nrank = 2\ntargets = all\n[train]\nmax_steps = 2\n"
      "effective_batch = 4\n[output]\nsave_root = %s\nrun_name = q8_0\n",
      model, in_folder(folder, "prompts.txt"), in_folder(folder, "runs"));
  write_text(config, text);
  Ran ran = GEE("train", config);
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "2 of 14 matrices are not quantised: their rows are no multiple of 32"));
  return 0;
}

static void assert_has(const char *path, const char *part) {
  char *text = read_file(path, NULL);
  if (!test_contains(text, part)) fail_msg("%s has no %s:\n%s", path, part, text);
  free(text);
}

static void what_a_run_leaves_says_so(void **state) {
  (void)state;
  assert_has(in_folder(adapter, "adapter_base.json"), "\"quantised\":\t\"Q8_0\"");
  assert_has(in_folder(adapter, "config.ini"), "quantise = q8_0");
  assert_has(in_folder(adapter, "README.md"), "were quantised to Q8_0");
  assert_has(in_folder(folder, "runs/q8_0/run.json"), "\"quantised\":\t\"Q8_0\"");
  assert_code(GEE("verify", in_folder(folder, "runs/q8_0")), 0);
}

static void resume_takes_no_other_value(void **state) {
  (void)state;
  Ran ran = GEE("train", config, "--resume", "--set=train.max_steps=3", "--set=model.quantise=none");
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "was made with model (weights) = SHA-256"));
  assert_code(GEE("train", config, "--resume", "--set=train.max_steps=3"), 0);
}

static void an_adapter_is_of_the_quantised_weights(void **state) {
  (void)state;
  const char *with[] = {
      "generate",         "--model", model,           "--adapter", adapter, "--prompt", "x",
      "--max-new-tokens", "2",       "--temperature", "0",         NULL,    NULL,       NULL};
  ASSERT_ERROR(run_words(with), 2, "model.quantise (--quantise) = Q8_0, here it is none");
  with[11] = "--force";
  assert_code(run_words(with), 0);
  with[11] = "--quantise";
  with[12] = "q8_0";
  assert_code(run_words(with), 0);
}

static const char *score(const char *type, const char *name) {
  const char *output = in_folder(folder, name);
  assert_code(GEE("score", "--model", model, "--quantise", type, "--input", in_folder(folder, "lines.jsonl"),
                  "--output", output),
              0);
  return output;
}

static void commands_take_it(void **state) {
  (void)state;
  const char *merged = in_folder(folder, "merged"), *output = in_folder(folder, "again.jsonl");
  const char *quantised = score("q8_0", "q8_0.jsonl");
  char *a = read_file(quantised, NULL), *b = read_file(score("none", "none.jsonl"), NULL);
  assert_string_not_equal(a, b);
  free(a);
  free(b);
  // what is exported is what was computed with
  assert_code(GEE("export", "--model", model, "--quantise", "q8_0", "--output", merged), 0);
  assert_code(
      GEE("score", "--model", merged, "--input", in_folder(folder, "lines.jsonl"), "--output", output), 0);
  assert_same_file(output, quantised);
  assert_code(GEE("export", "--model", model, "--quantise", "q8_0", "--adapter", adapter, "--output",
                  in_folder(folder, "merged_adapter"), "--dtype", "bf16"),
              0);
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("generate", "--model", model, "--prompt", "x", "--quantise", "q4_0"), 2,
               "must be one of none, q8_0, q4_k, nf4");
  ASSERT_ERROR(GEE("train", config, "--set=train.mode=full"), 2, "needs model.quantise = none");
  ASSERT_ERROR(GEE("train", config, "--set=model.quantise=q5_k"), 2, "model.quantise", "q5_k");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_run_leaves_says_so),
      cmocka_unit_test(an_adapter_is_of_the_quantised_weights),
      cmocka_unit_test(commands_take_it),
      cmocka_unit_test(what_makes_no_sense_is_refused),
      cmocka_unit_test(resume_takes_no_other_value), // last: the run goes on
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
