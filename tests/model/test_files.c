// A model's files: every dtype loads, saved parameters come back bit for bit, merged equals unmerged, the
// plan counts what a run allocates, and wrong options are refused by name.
#include "support/model_fixture.h"

#include "io/file.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const DropoutDraw no_dropout = {0};

static const char *join(const char *folder, const char *name) {
  static char paths[4][512];
  static size_t next;
  char *path = paths[next++ % 4];
  (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void entropies_of(Model *model, float *entropy) {
  const Samples *samples = golden_samples();
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  PassOptions options = {.kind = PASS_INFERENCE, .max_rows = batch.rows, .head_tile_rows = 8};
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  assert_ok(pass_forward(pass, &batch, no_dropout));
  assert_ok(pass_statistics(pass, &batch, 1.0f, entropy, NULL, NULL));
  pass_free(pass);
  batch_free(&batch);
}

static void compare_entropies(const float *a, const float *b, double tolerance) {
  double wide[SAMPLES_TOKENS];
  for (size_t i = 0; i < SAMPLES_TOKENS; i++) wide[i] = (double)b[i];
  double error = test_relative_l2(a, wide, SAMPLES_TOKENS);
  if (!(error <= tolerance)) fail_msg("entropies differ by %g", error);
}

static Model *adapted_model(Golden *golden) {
  *golden = golden_open("llama/golden.safetensors");
  Model *model = fixture_model("llama", DTYPE_F32);
  fixture_lora(model, 0.05f);
  fixture_set_params(model, golden, "lora.start.");
  return model;
}

static void export_merged(Model *model, const char *source, DType type, const char *folder) {
  ModelFiles *files = NULL;
  assert_ok(model_files_open(golden_path(source), &files));
  assert_ok(directory_create(folder));
  assert_ok(model_export_merged(model, files, type, folder, NULL));
  model_files_close(files);
}

// ---- round trips ----

static void test_adapter_round_trip(void **state) {
  (void)state;
  Golden golden;
  Model *model = adapted_model(&golden);
  const char *folder = test_folder();
  assert_ok(model_save_trained(model, folder));
  Model *loaded = fixture_model("llama", DTYPE_F32);
  assert_ok(model_load_adapter(loaded, folder));
  assert_int_equal(model_params(loaded)->count, model_params(model)->count);
  for (size_t i = 0; i < model_params(model)->count; i++) {
    const ParamSpec *spec = &model_params(model)->specs[i];
    assert_string_equal(spec->name, model_params(loaded)->specs[i].name);
    assert_memory_equal(param_read(model, i, false), param_read(loaded, i, false),
                        spec->rows * spec->cols * 4);
  }
  float a[SAMPLES_TOKENS] = {0};
  float b[SAMPLES_TOKENS] = {0};
  entropies_of(model, a);
  entropies_of(loaded, b);
  assert_memory_equal(a, b, sizeof a);
  model_free(loaded);
  model_free(model);
  golden_close(&golden);
}

static void test_full_round_trip(void **state) {
  (void)state;
  const char *const names[] = {"llama", "qwen2"};
  for (size_t n = 0; n < 2; n++) {
    Model *model = fixture_model(names[n], DTYPE_F32);
    assert_ok(model_train_full(model));
    ParamSet *params = model_params(model);
    // It differs from the base.
    float *values = param_read(model, 1, false);
    values[0] += 0.5f;
    assert_ok(tensor_write(&params->values[params->specs[1].slab], params->specs[1].offset, 1, values));
    const char *folder = test_folder();
    assert_ok(model_save_trained(model, folder));
    Model *again = fixture_model(names[n], DTYPE_F32);
    assert_ok(model_train_full(again));
    assert_ok(model_load_trained(again, folder));
    Model *fresh = fixture_model(folder, DTYPE_F32);
    float found[3][SAMPLES_TOKENS] = {{0}};
    entropies_of(model, found[0]);
    entropies_of(again, found[1]);
    entropies_of(fresh, found[2]);
    assert_memory_equal(found[0], found[1], sizeof found[0]);
    assert_memory_equal(found[0], found[2], sizeof found[0]);
    model_free(fresh);
    model_free(again);
    model_free(model);
    ops_fixture_clean(NULL);
  }
}

static void test_merged_is_unmerged(void **state) {
  (void)state;
  Golden golden;
  Model *model = adapted_model(&golden);
  const char *folder = test_folder();
  export_merged(model, "llama", DTYPE_F32, folder);
  Model *merged = fixture_model(folder, DTYPE_F32);
  float a[SAMPLES_TOKENS] = {0};
  float b[SAMPLES_TOKENS] = {0};
  entropies_of(model, a);
  entropies_of(merged, b);
  compare_entropies(a, b, 1e-5);
  model_free(merged);
  model_free(model);
  golden_close(&golden);
}

// 16-bit storage: the exported file has that type and loads to the same bits as the model it came from.
static void test_narrow_dtypes(void **state) {
  (void)state;
  const DType dtypes[] = {DTYPE_F16, DTYPE_BF16};
  for (size_t d = 0; d < 2; d++) {
    Model *model = fixture_model("llama", dtypes[d]);
    const char *folder = test_folder();
    export_merged(model, "llama", dtypes[d], folder);
    Model *again = fixture_model(folder, dtypes[d]);
    Model *wide = fixture_model(folder, DTYPE_F32);
    float found[3][SAMPLES_TOKENS] = {{0}};
    entropies_of(model, found[0]);
    entropies_of(again, found[1]);
    entropies_of(wide, found[2]);
    // The model's norms are exact; in the file they are rounded like the rest.
    compare_entropies(found[0], found[1], 0.1);
    compare_entropies(found[1], found[2], 1e-5);
    TensorFile *file = NULL;
    assert_ok(tensors_open(join(folder, "model.safetensors"), &file));
    assert_int_equal(tensors_at(file, 3)->type, dtypes[d]);
    tensors_close(file);
    model_free(wide);
    model_free(again);
    model_free(model);
  }
}

// A GGUF file becomes a Hugging Face folder that computes the same.
static void test_gguf_to_folder(void **state) {
  (void)state;
  const char *const names[] = {"llama.gguf", "qwen2.gguf", "quants.gguf", "llama-00001-of-00003.gguf"};
  for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
    Model *model = fixture_model(names[n], DTYPE_F32);
    const char *folder = test_folder();
    export_merged(model, names[n], DTYPE_F32, folder);
    Model *again = fixture_model(folder, DTYPE_F32);
    float a[SAMPLES_TOKENS] = {0};
    float b[SAMPLES_TOKENS] = {0};
    entropies_of(model, a);
    entropies_of(again, b);
    compare_entropies(a, b, 1e-6);
    model_free(again);
    model_free(model);
  }
}

static void test_exported_generation_config(void **state) {
  (void)state;
  Model *model = fixture_model("qwen2", DTYPE_F32);
  const char *folder = test_folder();
  export_merged(model, "qwen2", DTYPE_F32, folder);
  cJSON *json = NULL;
  assert_ok(json_parse_file(join(folder, "generation_config.json"), &json));
  assert_true(json_has(json, "temperature"));
  cJSON_Delete(json);
  model_free(model);
}

// ---- the plan ----

static void run_all(Ops *ops, bool full) {
  ModelFiles *files = NULL;
  Model *model = NULL;
  Pass *training = NULL;
  Pass *sampling = NULL;
  assert_ok(model_files_open(golden_path("llama"), &files));
  assert_ok(model_load(ops, files, full ? DTYPE_F32 : DTYPE_BF16, &model));
  LoraOptions lora = {.rank = 4, .alpha = 8, .dropout = 0.1f, .targets = "q_proj,down_proj"};
  assert_ok(full ? model_train_full(model) : model_add_lora(model, &lora, 1));
  PassOptions options = {.kind = PASS_TRAINING, .max_rows = 40, .head_tile_rows = 7, .checkpoint = full};
  assert_ok(pass_create(model, &options, &training));
  options = (PassOptions){.kind = PASS_INFERENCE, .max_rows = 9, .cache_rows = 50, .head_tile_rows = 3};
  assert_ok(pass_create(model, &options, &sampling));
  pass_free(sampling);
  pass_free(training);
  model_free(model);
  model_files_close(files);
}

static void test_plan_is_exact(void **state) {
  (void)state;
  for (int full = 0; full < 2; full++) {
    Ops *plan = NULL;
    // The device's counts must not include what earlier tests allocated.
    ops_fixture_close(NULL);
    ops_fixture_open(NULL);
    assert_ok(ops_create_plan(NULL, &plan));
    run_all(plan, full == 1);
    run_all(fixture_ops(), full == 1);
    const MemoryUse *planned = ops_memory(plan);
    const MemoryUse *used = ops_memory(fixture_ops());
    assert_int_equal(planned->now_total, 0);
    assert_int_equal(used->now_total, 0);
    for (int kind = 0; kind < MEMORY_KINDS; kind++) {
      assert_true(planned->peak[kind] > 0);
      // The device aligns slabs, but this plan has no device.
      double off = fabs((double)planned->peak[kind] - (double)used->peak[kind]);
      assert_true(kind == MEMORY_TRAINABLE ? off <= 0.2 * (double)used->peak[kind] : off == 0);
    }
    ops_free(plan);
  }
}

// ---- wrong options ----

static void test_wrong_options(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  LoraOptions options = {.rank = 4, .alpha = 8, .targets = "q_proj, nose"};
  assert_fails(model_add_lora(model, &options, 1), STATUS_INPUT, "nose");
  options.targets = " ,";
  assert_fails(model_add_lora(model, &options, 1), STATUS_INPUT, "lora.targets");
  options = (LoraOptions){.rank = 4, .alpha = 8, .dropout = 1, .targets = "all"};
  assert_fails(model_add_lora(model, &options, 1), STATUS_INPUT, "dropout");
  model_free(model);
  model = fixture_model("llama", DTYPE_BF16);
  assert_fails(model_train_full(model), STATUS_INPUT, "model.dtype");
  model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_adapter_round_trip), OPS_TEST(test_full_round_trip),
      OPS_TEST(test_merged_is_unmerged), OPS_TEST(test_narrow_dtypes),
      OPS_TEST(test_gguf_to_folder),     OPS_TEST(test_exported_generation_config),
      OPS_TEST(test_plan_is_exact),      OPS_TEST(test_wrong_options),
  };
  return RUN_OPS_TESTS(tests);
}
