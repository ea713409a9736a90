// A model's config from a Hugging Face folder. Rule: a setting that would change the numbers and is not
// computed here is an error, never ignored.
#include "formats.h"
#include "io/file.h"
#include "io/json.h"
#include "util/log.h"
#include <math.h>
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

static Status read_bool_or(const cJSON *json, const char *key, const char *name, bool fallback, bool *out) {
  *out = fallback;
  if (!json_has(json, key)) return STATUS_OK;
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
  if (!cJSON_IsBool(value)) return status_fail(STATUS_INPUT, "%s: \"%s\" must be true or false", name, key);
  *out = cJSON_IsTrue(value);
  return STATUS_OK;
}

// What transformers' common code reads for every family: another config inside this one, layers that differ
// or share their keys, other modules, other names of keys.
static const OffKey common_off[] = {
    {"per_layer_config", OFF_ABSENT},   {"kv_sharing_modes", OFF_ABSENT}, {"text_config", OFF_ABSENT},
    {"text_encoder", OFF_ABSENT},       {"decoder", OFF_ABSENT},          {"generator", OFF_ABSENT},
    {"is_encoder_decoder", OFF_ABSENT}, {"fusion_config", OFF_ABSENT},    {"attribute_map", OFF_ABSENT}};

/// Refuses what makes another model of the same sizes and names.
static Status check_plain(const cJSON *json, const char *name) {
  const cJSON *code = cJSON_GetObjectItemCaseSensitive(json, "auto_map");
  if (cJSON_IsObject(code) && code->child != NULL) {
    return status_fail(STATUS_INPUT,
                       "%s: \"auto_map\" names code of the model's own, which is not run; delete the key if "
                       "the model computes the same without trust_remote_code",
                       name);
  }
  if (json_has(json, "quantization_config")) {
    const char *method = "unknown";
    const cJSON *quantized = cJSON_GetObjectItemCaseSensitive(json, "quantization_config");
    if (json_has(quantized, "quant_method")) TRY(json_get_string(quantized, "quant_method", name, &method));
    return status_fail(STATUS_INPUT,
                       "%s: \"quantization_config\" (%s) is not supported; give the model before it was "
                       "quantized, or a .gguf",
                       name, method);
  }
  if (json_has(json, "transformers_weights")) {
    return status_fail(STATUS_INPUT,
                       "%s: \"transformers_weights\" is not supported; name the file model.safetensors and "
                       "delete the key",
                       name);
  }
  return STATUS_OK;
}

/// A query that sees what comes after it predicts no next token. transformers reads the key for every family,
/// and null like false where there is padding.
static Status check_causal(const cJSON *json, const char *name) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "is_causal");
  if (value == NULL || cJSON_IsTrue(value)) return STATUS_OK;
  if (cJSON_IsFalse(value))
    return status_fail(STATUS_INPUT,
                       "%s: \"is_causal\" is false: every token sees those after it, so the model does not "
                       "predict the next token",
                       name);
  return status_fail(STATUS_INPUT, "%s: \"is_causal\" must be true or absent", name);
}

/// A window shorter than the context. In a family without windows transformers ignores it when it reads a
/// text, but keeps only that many keys when it generates one, unless layer_types says what each layer sees.
static Status check_windows(const cJSON *json, const char *name, const ModelConfig *config) {
  static const char *const keys[] = {"sliding_window", "attention_chunk_size"};
  if (!config->family->keeps_window || json_has(json, "layer_types")) return STATUS_OK;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    double window = 0;
    if (!json_has(json, keys[i])) continue;
    TRY(json_get_number(json, keys[i], name, &window));
    if (!(window >= 1) || window != floor(window))
      return status_fail(STATUS_INPUT,
                         "%s: \"%s\" is %g, but must be a whole number from 1, or null for no window", name,
                         keys[i], window);
    if (window >= (double)config->max_positions) continue;
    return status_fail(STATUS_INPUT,
                       "%s: \"%s\" is %g, shorter than the context of %zu: transformers reads with all "
                       "tokens but generates with the last %g; delete the key to use all in both",
                       name, keys[i], window, config->max_positions, window);
  }
  return STATUS_OK;
}

static Status check_layer_types(const cJSON *json, const char *name) {
  const cJSON *types = NULL, *type = NULL;
  if (!json_has(json, "layer_types")) return STATUS_OK;
  TRY(json_get_array(json, "layer_types", name, &types));
  cJSON_ArrayForEach(type, types) {
    const char *text = cJSON_IsString(type) ? type->valuestring : "not a string";
    if (strcmp(text, "full_attention") == 0) continue;
    return status_fail(STATUS_INPUT,
                       "%s: \"layer_types\" has \"%s\", which is not supported; supported is full_attention",
                       name, text);
  }
  return STATUS_OK;
}

static Status check_activation(const cJSON *json, const char *name) {
  const char *act = "silu";
  if (json_has(json, "hidden_act")) TRY(json_get_string(json, "hidden_act", name, &act));
  if (strcmp(act, "silu") == 0 || strcmp(act, "swish") == 0) return STATUS_OK; // two names of one function
  return status_fail(STATUS_INPUT, "%s: hidden_act \"%s\" is not supported; supported is silu", name, act);
}

static Status read_family(const cJSON *json, const char *name, ModelConfig *config) {
  const char *type = NULL;
  TRY(json_get_string(json, "model_type", name, &type));
  TRY(family_find(FORMAT_HF, type, name, &config->family));
  TRY(check_plain(json, name));
  for (size_t i = 0; i < sizeof common_off / sizeof *common_off; i++)
    TRY(check_off(json, &common_off[i], name));
  TRY(check_causal(json, name));
  TRY(check_layer_types(json, name));
  TRY(check_activation(json, name));
  const ModelFamily *family = config->family;
  for (size_t i = 0; i < family->off_key_count; i++) TRY(check_off(json, &family->off_keys[i], name));
  for (size_t i = 0; i < family->bias_count; i++) {
    bool on = true;
    if (family->biases[i].key != NULL) TRY(read_bool_or(json, family->biases[i].key, name, false, &on));
    if (on) model_config_add_biases(config, &family->biases[i]);
  }
  return STATUS_OK;
}

/// A null means as many as attention heads; what an absent key means is the family's.
static Status read_kv_heads(const cJSON *json, const char *name, ModelConfig *config) {
  static const char key[] = "num_key_value_heads";
  size_t absent = config->family->default_kv_heads;
  bool is_null = cJSON_GetObjectItemCaseSensitive(json, key) != NULL;
  return read_size_or(json, key, name, is_null || absent == 0 ? config->heads : absent, &config->kv_heads);
}

static Status read_head_dim(const cJSON *json, const char *name, ModelConfig *config) {
  TRY(read_size_or(json, "head_dim", name, config->width / config->heads, &config->head_dim));
  if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(json, "head_dim")) ||
      config->width % config->heads == 0)
    return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s: \"hidden_size\" %zu is no multiple of \"num_attention_heads\" %zu, and \"head_dim\" is "
      "missing",
      name, config->width, config->heads);
}

static Status read_sizes(const cJSON *json, const char *name, ModelConfig *config) {
  TRY(read_size(json, "num_hidden_layers", name, &config->layers));
  TRY(read_size(json, "hidden_size", name, &config->width));
  TRY(read_size(json, "num_attention_heads", name, &config->heads));
  TRY(read_size(json, "intermediate_size", name, &config->ffn));
  TRY(read_size(json, "vocab_size", name, &config->vocab));
  TRY(read_kv_heads(json, name, config));
  TRY(read_head_dim(json, name, config));
  TRY(read_size_or(json, "max_position_embeddings", name, config->family->default_positions,
                   &config->max_positions));
  TRY(check_windows(json, name, config));
  double eps = 1e-6;
  if (json_has(json, "rms_norm_eps")) TRY(json_get_number(json, "rms_norm_eps", name, &eps));
  config->rms_eps = (float)eps;
  return STATUS_OK;
}

static Status read_token(const cJSON *item, const char *name, int64_t *token) {
  static const double largest = 1e15; // so that every whole number up to it is exact
  double value = cJSON_IsNumber(item) ? item->valuedouble : 0.5;
  if (!(fabs(value) <= largest) || value != floor(value))
    return status_fail(STATUS_INPUT, "%s: \"eos_token_id\" must be an integer or a list of integers", name);
  *token = (int64_t)value;
  return STATUS_OK;
}

/// Tokens outside the vocabulary do no harm beside one that an answer can end at, so they are warned of, as
/// transformers goes on with them.
static Status add_eos_list(const cJSON *list, const char *name, ModelConfig *config) {
  static const char key[] = "\"eos_token_id\"";
  int64_t token = 0, outside = 0;
  bool any_outside = false, any = false;
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, list) {
    TRY(read_token(item, name, &token));
    bool known = token >= 0 && (uint64_t)token < config->vocab;
    any = any || known;
    any_outside = any_outside || !known;
    if (known) TRY(model_config_add_eos(config, token, name, key));
    if (!known) outside = token;
  }
  if (!any_outside) return STATUS_OK;
  if (!any) return model_config_add_eos(config, outside, name, key);
  log_say(LOG_WARNING, "%s: %s has %lld, outside the vocabulary of 0 to %zu: no answer ends there", name, key,
          (long long)outside, config->vocab - 1);
  return STATUS_OK;
}

static Status read_eos(const cJSON *json, const char *name, ModelConfig *config) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "eos_token_id");
  int64_t token = 0;
  if (value == NULL || cJSON_IsNull(value)) return STATUS_OK;
  if (cJSON_IsArray(value)) return add_eos_list(value, name, config);
  TRY(read_token(value, name, &token));
  return model_config_add_eos(config, token, name, "\"eos_token_id\"");
}

/// If there is a generation_config.json, it alone names the end tokens, as in transformers.
static Status read_end_tokens(const char *folder, const cJSON *json, const char *name, ModelConfig *config) {
  Status status = STATUS_OK;
  char *path = NULL;
  cJSON *generation = NULL;
  TRY(path_join(&path, folder, "generation_config.json"));
  if (!file_exists(path)) {
    TRY_CLEAN(read_eos(json, name, config));
  } else {
    TRY_CLEAN(json_parse_file(path, &generation));
    TRY_CLEAN(read_eos(generation, path, config));
    if (config->eos_count == 0 && json_has(json, "eos_token_id"))
      log_say(LOG_NOTE, "%s names no end token, so answers have none, whatever config.json says", path);
  }
cleanup:
  cJSON_Delete(generation);
  free(path);
  return status;
}

static Status read_bos(const cJSON *json, const char *name, ModelConfig *config) {
  int64_t token = -1;
  if (json_has(json, "bos_token_id"))
    TRY(json_get_integer(json, "bos_token_id", name, INT64_MIN, INT64_MAX, &token));
  model_config_set_bos(config, token, name, "\"bos_token_id\"");
  return STATUS_OK;
}

Status padding_read_hf(const cJSON *json, const char *name, size_t vocab, size_t *out) {
  int64_t token = 0;
  *out = SIZE_MAX;
  if (!json_has(json, "pad_token_id")) return STATUS_OK;
  TRY(json_get_integer(json, "pad_token_id", name, -(int64_t)vocab, (int64_t)vocab - 1, &token));
  *out = (size_t)(token < 0 ? token + (int64_t)vocab : token);
  return STATUS_OK;
}

Status model_config_parse_hf(const cJSON *json, const char *name, const char *folder, ModelConfig *config) {
  size_t padding = 0;
  TRY(read_family(json, name, config));
  TRY(read_sizes(json, name, config));
  TRY(rope_read_hf(json, name, config->max_positions, &config->rope));
  TRY(read_bool_or(json, "tie_word_embeddings", name, false, &config->tied));
  TRY(read_bos(json, name, config));
  TRY(padding_read_hf(json, name, config->vocab, &padding)); // transformers makes no embedding otherwise
  return read_end_tokens(folder, json, name, config);
}

Status model_config_read_hf(const char *folder, ModelConfig *config) {
  Status status = STATUS_OK;
  char *path = NULL;
  cJSON *json = NULL;
  TRY(path_join(&path, folder, "config.json"));
  TRY_CLEAN(json_parse_file(path, &json));
  TRY_CLEAN(model_config_parse_hf(json, path, folder, config));
cleanup:
  cJSON_Delete(json);
  free(path);
  return status;
}
