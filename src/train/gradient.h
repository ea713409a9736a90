// From answers to entropies, and from dL/dH to the gradient of one step.
#pragma once

#include "step_batch.h"

/// What reads the sequences of a step.
typedef struct StepPasses {
  Pass *sampling; // has sampled the answers, and its cache still holds their prompts
  Pass *training;
  float tau;           // temperature of the entropy
  DropoutDraw dropout; // of the training pass in this step
} StepPasses;

/// H of every sequence: kept from sampling, read again while the sampling pass's cache holds the prompts, or
/// from a forward of the training pass. `sampled` is the job that sampled the answers.
STATUS_CHECKED Status measure_entropies(const StepPasses *passes, const GenerateJob *sampled,
                                        StepBatch *batch);
/// Sets the parameters' gradients to Σ_s dH[s] · dH_s/dθ over the sequences of the batch. Call it after
/// measure_entropies with the same passes: the activations of that call are used where they are still there.
STATUS_CHECKED Status compute_gradient(const StepPasses *passes, const StepBatch *batch, ParamSet *params);
