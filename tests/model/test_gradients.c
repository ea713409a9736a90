// Gradients and optimizer steps of the GEE loss compared with PyTorch in float64 (full) and PEFT (LoRA). They
// must not depend on the micro batch, sharing of prompts, activation checkpointing or kept statistics.
#include "support/model_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const DropoutDraw no_dropout = {0};
enum { ALL = SAMPLES_MAX, ROWS = 48 };

static size_t spec_size(const ParamSet *params, size_t index) {
  return params->specs[index].rows * params->specs[index].cols;
}

static double *to_double(const float *values, size_t count) {
  double *wide = fixture_zeros(count);
  for (size_t i = 0; i < count; i++) wide[i] = (double)values[i];
  return wide;
}

// Compares every gradient with the golden tensor "<prefix>grad.<name>".
static void compare_gradients(Model *model, const Golden *golden, const char *prefix, double tolerance) {
  const ParamSet *params = model_params(model);
  double worst = 0;
  for (size_t i = 0; i < params->count; i++) {
    char name[256];
    size_t count = 0;
    (void)snprintf(name, sizeof name, "%sgrad.%s", prefix, params->specs[i].name);
    const double *expected = golden_values(golden, name, &count);
    assert_int_equal(count, spec_size(params, i));
    double error = test_relative_l2(param_read(model, i, true), expected, count);
    if (!(error <= tolerance)) fail_msg("%s: relative error %g", name, error);
    worst = fmax(worst, error);
  }
  print_message("%zu gradients within %.1e\n", params->count, worst);
}

static Model *lora_model(const Golden *golden) {
  Model *model = fixture_model("llama", DTYPE_F32);
  fixture_lora(model, 0);
  fixture_set_params(model, golden, "lora.start.");
  return model;
}

static void check_loss(double loss, const Golden *golden, const char *name, size_t step) {
  size_t count = 0;
  const double *losses = golden_values(golden, name, &count);
  assert_true(step < count);
  // The weights of later steps already differ by the rounding of the earlier ones.
  double tolerance = step == 0 ? 1e-5 : 1e-4;
  if (!(fabs(loss - losses[step]) <= tolerance * fabs(losses[step]))) {
    fail_msg("%s: step %zu is %.8f, expected %.8f", name, step, loss, losses[step]);
  }
}

static void test_lora_gradients(void **state) {
  (void)state;
  Golden golden = golden_open("llama/golden.safetensors");
  Model *model = lora_model(&golden);
  Pass *pass = fixture_training(model, ROWS, false);
  double loss = samples_backward(model, pass, golden_samples(), ALL, true, no_dropout);
  check_loss(loss, &golden, "lora.losses", 0);
  compare_gradients(model, &golden, "lora.", 1e-4);
  pass_free(pass);
  model_free(model);
  golden_close(&golden);
}

static void check_full(const char *name, const char *golden_name) {
  Golden golden = golden_open(golden_name);
  Model *model = fixture_model(name, DTYPE_F32);
  assert_ok(model_train_full(model));
  Pass *pass = fixture_training(model, ROWS, false);
  double loss = samples_backward(model, pass, golden_samples(), ALL, true, no_dropout);
  check_loss(loss, &golden, "full.losses", 0);
  compare_gradients(model, &golden, "full.", 1e-4);
  pass_free(pass);
  model_free(model);
  golden_close(&golden);
}

static void test_full_gradients(void **state) {
  (void)state;
  check_full("llama", "llama/golden.safetensors");
  check_full("qwen2", "qwen2/golden.safetensors");
}

// ---- AdamW ----

static void adamw_steps(Model *model, const Golden *golden, const char *losses) {
  const Samples *samples = golden_samples();
  ParamSet *params = model_params(model);
  Pass *pass = fixture_training(model, ROWS, false);
  Tensor m[4];
  Tensor v[4];
  assert_true(params->slabs <= 4);
  for (size_t s = 0; s < params->slabs; s++) {
    assert_ok(
        tensor_create(fixture_ops(), "m", MEMORY_TRAINABLE, DTYPE_F32, 1, params->values[s].cols, &m[s]));
    assert_ok(
        tensor_create(fixture_ops(), "v", MEMORY_TRAINABLE, DTYPE_F32, 1, params->values[s].cols, &v[s]));
  }
  for (size_t step = 0; step < samples->steps; step++) {
    check_loss(samples_backward(model, pass, samples, 2, true, no_dropout), golden, losses, step);
    AdamWShape shape = {.lr = samples->learning_rate,
                        .beta1 = 0.9f,
                        .beta2 = 0.999f,
                        .epsilon = 1e-8f,
                        .weight_decay = samples->weight_decay,
                        .step = (uint32_t)step + 1,
                        .grad_scale = 1};
    for (size_t s = 0; s < params->slabs; s++) {
      assert_ok(op_adamw(&params->values[s], &m[s], &v[s], &params->grads[s], shape));
    }
  }
  for (size_t s = 0; s < params->slabs; s++) {
    tensor_free(&m[s]);
    tensor_free(&v[s]);
  }
  pass_free(pass);
}

// Compares the change since `start`, the parameters before training, with the golden one.
static void compare_change(Model *model, float *const *start, const Golden *golden, const char *prefix) {
  const ParamSet *params = model_params(model);
  double worst = 0;
  for (size_t i = 0; i < params->count; i++) {
    char name[256];
    size_t count = 0;
    (void)snprintf(name, sizeof name, "%safter.%s", prefix, params->specs[i].name);
    double *expected = golden_values(golden, name, &count);
    float *found = param_read(model, i, false);
    for (size_t e = 0; e < count; e++) {
      expected[e] -= (double)start[i][e];
      found[e] -= start[i][e];
    }
    double error = test_relative_l2(found, expected, count);
    if (!(error <= 1e-3)) fail_msg("%s: the change is off by %g", name, error);
    worst = fmax(worst, error);
  }
  print_message("%zu changes within %.1e\n", params->count, worst);
}

static void check_adamw(Model *model, const Golden *golden, const char *prefix) {
  float *start[128];
  size_t count = model_params(model)->count;
  char losses[32];
  assert_true(count <= 128);
  for (size_t i = 0; i < count; i++) start[i] = param_read(model, i, false);
  (void)snprintf(losses, sizeof losses, "%slosses", prefix);
  adamw_steps(model, golden, losses);
  compare_change(model, start, golden, prefix);
}

static void test_adamw_lora(void **state) {
  (void)state;
  Golden golden = golden_open("llama/golden.safetensors");
  Model *model = lora_model(&golden);
  check_adamw(model, &golden, "lora.");
  model_free(model);
  golden_close(&golden);
}

static void test_adamw_full(void **state) {
  (void)state;
  Golden golden = golden_open("qwen2/golden.safetensors");
  Model *model = fixture_model("qwen2", DTYPE_F32);
  assert_ok(model_train_full(model));
  check_adamw(model, &golden, "full.");
  model_free(model);
  golden_close(&golden);
}

// ---- ways to compute that must not matter ----

typedef struct Way {
  size_t micro;
  bool share, checkpoint;
  DropoutDraw dropout;
} Way;

// All gradients of the samples' loss, one after the other.
static float *gradients(Model *model, Way way, size_t *count) {
  const ParamSet *params = model_params(model);
  Pass *pass = fixture_training(model, ROWS, way.checkpoint);
  (void)samples_backward(model, pass, golden_samples(), way.micro, way.share, way.dropout);
  pass_free(pass);
  *count = 0;
  for (size_t i = 0; i < params->count; i++) *count += spec_size(params, i);
  float *all = (float *)fixture_ints(*count);
  size_t next = 0;
  for (size_t i = 0; i < params->count; i++) {
    memcpy(all + next, param_read(model, i, true), spec_size(params, i) * sizeof *all);
    next += spec_size(params, i);
  }
  return all;
}

static void compare_ways(Model *model, Way a, Way b, bool bitwise) {
  size_t count = 0;
  float *first = gradients(model, a, &count);
  float *second = gradients(model, b, &count);
  if (bitwise) {
    assert_memory_equal(first, second, count * sizeof *first);
    return;
  }
  double error = test_relative_l2(first, to_double(second, count), count);
  if (!(error <= 1e-5)) fail_msg("relative error %g", error);
}

static const Way whole = {.micro = ALL, .share = true};
static const Way dropped = {.micro = ALL, .share = true, .dropout = {.on = true, .seed = 3, .step = 2}};

static void check_ways(Model *model) {
  compare_ways(model, whole, (Way){.micro = 1, .share = true}, false);
  ops_fixture_clean(NULL);
  compare_ways(model, whole, (Way){.micro = 2, .share = true}, false);
  ops_fixture_clean(NULL);
  compare_ways(model, whole, (Way){.micro = ALL, .share = false}, false);
  ops_fixture_clean(NULL);
  compare_ways(model, whole, whole, true);
  ops_fixture_clean(NULL);
  compare_ways(model, whole, (Way){.micro = ALL, .share = true, .checkpoint = true}, true);
  ops_fixture_clean(NULL);
}

static void test_ways_lora(void **state) {
  (void)state;
  Golden golden = golden_open("llama/golden.safetensors");
  Model *model = lora_model(&golden);
  check_ways(model);
  model_free(model);
  golden_close(&golden);
}

static void test_ways_full(void **state) {
  (void)state;
  Model *model = fixture_model("qwen2", DTYPE_F32);
  assert_ok(model_train_full(model));
  check_ways(model);
  model_free(model);
}

// Dropout depends on row ids, so micro batches, sharing and checkpointing do not change it; and it has an
// effect.
static void test_ways_dropout(void **state) {
  (void)state;
  Golden golden = golden_open("llama/golden.safetensors");
  Model *model = fixture_model("llama", DTYPE_F32);
  fixture_lora(model, 0.25f);
  fixture_set_params(model, &golden, "lora.start.");
  Way way = dropped;
  way.micro = 2;
  compare_ways(model, dropped, way, false);
  way = dropped;
  way.share = false;
  compare_ways(model, dropped, way, false);
  way = dropped;
  way.checkpoint = true;
  compare_ways(model, dropped, way, true);
  ops_fixture_clean(NULL);
  size_t count = 0;
  float *with = gradients(model, dropped, &count);
  float *without = gradients(model, whole, &count);
  assert_true(test_relative_l2(with, to_double(without, count), count) > 0.01);
  way = dropped;
  way.dropout.step++;
  float *later = gradients(model, way, &count);
  assert_true(test_relative_l2(with, to_double(later, count), count) > 0.01);
  model_free(model);
  golden_close(&golden);
}

// The file is BF16, so storing the weights as BF16 does not change them, nor the gradients of adapters on
// them.
static void test_narrow_weights(void **state) {
  (void)state;
  const DType dtypes[] = {DTYPE_F32, DTYPE_BF16};
  float *found[2];
  size_t count = 0;
  for (size_t d = 0; d < 2; d++) {
    Model *model = fixture_model("qwen2_untied", dtypes[d]);
    fixture_lora(model, 0);
    ParamSet *params = model_params(model);
    size_t size = params->values[0].cols;
    float *values = (float *)fixture_ints(size);
    test_random(values, size, 5);
    for (size_t i = 0; i < size; i++) values[i] *= 0.2f;
    assert_ok(tensor_write(&params->values[0], 0, size, values));
    found[d] = gradients(model, whole, &count);
    model_free(model);
  }
  double error = test_relative_l2(found[1], to_double(found[0], count), count);
  if (!(error <= 1e-5)) fail_msg("relative error %g", error);
}

// With dropout the gradient is that of the loss with dropout: central differences in a random direction.
static void test_dropout_gradient(void **state) {
  (void)state;
  Golden golden = golden_open("llama/golden.safetensors");
  const Samples *samples = golden_samples();
  Model *model = fixture_model("llama", DTYPE_F32);
  fixture_lora(model, 0.25f);
  fixture_set_params(model, &golden, "lora.start.");
  Pass *pass = fixture_training(model, ROWS, false);
  Tensor *slab = &model_params(model)->values[0];
  size_t count = slab->cols;
  float *start = (float *)fixture_ints(count);
  float *gradient = (float *)fixture_ints(count);
  float *moved = (float *)fixture_ints(count);
  const double *direction = fixture_random(count, 1);
  const double step = 1e-4;
  double losses[2];
  double expected = 0;
  assert_ok(tensor_read(slab, 0, count, start));
  (void)samples_backward(model, pass, samples, ALL, true, dropped.dropout);
  assert_ok(tensor_read(&model_params(model)->grads[0], 0, count, gradient));
  for (size_t i = 0; i < count; i++) expected += (double)gradient[i] * direction[i];
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; i < count; i++)
      moved[i] = (float)((double)start[i] + (side ? -step : step) * direction[i]);
    assert_ok(tensor_write(slab, 0, count, moved));
    losses[side] = samples_backward(model, pass, samples, ALL, true, dropped.dropout);
  }
  double found = (losses[0] - losses[1]) / (2 * step);
  if (!(fabs(found - expected) <= 2e-2 * fabs(expected)))
    fail_msg("slope %g, but the gradient gives %g", found, expected);
  pass_free(pass);
  model_free(model);
  golden_close(&golden);
}

// Kept statistics save a pass over the vocabulary and do not change a single bit.
static void test_kept_statistics(void **state) {
  (void)state;
  Golden golden = golden_open("llama/golden.safetensors");
  const Samples *samples = golden_samples();
  Model *model = lora_model(&golden);
  Pass *pass = fixture_training(model, ROWS, false);
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  float entropy[SAMPLES_TOKENS];
  float log_z[SAMPLES_TOKENS];
  float weights[SAMPLES_TOKENS];
  size_t count = model_params(model)->grads[0].cols;
  float *kept = (float *)fixture_ints(count);
  float *fresh = (float *)fixture_ints(count);
  for (size_t i = 0; i < batch.head_rows; i++) weights[i] = 0.1f * (float)i - 0.5f;
  assert_ok(pass_forward(pass, &batch, no_dropout));
  assert_ok(pass_statistics(pass, &batch, 0.5f, entropy, log_z, NULL));
  for (int round = 0; round < 2; round++) {
    assert_ok(params_zero_grads(model_params(model)));
    HeadGradient gradient = {
        .tau = 0.5f, .weights = weights, .entropy = round ? entropy : NULL, .log_z = round ? log_z : NULL};
    assert_ok(pass_backward(pass, &batch, &gradient));
    assert_ok(tensor_read(&model_params(model)->grads[0], 0, count, round ? kept : fresh));
  }
  assert_memory_equal(kept, fresh, count * sizeof *kept);
  batch_free(&batch);
  pass_free(pass);
  model_free(model);
  golden_close(&golden);
}

// With adapters on fewer matrices the backward stops earlier; their gradients must be those of the full set.
static void test_fewer_targets(void **state) {
  (void)state;
  static const char *const lists[] = {"q_proj,v_proj", "down_proj", "gate_proj, up_proj", "o_proj"};
  const Samples *samples = golden_samples();
  Golden golden = golden_open("llama/golden.safetensors");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    Model *model = fixture_model("llama", DTYPE_F32);
    LoraOptions options = {.rank = samples->lora_rank, .alpha = samples->lora_alpha, .targets = lists[i]};
    assert_ok(model_add_lora(model, &options, 1));
    size_t count = 0;
    // Fresh B is zero, so the gradient of A is too. That of B must agree with all adapters at B = 0.
    float *few = gradients(model, whole, &count);
    Model *all = fixture_model("llama", DTYPE_F32);
    options.targets = "all";
    assert_ok(model_add_lora(all, &options, 1));
    const ParamSet *params = model_params(model);
    for (size_t p = 0; p < params->count; p++) {
      const ParamSpec *spec = &params->specs[p];
      size_t q = 0;
      while (strcmp(model_params(all)->specs[q].name, spec->name) != 0) q++;
      assert_ok(tensor_write(&model_params(all)->values[model_params(all)->specs[q].slab],
                             model_params(all)->specs[q].offset, spec_size(params, p),
                             param_read(model, p, false)));
    }
    size_t all_count = 0;
    (void)gradients(all, whole, &all_count);
    size_t next = 0;
    for (size_t p = 0; p < params->count; p++) {
      size_t q = 0;
      while (strcmp(model_params(all)->specs[q].name, params->specs[p].name) != 0) q++;
      double *expected = to_double(param_read(all, q, true), spec_size(params, p));
      double error = test_relative_l2(few + next, expected, spec_size(params, p));
      if (!(error <= 1e-5)) fail_msg("%s of %s: relative error %g", params->specs[p].name, lists[i], error);
      next += spec_size(params, p);
    }
    model_free(all);
    model_free(model);
    ops_fixture_clean(NULL);
  }
  golden_close(&golden);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_lora_gradients),  OPS_TEST(test_full_gradients), OPS_TEST(test_adamw_lora),
      OPS_TEST(test_adamw_full),      OPS_TEST(test_ways_lora),      OPS_TEST(test_ways_full),
      OPS_TEST(test_ways_dropout),    OPS_TEST(test_narrow_weights), OPS_TEST(test_dropout_gradient),
      OPS_TEST(test_kept_statistics), OPS_TEST(test_fewer_targets),
  };
  return RUN_OPS_TESTS(tests);
}
