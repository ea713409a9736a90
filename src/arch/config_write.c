// Writes a Hugging Face folder's config.json and generation_config.json. Rule: whatever model the numbers came from, the
// config is written from ModelConfig, so it says what this program computed.
#include "arch/config_write.h"

#include "formats.h"
#include "io/file.h"
#include "io/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Status hf_write_json(cJSON *object, const char *directory, const char *name) {
  if (object == NULL) return status_fail(STATUS_FAILED, "%s: out of memory", name);
  Status status = STATUS_OK;
  char *text = NULL;
  char *path = NULL;
  TRY_CLEAN(json_print(object, true, &text));
  TRY_CLEAN(path_join(&path, directory, name));
  TRY_CLEAN(file_write_atomic(path, text, strlen(text)));
cleanup:
  cJSON_Delete(object);
  free(text);
  free(path);
  return status;
}

double hf_decimal(float value) {
  char text[32];
  (void)snprintf(text, sizeof text, "%.7g", (double)value);
  return strtod(text, NULL);
}

static void add_rope(cJSON *json, const ModelConfig *config) {
  cJSON_AddNumberToObject(json, "rope_theta", config->rope_theta);
  if (config->rope_factor <= 1) {
    cJSON_AddNullToObject(json, "rope_scaling");
    return;
  }
  cJSON *scaling = cJSON_AddObjectToObject(json, "rope_scaling");
  cJSON_AddStringToObject(scaling, "rope_type", "llama3");
  cJSON_AddNumberToObject(scaling, "factor", config->rope_factor);
  cJSON_AddNumberToObject(scaling, "low_freq_factor", config->rope_low);
  cJSON_AddNumberToObject(scaling, "high_freq_factor", config->rope_high);
  cJSON_AddNumberToObject(scaling, "original_max_position_embeddings", config->rope_original_positions);
}

static void add_tokens(cJSON *json, const ModelConfig *config) {
  if (config->bos >= 0) cJSON_AddNumberToObject(json, "bos_token_id", config->bos);
  if (config->eos_count == 1) cJSON_AddNumberToObject(json, "eos_token_id", config->eos[0]);
  if (config->eos_count < 2) return;
  cJSON *list = cJSON_AddArrayToObject(json, "eos_token_id");
  for (size_t i = 0; i < config->eos_count; i++)
    cJSON_AddItemToArray(list, cJSON_CreateNumber(config->eos[i]));
}

Status config_write(const ModelConfig *config, StoredType type, const char *directory) {
  bool llama = config->family == MODEL_LLAMA;
  cJSON *json = cJSON_CreateObject();
  cJSON *architectures = cJSON_AddArrayToObject(json, "architectures");
  cJSON_AddItemToArray(architectures, cJSON_CreateString(llama ? "LlamaForCausalLM" : "Qwen2ForCausalLM"));
  cJSON_AddStringToObject(json, "model_type", llama ? "llama" : "qwen2");
  cJSON_AddNumberToObject(json, "hidden_size", (double)config->width);
  cJSON_AddNumberToObject(json, "intermediate_size", (double)config->ffn);
  cJSON_AddNumberToObject(json, "num_hidden_layers", (double)config->layers);
  cJSON_AddNumberToObject(json, "num_attention_heads", (double)config->heads);
  cJSON_AddNumberToObject(json, "num_key_value_heads", (double)config->kv_heads);
  cJSON_AddNumberToObject(json, "head_dim", (double)config->head_dim);
  cJSON_AddNumberToObject(json, "vocab_size", (double)config->vocab);
  cJSON_AddNumberToObject(json, "max_position_embeddings", (double)config->max_positions);
  cJSON_AddStringToObject(json, "hidden_act", "silu");
  cJSON_AddNumberToObject(json, "rms_norm_eps", hf_decimal(config->rms_eps));
  add_rope(json, config);
  cJSON_AddBoolToObject(json, "tie_word_embeddings", config->tied);
  if (llama) {
    cJSON_AddFalseToObject(json, "attention_bias");
    cJSON_AddFalseToObject(json, "mlp_bias");
  } else {
    cJSON_AddFalseToObject(json, "use_sliding_window");
  }
  cJSON_AddNumberToObject(json, "attention_dropout", 0);
  cJSON_AddTrueToObject(json, "use_cache");
  const char *dtype = type == STORED_F32 ? "float32" : type == STORED_F16 ? "float16" : "bfloat16";
  cJSON_AddStringToObject(json, "torch_dtype", dtype);
  add_tokens(json, config);
  TRY(hf_write_json(json, directory, "config.json"));
  cJSON *generation = cJSON_CreateObject();
  cJSON_AddTrueToObject(generation, "_from_model_config");
  add_tokens(generation, config);
  return hf_write_json(generation, directory, "generation_config.json");
}

Status config_copy_generation(const ModelFiles *files, const char *directory) {
  Status status = STATUS_OK;
  char *from = NULL;
  char *to = NULL;
  MappedFile file = {0};
  TRY_CLEAN(path_join(&from, model_files_path(files), "generation_config.json"));
  if (tensors_is_gguf(model_files_tensors(files)) || !file_exists(from)) goto cleanup;
  TRY_CLEAN(path_join(&to, directory, "generation_config.json"));
  TRY_CLEAN(file_map(from, &file));
  TRY_CLEAN(file_write_atomic(to, file.bytes, file.size));
cleanup:
  file_unmap(&file);
  free(from);
  free(to);
  return status;
}
