// AdamW over slabs, its learning rate, and its file.
#pragma once

#include "model/model.h"
#include "train/train.h"

/// m and v, slabs like those of the parameters.
typedef struct Optimizer {
  Tensor *m, *v; // [slabs]
  size_t slabs;
} Optimizer;

STATUS_CHECKED Status optimizer_create(Ops *ops, const ParamSet *params, Optimizer *optimizer);
void optimizer_free(Optimizer *optimizer);
/// Learning rate of step `step` ≥ 1: step/warmup of it while warming up; then constant, or falling from the
/// whole rate at the first step after the warm-up towards 0 at the (never taken) step max_steps + 1, along a
/// line or a cosine.
double learning_rate_at(const TrainOptions *options, size_t step);
/// Clips to max_grad_norm as PyTorch's clip_grad_norm_ (0: off) and takes an AdamW step. *norm before
/// clipping. STATUS_FAILED where the gradient is not finite; the parameters are untouched then.
STATUS_CHECKED Status optimizer_step(Optimizer *optimizer, ParamSet *params, const TrainOptions *options,
                                     size_t step, double *norm);
/// optimiser.safetensors: exp_avg.<parameter> and exp_avg_sq.<parameter>, as PyTorch names them.
STATUS_CHECKED Status optimizer_save(const Optimizer *optimizer, const ParamSet *params, const char *path);
STATUS_CHECKED Status optimizer_load(Optimizer *optimizer, const ParamSet *params, const char *path);
