// Models as users have met them: which weights count, names, heads, biases, rotary scaling, configs. Each
// case of odd/cases.json (make_odd.py) computes what transformers does and still does after an export, or is
// refused by name.
#include "support/json_tree.h"
#include "support/model_fixture.h"

#include "io/file.h"
#include "io/json.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 32, TENSORS_MAX = 64 };

static const char odd[] = GEE_SOURCE_DIR "/tests/model/odd";
static cJSON *all;          // cases.json
static TensorFile *tensors; // tensors.safetensors

static const cJSON *member(const cJSON *object, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *in(const char *folder, const char *name) {
  static char paths[4][1200];
  static size_t next;
  char *path = paths[next++ % 4];
  (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

// ---- writing a case ----

static Status fill(void *user, size_t index, size_t first, size_t count, float *out) {
  const StoredTensor *const *sources = user;
  return tensors_read_f32(sources[index], first, count, out);
}

static void write_tensors(const char *path, const cJSON *names) {
  TensorToWrite list[TENSORS_MAX];
  const StoredTensor *sources[TENSORS_MAX];
  size_t count = 0;
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, names) {
    const cJSON *name = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 0) : item;
    const cJSON *source = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 1) : item;
    const StoredTensor *tensor = tensors_find(tensors, source->valuestring);
    assert_true(count < TENSORS_MAX);
    assert_non_null(tensor);
    list[count] = (TensorToWrite){.name = name->valuestring, .type = DTYPE_F32, .rank = tensor->rank};
    memcpy(list[count].shape, tensor->shape, sizeof tensor->shape);
    sources[count++] = tensor;
  }
  assert_ok(safetensors_write(path, list, count, fill, sources));
}

static void write_json(const char *folder, const char *name, const cJSON *value) {
  JsonWriter json = {0};
  json_tree_write(&json, NULL, value);
  assert_ok(json_save(&json, folder, name));
}

/// A new folder, in static memory as in().
static const char *new_folder(void) {
  static const char *parent;
  static int count;
  char name[16];
  if (parent == NULL) parent = test_folder();
  (void)snprintf(name, sizeof name, "%d", count++);
  const char *folder = in(parent, name);
  assert_ok(directory_create(folder));
  return folder;
}

/// The path of a case's model; a folder is written first.
static const char *write_case(const cJSON *entry) {
  if (member(entry, "gguf") != NULL) return in(odd, member(entry, "gguf")->valuestring);
  static char folder[1024];
  const cJSON *file = NULL;
  (void)snprintf(folder, sizeof folder, "%s", new_folder());
  write_json(folder, "config.json", member(entry, "config"));
  cJSON_ArrayForEach(file, member(entry, "files")) {
    write_tensors(in(folder, file->string), cJSON_GetArrayItem(member(all, "lists"), file->valueint));
  }
  cJSON_ArrayForEach(file, member(entry, "copies")) {
    MappedFile source;
    assert_ok(file_map(in(odd, file->valuestring), &source));
    assert_ok(file_write_atomic(in(folder, file->string), source.bytes, source.size));
    file_unmap(&source);
  }
  if (member(entry, "index") == NULL) return folder;
  cJSON *index = cJSON_CreateObject();
  assert_true(
      cJSON_AddItemReferenceToObject(index, "weight_map", (cJSON *)(uintptr_t)member(entry, "index")));
  write_json(folder, "model.safetensors.index.json", index);
  cJSON_Delete(index);
  return folder;
}

// ---- computing ----

static TokenSpan tokens_of(const char *key, int32_t ids[ANSWER_MAX]) {
  TokenSpan span = {.ids = ids};
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, member(all, key)) ids[span.count++] = item->valueint;
  return span;
}

/// logprob[tokens of the answer].
static void compute(Model *model, float logprob[ANSWER_MAX]) {
  int32_t ids[2][ANSWER_MAX];
  TokenSpan prompt = tokens_of("prompt", ids[0]);
  BatchAnswer answer = {.tokens = tokens_of("answer", ids[1])};
  PassOptions options = {.kind = PASS_INFERENCE, .max_rows = 64, .head_tile_rows = 7};
  Batch batch;
  Pass *pass = NULL;
  assert_ok(batch_build(&prompt, 1, &answer, 1, true, &batch));
  assert_ok(pass_create(model, &options, &pass));
  assert_ok(pass_forward(pass, &batch, (DropoutDraw){0}));
  assert_ok(pass_statistics(pass, &batch, 1.0f, NULL, NULL, logprob));
  pass_free(pass);
  batch_free(&batch);
}

static void compare(const cJSON *entry, const char *path, const char *when) {
  float logprob[ANSWER_MAX];
  Model *model = fixture_model(path, DTYPE_F32);
  compute(model, logprob);
  const cJSON *expected = NULL;
  size_t i = 0;
  cJSON_ArrayForEach(expected, member(entry, "logprob")) {
    double error = fabs((double)logprob[i] - expected->valuedouble) / fmax(1, fabs(expected->valuedouble));
    if (!(error <= 1e-5))
      fail_msg("%s%s: token %zu has log probability %g, expected %g", member(entry, "name")->valuestring,
               when, i, (double)logprob[i], expected->valuedouble);
    i++;
  }
  assert_int_equal(i, cJSON_GetArraySize(member(all, "answer")));
  model_free(model);
}

static void export(const char *path, const char *folder) {
  ModelFiles *files = NULL;
  Model *model = fixture_model(path, DTYPE_F32);
  assert_ok(model_files_open(path, &files));
  assert_ok(model_export_merged(model, files, DTYPE_F32, folder, NULL));
  model_files_close(files);
  model_free(model);
}

// ---- the tests ----

static void reads_as_transformers(void **state) {
  (void)state;
  const cJSON *entry = NULL;
  size_t read = 0;
  cJSON_ArrayForEach(entry, member(all, "cases")) {
    if (member(entry, "refused") != NULL) continue;
    const char *path = write_case(entry);
    compare(entry, path, "");
    char exported[1024];
    (void)snprintf(exported, sizeof exported, "%s", new_folder());
    export(path, exported);
    compare(entry, exported, " (exported)");
    read++;
  }
  assert_true(read >= 55);
}

static void refuses_by_name(void **state) {
  (void)state;
  const cJSON *entry = NULL;
  size_t refused = 0;
  cJSON_ArrayForEach(entry, member(all, "cases")) {
    const cJSON *part = member(entry, "refused");
    ModelFiles *files = NULL;
    if (part == NULL) continue;
    if (model_files_open(write_case(entry), &files) != STATUS_INPUT)
      fail_msg("%s is read", member(entry, "name")->valuestring);
    assert_fails(STATUS_INPUT, STATUS_INPUT, part->valuestring);
    refused++;
  }
  assert_true(refused >= 35);
}

/// Σ of the entropies of the answer's tokens.
static double total_entropy(Pass *pass, const Batch *batch) {
  float entropy[ANSWER_MAX];
  double sum = 0;
  assert_ok(pass_forward(pass, batch, (DropoutDraw){0}));
  assert_ok(pass_statistics(pass, batch, 1.0f, entropy, NULL, NULL));
  for (size_t i = 0; i < batch->head_rows; i++) sum += (double)entropy[i];
  return sum;
}

/// Compares the gradient of element 1 of parameter `index` with a central difference.
static void compare_slope(Model *model, Pass *pass, const Batch *batch, size_t index) {
  ParamSet *params = model_params(model);
  const ParamSpec *spec = &params->specs[index];
  Tensor *values = &params->values[spec->slab];
  const float step = 0.01f;
  float value = 0;
  double sums[2];
  assert_ok(tensor_read(values, spec->offset + 1, 1, &value));
  for (int side = 0; side < 2; side++) {
    float moved = side == 0 ? value - step : value + step;
    assert_ok(tensor_write(values, spec->offset + 1, 1, &moved));
    sums[side] = total_entropy(pass, batch);
  }
  assert_ok(tensor_write(values, spec->offset + 1, 1, &value));
  double slope = (sums[1] - sums[0]) / (2 * (double)step), found = (double)param_read(model, index, true)[1];
  if (!(fabs(slope - found) <= 0.02 * fabs(slope) + 5e-3))
    fail_msg("%s: gradient %g, difference %g", spec->name, found, slope);
}

// The other gradients are compared with PyTorch in test_gradients.c.
static void biases_have_their_gradients(void **state) {
  (void)state;
  int32_t ids[2][ANSWER_MAX];
  TokenSpan prompt = tokens_of("prompt", ids[0]);
  BatchAnswer answer = {.tokens = tokens_of("answer", ids[1])};
  float weights[ANSWER_MAX];
  Batch batch;
  size_t biases = 0;
  Model *model = fixture_model(in(odd, "biases.gguf"), DTYPE_F32);
  assert_ok(model_train_full(model));
  assert_ok(batch_build(&prompt, 1, &answer, 1, true, &batch));
  Pass *pass = fixture_training(model, batch.rows, false);
  for (size_t i = 0; i < batch.head_rows; i++) weights[i] = 1;
  assert_ok(params_zero_grads(model_params(model)));
  assert_ok(pass_forward(pass, &batch, (DropoutDraw){0}));
  assert_ok(pass_backward(pass, &batch, &(HeadGradient){.tau = 1.0f, .weights = weights}));
  for (size_t i = 0; i < model_params(model)->count; i++) {
    if (!str_ends(model_params(model)->specs[i].name, ".bias")) continue;
    compare_slope(model, pass, &batch, i);
    biases++;
  }
  assert_int_equal(biases, 14);
  pass_free(pass);
  batch_free(&batch);
  model_free(model);
}

static int open_cases(void **state) {
  assert_ok(json_parse_file(in(odd, "cases.json"), &all));
  assert_ok(tensors_open(in(odd, "tensors.safetensors"), &tensors));
  return ops_fixture_open(state);
}

static int close_cases(void **state) {
  cJSON_Delete(all);
  tensors_close(tensors);
  return ops_fixture_close(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(reads_as_transformers), OPS_TEST(refuses_by_name),
                                     OPS_TEST(biases_have_their_gradients)};
  return cmocka_run_group_tests(tests, open_cases, close_cases);
}
