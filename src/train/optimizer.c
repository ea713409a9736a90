// AdamW over slabs, after clipping by the norm of all gradients. Rule: the padding between parameters is zero
// in gradients and moments, so every operation runs over whole slabs.
#include "optimizer.h"

#include "io/tensors.h"
#include "ops/profile.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

Status optimizer_create(Ops *ops, const ParamSet *params, Optimizer *optimizer) {
  TRY(mem_array(&optimizer->m, params->slabs, "optimizer"));
  TRY(mem_array(&optimizer->v, params->slabs, "optimizer"));
  optimizer->slabs = params->slabs;
  for (size_t s = 0; s < params->slabs; s++) {
    size_t count = params->values[s].cols;
    TRY(tensor_create(ops, "first moments", MEMORY_TRAINABLE, DTYPE_F32, 1, count, &optimizer->m[s]));
    TRY(tensor_create(ops, "second moments", MEMORY_TRAINABLE, DTYPE_F32, 1, count, &optimizer->v[s]));
  }
  return STATUS_OK;
}

void optimizer_free(Optimizer *optimizer) {
  for (size_t s = 0; s < optimizer->slabs; s++) {
    tensor_free(&optimizer->m[s]);
    tensor_free(&optimizer->v[s]);
  }
  free(optimizer->m);
  free(optimizer->v);
  *optimizer = (Optimizer){0};
}

double learning_rate_at(const TrainOptions *options, size_t step) {
  static const double pi = 3.14159265358979323846;
  double rate = (double)options->learning_rate;
  if (step <= options->warmup_steps) return rate * (double)step / (double)options->warmup_steps;
  if (options->schedule == SCHEDULE_CONSTANT || options->max_steps <= options->warmup_steps) return rate;
  double share =
      (double)(step - 1 - options->warmup_steps) / (double)(options->max_steps - options->warmup_steps);
  if (share > 1) share = 1;
  return options->schedule == SCHEDULE_LINEAR ? rate * (1 - share) : rate * 0.5 * (1 + cos(pi * share));
}

static Status gradient_norm(const ParamSet *params, double *norm) {
  double sum = 0;
  for (size_t s = 0; s < params->slabs; s++) {
    double squares = 0;
    TRY(op_sum_squares(&squares, &params->grads[s]));
    sum += squares;
  }
  *norm = sqrt(sum);
  if (isfinite(*norm)) return STATUS_OK;
  return status_fail(
      STATUS_FAILED,
      "the gradient is not finite (its norm is %g): lower train.learning_rate or loss.lambda_weight", *norm);
}

Status optimizer_step(Optimizer *optimizer, ParamSet *params, const TrainOptions *options, size_t step,
                      double *norm) {
  OPS_PHASE(params->values[0].ops, "update");
  TRY(gradient_norm(params, norm));
  double scale = 1, limit = (double)options->max_grad_norm;
  if (limit > 0 && limit < *norm + 1e-6) scale = limit / (*norm + 1e-6); // 1e-6 as in clip_grad_norm_
  AdamWShape shape = {.lr = (float)learning_rate_at(options, step),
                      .beta1 = options->beta1,
                      .beta2 = options->beta2,
                      .epsilon = options->epsilon,
                      .weight_decay = options->weight_decay,
                      .step = (uint32_t)step,
                      .grad_scale = (float)scale};
  for (size_t s = 0; s < params->slabs; s++) {
    TRY(op_adamw(&params->values[s], &optimizer->m[s], &optimizer->v[s], &params->grads[s], shape));
  }
  return STATUS_OK;
}

Status optimizer_check(const ParamSet *params) {
  double sum = 0;
  for (size_t s = 0; s < params->slabs && isfinite(sum); s++) {
    double squares = 0;
    TRY(op_sum_squares(&squares, &params->values[s]));
    sum += squares;
  }
  if (isfinite(sum)) return STATUS_OK;
  return status_fail(STATUS_FAILED, "the trained weights are no longer finite: lower train.learning_rate");
}

// ---- files ----

/// Tensor 2i is the first moment of parameter i, 2i + 1 the second.
typedef struct MomentFile {
  const Optimizer *optimizer;
  const ParamSet *params;
} MomentFile;

static Tensor *moment(const Optimizer *optimizer, const ParamSpec *spec, bool second) {
  return second ? &optimizer->v[spec->slab] : &optimizer->m[spec->slab];
}

static Status moment_name(const ParamSpec *spec, bool second, char **out) {
  return str_format(out, "%s.%s", second ? "exp_avg_sq" : "exp_avg", spec->name);
}

static Status fill_moment(void *user, size_t index, size_t first, size_t count, float *out) {
  const MomentFile *file = user;
  const ParamSpec *spec = &file->params->specs[index / 2];
  return tensor_read(moment(file->optimizer, spec, index % 2 == 1), spec->offset + first, count, out);
}

Status optimizer_save(const Optimizer *optimizer, const ParamSet *params, const char *path) {
  TensorToWrite *tensors = NULL;
  char **names = NULL;
  MomentFile file = {optimizer, params};
  Status status = STATUS_OK;
  size_t count = 2 * params->count;
  TRY_CLEAN(mem_array(&tensors, count, "optimizer file"));
  TRY_CLEAN(mem_array(&names, count, "optimizer file"));
  for (size_t i = 0; i < count; i++) {
    const ParamSpec *spec = &params->specs[i / 2];
    TRY_CLEAN(moment_name(spec, i % 2 == 1, &names[i]));
    tensors[i] = (TensorToWrite){.name = names[i], .type = DTYPE_F32, .rank = spec->rank};
    if (spec->rank == 2) tensors[i].shape[0] = spec->rows;
    tensors[i].shape[spec->rank - 1] = spec->cols;
  }
  TRY_CLEAN(safetensors_write(path, tensors, count, fill_moment, &file));
cleanup:
  for (size_t i = 0; names != NULL && i < count; i++) free(names[i]);
  free(names);
  free(tensors);
  return status;
}

static Status load_moment(const TensorFile *file, const ParamSpec *spec, const char *name, Tensor *to) {
  size_t count = spec->rows * spec->cols;
  const StoredTensor *stored = tensors_find(file, name);
  if (stored == NULL || stored->elements != count) {
    return status_fail(STATUS_INPUT, "%s: tensor %s is missing or has another size than %zu",
                       tensors_path(file), name, count);
  }
  float *values = NULL;
  TRY(mem_array(&values, count, "optimizer file"));
  Status status = tensors_read_f32(stored, 0, count, values);
  if (status == STATUS_OK) status = tensor_write(to, spec->offset, count, values);
  free(values);
  return status;
}

Status optimizer_load(Optimizer *optimizer, const ParamSet *params, const char *path) {
  TensorFile *file = NULL;
  TRY(tensors_open(path, &file));
  Status status = STATUS_OK;
  for (size_t i = 0; status == STATUS_OK && i < 2 * params->count; i++) {
    const ParamSpec *spec = &params->specs[i / 2];
    char *name = NULL;
    status = moment_name(spec, i % 2 == 1, &name);
    if (status == STATUS_OK) status = load_moment(file, spec, name, moment(optimizer, spec, i % 2 == 1));
    free(name);
  }
  tensors_close(file);
  return status;
}
