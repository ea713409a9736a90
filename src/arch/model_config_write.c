// Writes config.json and generation_config.json of a Hugging Face folder. Rule: config.json is written from
// ModelConfig alone, so it says what this program computed, whatever file the model came from.
#include "arch/model_config_write.h"

#include "formats.h"
#include "io/file.h"
#include "io/json_write.h"
#include <stdio.h>
#include <stdlib.h>

double hf_decimal(float value) {
  char text[32];
  (void)snprintf(text, sizeof text, "%.7g", (double)value);
  return strtod(text, NULL);
}

static void add_rope(JsonWriter *json, const Rope *rope) {
  json_number(json, "rope_theta", rope->theta);
  if (rope->type == ROPE_DEFAULT) {
    json_null(json, "rope_scaling");
    return;
  }
  json_object_begin(json, "rope_scaling");
  json_string(json, "rope_type", rope_type_name(rope->type));
  json_number(json, "factor", rope->factor);
  if (rope->type == ROPE_LLAMA3) {
    json_number(json, "low_freq_factor", rope->low);
    json_number(json, "high_freq_factor", rope->high);
  }
  if (rope->type == ROPE_YARN) {
    json_number(json, "beta_slow", rope->low);
    json_number(json, "beta_fast", rope->high);
    json_bool(json, "truncate", rope->truncate);
    json_number(json, "attention_factor", rope->attention);
  }
  if (rope->type == ROPE_LLAMA3 || rope->type == ROPE_YARN)
    json_number(json, "original_max_position_embeddings", rope->original_positions);
  json_object_end(json);
}

// Without tokens, null is written: an absent key means one in transformers.
static void add_tokens(JsonWriter *json, const ModelConfig *config) {
  if (config->bos >= 0) json_integer(json, "bos_token_id", config->bos);
  if (config->bos < 0) json_null(json, "bos_token_id");
  if (config->eos_count == 0) json_null(json, "eos_token_id");
  if (config->eos_count == 1) json_integer(json, "eos_token_id", config->eos[0]);
  if (config->eos_count > 1) json_integers(json, "eos_token_id", config->eos, config->eos_count);
}

static void add_sizes(JsonWriter *json, const ModelConfig *config) {
  json_integer(json, "hidden_size", (int64_t)config->width);
  json_integer(json, "intermediate_size", (int64_t)config->ffn);
  json_integer(json, "num_hidden_layers", (int64_t)config->layers);
  json_integer(json, "num_attention_heads", (int64_t)config->heads);
  json_integer(json, "num_key_value_heads", (int64_t)config->kv_heads);
  json_integer(json, "head_dim", (int64_t)config->head_dim);
  json_integer(json, "vocab_size", (int64_t)config->vocab);
  json_integer(json, "max_position_embeddings", (int64_t)config->max_positions);
}

static void add_switches(JsonWriter *json, const ModelConfig *config) {
  const ModelFamily *family = config->family;
  for (size_t i = 0; i < family->bias_count; i++) {
    const BiasGroup *group = &family->biases[i];
    bool on = false;
    for (size_t j = 0; j < LINEARS; j++) on = on || (group->linears[j] && config->biases[j]);
    if (group->key != NULL) json_bool(json, group->key, on);
  }
  for (size_t i = 0; i < family->off_key_count; i++) {
    const OffKey *off = &family->off_keys[i];
    if (off->written == OFF_FALSE) json_bool(json, off->key, false);
    if (off->written == OFF_NULL) json_null(json, off->key);
  }
}

static void add_init(JsonWriter *json, const InitConfig *init) {
  json_number(json, "initializer_range", hf_decimal(init->deviation));
  if (init->padding != SIZE_MAX) json_integer(json, "pad_token_id", (int64_t)init->padding);
}

/// `init` may be NULL.
static Status write_config(const ModelConfig *config, DType type, const InitConfig *init,
                           const char *directory) {
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  json_array_begin(&json, "architectures");
  json_string(&json, NULL, config->family->class_name);
  json_array_end(&json);
  json_string(&json, "model_type", config->family->name[FORMAT_HF]);
  add_sizes(&json, config);
  json_string(&json, "hidden_act", "silu");
  json_number(&json, "rms_norm_eps", hf_decimal(config->rms_eps));
  add_rope(&json, &config->rope);
  json_bool(&json, "tie_word_embeddings", config->tied);
  add_switches(&json, config);
  json_integer(&json, "attention_dropout", 0);
  json_bool(&json, "use_cache", true);
  const char *dtype = type == DTYPE_F32 ? "float32" : type == DTYPE_F16 ? "float16" : "bfloat16";
  json_string(&json, "torch_dtype", dtype);
  add_tokens(&json, config);
  if (init != NULL) add_init(&json, init);
  json_object_end(&json);
  return json_save(&json, directory, "config.json");
}

static Status write_generation_config(const ModelConfig *config, const char *directory) {
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  json_bool(&json, "_from_model_config", true);
  add_tokens(&json, config);
  json_object_end(&json);
  return json_save(&json, directory, "generation_config.json");
}

Status model_config_write(const ModelConfig *config, DType type, const char *directory) {
  TRY(write_config(config, type, NULL, directory));
  return write_generation_config(config, directory);
}

Status init_config_write(const InitConfig *config, const char *directory) {
  TRY(write_config(&config->model, config->type, config, directory));
  return write_generation_config(&config->model, directory);
}

Status model_config_copy_generation(const ModelFiles *files, const char *directory) {
  if (tensors_is_gguf(model_files_tensors(files))) return STATUS_OK;
  return file_copy(model_files_path(files), directory, "generation_config.json", false);
}
