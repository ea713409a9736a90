// A model's config from a Hugging Face folder. Rule: a setting that would change the numbers and is not
// computed here is an error, never ignored.
#include "formats.h"
#include "io/file.h"
#include "io/json.h"
#include <stdlib.h>
#include <string.h>

static Status read_size(const cJSON *json, const char *key, const char *name, size_t *out) {
  int64_t value = 0;
  TRY(json_get_integer(json, key, name, 1, INT32_MAX, &value));
  *out = (size_t)value;
  return STATUS_OK;
}

static Status read_size_or(const cJSON *json, const char *key, const char *name, size_t fallback,
                           size_t *out) {
  *out = fallback;
  return json_has(json, key) ? read_size(json, key, name, out) : STATUS_OK;
}

static Status check_off(const cJSON *json, const OffKey *off, const char *name) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, off->key);
  if (value == NULL || cJSON_IsNull(value) || cJSON_IsFalse(value)) return STATUS_OK;
  if (cJSON_IsTrue(value))
    return status_fail(STATUS_INPUT, "%s: \"%s\": true is not supported", name, off->key);
  return status_fail(STATUS_INPUT, "%s: \"%s\" is set, which is not supported; supported is false or null",
                     name, off->key);
}

static Status read_family(const cJSON *json, const char *name, ModelConfig *config) {
  const char *type = NULL;
  TRY(json_get_string(json, "model_type", name, &type));
  TRY(family_find(FORMAT_HF, type, name, &config->family));
  if (json_has(json, "hidden_act")) {
    const char *act = NULL;
    TRY(json_get_string(json, "hidden_act", name, &act));
    if (strcmp(act, "silu") != 0) {
      return status_fail(STATUS_INPUT, "%s: hidden_act \"%s\" is not supported; supported is silu", name,
                         act);
    }
  }
  const ModelFamily *family = config->family;
  for (size_t i = 0; i < family->off_key_count; i++) TRY(check_off(json, &family->off_keys[i], name));
  return STATUS_OK;
}

// `json` is rope_scaling (older transformers) or rope_parameters (newer, includes rope_theta).
static Status read_rope_object(const cJSON *json, const char *name, ModelConfig *config) {
  if (json_has(json, "rope_theta")) TRY(json_get_number(json, "rope_theta", name, &config->rope_theta));
  if (json_has(json, "partial_rotary_factor")) {
    double share = 0;
    TRY(json_get_number(json, "partial_rotary_factor", name, &share));
    if (share != 1.0) {
      return status_fail(STATUS_INPUT, "%s: partial_rotary_factor %g is not supported; supported is 1", name,
                         share);
    }
  }
  const char *type = "default";
  if (json_has(json, "rope_type")) {
    TRY(json_get_string(json, "rope_type", name, &type));
  } else if (json_has(json, "type")) {
    TRY(json_get_string(json, "type", name, &type));
  }
  if (strcmp(type, "default") == 0) return STATUS_OK;
  if (strcmp(type, "llama3") != 0) {
    return status_fail(STATUS_INPUT,
                       "%s: rope type \"%s\" is not supported; supported are default and llama3", name, type);
  }
  TRY(json_get_number(json, "factor", name, &config->rope_factor));
  TRY(json_get_number(json, "low_freq_factor", name, &config->rope_low));
  TRY(json_get_number(json, "high_freq_factor", name, &config->rope_high));
  return json_get_number(json, "original_max_position_embeddings", name, &config->rope_original_positions);
}

static Status read_rope(const cJSON *json, const char *name, ModelConfig *config) {
  config->rope_theta = 10000.0;
  config->rope_factor = 1.0;
  if (json_has(json, "rope_theta")) TRY(json_get_number(json, "rope_theta", name, &config->rope_theta));
  const char *const keys[] = {"rope_scaling", "rope_parameters"};
  for (size_t i = 0; i < 2; i++) {
    if (!json_has(json, keys[i])) continue;
    const cJSON *object = NULL;
    TRY(json_get_object(json, keys[i], name, &object));
    TRY(read_rope_object(object, name, config));
  }
  return STATUS_OK;
}

static Status read_sizes(const cJSON *json, const char *name, ModelConfig *config) {
  TRY(read_size(json, "num_hidden_layers", name, &config->layers));
  TRY(read_size(json, "hidden_size", name, &config->width));
  TRY(read_size(json, "num_attention_heads", name, &config->heads));
  TRY(read_size(json, "intermediate_size", name, &config->ffn));
  TRY(read_size(json, "vocab_size", name, &config->vocab));
  TRY(read_size_or(json, "num_key_value_heads", name, config->heads, &config->kv_heads));
  TRY(read_size_or(json, "head_dim", name, config->width / config->heads, &config->head_dim));
  TRY(read_size_or(json, "max_position_embeddings", name, 2048, &config->max_positions));
  double eps = 1e-6;
  if (json_has(json, "rms_norm_eps")) TRY(json_get_number(json, "rms_norm_eps", name, &eps));
  config->rms_eps = (float)eps;
  return STATUS_OK;
}

static Status add_eos(const cJSON *item, const char *name, ModelConfig *config) {
  if (!cJSON_IsNumber(item) || item->valuedouble != (double)item->valueint) {
    return status_fail(STATUS_INPUT, "%s: \"eos_token_id\" must be an integer or a list of integers", name);
  }
  if (config->eos_count == MODEL_MAX_EOS) {
    return status_fail(STATUS_INPUT, "%s: \"eos_token_id\" lists more than %d tokens", name, MODEL_MAX_EOS);
  }
  config->eos[config->eos_count++] = item->valueint;
  return STATUS_OK;
}

static Status read_eos(const cJSON *json, const char *name, ModelConfig *config) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "eos_token_id");
  if (value == NULL || cJSON_IsNull(value)) return STATUS_OK;
  if (!cJSON_IsArray(value)) return add_eos(value, name, config);
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, value) TRY(add_eos(item, name, config));
  return STATUS_OK;
}

static Status read_generation_config(const char *folder, ModelConfig *config) {
  Status status = STATUS_OK;
  char *path = NULL;
  cJSON *json = NULL;
  TRY(path_join(&path, folder, "generation_config.json"));
  if (file_exists(path)) {
    TRY_CLEAN(json_parse_file(path, &json));
    TRY_CLEAN(read_eos(json, path, config));
  }
cleanup:
  cJSON_Delete(json);
  free(path);
  return status;
}

Status model_config_read_hf(const char *folder, const TensorFile *tensors, ModelConfig *config) {
  Status status = STATUS_OK;
  char *path = NULL;
  cJSON *json = NULL;
  TRY(path_join(&path, folder, "config.json"));
  TRY_CLEAN(json_parse_file(path, &json));
  TRY_CLEAN(read_family(json, path, config));
  TRY_CLEAN(read_sizes(json, path, config));
  TRY_CLEAN(read_rope(json, path, config));
  const cJSON *tied = cJSON_GetObjectItemCaseSensitive(json, "tie_word_embeddings");
  char head[WEIGHT_NAME_SIZE];
  weight_name(config->family, FORMAT_HF, WEIGHT_HEAD, head);
  config->tied = cJSON_IsBool(tied) ? (bool)cJSON_IsTrue(tied) : tensors_find(tensors, head) == NULL;
  config->bos = -1;
  const cJSON *bos = cJSON_GetObjectItemCaseSensitive(json, "bos_token_id");
  if (cJSON_IsNumber(bos)) config->bos = bos->valueint;
  TRY_CLEAN(read_generation_config(folder, config));
  if (config->eos_count == 0) TRY_CLEAN(read_eos(json, path, config));
cleanup:
  cJSON_Delete(json);
  free(path);
  return status;
}
