// From answers to entropies, and from dL/dH to the gradient of one step.
#pragma once

#include "step_batch.h"

/// The passes that read the sequences of a step.
typedef struct StepPasses {
  Pass *sampling; // sampled the answers; its cache still holds their prompts
  Pass *training;
  float tau;           // temperature of the entropy
  DropoutDraw dropout; // of the training pass in this step
} StepPasses;

/// Sets H and the per-token entropies of every sequence. `sampled` is the job that sampled the answers.
STATUS_CHECKED Status measure_entropies(const StepPasses *passes, const GenerateJob *sampled,
                                        StepBatch *batch);
/// Sets the parameters' gradients to Σ_s dH[s] · dH_s/dθ over the sequences of the batch. Call it after
/// measure_entropies, with the same passes: it may use the activations which that call left in them.
STATUS_CHECKED Status compute_gradient(const StepPasses *passes, const StepBatch *batch, ParamSet *params);
