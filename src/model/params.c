// Trained parameters, in slabs. Rule: a parameter is whole in one slab, at an offset where a view may start.
// Its padding is zero in values and gradients, so sums of squares and AdamW can run over whole slabs.
#include "parts.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

// Kernels count the elements of a slab in 32 bits.
static const size_t largest_slab = (size_t)1 << 30;

static size_t round_up(size_t value, size_t unit) {
  return (value + unit - 1) / unit * unit;
}

// Sets slab and offset of every spec, and sizes[slab] in elements. A parameter larger than `limit` gets a
// slab of its own.
static void lay_out(Ops *ops, ParamSet *params, size_t *sizes) {
  size_t unit = ops_view_alignment(ops);
  size_t limit = (size_t)(ops_max_allocation(ops) / sizeof(float)) / unit * unit;
  if (limit > largest_slab) limit = largest_slab;
  params->slabs = 0;
  for (size_t i = 0; i < params->count; i++) {
    ParamSpec *spec = &params->specs[i];
    size_t need = round_up(spec->rows * spec->cols, unit);
    if (params->slabs == 0 || sizes[params->slabs - 1] + need > limit) params->slabs++;
    spec->slab = params->slabs - 1;
    spec->offset = sizes[spec->slab];
    sizes[spec->slab] += need;
  }
}

Status params_create(Ops *ops, ParamSet *params) {
  Status status = STATUS_OK;
  size_t *sizes = NULL;
  TRY(mem_array(&sizes, params->count, "parameter slabs"));
  lay_out(ops, params, sizes);
  TRY_CLEAN(mem_array(&params->values, params->slabs, "parameter slabs"));
  TRY_CLEAN(mem_array(&params->grads, params->slabs, "parameter slabs"));
  for (size_t s = 0; s < params->slabs; s++) {
    TRY_CLEAN(
        tensor_create(ops, "trained values", MEMORY_TRAINABLE, DTYPE_F32, 1, sizes[s], &params->values[s]));
    TRY_CLEAN(tensor_create(ops, "gradients", MEMORY_TRAINABLE, DTYPE_F32, 1, sizes[s], &params->grads[s]));
  }
cleanup:
  free(sizes);
  return status;
}

Status params_bind(const ParamSet *params, size_t index, Weight *out) {
  const ParamSpec *spec = &params->specs[index];
  TRY(tensor_view(&params->values[spec->slab], spec->offset, spec->rows, spec->cols, &out->value));
  return tensor_view(&params->grads[spec->slab], spec->offset, spec->rows, spec->cols, &out->grad);
}

void params_free(ParamSet *params) {
  for (size_t s = 0; s < params->slabs; s++) {
    if (params->values != NULL) tensor_free(&params->values[s]);
    if (params->grads != NULL) tensor_free(&params->grads[s]);
  }
  for (size_t i = 0; params->specs != NULL && i < params->count; i++) free(params->specs[i].name);
  free(params->values);
  free(params->grads);
  free(params->specs);
  memset(params, 0, sizeof *params);
}

Status params_zero_grads(ParamSet *params) {
  for (size_t s = 0; s < params->slabs; s++) TRY(tensor_zero(&params->grads[s]));
  return STATUS_OK;
}

Status model_check_untrained(const Model *model) {
  if (model->params.count == 0) return STATUS_OK;
  return status_fail(STATUS_FAILED, "the model has trained parameters already");
}

ParamSet *model_params(Model *model) {
  return model->params.count > 0 ? &model->params : NULL;
}

Status stored_check_shape(const StoredTensor *stored, const char *path, size_t rank, size_t rows,
                          size_t cols) {
  bool fits =
      stored->rank == rank && stored->shape[rank - 1] == cols && (rank == 1 || stored->shape[0] == rows);
  if (fits) return STATUS_OK;
  Str found = {0}, wanted = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < stored->rank; i++)
    TRY_CLEAN(str_append_format(&found, "%s%zu", i > 0 ? ", " : "", stored->shape[i]));
  if (rank > 1) TRY_CLEAN(str_append_format(&wanted, "%zu, ", rows));
  TRY_CLEAN(str_append_format(&wanted, "%zu", cols));
  status = status_fail(STATUS_INPUT, "%s: tensor %s has shape [%s], but [%s] is expected", path, stored->name,
                       str_text(&found), str_text(&wanted));
cleanup:
  str_free(&found);
  str_free(&wanted);
  return status;
}

Status params_read(ParamSet *params, size_t index, const StoredTensor *stored, const char *path) {
  const ParamSpec *spec = &params->specs[index];
  TRY(stored_check_shape(stored, path, spec->rank, spec->rows, spec->cols));
  Weight weight = {0};
  Status status = params_bind(params, index, &weight);
  if (status == STATUS_OK) status = weight_read(stored, 0, &weight.value);
  weight_free(&weight);
  return status_context(status, "%s: tensor %s", path, stored->name);
}

// ---- full fine-tuning ----

static Status full_specs(Model *model) {
  ParamSet *params = &model->params;
  size_t count = weight_count(&model->config);
  TRY(mem_array(&params->specs, count, "parameter table"));
  params->count = count;
  for (size_t i = 0; i < count; i++) {
    WeightSpec spec;
    weight_spec(&model->config, FORMAT_HF, i, &spec);
    TRY(str_format(&params->specs[i].name, "%s", spec.name));
    params->specs[i].rank = spec.rank;
    params->specs[i].rows = spec.rows;
    params->specs[i].cols = spec.cols;
  }
  return STATUS_OK;
}

// Moves the loaded tensor to its place in a slab.
static Status adopt(Model *model, size_t index) {
  WeightSpec spec;
  weight_spec(&model->config, FORMAT_HF, index, &spec);
  Weight *weight = model_weight(model, &spec);
  Weight bound = {0};
  if (weight->value.dtype != DTYPE_F32) {
    return status_fail(STATUS_INPUT,
                       "full fine-tuning needs float32 weights, %s is %s; set model.dtype = f32 and "
                       "model.quantise = none",
                       spec.name, dtype_name(weight->value.dtype));
  }
  Status status = params_bind(&model->params, index, &bound);
  if (status == STATUS_OK) status = tensor_copy(&bound.value, &weight->value);
  if (status != STATUS_OK) {
    weight_free(&bound);
    return status;
  }
  weight_free(weight);
  *weight = bound;
  return STATUS_OK;
}

Status model_train_full(Model *model) {
  TRY(model_check_untrained(model));
  TRY(full_specs(model));
  TRY(params_create(model->ops, &model->params));
  for (size_t i = 0; i < model->params.count; i++) TRY(adopt(model, i));
  model->full = true;
  return STATUS_OK;
}

// ---- writing ----

Status params_list(const ParamSet *params, TensorToWrite **out) {
  TRY(mem_array(out, params->count, "list of tensors"));
  for (size_t i = 0; i < params->count; i++) {
    const ParamSpec *spec = &params->specs[i];
    TensorToWrite *tensor = &(*out)[i];
    tensor->name = spec->name;
    tensor->type = DTYPE_F32;
    tensor->rank = spec->rank;
    tensor->shape[0] = spec->rank == 1 ? spec->cols : spec->rows;
    tensor->shape[1] = spec->rank == 1 ? 0 : spec->cols;
  }
  return STATUS_OK;
}

Status params_fill(void *user, size_t index, size_t first, size_t count, float *out) {
  const ParamSet *params = user;
  const ParamSpec *spec = &params->specs[index];
  return tensor_read(&params->values[spec->slab], spec->offset + first, count, out);
}
