// Whole models whose products with frozen weights are computed in 16 bits (COMPUTE_BF16, COMPUTE_F16),
// against float32 on the same device: entropies, and the direction of LoRA's gradients, of a tiny model and
// of SmolLM2, if it is there. A CPU has no f16, so there the GPU's kernels compute these products.
#include "support/model_fixture.h"

#include "context.h"
#include "gemm.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOKENS_MAX = 512, SETS = 8, SETS_F16 = 2 }; // a CPU takes long for a GPU's kernels

static const DropoutDraw no_dropout = {0};

/// What a model computes of one batch.
typedef struct Numbers {
  float entropy[TOKENS_MAX];
  float *gradient; // of all parameters
  size_t predictions, parameters;
} Numbers;

static void read_gradient(Model *model, Numbers *out) {
  const ParamSet *params = model_params(model);
  size_t count = 0;
  for (size_t s = 0; s < params->slabs; s++) count += params->grads[s].cols;
  out->gradient = calloc(count, sizeof *out->gradient);
  assert_non_null(out->gradient);
  out->parameters = 0;
  for (size_t s = 0; s < params->slabs; s++) {
    assert_ok(tensor_read(&params->grads[s], 0, params->grads[s].cols, out->gradient + out->parameters));
    out->parameters += params->grads[s].cols;
  }
}

/// Entropies, and the gradient of a sum of them with weights that change their sign with the answer, as a
/// gap's do.
static void compute(Model *model, const Batch *batch, Numbers *out) {
  Pass *pass = fixture_training(model, batch->rows, false);
  float weights[TOKENS_MAX] = {0};
  assert_true(batch->head_rows <= TOKENS_MAX && batch->predictions <= TOKENS_MAX);
  for (size_t a = 0; a < batch->answers; a++)
    for (size_t p = batch->answer_start[a]; p < batch->answer_start[a + 1]; p++)
      weights[batch->pred_head[p]] += a % 2 == 0 ? 0.01f : -0.01f;
  assert_ok(params_zero_grads(model_params(model)));
  assert_ok(pass_forward(pass, batch, no_dropout));
  assert_ok(pass_statistics(pass, batch, 1, out->entropy, NULL, NULL));
  out->predictions = batch->head_rows;
  assert_ok(pass_backward(pass, batch, &(HeadGradient){.tau = 1, .weights = weights}));
  read_gradient(model, out);
  pass_free(pass);
}

static double cosine(const float *a, const float *b, size_t count) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < count; i++) {
    ab += (double)a[i] * (double)b[i];
    aa += (double)a[i] * (double)a[i];
    bb += (double)b[i] * (double)b[i];
  }
  return ab / sqrt(aa * bb);
}

typedef struct Near {
  double worst, mean; // entropies, at most, in nats
  double cosine;      // at least
} Near;

/// Fails unless 16 bits are near float32, and are not float32.
static void compare(const char *name, const Numbers *exact, const Numbers *found, Near near) {
  double worst = 0, sum = 0, along = cosine(exact->gradient, found->gradient, exact->parameters);
  for (size_t i = 0; i < exact->predictions; i++) {
    double off = fabs((double)exact->entropy[i] - (double)found->entropy[i]);
    worst = fmax(worst, off);
    sum += off;
  }
  print_message("%s: %zu entropies within %.1e nats, on average %.1e; cosine of %zu gradients %.6f\n", name,
                exact->predictions, worst, sum / (double)exact->predictions, exact->parameters, along);
  if (!(worst > 0 && worst <= near.worst)) fail_msg("%s: an entropy differs by %g", name, worst);
  if (!(sum <= near.mean * (double)exact->predictions)) fail_msg("%s: entropies differ by more", name);
  if (!(along >= near.cosine && along < 1)) fail_msg("%s: the gradients' cosine is %.6f", name, along);
}

// ---- the models ----

static Compute in;    // what is tried
static bool is_there; // the device has it

typedef struct Tried {
  Model *model;
  Batch batch;
  Numbers exact; // in float32
} Tried;

static Tried tiny, real; // real.model is NULL without SmolLM2 or the shared answers

/// LoRA whose B is not zero, so that every gradient counts.
static void add_lora(Model *model) {
  fixture_lora(model, 0);
  const ParamSet *params = model_params(model);
  for (size_t s = 0; s < params->slabs; s++) {
    size_t count = params->values[s].cols;
    float *values = calloc(count, sizeof *values);
    assert_non_null(values);
    test_random(values, count, s + 1);
    for (size_t i = 0; i < count; i++) values[i] *= 0.05f;
    assert_ok(tensor_write(&params->values[s], 0, count, values));
    free(values);
  }
}

static void open_tried(Tried *tried, const char *name, Batch batch) {
  tried->model = fixture_model(name, DTYPE_F32);
  tried->batch = batch;
  add_lora(tried->model);
  compute(tried->model, &tried->batch, &tried->exact);
}

static void close_tried(Tried *tried) {
  if (tried->model == NULL) return;
  model_free(tried->model);
  batch_free(&tried->batch);
  free(tried->exact.gradient);
  *tried = (Tried){0};
}

static int close_models(void **state) {
  close_tried(&tiny);
  close_tried(&real);
  return ops_fixture_close(state);
}

static Status gemm_mixed(Ops *ops, const GemmCall calls[], size_t count) {
  for (size_t i = 0; i < count; i++)
    TRY(calls[i].math == GEMM_HALF_INPUTS ? gemm_gpu(ops, &calls[i], 1) : gemm_cpu(ops, &calls[i], 1));
  return STATUS_OK;
}
static bool mixed_reads(DType type, GemmMath math) {
  return (math == GEMM_HALF_INPUTS ? gpu_family : cpu_family).gemm_reads(type, math);
}

/// A CPU's own kernels, and a GPU's for products in f16.
static Status use_f16(Ops *ops) {
  static KernelFamily mixed;
  if (!ops->family->cpu_files) return ops_use_compute(ops, COMPUTE_F16);
  mixed = *ops->family;
  mixed.gemm = gemm_mixed;
  mixed.gemm_sums = NULL;
  mixed.gemm_reads = mixed_reads;
  ops->family = &gpu_family;
  Status status = ops_use_compute(ops, COMPUTE_F16);
  ops->family = &mixed;
  return status;
}

static int open_models(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  const Samples *samples = golden_samples();
  open_tried(&tiny, "llama", samples_batch(samples, 0, samples->answer_count, true));
  if (test_smollm2() != NULL && test_shared() != NULL)
    open_tried(&real, test_smollm2(), shared_answers(in == COMPUTE_F16 ? SETS_F16 : SETS));
  Status status = in == COMPUTE_F16 ? use_f16(fixture_ops()) : ops_use_compute(fixture_ops(), COMPUTE_BF16);
  is_there = status == STATUS_OK;
  if (!is_there) (void)fprintf(stderr, "skipped: %s\n", status_message());
  return 0;
}

static void check(const char *name, Tried *tried, Near near) {
  Numbers found;
  if (!is_there || tried->model == NULL) skip();
  compute(tried->model, &tried->batch, &found);
  compare(name, &tried->exact, &found, near);
  free(found.gradient);
}

/// Its weights are random and large, and its sums short, so roundings average less than in a real model.
static void a_tiny_model(void **state) {
  (void)state;
  check("tiny Llama", &tiny, in == COMPUTE_F16 ? (Near){0.05, 5e-3, 0.999} : (Near){0.1, 2e-2, 0.99});
}

static void the_real_one(void **state) {
  (void)state;
  check("SmolLM2", &real, in == COMPUTE_F16 ? (Near){0.05, 5e-3, 0.9999} : (Near){0.2, 2e-2, 0.999});
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(a_tiny_model), OPS_TEST(the_real_one)};
  static const Compute computes[] = {COMPUTE_BF16, COMPUTE_F16};
  int failed = 0;
  for (size_t i = 0; i < sizeof computes / sizeof *computes; i++) {
    in = computes[i];
    failed += cmocka_run_group_tests_name(compute_name(in), tests, open_models, close_models);
  }
  return failed;
}
