// model.compute = int8 and --compute as a user meets them: where the CPU has AVX512-VNNI runs train, sample
// in eight bits and say so; elsewhere the key is refused by name. Skipped there after that.
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
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\ncompute = int8\n[data]\ntrain = %s\nchat = off\nheld_out = 0\n"
                 "[sampling]\nmax_new_tokens = 4\n[lora]\nrank = 2\ntargets = all\n[train]\nmax_steps = 2\n"
                 "effective_batch = 4\nmicro_batch_size = 2\n[output]\nsave_root = %s\nrun_name = int8\n",
                 model, in_folder(folder, "prompts.txt"), in_folder(folder, "runs"));
  write_text(config, text);
  Ran ran = GEE("train", config);
  if (ran.code == 0) return 0;
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "model.compute = int8 needs a CPU with AVX512-VNNI"));
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
  assert_has(in_folder(folder, "runs/int8/run.json"), "\"compute\":\t\"int8\"");
  assert_has(in_folder(folder, "runs/int8/final/config.ini"), "compute = int8");
  assert_code(GEE("verify", in_folder(folder, "runs/int8")), 0);
}

/// A run repeats to the bit, and float32 is another one.
static void runs_repeat(void **state) {
  (void)state;
  size_t size, other_size;
  char *first = read_file(in_folder(folder, "runs/int8/final/adapter_model.safetensors"), &size);
  for (size_t i = 0; i < 2; i++) {
    const char *name = i == 0 ? "--set=output.run_name=again" : "--set=output.run_name=f32";
    const char *path =
        i == 0 ? "runs/again/final/adapter_model.safetensors" : "runs/f32/final/adapter_model.safetensors";
    assert_code(GEE("train", config, name, i == 0 ? "--set=model.compute=int8" : "--set=model.compute=f32"),
                0);
    char *other = read_file(in_folder(folder, path), &other_size);
    assert_int_equal(other_size, size);
    assert_int_equal(memcmp(first, other, size) == 0, i == 0);
    free(other);
  }
  free(first);
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
  char *a = read_file(score("int8", "int8.jsonl"), NULL), *b = read_file(score("f32", "f32.jsonl"), NULL);
  assert_string_not_equal(a, b);
  free(a);
  free(b);
  assert_code(
      GEE("generate", "--model", model, "--compute", "int8", "--prompt", "x", "--max-new-tokens", "2"), 0);
  Ran ran = GEE("selftest", "--compute", "int8", "--device", "cpu");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "linear, int8"));
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("train", config, "--set=train.mode=full"), 2, "model.compute = int8",
               "set model.compute = f32");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_run_leaves_says_so),
      cmocka_unit_test(runs_repeat),
      cmocka_unit_test(commands_take_it),
      cmocka_unit_test(what_makes_no_sense_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
