// A run and an adapter know the model that they were made with: another of the same shape is refused, unless
// --force says otherwise; the same one is taken wherever it lies.
#include "support/stopped_run.h"

#include "io/file.h"
#include "support/tiny_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static char adapter[600]; // a copy: in_folder's paths do not last for the whole test
static const char *const resume[] = {"--resume", NULL}, *const forced[] = {"--resume", "--force", NULL};

static void copy(const char *from, const char *to, const char *name) {
  size_t size = 0;
  char *bytes = read_file(in_folder(in_folder(folder, from), name), &size);
  assert_ok(directory_create(in_folder(folder, to)));
  write_file(in_folder(in_folder(folder, to), name), bytes, size);
  free(bytes);
}

static void copy_model(const char *name) {
  static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors"};
  for (size_t i = 0; i < 3; i++) copy("model", name, files[i]);
}

/// A copy of the model in which one bit in the middle of a matrix is another.
static void change_weights(const char *name) {
  size_t size = 0;
  copy_model(name);
  const char *path = in_folder(in_folder(folder, name), "model.safetensors");
  char *bytes = read_file(path, &size);
  bytes[size - 32 * 48 * 4 / 2] ^= 1; // the last matrix is the down projection of the last layer
  write_file(path, bytes, size);
  free(bytes);
}

/// A copy whose config.json has `to` in place of `from`, of the same length.
static void change_config(const char *name, const char *from, const char *to) {
  copy_model(name);
  const char *path = in_folder(in_folder(folder, name), "config.json");
  char *text = read_file(path, NULL), *found = strstr(text, from);
  assert_true(found != NULL && strlen(from) == strlen(to));
  memcpy(found, to, strlen(to));
  write_text(path, text);
  free(text);
}

/// A copy whose tokenizer has the ids of two letters exchanged.
static void change_tokenizer(const char *name) {
  copy_model(name);
  const char *path = in_folder(in_folder(folder, name), "tokenizer.json");
  char *text = read_file(path, NULL), *x = strstr(text, "\"\\u0078\": 120"),
       *y = strstr(text, "\"\\u0079\": 121");
  assert_true(x != NULL && y != NULL);
  x[6] = '9';
  y[6] = '8';
  write_text(path, text);
  free(text);
}

static Ran train_on(const char *run, const char *model, const char *const *words) {
  char path[600];
  (void)snprintf(path, sizeof path, "model.path=%s", in_folder(folder, model));
  stopped_copy("made", NULL, run);
  return stopped_train(NULL, run, (const char *const[]){path, NULL}, words);
}

static void assert_refused(Ran ran, const char *part) {
  assert_code(ran, 2);
  if (!test_contains(ran.err, part)) fail_msg("\"%s\" is not in: %s", part, ran.err);
}

static void a_resume_takes_the_same_model_only(void **state) {
  (void)state;
  assert_refused(train_on("refused", "weights", resume), "was made with model (weights) = SHA-256 ");
  Ran ran = train_on("forced", "weights", forced);
  assert_code(ran, 0);
  const char *warning = strstr(ran.err, "as --force says");
  assert_true(warning != NULL && !test_contains(warning + 1, "as --force says")); // once
  // which is the run's model from now on
  char path[600];
  (void)snprintf(path, sizeof path, "model.path=%s", in_folder(folder, "weights"));
  assert_code(stopped_train(NULL, "forced", (const char *const[]){path, "train.max_steps=5", NULL}, resume),
              0);
  assert_code(train_on("moved", "moved", resume), 0);
  stopped_assert_same(NULL, "made", NULL, "moved");
  assert_refused(train_on("tokens", "tokens", resume), "was made with model (tokenizer) = SHA-256 ");
  assert_refused(stopped_train(NULL, "new", NULL, (const char *const[]){"--force", NULL}),
                 "--force needs --resume");
}

/// What every command that takes an adapter does with one: 0 or 2, and a part of what it says.
static void try_adapter(const char *model, const char *from, bool force, int code, const char *part) {
  const char *path = in_folder(folder, model), *output = in_folder(folder, "out"),
             *input = in_folder(folder, "in");
  char set[600];
  (void)snprintf(set, sizeof set, "--set=model.path=%s", path);
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"b\"}\n");
  const char *last = force ? "--force" : NULL;
  for (int command = 0; command < 4; command++) {
    assert_ok(directory_remove(output));
    Ran ran = {0};
    if (command == 0) ran = GEE("gap", in_folder(folder, "run.ini"), set, "--adapter", from, last);
    if (command == 1)
      ran =
          GEE("generate", "--model", path, "--adapter", from, "--prompt", "a", "--max-new-tokens", "2", last);
    if (command == 2)
      ran = GEE("score", "--model", path, "--adapter", from, "--input", input, "--output", output, last);
    if (command == 3) ran = GEE("export", "--model", path, "--adapter", from, "--output", output, last);
    assert_code(ran, code);
    if (part != NULL && !test_contains(ran.err, part)) fail_msg("\"%s\" is not in: %s", part, ran.err);
    if (part == NULL && test_contains(ran.err, "made for")) fail_msg("%s", ran.err);
    assert_true(code == 0 || !file_exists(output));
  }
}

static void an_adapter_takes_its_base_only(void **state) {
  (void)state;
  try_adapter("model", adapter, false, 0, NULL);
  try_adapter("moved", adapter, false, 0, NULL);
  try_adapter("weights", adapter, false, 2, "final was made for another model (SHA-256 ");
  try_adapter("weights", adapter, true, 0, "final was made for another model (SHA-256 ");
  try_adapter("tokens", adapter, false, 2, "final was made for another tokenizer (SHA-256 ");
}

/// The weights are the same, the model is not.
static void an_adapter_takes_the_constants_of_its_base_only(void **state) {
  (void)state;
  static const char *const changes[][2] = {
      {"\"rope_theta\": 10000.0", "\"rope_theta\": 50000.0"},
      {"\"rms_norm_eps\": 1e-5", "\"rms_norm_eps\": 1e-6"},
      {"\"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 16",
       "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 8 "}};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    change_config("constants", changes[i][0], changes[i][1]);
    try_adapter("constants", adapter, false, 2, "final was made for a model with other constants (");
  }
  try_adapter("constants", adapter, true, 0, "final was made for a model with other constants (");
  // an adapter of a version that did not keep them
  static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors",
                                      "adapter_base.json"};
  for (size_t i = 0; i < 3; i++) copy("runs/made/final", "older", files[i]);
  const char *base = in_folder(in_folder(folder, "older"), "adapter_base.json");
  char *text = read_file(base, NULL), *key = strstr(text, "model_constants");
  assert_non_null(key);
  key[0] = 'M';
  write_text(base, text);
  free(text);
  try_adapter("constants", in_folder(folder, "older"), false, 0,
              "does not say which constants its model has");
}

/// As PEFT writes them, and broken ones.
static void an_adapter_without_its_base_passes(void **state) {
  (void)state;
  static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors"};
  const char *bare = in_folder(folder, "bare"), *base = in_folder(bare, "adapter_base.json");
  for (size_t i = 0; i < 2; i++) copy("runs/made/final", "bare", files[i]);
  try_adapter("weights", bare, false, 0, "does not say which model it was made for");
  static const char *const broken[][2] = {
      {"{", "adapter_base.json"},
      {"{\"format\": \"gee-cl adapter base 9\"}", "another version of gee-cl"},
      {"{\"format\": \"gee-cl adapter base 1\", \"weights_sha256\": \"12\", \"tokenizer_sha256\": \"none\"}",
       "\"weights_sha256\" is \"12\""},
      {"{\"format\": \"gee-cl adapter base 1\", \"weights_sha256\": 12}", "weights_sha256"},
  };
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    write_text(base, broken[i][0]);
    ASSERT_ERROR(GEE("generate", "--model", in_folder(folder, "model"), "--adapter", bare, "--prompt", "a"),
                 2, broken[i][1]);
  }
}

static int set_up(void **state) {
  (void)state;
  folder = stopped_open();
  copy_model("moved");
  change_weights("weights");
  change_tokenizer("tokens");
  stopped_make("made", NULL);
  (void)snprintf(adapter, sizeof adapter, "%s/runs/made/final", folder);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_resume_takes_the_same_model_only),
      cmocka_unit_test(an_adapter_takes_its_base_only),
      cmocka_unit_test(an_adapter_takes_the_constants_of_its_base_only),
      cmocka_unit_test(an_adapter_without_its_base_passes),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
