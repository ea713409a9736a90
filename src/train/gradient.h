// From answers to entropies, and from dL/dH to the gradient of one step.
#pragma once

#include "divergence.h"

/// The passes that read the sequences of a step.
typedef struct StepPasses {
  Pass *sampling; // sampled the answers; its cache still holds their prompts
  Pass *training;
  float tau;               // temperature of the entropy
  DropoutDraw dropout;     // of the training pass in this step
  Divergences divergences; // in the loss
} StepPasses;

/// Sets H and the per-token entropies of every sequence. `sampled` is the job that sampled the answers.
STATUS_CHECKED Status measure_entropies(const StepPasses *passes, const GenerateJob *sampled,
                                        StepBatch *batch);
/// Sets the parameters' gradients to that of the loss, whose derivatives by the sequences' H, kl and
/// partner_kl are the batch's dH, kl_slope and partner_slope; sets the kl and partner_kl that the loss has.
/// Call it after measure_entropies, with the same passes: it may use the activations which that call left in
/// them.
STATUS_CHECKED Status compute_gradient(const StepPasses *passes, StepBatch *batch, ParamSet *params);
