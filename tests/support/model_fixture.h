// What tests of whole models share: the tiny models and samples of tests/golden (make_golden.py describes
// them), and the computation of the loss and the row weights from a batch's entropies. Uses the device of
// ops_fixture.
#pragma once

#include "io/tensors.h"
#include "loss/loss.h"
#include "model/model.h"
#include "support/ops_fixture.h"

enum { SAMPLES_MAX = 8, SAMPLES_TOKENS = 64 };

typedef struct Samples {
  TokenSpan prompts[SAMPLES_MAX];
  size_t prompt_count;
  BatchAnswer answers[SAMPLES_MAX];
  int groups[SAMPLES_MAX];
  size_t answer_count;
  LossOptions loss;
  float tau, learning_rate, weight_decay, lora_alpha;
  size_t steps, lora_rank;
  int32_t tokens[SAMPLES_TOKENS];
} Samples;

/// tests/golden/samples.json.
const Samples *golden_samples(void);
/// "<source>/tests/golden/<name>", in static memory that the second call after this one overwrites.
const char *golden_path(const char *name);

/// The golden numbers of a model: a safetensors file under tests/golden.
typedef struct Golden {
  TensorFile *file;
} Golden;
Golden golden_open(const char *name);
void golden_close(Golden *golden);
/// *count elements in memory of the fixture; fails the test if the tensor is missing.
double *golden_values(const Golden *golden, const char *name, size_t *count);

/// Loads tests/golden/<name> (or an absolute path); free with model_free.
Model *fixture_model(const char *name, DType dtype);
/// Adds fresh LoRA to all matrices, with the samples' rank and alpha.
void fixture_lora(Model *model, float dropout);
/// Sets every trained parameter to golden tensor "<prefix><name>".
void fixture_set_params(Model *model, const Golden *golden, const char *prefix);
/// A training pass for `rows` rows.
Pass *fixture_training(Model *model, size_t rows, bool checkpoint);

/// The samples' batch of answers [first, first + count).
Batch samples_batch(const Samples *samples, size_t first, size_t count, bool share);

/// All samples' logits, row after row, in memory of the fixture; *count of them.
const float *samples_logits(Model *model, size_t *count);

/// The GEE loss of all samples from entropy[prediction] (all samples' predictions, in order), and dL/dH_i.
double samples_loss(const Samples *samples, const double *entropy, double *dH);
/// weights[head row] of a batch of answers [first, …): Σ of dH_i / T_i over its predictions.
void samples_weights(const Samples *samples, const Batch *batch, size_t first, const double *dH,
                     float *weights);

/// Computes all gradients of the samples' loss in micro batches of `micro` answers: measures first, then runs
/// the backward. Returns the loss.
double samples_backward(Model *model, Pass *pass, const Samples *samples, size_t micro, bool share,
                        DropoutDraw dropout);

/// Values or gradients of parameter `index`, in memory of the fixture.
float *param_read(Model *model, size_t index, bool gradient);

/// SmolLM2's own answers to the first `sets` (at most 16) prompts of golden/entropy.json under test_shared().
Batch shared_answers(size_t sets);
