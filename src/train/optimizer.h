// AdamW over slabs, its learning rate, and its file.
#pragma once

#include "model/model.h"
#include "train/train.h"

/// The moments m and v, in slabs like the parameters'.
typedef struct Optimizer {
  Tensor *m, *v; // [slabs]
  size_t slabs;
} Optimizer;

STATUS_CHECKED Status optimizer_create(Ops *ops, const ParamSet *params, Optimizer *optimizer);
void optimizer_free(Optimizer *optimizer);
/// Learning rate of step `step` ≥ 1. It rises to the full rate over the warm-up steps. Then it stays
/// constant, or falls along a line or a cosine: it is full at the first step after the warm-up, and would be
/// 0 at step max_steps + 1.
double learning_rate_at(const TrainOptions *options, size_t step);
/// Clips to max_grad_norm as PyTorch's clip_grad_norm_ does (0: off) and takes an AdamW step. *norm = the
/// norm before clipping. If the gradient is not finite: STATUS_FAILED, and the parameters are unchanged.
STATUS_CHECKED Status optimizer_step(Optimizer *optimizer, ParamSet *params, const TrainOptions *options,
                                     size_t step, double *norm);
/// STATUS_FAILED if a trained weight is not finite, or so large that its square is not.
STATUS_CHECKED Status optimizer_check(const ParamSet *params);
/// optimizer.safetensors: exp_avg.<parameter> and exp_avg_sq.<parameter>, as PyTorch names them.
STATUS_CHECKED Status optimizer_save(const Optimizer *optimizer, const ParamSet *params, const char *path);
STATUS_CHECKED Status optimizer_load(Optimizer *optimizer, const ParamSet *params, const char *path);
