// A model's LoRA adapters: which matrices get one, initial values, writing. (adapter_file.c reads them.)
// Rule: params->specs has A and then B of each adapted matrix, in the order of the table of weights.
#include "io/file.h"
#include "parts.h"
#include "util/memory.h"
#include "util/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static Status add_spec(ParamSet *params, const WeightSpec *weight, LoraPart part, size_t rows, size_t cols) {
  ParamSpec *spec = &params->specs[params->count];
  TRY(lora_tensor_name(weight, part, &spec->name));
  spec->rank = 2;
  spec->rows = rows;
  spec->cols = cols;
  params->count++;
  return STATUS_OK;
}

/// The adapter that a weight keeps; NULL if it has none, or one that is merged into it when it is read.
static const LoraTarget *target_of(const Model *model, const WeightSpec *spec) {
  const LoraTarget *target = lora_weight_target(&model->lora, spec);
  return target != NULL && !adapter_is_merged(&model->lora, spec) ? target : NULL;
}

static Status create_adapters(Model *model) {
  ParamSet *params = &model->params;
  const size_t weights = weight_count(&model->config);
  TRY(mem_array(&params->specs, 2 * weights, "parameter table"));
  WeightSpec spec;
  for (size_t i = 0; i < weights; i++) {
    weight_spec(&model->config, FORMAT_HF, i, &spec);
    const LoraTarget *target = target_of(model, &spec);
    if (target == NULL) continue;
    TRY(add_spec(params, &spec, LORA_A, target->rank, spec.cols));
    TRY(add_spec(params, &spec, LORA_B, spec.rows, target->rank));
  }
  TRY(params_create(model->ops, params));
  size_t next = 0;
  for (size_t i = 0; i < weights; i++) {
    weight_spec(&model->config, FORMAT_HF, i, &spec);
    const LoraTarget *target = target_of(model, &spec);
    if (target == NULL) continue;
    Linear *linear = &model->layers[spec.layer].linears[spec.linear];
    linear->scale = target->scale;
    TRY(params_bind(params, next++, &linear->a));
    TRY(params_bind(params, next++, &linear->b));
  }
  return STATUS_OK;
}

// A is uniform in ±1/sqrt(in), PEFT's kaiming_uniform with a = √5. B stays zero, so that the adapted model
// starts out equal to the base.
static Status draw_values(Model *model, uint64_t seed) {
  Status status = STATUS_OK;
  const ParamSet *params = &model->params;
  float *values = NULL;
  for (size_t i = 0; i < params->count; i += 2) {
    const ParamSpec *spec = &params->specs[i];
    size_t count = spec->rows * spec->cols;
    float bound = 1.0f / sqrtf((float)spec->cols);
    free(values);
    TRY_CLEAN(mem_array(&values, count, "fresh adapters"));
    for (size_t e = 0; e < count; e++) {
      values[e] = (2.0f * rng_uniform(seed, RNG_LORA_INIT, (uint32_t)e, (uint32_t)i, 0) - 1.0f) * bound;
    }
    TRY_CLEAN(tensor_write(&params->values[spec->slab], spec->offset, count, values));
  }
cleanup:
  free(values);
  return status;
}

Status model_add_lora(Model *model, const LoraOptions *options, uint64_t seed) {
  TRY(model_check_untrained(model));
  TRY(lora_from_options(&model->config, options, &model->lora));
  TRY(create_adapters(model));
  return ops_is_plan(model->ops) ? STATUS_OK : draw_values(model, seed);
}

// ---- files ----

Status adapters_save(Model *model, const char *directory) {
  TRY(lora_write_config(&model->config, &model->lora, model->path, directory));
  Status status = STATUS_OK;
  char *path = NULL;
  TensorToWrite *list = NULL;
  TRY_CLEAN(params_list(&model->params, &list));
  TRY_CLEAN(path_join(&path, directory, ADAPTER_WEIGHTS));
  TRY_CLEAN(safetensors_write(path, list, model->params.count, params_fill, &model->params));
cleanup:
  free(list);
  free(path);
  return status;
}

bool model_has_base(const Model *model) {
  return !model->full && !model->changed;
}

Status model_load_adapter(Model *model, const char *directory) {
  TRY(model_check_untrained(model));
  TRY(lora_read_config(&model->config, directory, &model->lora));
  TRY(create_adapters(model));
  return adapters_load(model, directory);
}
