// Models whose matrices keep the types of their file (DTYPE_STORED): logits, gradients, merged exports and
// what adapters bring are to the bit those of the same file loaded as float32, in less memory.
#include "support/model_fixture.h"

#include "io/file.h"
#include "parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"quants.gguf", "qwen2.gguf", "llama.gguf", "qwen2_untied"};
enum { NAMES = sizeof names / sizeof *names };

static void assert_same(const char *what, const float *found, const float *expected, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (memcmp(&found[i], &expected[i], sizeof *found) != 0)
      fail_msg("%s: element %zu is %.9g, not %.9g", what, i, (double)found[i], (double)expected[i]);
  }
}

/// Fresh adapters have B = 0; here both are random, so that A has a gradient too.
static void fill_adapters(Model *model) {
  ParamSet *params = model_params(model);
  for (size_t i = 0; i < params->count; i++) {
    const ParamSpec *spec = &params->specs[i];
    size_t count = spec->rows * spec->cols;
    float *values = calloc(count, sizeof *values);
    assert_non_null(values);
    test_random(values, count, i);
    for (size_t e = 0; e < count; e++) values[e] *= 0.1f;
    assert_ok(tensor_write(&params->values[spec->slab], spec->offset, count, values));
    free(values);
  }
}

static void assert_same_logits(const char *what, Model *found, Model *expected) {
  size_t count;
  const float *values = samples_logits(found, &count);
  assert_same(what, values, samples_logits(expected, &count), count);
}

static bool has_kept(const Model *model) {
  for (size_t l = 0; l < model->config.layers; l++) {
    if (model->layers[l].linears[LINEAR_DOWN].weight.value.dtype != DTYPE_F32) return true;
  }
  return false;
}

static bool has_widened(const Model *model) {
  bool found = model->embedding.value.dtype == DTYPE_F32 || model->head.value.dtype == DTYPE_F32;
  for (size_t l = 0; l < model->config.layers; l++) {
    for (size_t i = 0; i < LINEARS; i++) found |= model->layers[l].linears[i].weight.value.dtype == DTYPE_F32;
  }
  return found;
}

static void logits_are_those_of_float32(void **state) {
  (void)state;
  for (size_t n = 0; n < NAMES; n++) {
    Model *wide = fixture_model(names[n], DTYPE_F32), *stored = fixture_model(names[n], DTYPE_STORED);
    assert_same_logits(names[n], stored, wide);
    assert_true(has_kept(stored));
    model_free(wide);
    model_free(stored);
  }
}

static void gradients_are_those_of_float32(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  for (size_t n = 0; n < NAMES; n++) {
    Model *models[2] = {fixture_model(names[n], DTYPE_F32), fixture_model(names[n], DTYPE_STORED)};
    for (size_t i = 0; i < 2; i++) {
      fixture_lora(models[i], 0.25f);
      fill_adapters(models[i]);
      Pass *pass = fixture_training(models[i], 200, i == 1); // recomputing changes no bit
      (void)samples_backward(models[i], pass, samples, 3, true,
                             (DropoutDraw){.on = true, .seed = 5, .step = 2});
      pass_free(pass);
    }
    ParamSet *params = model_params(models[0]);
    for (size_t p = 0; p < params->count; p++) {
      size_t count = params->specs[p].rows * params->specs[p].cols;
      assert_same(params->specs[p].name, param_read(models[1], p, true), param_read(models[0], p, true),
                  count);
      assert_int_equal(ops_fixture_clean(state), 0);
    }
    model_free(models[0]);
    model_free(models[1]);
  }
}

/// What the file takes for its matrices, and float32 for vectors and for matrices that no kernel reads.
static void weights_take_what_the_file_takes(void **state) {
  (void)state;
  for (size_t n = 0; n < NAMES; n++) {
    ModelFiles *files = NULL;
    Model *model = fixture_model(names[n], DTYPE_STORED), *planned = NULL;
    Ops *plan = NULL;
    assert_ok(model_files_open(golden_path(names[n]), &files));
    uint64_t expected = model->inv_freq.bytes;
    for (size_t i = 0; i < weight_count(&model->config); i++) {
      WeightSpec spec;
      const StoredTensor *tensor = model_files_weight(files, i, &spec);
      bool kept = spec.rank == 2 && ops_can_read(tensor->type);
      expected += ((kept ? tensor->size : 4 * tensor->elements) + 3) / 4 * 4;
    }
    assert_ok(ops_create_plan(fixture_device(), &plan));
    assert_ok(model_load(plan, files, DTYPE_STORED, &planned));
    assert_int_equal(ops_memory(plan)->now[MEMORY_WEIGHTS], expected);
    assert_int_equal(ops_memory(fixture_ops())->now[MEMORY_WEIGHTS], expected);
    model_free(planned);
    ops_free(plan);
    model_free(model);
    model_files_close(files);
  }
}

static void assert_same_file(const char *folder, const char *other, const char *name) {
  MappedFile maps[2];
  char path[600];
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_ok(file_map(path, &maps[0]));
  (void)snprintf(path, sizeof path, "%s/%s", other, name);
  assert_ok(file_map(path, &maps[1]));
  assert_int_equal(maps[0].size, maps[1].size);
  assert_memory_equal(maps[0].bytes, maps[1].bytes, maps[0].size);
  file_unmap(&maps[0]);
  file_unmap(&maps[1]);
}

/// De-quantised, the adapters added, and rounded to what the folder has.
static void exports_are_those_of_float32(void **state) {
  (void)state;
  const DType types[] = {DTYPE_F32, DTYPE_BF16};
  for (size_t t = 0; t < 2; t++) {
    const char *folders[2];
    for (size_t i = 0; i < 2; i++) {
      ModelFiles *files = NULL;
      Model *model = fixture_model("quants.gguf", i == 0 ? DTYPE_F32 : DTYPE_STORED);
      fixture_lora(model, 0);
      fill_adapters(model);
      folders[i] = test_folder();
      assert_ok(model_files_open(golden_path("quants.gguf"), &files));
      assert_ok(model_export_merged(model, files, types[t], folders[i], NULL));
      model_files_close(files);
      model_free(model);
    }
    assert_same_file(folders[0], folders[1], "model.safetensors");
    assert_same_file(folders[0], folders[1], "config.json");
  }
}

/// Adapters that bring weights of the base, rows of one, or are merged into some: those are widened first.
static void adapters_change_what_they_change_in_float32(void **state) {
  static const char *const forms[] = {"saved_embeddings", "trained_matrix", "dora",
                                      "embedding",        "head",           "tokens"};
  const char *base = test_folder();
  char path[600];
  ModelFiles *files = NULL;
  Model *model = fixture_model("llama", DTYPE_F32);
  assert_ok(model_files_open(golden_path("llama"), &files));
  assert_ok(model_export_merged(model, files, DTYPE_BF16, base, NULL));
  model_files_close(files);
  model_free(model);
  for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
    Model *models[2] = {fixture_model(base, DTYPE_F32), fixture_model(base, DTYPE_STORED)};
    (void)snprintf(path, sizeof path, GEE_SOURCE_DIR "/tests/model/adapters/%s", forms[f]);
    for (size_t i = 0; i < 2; i++) assert_ok(model_load_adapter(models[i], path));
    assert_true(has_widened(models[1])); // all of the file is bf16
    assert_same_logits(forms[f], models[1], models[0]);
    model_free(models[0]);
    model_free(models[1]);
    assert_int_equal(ops_fixture_clean(state), 0);
  }
}

static void not_every_type_is_kept(void **state) {
  (void)state;
  ModelFiles *files = NULL;
  Model *model = NULL;
  assert_ok(model_files_open(golden_path("llama"), &files));
  assert_fails(model_load(fixture_ops(), files, DTYPE_Q8_0, &model), STATUS_INPUT, "not as Q8_0");
  model_files_close(files);
  model = fixture_model("quants.gguf", DTYPE_STORED);
  assert_fails(model_train_full(model), STATUS_INPUT, "set model.dtype = f32");
  model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(logits_are_those_of_float32),
      OPS_TEST(gradients_are_those_of_float32),
      OPS_TEST(weights_take_what_the_file_takes),
      OPS_TEST(exports_are_those_of_float32),
      OPS_TEST(adapters_change_what_they_change_in_float32),
      OPS_TEST(not_every_type_is_kept),
  };
  return RUN_OPS_TESTS(tests);
}
