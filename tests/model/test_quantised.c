// Models whose matrices are quantised when they are loaded (model_files_quantise): each has the blocks that
// util/quantise.h makes of its elements, everything computes what those blocks stand for, to the bit, and
// what makes no sense is refused.
#include "support/model_fixture.h"
#include "support/process.h"

#include "parts.h"
#include "util/quantise.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const DropoutDraw no_dropout = {.on = false};
static const DType types[] = {DTYPE_Q8_0, DTYPE_Q4_K, DTYPE_NF4};
enum { TYPES = sizeof types / sizeof *types };
static const char *wide; // quants.gguf as a folder of float32, with rows of 256 and of 32

static ModelFiles *open_files(const char *path, DType type) {
  ModelFiles *files = NULL;
  assert_ok(model_files_open(path[0] == '/' ? path : golden_path(path), &files));
  assert_ok(model_files_quantise(files, type));
  return files;
}

static Model *load(const char *path, DType type, DType others) {
  ModelFiles *files = open_files(path, type);
  Model *model = NULL;
  assert_ok(model_load(fixture_ops(), files, others, &model));
  model_files_close(files);
  return model;
}

static void write_out(Model *model, const char *source, const char *folder) {
  ModelFiles *files = open_files(source, DTYPE_STORED);
  assert_ok(model_export_merged(model, files, DTYPE_F32, folder, NULL));
  model_files_close(files);
}

static int set_up(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  wide = test_folder();
  Model *model = fixture_model("quants.gguf", DTYPE_F32);
  write_out(model, "quants.gguf", wide);
  model_free(model);
  return 0;
}

static void *read_tensor(const Tensor *tensor) {
  size_t count = tensor->rows * tensor->cols;
  void *bytes = calloc(count, 4);
  assert_non_null(bytes);
  assert_ok(tensor_read(tensor, 0, count, bytes));
  return bytes;
}

static void matrices_are_quantised(void **state) {
  (void)state;
  const char *const models[] = {wide, "llama"};
  size_t found[DTYPE_COUNT] = {0};
  for (size_t m = 0; m < 2; m++) {
    Model *exact = fixture_model(models[m], DTYPE_F32);
    for (size_t t = 0; t < TYPES; t++) {
      ModelFiles *files = open_files(models[m], types[t]);
      Model *model = load(models[m], types[t], DTYPE_F32);
      for (size_t i = 0; i < weight_count(&model->config); i++) {
        WeightSpec spec;
        (void)model_files_weight(files, i, &spec);
        const Tensor *is = &model_weight(model, &spec)->value, *was = &model_weight(exact, &spec)->value;
        DType block = dtype_info(types[t])->block_elements <= spec.cols ? types[t] : DTYPE_Q8_0;
        bool quantised = spec.kind == WEIGHT_LINEAR && spec.cols % 32 == 0;
        if (spec.cols == 96 && block == DTYPE_NF4) block = DTYPE_Q8_0; // no multiple of 64
        assert_int_equal(is->dtype, quantised ? block : DTYPE_F32);
        if (!quantised) continue;
        found[is->dtype]++;
        size_t size = dtype_bytes(is->dtype, is->rows * is->cols);
        float *values = read_tensor(was);
        uint8_t *bytes = read_tensor(is), *expected = calloc(size, 1);
        assert_non_null(expected);
        quantise(is->dtype, values, is->rows * is->cols / dtype_info(is->dtype)->block_elements, expected);
        assert_memory_equal(bytes, expected, size);
        free(expected);
        free(values);
        free(bytes);
      }
      model_free(model);
      model_files_close(files);
    }
    model_free(exact);
    assert_int_equal(ops_fixture_clean(state), 0);
  }
  for (size_t t = 0; t < TYPES; t++) assert_true(found[types[t]] > 0);
}

static void assert_same(const float *found, const float *expected, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (memcmp(&found[i], &expected[i], sizeof *found) != 0)
      fail_msg("element %zu is %.9g, not %.9g", i, (double)found[i], (double)expected[i]);
  }
}

/// Against the export of the quantised model: de-quantised weights.
static void numbers_are_those_of_the_blocks(void **state) {
  const Samples *samples = golden_samples();
  for (size_t t = 0; t < TYPES; t++) {
    size_t count = 0;
    const char *folder = test_folder();
    Model *models[2] = {load(wide, types[t], DTYPE_F32), NULL};
    write_out(models[0], wide, folder);
    models[1] = fixture_model(folder, DTYPE_F32);
    const float *found = samples_logits(models[0], &count);
    assert_same(found, samples_logits(models[1], &count), count);
    Model *exact = fixture_model(wide, DTYPE_F32);
    assert_true(memcmp(found, samples_logits(exact, &count), count * sizeof *found) != 0);
    model_free(exact);
    for (size_t i = 0; i < 2; i++) {
      fixture_lora(models[i], 0);
      Pass *pass = fixture_training(models[i], 200, false);
      (void)samples_backward(models[i], pass, samples, 3, true, no_dropout);
      pass_free(pass);
    }
    ParamSet *params = model_params(models[0]);
    for (size_t p = 0; p < params->count; p++) {
      assert_same(param_read(models[0], p, true), param_read(models[1], p, true),
                  params->specs[p].rows * params->specs[p].cols);
      assert_int_equal(ops_fixture_clean(state), 0);
    }
    model_free(models[0]);
    model_free(models[1]);
  }
}

/// The embedding and the head are kept as the others are; the plan of memory is exact.
static void memory_is_planned(void **state) {
  (void)state;
  const DType others[] = {DTYPE_F32, DTYPE_BF16, DTYPE_STORED};
  uint64_t before = UINT64_MAX;
  for (size_t t = 0; t < 3; t++) {
    ModelFiles *files = open_files(wide, types[t]);
    Model *model = load(wide, types[t], others[t]), *planned = NULL;
    Ops *plan = NULL;
    assert_int_equal(model->embedding.value.dtype, others[t] == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32);
    assert_ok(ops_create_plan(fixture_device(), &plan));
    assert_ok(model_load(plan, files, others[t], &planned));
    assert_int_equal(ops_memory(plan)->now[MEMORY_WEIGHTS], ops_memory(fixture_ops())->now[MEMORY_WEIGHTS]);
    assert_true(ops_memory(plan)->now[MEMORY_WEIGHTS] < before);
    if (others[t] == DTYPE_F32) before = ops_memory(plan)->now[MEMORY_WEIGHTS];
    model_free(planned);
    ops_free(plan);
    model_free(model);
    model_files_close(files);
  }
}

/// The fingerprint tells what the weights become: other types are other models, the same is the same.
static void each_type_is_another_model(void **state) {
  (void)state;
  char hashes[TYPES + 2][SHA256_TEXT];
  for (size_t t = 0; t < TYPES + 2; t++) {
    ModelFiles *files = open_files(wide, t < TYPES ? types[t] : t == TYPES ? DTYPE_STORED : types[0]);
    assert_ok(model_files_sha256(files, hashes[t]));
    model_files_close(files);
    for (size_t other = 0; other < t; other++)
      assert_true((strcmp(hashes[t], hashes[other]) == 0) == (t == TYPES + 1 && other == 0));
  }
}

/// An adapter that is merged into a quantised matrix when it is read widens it first.
static void adapters_are_merged_into_what_the_blocks_hold(void **state) {
  (void)state;
  const char *folder = test_folder();
  size_t count = 0;
  Model *models[2] = {load("llama", DTYPE_Q8_0, DTYPE_F32), NULL};
  write_out(models[0], "llama", folder);
  models[1] = fixture_model(folder, DTYPE_F32);
  for (size_t i = 0; i < 2; i++)
    assert_ok(model_load_adapter(models[i], GEE_SOURCE_DIR "/tests/model/adapters/dora"));
  assert_same(samples_logits(models[0], &count), samples_logits(models[1], &count), count);
  model_free(models[0]);
  model_free(models[1]);
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  ModelFiles *files = NULL;
  assert_ok(model_files_open(golden_path("quants.gguf"), &files));
  assert_fails(model_files_quantise(files, DTYPE_Q4_K), STATUS_INPUT, "quantised again");
  model_files_close(files);
  assert_ok(model_files_open(golden_path("qwen2"), &files)); // rows of 48 and 56
  assert_fails(model_files_quantise(files, DTYPE_Q8_0), STATUS_INPUT, "no matrix can be quantised");
  model_files_close(files);
  Model *model = load("llama", DTYPE_Q8_0, DTYPE_F32);
  assert_fails(model_train_full(model), STATUS_INPUT, "model.quantise = none");
  model_free(model);
}

/// Numbers that a scale of 16 bits cannot hold; NF4 has scales of 32.
static void numbers_out_of_reach_are_refused(void **state) {
  const float sizes[] = {1e-11f, 1e9f};
  for (size_t s = 0; s < 2; s++) {
    const char *folder = test_folder();
    Model *model = fixture_model(wide, DTYPE_F32);
    Tensor *value = &model->layers[0].linears[LINEAR_UP].weight.value;
    float *values = read_tensor(value);
    for (size_t i = 0; i < value->rows * value->cols; i++) values[i] = (i % 3 == 0 ? 1 : -1) * sizes[s];
    assert_ok(tensor_write(value, 0, value->rows * value->cols, values));
    write_out(model, wide, folder);
    model_free(model);
    free(values);
    for (size_t t = 0; t < TYPES; t++) {
      ModelFiles *files = open_files(folder, types[t]);
      Status status = model_load(fixture_ops(), files, DTYPE_F32, &model);
      if (types[t] == DTYPE_NF4) assert_ok(status);
      if (types[t] != DTYPE_NF4) assert_fails(status, STATUS_INPUT, "too small or too large");
      if (status == STATUS_OK) model_free(model);
      model_files_close(files);
    }
    assert_int_equal(ops_fixture_clean(state), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(matrices_are_quantised),
      OPS_TEST(numbers_are_those_of_the_blocks),
      OPS_TEST(memory_is_planned),
      OPS_TEST(each_type_is_another_model),
      OPS_TEST(adapters_are_merged_into_what_the_blocks_hold),
      OPS_TEST(what_makes_no_sense_is_refused),
      OPS_TEST(numbers_out_of_reach_are_refused),
  };
  return cmocka_run_group_tests(tests, set_up, ops_fixture_close);
}
