// model.compute = bf16 and --compute as a user meets them: where the CPU has AVX512-BF16 runs train, say so
// and take no other value when they are resumed; elsewhere the key is refused by name. Skipped there after
// that.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;
static char model[600], config[600];

static int set_up(void **state) {
  (void)state;
  char text[2048];
  folder = test_folder();
  if (folder == NULL) return -1;
  (void)snprintf(model, sizeof model, "%s/model", folder);
  (void)snprintf(config, sizeof config, "%s/train.ini", folder);
  assert_ok(directory_create(model));
  tiny_model_write(model);
  write_text(in_folder(model, "tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  write_text(in_folder(folder, "prompts.txt"),
             "He works as a nurse.\nShe works as a pilot.\nHe is a judge.\nShe is a judge.\n");
  write_text(in_folder(folder, "lines.jsonl"), "{\"prompt\": \"The sky\", \"answer\": \" is blue\"}\n");
  (void)snprintf(
      text, sizeof text,
      "[model]\npath = %s\ncompute = bf16\n[data]\ntrain = %s\nchat = off\nheld_out = 0\n[sampling]\n"
      "max_new_tokens = 4\n[lora]\nrank = 2\ntargets = all\n[train]\nmax_steps = 2\n"
      "effective_batch = 4\n[output]\nsave_root = %s\nrun_name = bf16\n",
      model, in_folder(folder, "prompts.txt"), in_folder(folder, "runs"));
  write_text(config, text);
  Ran ran = GEE("train", config);
  if (ran.code == 0) return 0;
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "model.compute = bf16 needs a CPU with AVX512-BF16"));
  (void)fprintf(stderr, "skipped: %s", ran.err);
  exit(TEST_SKIPPED);
}

static void assert_has(const char *path, const char *part) {
  char *text = read_file(path, NULL);
  if (!test_contains(text, part)) fail_msg("%s has no %s:\n%s", path, part, text);
  free(text);
}

static void what_a_run_leaves_says_so(void **state) {
  (void)state;
  assert_has(in_folder(folder, "runs/bf16/run.json"), "\"compute\":\t\"bf16\"");
  assert_has(in_folder(folder, "runs/bf16/final/config.ini"), "compute = bf16");
  assert_code(GEE("verify", in_folder(folder, "runs/bf16")), 0);
}

/// A run repeats to the bit, and float32 is another one.
static void runs_repeat(void **state) {
  (void)state;
  const char *const names[] = {"again", "f32"};
  size_t size, other_size;
  char *first = read_file(in_folder(folder, "runs/bf16/final/adapter_model.safetensors"), &size);
  for (size_t i = 0; i < 2; i++) {
    char name[64], path[64];
    (void)snprintf(name, sizeof name, "--set=output.run_name=%s", names[i]);
    (void)snprintf(path, sizeof path, "runs/%s/final/adapter_model.safetensors", names[i]);
    assert_code(GEE("train", config, name, i == 0 ? "--set=model.compute=bf16" : "--set=model.compute=f32"),
                0);
    char *other = read_file(in_folder(folder, path), &other_size);
    assert_int_equal(other_size, size);
    assert_int_equal(memcmp(first, other, size) == 0, i == 0);
    free(other);
  }
  free(first);
}

static void resume_takes_no_other_value(void **state) {
  (void)state;
  Ran ran = GEE("train", config, "--resume", "--set=train.max_steps=3", "--set=model.compute=f32");
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "model.compute"));
  assert_code(GEE("train", config, "--resume", "--set=train.max_steps=3"), 0);
}

static const char *score(const char *type, const char *name) {
  const char *output = in_folder(folder, name);
  assert_code(GEE("score", "--model", model, "--compute", type, "--input", in_folder(folder, "lines.jsonl"),
                  "--output", output),
              0);
  return output;
}

static void commands_take_it(void **state) {
  (void)state;
  char *a = read_file(score("bf16", "bf16.jsonl"), NULL), *b = read_file(score("f32", "f32.jsonl"), NULL);
  assert_string_not_equal(a, b);
  free(a);
  free(b);
  assert_code(
      GEE("generate", "--model", model, "--compute", "bf16", "--prompt", "x", "--max-new-tokens", "2"), 0);
  Ran ran = GEE("selftest", "--compute", "bf16", "--device", "cpu");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "linear, bf16"));
}

static void results_say_so(void **state) {
  (void)state;
  const char *data = in_folder(folder, "data"), *types[] = {"bf16", "f32"};
  assert_ok(directory_create(in_folder(data, "crows_pairs")));
  write_text(in_folder(data, "crows_pairs/crows_pairs_anonymized.csv"),
             ",sent_more,sent_less,stereo_antistereo,bias_type\n"
             "0,The old nurses said no.,The old doctors ran.,stereo,age\n"
             "1,The new nurses said yes.,The new doctors sat.,stereo,age\n");
  for (size_t i = 0; i < 2; i++) {
    char output[64];
    (void)snprintf(output, sizeof output, "%s.json", types[i]);
    assert_code(GEE("eval", "--model", model, "--compute", types[i], "--tasks", "crows_pairs", "--data-dir",
                    data, "--output", in_folder(folder, output), "--items",
                    in_folder(folder, i == 0 ? "bf16.items" : "f32.items")),
                0);
  }
  assert_has(in_folder(folder, "bf16.json"), "\"compute\":\t\"bf16\"");
  Ran ran = GEE("compare", in_folder(folder, "bf16.json"), in_folder(folder, "f32.json"));
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "was computed with model.compute = bf16"));
  assert_false(test_contains(ran.err, "same model"));
  assert_code(GEE("verify", in_folder(folder, "bf16.json")), 0);
  copy_changed(folder, "bf16.json", "changed.json", "\"compute\":\t\"bf16\"", "\"compute\":\t\"f32\"");
  ran = GEE("verify", in_folder(folder, "changed.json"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "compute is not what the config says"));
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("score", "--model", model, "--input", in_folder(folder, "lines.jsonl"), "--output", "-",
                   "--compute", "int4"),
               2, "--compute is \"int4\"; it must be one of f32, bf16, int8");
  ASSERT_ERROR(GEE("train", config, "--set=train.mode=full"), 2, "set model.compute = f32");
  ASSERT_ERROR(GEE("train", config, "--set=model.compute=int4"), 2, "model.compute", "int4");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_run_leaves_says_so),
      cmocka_unit_test(runs_repeat),
      cmocka_unit_test(commands_take_it),
      cmocka_unit_test(results_say_so),
      cmocka_unit_test(what_makes_no_sense_is_refused),
      cmocka_unit_test(resume_takes_no_other_value), // last: the run goes on
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
