// model.compute and --compute as a user meets them: where the device has the instructions runs train, say so
// and take no other value when they are resumed; elsewhere the key is refused by name. Of a value that the
// device lacks the rest is skipped: every CPU lacks f16.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// A value of the key, and what it needs.
typedef struct Kind {
  const char *name, *needs;
} Kind;

static const Kind kinds[] = {
    {"bf16", "a CPU with AVX512-BF16"}, {"f16", "a GPU"}, {"int8", "a CPU with AVX512-VNNI"}};
static const Kind *kind; // the one that the tests below are run for
static bool is_there;    // the device has it
static const char *folder;
static char model[600], config[600];

/// "<start><the kind's name><end>", one of a few at a time.
static const char *with_kind(const char *start, const char *end) {
  static char texts[8][200];
  static size_t next;
  char *text = texts[next++ % 8];
  (void)snprintf(text, sizeof texts[0], "%s%s%s", start, kind->name, end);
  return text;
}

static const char *own(const char *start, const char *end) {
  return in_folder(folder, with_kind(start, end));
}

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
                 "[model]\npath = %s\ncompute = %s\n[data]\ntrain = %s\nchat = off\nheld_out = 0\n"
                 "[sampling]\nmax_new_tokens = 4\n[lora]\nrank = 2\ntargets = all\n[train]\nmax_steps = 2\n"
                 "effective_batch = 4\nmicro_batch_size = 2\n[output]\nsave_root = %s\nrun_name = %s\n",
                 model, kind->name, in_folder(folder, "prompts.txt"), in_folder(folder, "runs"), kind->name);
  write_text(config, text);
  Ran ran = GEE("train", config);
  is_there = ran.code == 0;
  if (is_there) return 0;
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, with_kind("model.compute = ", " needs ")));
  assert_true(test_contains(ran.err, kind->needs));
  assert_true(test_contains(ran.err, "set model.compute = f32"));
  Ran dry = GEE("train", config, "--dry-run"); // nothing is planned that could not run
  assert_code(dry, 2);
  assert_string_equal(dry.err, ran.err);
  (void)fprintf(stderr, "skipped: %s", ran.err);
  return 0;
}

static void assert_has(const char *path, const char *part) {
  char *text = read_file(path, NULL);
  if (!test_contains(text, part)) fail_msg("%s has no %s:\n%s", path, part, text);
  free(text);
}

static void what_a_run_leaves_says_so(void **state) {
  (void)state;
  if (!is_there) skip();
  assert_has(own("runs/", "/run.json"), with_kind("\"compute\":\t\"", "\""));
  assert_has(own("runs/", "/final/config.ini"), with_kind("compute = ", ""));
  assert_has(own("runs/", "/final/README.md"), with_kind("were computed in ", " (model.compute)"));
  assert_code(GEE("report", own("runs/", "")), 0);
  assert_has(own("runs/", "/report/MODEL_CARD.md"), with_kind("were computed in ", " (model.compute)"));
  assert_code(GEE("verify", own("runs/", "")), 0);
}

/// A run repeats to the bit, and float32 is another one.
static void runs_repeat(void **state) {
  (void)state;
  if (!is_there) skip();
  size_t size, other_size;
  char *first = read_file(own("runs/", "/final/adapter_model.safetensors"), &size);
  for (size_t i = 0; i < 2; i++) {
    const char *name = i == 0 ? "--set=output.run_name=again" : "--set=output.run_name=f32";
    const char *path =
        i == 0 ? "runs/again/final/adapter_model.safetensors" : "runs/f32/final/adapter_model.safetensors";
    assert_code(GEE("train", config, name,
                    i == 0 ? with_kind("--set=model.compute=", "") : "--set=model.compute=f32"),
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
  if (!is_there) skip();
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

/// A word is taken in any case, by every option and key, and kept in its one spelling.
static void words_are_taken_in_any_case(void **state) {
  (void)state;
  if (!is_there) skip();
  char upper[16] = "";
  for (size_t i = 0; kind->name[i] != '\0'; i++) upper[i] = (char)toupper((unsigned char)kind->name[i]);
  char *a = read_file(score(kind->name, "lower.jsonl"), NULL),
       *b = read_file(score(upper, "upper.jsonl"), NULL);
  assert_string_equal(a, b);
  free(a);
  free(b);
  char key[64];
  (void)snprintf(key, sizeof key, "--set=model.compute=%s", upper);
  assert_code(GEE("train", config, key, "--set=model.dtype=F32", "--set=output.run_name=upper"), 0);
  assert_has(in_folder(folder, "runs/upper/final/config.ini"), with_kind("compute = ", ""));
  assert_has(in_folder(folder, "runs/upper/final/config.ini"), "dtype = f32");
}

static void commands_take_it(void **state) {
  (void)state;
  if (!is_there) skip();
  char *a = read_file(score(kind->name, "own.jsonl"), NULL), *b = read_file(score("f32", "f32.jsonl"), NULL);
  assert_string_not_equal(a, b);
  free(a);
  free(b);
  assert_code(
      GEE("generate", "--model", model, "--compute", kind->name, "--prompt", "x", "--max-new-tokens", "2"),
      0);
  Ran ran = GEE("selftest", "--compute", kind->name, "--device", "cpu");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, with_kind("linear, ", "")));
}

static void results_say_so(void **state) {
  (void)state;
  if (!is_there) skip();
  const char *data = in_folder(folder, "data"), *types[] = {kind->name, "f32"};
  assert_ok(directory_create(in_folder(data, "crows_pairs")));
  write_text(in_folder(data, "crows_pairs/crows_pairs_anonymized.csv"),
             ",sent_more,sent_less,stereo_antistereo,bias_type\n"
             "0,The old nurses said no.,The old doctors ran.,stereo,age\n"
             "1,The new nurses said yes.,The new doctors sat.,stereo,age\n");
  for (size_t i = 0; i < 2; i++) {
    assert_code(GEE("eval", "--model", model, "--compute", types[i], "--tasks", "crows_pairs", "--data-dir",
                    data, "--output", in_folder(folder, i == 0 ? "own.json" : "f32.json"), "--items",
                    in_folder(folder, i == 0 ? "own.items" : "f32.items")),
                0);
  }
  assert_has(in_folder(folder, "own.json"), with_kind("\"compute\":\t\"", "\""));
  Ran ran = GEE("compare", in_folder(folder, "own.json"), in_folder(folder, "f32.json"));
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, with_kind("was computed with model.compute = ", ", ")));
  assert_true(test_contains(ran.err, "f32.json with f32"));
  assert_false(test_contains(ran.err, "same model"));
  assert_code(GEE("verify", in_folder(folder, "own.json")), 0);
  copy_changed(folder, "own.json", "changed.json", with_kind("\"compute\":\t\"", "\""),
               "\"compute\":\t\"f32\"");
  ran = GEE("verify", in_folder(folder, "changed.json"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "compute is not what the config says"));
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  if (!is_there) skip();
  ASSERT_ERROR(GEE("score", "--model", model, "--input", in_folder(folder, "lines.jsonl"), "--output", "-",
                   "--compute", "int4"),
               2, "--compute is \"int4\"; it must be one of f32, bf16, f16, int8");
  ASSERT_ERROR(GEE("train", config, "--set=train.mode=full"), 2, with_kind("model.compute = ", ""),
               "set model.compute = f32");
  ASSERT_ERROR(GEE("train", config, "--set=model.compute=int4"), 2, "model.compute", "int4");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_run_leaves_says_so),
      cmocka_unit_test(words_are_taken_in_any_case),
      cmocka_unit_test(runs_repeat),
      cmocka_unit_test(commands_take_it),
      cmocka_unit_test(results_say_so),
      cmocka_unit_test(what_makes_no_sense_is_refused),
      cmocka_unit_test(resume_takes_no_other_value), // last: the run goes on
  };
  int failed = 0;
  size_t there = 0;
  for (kind = kinds; kind < kinds + sizeof kinds / sizeof *kinds; kind++) {
    failed += cmocka_run_group_tests_name(kind->name, tests, set_up, NULL);
    there += is_there;
  }
  return failed != 0 ? 1 : there == 0 ? TEST_SKIPPED : 0;
}
