// Saves the trained parameters and reads them back; exports the model with its adapters merged:
// W + scale · B · A. Rule: one merged matrix exists at a time.
#include "arch/model_config_write.h"
#include "parts.h"
#include "util/dequant.h"
#include "util/memory.h"
#include <stdlib.h>

Status model_save_trained(Model *model, const char *directory) {
  if (model->lora.rank > 0) return adapters_save(model, directory);
  if (!model->full) return status_fail(STATUS_FAILED, "the model has no trained parameters to save");
  TensorToWrite *list = NULL;
  TRY(model_config_write(&model->config, DTYPE_F32, directory));
  TRY(params_list(&model->params, &list));
  Status status = hf_write_weights(directory, list, model->params.count, params_fill, &model->params);
  free(list);
  return status;
}

static Status load_params(ParamSet *params, const TensorFile *file) {
  for (size_t i = 0; i < params->count; i++) {
    const StoredTensor *stored = tensors_find(file, params->specs[i].name);
    if (stored == NULL) {
      return status_fail(STATUS_INPUT, "%s: tensor %s is missing", tensors_path(file), params->specs[i].name);
    }
    TRY(params_read(params, i, stored, tensors_path(file)));
  }
  return STATUS_OK;
}

Status model_load_trained(Model *model, const char *directory) {
  if (model->lora.rank > 0) return adapters_load(model, directory);
  if (!model->full) return status_fail(STATUS_FAILED, "the model has no trained parameters to load");
  ModelFiles *files = NULL;
  TRY(model_files_open(directory, &files));
  Status status = load_params(&model->params, model_files_tensors(files));
  model_files_close(files);
  return status;
}

typedef struct Export {
  Model *model;
  Tensor merged;       // the last matrix with an adapter, merged, float32
  size_t merged_index; // its table entry; SIZE_MAX: none yet
  uint8_t *stored;     // elements to be widened
  size_t stored_capacity;
  const atomic_bool *stop; // may be NULL
} Export;

// Makes export->merged the matrix of table entry `index`.
static Status merge(Export *export, size_t index, const Linear *linear) {
  if (export->merged_index == index) return STATUS_OK;
  const Tensor *weight = &linear->weight.value;
  tensor_free(&export->merged);
  export->merged_index = SIZE_MAX;
  TRY(tensor_create(export->model->ops, "merged weight", MEMORY_ACTIVATIONS, DTYPE_F32, weight->rows,
                    weight->cols, &export->merged));
  if (weight->dtype == DTYPE_F32) {
    TRY(tensor_copy(&export->merged, weight));
  } else {
    TRY(op_convert(&export->merged, weight));
  }
  TRY(op_linear_dx(&export->merged, &linear->b.value, &linear->a.value, linear->scale, 1.0f));
  export->merged_index = index;
  return STATUS_OK;
}

static Status read_widened(Export *export, const Tensor *tensor, size_t first, size_t count, float *out) {
  if (tensor->dtype == DTYPE_F32) return tensor_read(tensor, first, count, out);
  TRY(mem_reserve(&export->stored, &export->stored_capacity, dtype_bytes(tensor->dtype, count),
                  "export buffer"));
  TRY(tensor_read(tensor, first, count, export->stored));
  dequantise(tensor->dtype, export->stored, count / dtype_info(tensor->dtype)->block_elements, out);
  return STATUS_OK;
}

static Status export_fill(void *user, size_t index, size_t first, size_t count, float *out) {
  Export *export = user;
  WeightSpec spec;
  if (export->stop != NULL && *export->stop)
    return status_fail(STATUS_INTERRUPTED, "the export was stopped; nothing is left of it");
  weight_spec(&export->model->config, FORMAT_HF, index, &spec);
  const Linear *linear = &export->model->layers[spec.layer].linears[spec.linear];
  if (spec.kind != WEIGHT_LINEAR || !weight_present(&linear->a)) {
    return read_widened(export, &model_weight(export->model, &spec)->value, first, count, out);
  }
  TRY(merge(export, index, linear));
  return tensor_read(&export->merged, first, count, out);
}

Status model_export_merged(Model *model, const ModelFiles *files, DType type, const char *directory,
                           const atomic_bool *stop) {
  Status status = STATUS_OK;
  Export export = {.model = model, .merged_index = SIZE_MAX, .stop = stop};
  TensorToWrite *list = NULL;
  WeightSpec *specs = NULL; // own the names
  TRY_CLEAN(model_config_write(&model->config, type, directory));
  TRY_CLEAN(model_config_copy_generation(files, directory));
  TRY_CLEAN(hf_list_weights(&model->config, type, &specs, &list));
  TRY_CLEAN(hf_write_weights(directory, list, weight_count(&model->config), export_fill, &export));
cleanup:
  tensor_free(&export.merged);
  free(export.stored);
  free(list);
  free(specs);
  return status;
}
