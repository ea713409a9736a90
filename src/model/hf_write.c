// Writes Hugging Face folders: config.json, generation_config.json, weights in one file or in shards with their index.
// Rule: whatever model the numbers came from, the config is written from ModelConfig, so it says what this program computed.
#include "io/file.h"
#include "io/json.h"
#include "parts.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t shard_bytes = UINT64_C(5) * 1000 * 1000 * 1000;

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

// ---- config ----

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

Status hf_write_config(const ModelConfig *config, StoredType type, const char *directory) {
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

// ---- weights ----

static uint64_t tensor_bytes(const TensorToWrite *tensor) {
  uint64_t bytes = tensor->type == STORED_F32 ? 4 : 2;
  for (size_t i = 0; i < tensor->rank; i++) bytes *= tensor->shape[i];
  return bytes;
}

// A shard's tensors are a run of the list; `fill` counts from the list's start.
typedef struct ShardSource {
  TensorFill fill;
  void *user;
  size_t first;
} ShardSource;

static Status shard_fill(void *user, size_t index, size_t first, size_t count, float *out) {
  const ShardSource *source = user;
  return source->fill(source->user, source->first + index, first, count, out);
}

// The end of the shard that begins at `first`.
static size_t shard_end(const TensorToWrite *tensors, size_t count, size_t first) {
  uint64_t bytes = 0;
  size_t end = first;
  while (end < count && (end == first || bytes + tensor_bytes(&tensors[end]) <= shard_bytes)) {
    bytes += tensor_bytes(&tensors[end++]);
  }
  return end;
}

static Status write_shard(const char *directory, const char *name, const TensorToWrite *tensors, size_t first,
                          size_t end, TensorFill fill, void *user) {
  char *path = NULL;
  ShardSource source = {.fill = fill, .user = user, .first = first};
  TRY(path_join(&path, directory, name));
  Status status = safetensors_write(path, tensors + first, end - first, NULL, shard_fill, &source);
  free(path);
  return status;
}

static Status write_index(const char *directory, const TensorToWrite *tensors, size_t count, size_t shards) {
  cJSON *json = cJSON_CreateObject();
  cJSON *metadata = cJSON_AddObjectToObject(json, "metadata");
  cJSON *map = cJSON_AddObjectToObject(json, "weight_map");
  uint64_t total = 0;
  size_t first = 0;
  for (size_t s = 0; s < shards; s++) {
    char name[64];
    (void)snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", s + 1, shards);
    size_t end = shard_end(tensors, count, first);
    for (size_t i = first; i < end; i++) {
      cJSON_AddStringToObject(map, tensors[i].name, name);
      total += tensor_bytes(&tensors[i]);
    }
    first = end;
  }
  cJSON_AddNumberToObject(metadata, "total_size", (double)total);
  return hf_write_json(json, directory, "model.safetensors.index.json");
}

Status hf_write_weights(const char *directory, const TensorToWrite *tensors, size_t count, TensorFill fill,
                        void *user) {
  size_t shards = 0;
  for (size_t first = 0; first < count; first = shard_end(tensors, count, first)) shards++;
  if (shards <= 1) return write_shard(directory, "model.safetensors", tensors, 0, count, fill, user);
  size_t first = 0;
  for (size_t s = 0; s < shards; s++) {
    char name[64];
    (void)snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", s + 1, shards);
    size_t end = shard_end(tensors, count, first);
    TRY(write_shard(directory, name, tensors, first, end, fill, user));
    first = end;
  }
  return write_index(directory, tensors, count, shards);
}
