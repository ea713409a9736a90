// A model's config from GGUF metadata (ggml's docs/gguf.md has the keys). Rule: as in model_config_hf.c, a
// setting that would change the numbers and is not computed here is an error.
#include "formats.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *gguf_key(char key[GGUF_KEY_SIZE], const char *architecture, const char *name) {
  (void)snprintf(key, GGUF_KEY_SIZE, "%s.%s", architecture, name);
  return key;
}

/// `fallback` 0: the key must be there.
static Status read_size(const TensorFile *file, const char *architecture, const char *name, int64_t fallback,
                        size_t *out) {
  char key[GGUF_KEY_SIZE];
  int64_t value = 0;
  gguf_key(key, architecture, name);
  if (fallback > 0) {
    TRY(gguf_get_integer_or(file, key, fallback, &value));
  } else {
    TRY(gguf_get_integer(file, key, &value));
  }
  if (value < 1 || value > INT32_MAX) {
    return status_fail(STATUS_INPUT, "%s: metadata %s is %lld, expected 1 or more", tensors_path(file), key,
                       (long long)value);
  }
  *out = (size_t)value;
  return STATUS_OK;
}

/// Refuses a GGUF file that is no language model. Older projectors say so by their architecture alone.
static Status check_kind(const TensorFile *file, const char *architecture) {
  static const struct {
    const char *type, *what;
  } others[] = {
      {"adapter", "a LoRA adapter of llama.cpp; give the model itself (adapters are read in PEFT's format)"},
      {"mmproj", "the projector of a model that sees or hears; give the file of its language model"},
      {"imatrix", "an importance matrix, made for quantising; give the model itself"}};
  const char *type = NULL;
  TRY(gguf_get_string_or_null(file, "general.type", &type));
  if (architecture != NULL && strcmp(architecture, "clip") == 0) type = "mmproj";
  if (type == NULL || strcmp(type, "model") == 0) return STATUS_OK;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    if (strcmp(type, others[i].type) == 0)
      return status_fail(STATUS_INPUT, "%s: is %s", tensors_path(file), others[i].what);
  }
  return status_fail(STATUS_INPUT, "%s: metadata general.type is \"%s\", but must be \"model\"",
                     tensors_path(file), type);
}

static Status read_family(const TensorFile *file, const char **architecture, ModelConfig *config) {
  TRY(gguf_get_string_or_null(file, "general.architecture", architecture));
  TRY(check_kind(file, *architecture));
  if (*architecture == NULL) {
    return status_fail(STATUS_INPUT, "%s: metadata general.architecture is missing", tensors_path(file));
  }
  return family_find(FORMAT_GGUF, *architecture, tensors_path(file), &config->family);
}

static Status read_sizes(const TensorFile *file, const char *architecture, ModelConfig *config) {
  TRY(read_size(file, architecture, "block_count", 0, &config->layers));
  TRY(read_size(file, architecture, "embedding_length", 0, &config->width));
  TRY(read_size(file, architecture, "attention.head_count", 0, &config->heads));
  TRY(read_size(file, architecture, "attention.head_count_kv", (int64_t)config->heads, &config->kv_heads));
  TRY(read_size(file, architecture, "feed_forward_length", 0, &config->ffn));
  TRY(read_size(file, architecture, "context_length", 0, &config->max_positions));
  if (config->heads > config->width) {
    return status_fail(STATUS_INPUT, "%s: %zu attention heads in a width of %zu", tensors_path(file),
                       config->heads, config->width);
  }
  int64_t share = (int64_t)(config->width / config->heads);
  size_t value_length = 0;
  size_t rotated = 0;
  TRY(read_size(file, architecture, "attention.key_length", share, &config->head_dim));
  TRY(read_size(file, architecture, "attention.value_length", (int64_t)config->head_dim, &value_length));
  TRY(read_size(file, architecture, "rope.dimension_count", (int64_t)config->head_dim, &rotated));
  if (value_length != config->head_dim || rotated != config->head_dim) {
    return status_fail(STATUS_INPUT,
                       "%s: key length %zu, value length %zu and rotated part %zu differ; not supported",
                       tensors_path(file), config->head_dim, value_length, rotated);
  }
  char key[GGUF_KEY_SIZE];
  double eps = 0;
  TRY(gguf_get_number_or(file, gguf_key(key, architecture, "attention.layer_norm_rms_epsilon"), 0, &eps));
  if (eps == 0) return status_fail(STATUS_INPUT, "%s: metadata %s is missing", tensors_path(file), key);
  config->rms_eps = (float)eps;
  return STATUS_OK;
}

/// Refuses what would change the numbers and is not computed here. llama.cpp gives these keys to relatives of
/// our families, and a file may have any of them.
static Status check_off(const TensorFile *file, const char *architecture, const ModelConfig *config) {
  static const char *const keys[] = {"expert_count",           "attention.scale", "attention.clamp_kqv",
                                     "attn_logit_softcapping", "logit_scale",     "final_logit_softcapping",
                                     "residual_scale",         "embedding_scale", "nextn_predict_layers"};
  char key[GGUF_KEY_SIZE];
  double value = 0;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    TRY(gguf_get_number_or(file, gguf_key(key, architecture, keys[i]), 0, &value));
    if (value == 0) continue;
    return status_fail(STATUS_INPUT, "%s: metadata %s is %g, which is not supported", tensors_path(file), key,
                       value);
  }
  TRY(gguf_get_number_or(file, gguf_key(key, architecture, "attention.causal"), 1, &value));
  if (value == 0)
    return status_fail(STATUS_INPUT, "%s: metadata %s is false: the model does not predict the next token",
                       tensors_path(file), key);
  TRY(gguf_get_number_or(file, gguf_key(key, architecture, "attention.sliding_window"), 0, &value));
  if (value == 0 || value >= (double)config->max_positions) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: metadata %s is %g: a sliding window is not supported",
                     tensors_path(file), key, value);
}

static void read_biases(const TensorFile *file, ModelConfig *config) {
  const ModelFamily *family = config->family;
  for (size_t i = 0; i < family->bias_count; i++) {
    const BiasGroup *group = &family->biases[i];
    if (group->key == NULL || weights_have_biases(config, file, group))
      model_config_add_biases(config, group);
  }
}

/// Whether the token ends a turn in the model's own chat template, though no key names it: llama.cpp stops at
/// these too, by their texts. (It stops at some that the template does not write as well; those are left to
/// the keys.)
static bool ends_turn(const char *token, size_t size, const char *template) {
  static const char *const texts[] = {"<|im_end|>",
                                      "<|eot_id|>",
                                      "<|eom_id|>",
                                      "<|end|>",
                                      "<end_of_turn>",
                                      "<|eot|>",
                                      "<|END_OF_TURN_TOKEN|>",
                                      "<EOT>"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (strlen(texts[i]) == size && memcmp(texts[i], token, size) == 0)
      return strstr(template, texts[i]) != NULL;
  return false;
}

static Status add_template_ends(const TensorFile *file, ModelConfig *config) {
  static const char tokens[] = "tokenizer.ggml.tokens";
  enum { CONTROL = 3 }; // of tokenizer.ggml.token_type
  const char *template = NULL, *token = NULL;
  int64_t *types = NULL;
  size_t count = 0, type_count = 0, size = 0;
  TRY(gguf_get_string_or_null(file, "tokenizer.chat_template", &template));
  if (template == NULL) return STATUS_OK;
  TRY(gguf_get_integers(file, "tokenizer.ggml.token_type", &types, &type_count));
  Status status = STATUS_OK;
  if (types != NULL) status = gguf_get_strings(file, tokens, &count);
  for (size_t id = 0; status == STATUS_OK && id < count && id < type_count; id++) {
    gguf_string_at(file, tokens, id, &token, &size);
    if (types[id] == CONTROL && ends_turn(token, size, template))
      status = model_config_add_eos(config, (int64_t)id, tensors_path(file), tokens);
  }
  free(types);
  return status;
}

static Status read_tokens(const TensorFile *file, ModelConfig *config) {
  const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                              "tokenizer.ggml.eom_token_id"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    int64_t id = 0;
    TRY(gguf_get_integer_or(file, keys[i], -1, &id));
    if (id != -1) TRY(model_config_add_eos(config, id, tensors_path(file), keys[i]));
  }
  TRY(add_template_ends(file, config));
  int64_t bos = -1;
  TRY(gguf_get_integer_or(file, "tokenizer.ggml.bos_token_id", -1, &bos));
  model_config_set_bos(config, bos, tensors_path(file), "tokenizer.ggml.bos_token_id");
  return STATUS_OK;
}

Status model_config_read_gguf(const TensorFile *tensors, ModelConfig *config) {
  const char *architecture = NULL;
  TRY(read_family(tensors, &architecture, config));
  TRY(read_sizes(tensors, architecture, config));
  TRY(check_off(tensors, architecture, config));
  TRY(rope_read_gguf(tensors, architecture, config, &config->rope));
  read_biases(tensors, config);
  char name[WEIGHT_NAME_SIZE];
  weight_name(config->family, FORMAT_GGUF, WEIGHT_HEAD, name);
  config->tied = tensors_find(tensors, name) == NULL;
  weight_name(config->family, FORMAT_GGUF, WEIGHT_EMBEDDING, name);
  const StoredTensor *embedding = tensors_find(tensors, name);
  if (embedding == NULL || embedding->rank != 2) {
    return status_fail(STATUS_INPUT, "%s: tensor %s is missing or not a matrix", tensors_path(tensors), name);
  }
  config->vocab = embedding->shape[0];
  return read_tokens(tensors, config);
}
