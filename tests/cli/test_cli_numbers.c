// Numbers that are broken, as a user meets them: NaN and infinities in the weights, weights that overflow
// while computing, and exports to a type that does not hold them. Nothing is half written, and nothing
// printed that is not a number.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;

/// The data of a tiny model's weights: the embedding comes first, the last layer's down_proj last.
typedef struct Spoilt {
  const char *path, *weights;
  char *bytes;
  size_t size, data;
} Spoilt;

static Spoilt spoil(void) {
  static int count;
  char name[32];
  (void)snprintf(name, sizeof name, "model%d", count++);
  Spoilt model = {.path = in_folder(folder, name)};
  assert_ok(directory_create(model.path));
  tiny_model_write(model.path);
  model.weights = in_folder(model.path, "model.safetensors");
  model.bytes = read_file(model.weights, &model.size);
  uint64_t header = 0;
  memcpy(&header, model.bytes, sizeof header);
  model.data = sizeof header + (size_t)header;
  return model;
}

static const char *finish(Spoilt *model) {
  write_file(model->weights, model->bytes, model->size);
  free(model->bytes);
  return model->path;
}

/// A tiny model whose last weight, an element of the last layer's down_proj, is `value`.
static const char *model_with(float value) {
  Spoilt model = spoil();
  memcpy(model.bytes + model.size - sizeof value, &value, sizeof value);
  return finish(&model);
}

/// A tiny model whose logits overflow: the first row of its head is as large as numbers are.
static const char *model_that_overflows(void) {
  Spoilt model = spoil();
  const float value = FLT_MAX;
  for (size_t i = 0; i < 32; i++) memcpy(model.bytes + model.data + i * sizeof value, &value, sizeof value);
  return finish(&model);
}

static Ran score(const char *model) {
  const char *input = in_folder(folder, "lines.jsonl");
  write_text(input, "{\"prompt\": \"The sky\", \"answer\": \" is blue\"}\n");
  return GEE("score", "--model", model, "--input", input, "--output", in_folder(folder, "scores.jsonl"));
}

static Ran gap(const char *model) {
  char text[2048];
  write_text(in_folder(folder, "prompts.jsonl"),
             "{\"prompt\": \"He works as a nurse.\"}\n{\"prompt\": \"She works as a pilot.\"}\n");
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\n[data]\ntrain = %s\ncolumn = prompt\nchat = off\nheld_out = 0.5\n"
                 "[sampling]\nmax_new_tokens = 4\n",
                 model, in_folder(folder, "prompts.jsonl"));
  write_text(in_folder(folder, "gap.ini"), text);
  return GEE("gap", in_folder(folder, "gap.ini"), "--output", in_folder(folder, "gap.json"));
}

static Ran eval(const char *model) {
  return GEE("eval", "--model", model, "--tasks", GEE_SOURCE_DIR "/configs/tasks/capitals.json", "--output",
             in_folder(folder, "gap.json"));
}

static void assert_silent(Ran ran) {
  assert_string_equal(ran.out, "");
  assert_false(file_exists(in_folder(folder, "scores.jsonl")));
  assert_false(file_exists(in_folder(folder, "gap.json")));
  assert_false(file_is_there(in_folder(folder, "gap.json.unfinished")));
  assert_false(file_exists(in_folder(folder, "exported")));
  assert_false(file_exists(in_folder(folder, "exported" PARTIAL_END)));
}

#define ASSERT_BROKEN(ran, ...)                                                                              \
  do {                                                                                                       \
    Ran broken_ = (ran);                                                                                     \
    ASSERT_ERROR(broken_, 2, __VA_ARGS__);                                                                   \
    assert_silent(broken_);                                                                                  \
  } while (0)

/// The run failed while computing. Its progress may stand before the error.
static void assert_overflow(Ran ran) {
  assert_code(ran, 1);
  assert_true(test_contains(ran.err, "gee-cl: error: "));
  assert_true(test_contains(ran.err, "an entropy is "));
  assert_true(test_contains(ran.err, "the model computes numbers that are not finite"));
  assert_silent(ran);
}

static Ran export(const char *model, const char *dtype) {
  return GEE("export", "--model", model, "--output", in_folder(folder, "exported"), "--dtype", dtype);
}

static void broken_weights_are_refused(void **state) {
  (void)state;
  static const char tensor[] = "tensor model.layers.1.mlp.down_proj.weight: element 1535 is ";
  const char *model = model_with(INFINITY);
  ASSERT_BROKEN(score(model), model, tensor, "is inf; every element must be a finite number");
  model = model_with(NAN);
  ASSERT_BROKEN(score(model), model, tensor, "is nan; every element must be a finite number");
  ASSERT_BROKEN(GEE("generate", "--model", model, "--prompt", "x", "--max-new-tokens", "2"), tensor);
  ASSERT_BROKEN(export(model, "f32"), tensor);
  ASSERT_BROKEN(gap(model), tensor);
  ASSERT_BROKEN(eval(model), tensor);
}

// The weights are numbers; what is computed with them is not.
static void overflow_while_computing_is_an_error(void **state) {
  (void)state;
  const char *model = model_that_overflows();
  assert_overflow(score(model));
  assert_overflow(GEE("generate", "--model", model, "--prompt", "x", "--max-new-tokens", "2"));
  assert_overflow(GEE("generate", "--model", model, "--prompt", "x", "--max-new-tokens", "2", "--json"));
  assert_overflow(gap(model));
  assert_overflow(eval(model)); // NaN is no choice, though none is larger
}

/// Ctrl-C while an export is at work: nothing is left of it.
static void a_stopped_export_leaves_nothing(void **state) {
  (void)state;
  const char *partial = in_folder(folder, "exported" PARTIAL_END);
  pid_t pid = START_GEE("export", "--model", model_with(1), "--output", in_folder(folder, "exported"));
  for (int i = 0; i < 60000 && !file_exists(partial); i++) (void)usleep(1000);
  assert_true(file_exists(partial));
  assert_int_equal(kill(pid, SIGINT), 0);
  Ran ran = finish_run(pid);
  assert_code(ran, 130);
  assert_true(test_contains(ran.err, "gee-cl: interrupted: "));
  assert_silent(ran);
}

static void an_empty_output_is_refused_at_once(void **state) {
  (void)state;
  const char *model = in_folder(folder, "no_model"); // which is not looked at
  ASSERT_BROKEN(GEE("export", "--model", model, "--output", ""), "--output is empty; give a folder");
  ASSERT_BROKEN(GEE("score", "--model", model, "--input", "x", "--output", ""), "--output is empty");
}

static void an_export_that_overflows_is_refused(void **state) {
  (void)state;
  static const char tensor[] = "tensor model.layers.1.mlp.down_proj.weight";
  ASSERT_BROKEN(export(model_with(1e6f), "f16"), tensor, "1e+06, too large for F16; use bf16 or f32");
  ASSERT_BROKEN(export(model_with(FLT_MAX), "bf16"), tensor, "too large for BF16; use f32");
  assert_code(export(model_with(1e6f), "bf16"), 0);
  assert_true(file_exists(in_folder(folder, "exported")));
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  return folder != NULL ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broken_weights_are_refused),
      cmocka_unit_test(overflow_while_computing_is_an_error),
      cmocka_unit_test(a_stopped_export_leaves_nothing),
      cmocka_unit_test(an_empty_output_is_refused_at_once),
      cmocka_unit_test(an_export_that_overflows_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
