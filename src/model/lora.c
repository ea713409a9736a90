// LoRA adapters as PEFT keeps them: which matrices get one, fresh values, adapter_config.json and
// adapter_model.safetensors both ways. Rule: an adapter_config that asks for anything not computed here is refused.
#include "io/file.h"
#include "io/json.h"
#include "parts.h"
#include "util/memory.h"
#include "util/rng.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char config_name[] = "adapter_config.json";
static const char weights_name[] = "adapter_model.safetensors";

// ---- targets ----

static Status add_target(Lora *lora, const char *name, size_t size, const char *where) {
  for (LinearRole role = 0; role < LINEARS; role++) {
    const char *known = linear_name(role);
    if (strlen(known) == size && memcmp(known, name, size) == 0) {
      lora->targets[role] = true;
      return STATUS_OK;
    }
  }
  return status_fail(
      STATUS_INPUT,
      "%s: LoRA target \"%.*s\" is unknown; known are q_proj k_proj v_proj o_proj gate_proj up_proj "
      "down_proj and all",
      where, (int)(size < 64 ? size : 64), name);
}

static void add_all(Lora *lora) {
  for (LinearRole role = 0; role < LINEARS; role++) lora->targets[role] = true;
}

static Status parse_targets(Lora *lora, const char *list) {
  if (strcmp(list, "all") == 0) {
    add_all(lora);
    return STATUS_OK;
  }
  const char *separators = ", \t";
  size_t found = 0;
  for (const char *at = list + strspn(list, separators); *at != '\0'; at += strspn(at, separators)) {
    size_t size = strcspn(at, separators);
    TRY(add_target(lora, at, size, "lora.targets"));
    at += size;
    found++;
  }
  return found > 0 ? STATUS_OK : status_fail(STATUS_INPUT, "lora.targets names no matrix");
}

// ---- parameters ----

static Status add_spec(ParamSet *params, const WeightSpec *weight, char which, size_t rows, size_t cols) {
  ParamSpec *spec = &params->specs[params->count];
  size_t stem = strlen(weight->name) - strlen(".weight");
  TRY(str_format(&spec->name, "base_model.model.%.*s.lora_%c.weight", (int)stem, weight->name, which));
  spec->rank = 2;
  spec->rows = rows;
  spec->cols = cols;
  params->count++;
  return STATUS_OK;
}

static bool is_adapted(const Model *model, const WeightSpec *spec) {
  return spec->kind == WEIGHT_LINEAR && model->lora.targets[spec->linear];
}

static Status create_adapters(Model *model) {
  ParamSet *params = &model->params;
  const size_t weights = weight_count(&model->config);
  const size_t rank = model->lora.rank;
  TRY(mem_array(&params->specs, 2 * weights, "parameter table"));
  WeightSpec spec;
  for (size_t i = 0; i < weights; i++) {
    weight_spec(&model->config, false, i, &spec);
    if (!is_adapted(model, &spec)) continue;
    TRY(add_spec(params, &spec, 'A', rank, spec.cols));
    TRY(add_spec(params, &spec, 'B', spec.rows, rank));
  }
  TRY(params_create(model->ops, params));
  size_t next = 0;
  for (size_t i = 0; i < weights; i++) {
    weight_spec(&model->config, false, i, &spec);
    if (!is_adapted(model, &spec)) continue;
    Linear *linear = &model->layers[spec.layer].linears[spec.linear];
    TRY(params_bind(params, next++, &linear->a));
    TRY(params_bind(params, next++, &linear->b));
  }
  return STATUS_OK;
}

static Status check_options(const Model *model, const Lora *lora) {
  if (model->params.count > 0) return status_fail(STATUS_FAILED, "the model has trained parameters already");
  size_t most = model->config.ffn > model->config.width ? model->config.ffn : model->config.width;
  if (lora->rank == 0 || lora->rank > most) {
    return status_fail(STATUS_INPUT, "LoRA rank %zu: expected 1 to %zu", lora->rank, most);
  }
  if (!(lora->dropout >= 0.0f && lora->dropout < 1.0f)) {
    return status_fail(STATUS_INPUT, "LoRA dropout %g: expected at least 0 and below 1",
                       (double)lora->dropout);
  }
  if (!isfinite(lora->alpha)) return status_fail(STATUS_INPUT, "LoRA alpha is not a number");
  return STATUS_OK;
}

// A uniform in ±1/sqrt(in), PEFT's kaiming_uniform with a = √5; B stays zero, so that the adapted model starts as the base.
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
  Lora lora = {.rank = options->rank, .alpha = options->alpha, .dropout = options->dropout};
  TRY(parse_targets(&lora, options->targets));
  TRY(check_options(model, &lora));
  lora.scale = lora.alpha / (float)lora.rank;
  model->lora = lora;
  TRY(create_adapters(model));
  return ops_is_plan(model->ops) ? STATUS_OK : draw_values(model, seed);
}

// ---- reading a PEFT folder ----

// Keys that change what is computed, with the values under which they do not.
static bool is_off(const cJSON *value) {
  if (value == NULL || cJSON_IsNull(value) || cJSON_IsFalse(value)) return true;
  if (cJSON_IsString(value)) return strcmp(value->valuestring, "none") == 0;
  return (cJSON_IsObject(value) || cJSON_IsArray(value)) && value->child == NULL;
}

static Status refuse_features(const cJSON *json, const char *path) {
  static const char *const features[] = {"bias",
                                         "fan_in_fan_out",
                                         "use_dora",
                                         "use_rslora",
                                         "use_qalora",
                                         "rank_pattern",
                                         "alpha_pattern",
                                         "modules_to_save",
                                         "exclude_modules",
                                         "layers_to_transform",
                                         "layer_replication",
                                         "trainable_token_indices",
                                         "target_parameters",
                                         "lora_bias",
                                         "use_bdlora",
                                         "arrow_config",
                                         "corda_config",
                                         "alora_invocation_tokens"};
  for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
    if (!is_off(cJSON_GetObjectItemCaseSensitive(json, features[i]))) {
      return status_fail(STATUS_INPUT, "%s: \"%s\" is set, which is not supported", path, features[i]);
    }
  }
  return STATUS_OK;
}

static Status read_targets(const cJSON *json, const char *path, Lora *lora) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "target_modules");
  if (cJSON_IsString(value) && strcmp(value->valuestring, "all-linear") == 0) {
    add_all(lora);
    return STATUS_OK;
  }
  const cJSON *item = cJSON_IsArray(value) ? value->child : NULL;
  size_t found = 0;
  for (; item != NULL && cJSON_IsString(item); item = item->next) {
    TRY(add_target(lora, item->valuestring, strlen(item->valuestring), path));
    found++;
  }
  if (item == NULL && found > 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"target_modules\" must be a list of matrix names", path);
}

static Status read_config(const char *path, Lora *lora) {
  Status status = STATUS_OK;
  cJSON *json = NULL;
  const char *type = NULL;
  int64_t rank = 0;
  double alpha = 0;
  double dropout = 0;
  TRY_CLEAN(json_parse_file(path, &json));
  TRY_CLEAN(json_get_string(json, "peft_type", path, &type));
  if (strcmp(type, "LORA") != 0) {
    status =
        status_fail(STATUS_INPUT, "%s: peft_type \"%s\" is not supported; supported is LORA", path, type);
    goto cleanup;
  }
  TRY_CLEAN(refuse_features(json, path));
  TRY_CLEAN(json_get_integer(json, "r", path, 1, INT32_MAX, &rank));
  TRY_CLEAN(json_get_number(json, "lora_alpha", path, &alpha));
  if (json_has(json, "lora_dropout")) TRY_CLEAN(json_get_number(json, "lora_dropout", path, &dropout));
  TRY_CLEAN(read_targets(json, path, lora));
  lora->rank = (size_t)rank;
  lora->alpha = (float)alpha;
  lora->dropout = (float)dropout;
  lora->scale = (float)(alpha / (double)rank);
cleanup:
  cJSON_Delete(json);
  return status;
}

Status model_load_adapter(Model *model, const char *directory) {
  Status status = STATUS_OK;
  char *path = NULL;
  Lora lora = {0};
  TRY(path_join(&path, directory, config_name));
  TRY_CLEAN(read_config(path, &lora));
  TRY_CLEAN(check_options(model, &lora));
  model->lora = lora;
  TRY_CLEAN(create_adapters(model));
  TRY_CLEAN(model_load_trained(model, directory));
cleanup:
  free(path);
  return status;
}

static Status load_adapter_weights(Model *model, const char *directory) {
  Status status = STATUS_OK;
  char *path = NULL;
  TensorFile *file = NULL;
  TRY(path_join(&path, directory, weights_name));
  TRY_CLEAN(tensors_open(path, &file));
  if (tensors_count(file) != model->params.count) {
    status = status_fail(STATUS_INPUT, "%s: has %zu tensors, adapter_config.json on this model asks for %zu",
                         path, tensors_count(file), model->params.count);
    goto cleanup;
  }
  TRY_CLEAN(params_load(&model->params, file));
cleanup:
  tensors_close(file);
  free(path);
  return status;
}

Status model_load_trained(Model *model, const char *directory) {
  if (model->lora.rank > 0) return load_adapter_weights(model, directory);
  if (!model->full) return status_fail(STATUS_FAILED, "the model has no trained parameters to load");
  ModelFiles *files = NULL;
  TRY(model_files_open(directory, &files));
  Status status = params_load(&model->params, model_files_tensors(files));
  model_files_close(files);
  return status;
}

// ---- writing ----

static Status write_config(const Model *model, const char *directory) {
  const Lora *lora = &model->lora;
  cJSON *json = cJSON_CreateObject();
  cJSON *targets = cJSON_AddArrayToObject(json, "target_modules");
  for (LinearRole role = 0; role < LINEARS; role++) {
    if (lora->targets[role]) cJSON_AddItemToArray(targets, cJSON_CreateString(linear_name(role)));
  }
  cJSON_AddStringToObject(json, "peft_type", "LORA");
  cJSON_AddStringToObject(json, "task_type", "CAUSAL_LM");
  cJSON_AddStringToObject(json, "base_model_name_or_path", model->path);
  cJSON_AddNumberToObject(json, "r", (double)lora->rank);
  cJSON_AddNumberToObject(json, "lora_alpha", hf_decimal(lora->alpha));
  cJSON_AddNumberToObject(json, "lora_dropout", hf_decimal(lora->dropout));
  cJSON_AddStringToObject(json, "bias", "none");
  cJSON_AddFalseToObject(json, "fan_in_fan_out");
  cJSON_AddTrueToObject(json, "inference_mode");
  cJSON_AddTrueToObject(json, "init_lora_weights");
  cJSON_AddFalseToObject(json, "use_rslora");
  cJSON_AddFalseToObject(json, "use_dora");
  cJSON_AddNullToObject(json, "modules_to_save");
  cJSON_AddNullToObject(json, "layers_to_transform");
  cJSON_AddNullToObject(json, "layers_pattern");
  cJSON_AddObjectToObject(json, "rank_pattern");
  cJSON_AddObjectToObject(json, "alpha_pattern");
  cJSON_AddNullToObject(json, "revision");
  return hf_write_json(json, directory, config_name);
}

Status lora_save(Model *model, const char *directory) {
  TRY(write_config(model, directory));
  Status status = STATUS_OK;
  char *path = NULL;
  TensorToWrite *list = NULL;
  TRY_CLEAN(params_list(&model->params, &list));
  TRY_CLEAN(path_join(&path, directory, weights_name));
  TRY_CLEAN(safetensors_write(path, list, model->params.count, NULL, params_fill, &model->params));
cleanup:
  free(list);
  free(path);
  return status;
}
