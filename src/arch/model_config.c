// What configs of both formats share: the checks.
#include "formats.h"
#include "util/log.h"

/// A size with its words, and what config.json and a GGUF file call it.
typedef struct SizeRange {
  const char *what, *keys[2]; // by ModelFormat
  size_t value, low, high;
} SizeRange;

static Status check_sizes(const ModelConfig *config, ModelFormat format, const char *name) {
  const SizeRange sizes[] = {
      {"number of layers", {"num_hidden_layers", "block_count"}, config->layers, 1, 1024},
      {"hidden size", {"hidden_size", "embedding_length"}, config->width, 1, 1 << 17},
      {"number of attention heads", {"num_attention_heads", "attention.head_count"}, config->heads, 1, 1024},
      {"number of key/value heads",
       {"num_key_value_heads", "attention.head_count_kv"},
       config->kv_heads,
       1,
       config->heads},
      {"head size", {"head_dim", "attention.key_length"}, config->head_dim, 2, 1024},
      {"feed-forward size", {"intermediate_size", "feed_forward_length"}, config->ffn, 1, 1 << 20},
      {"vocabulary size", {"vocab_size", "vocab_size"}, config->vocab, 1, 1 << 24},
      {"number of positions",
       {"max_position_embeddings", "context_length"},
       config->max_positions,
       1,
       (size_t)1 << 30}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const SizeRange *size = &sizes[i];
    if (size->value >= size->low && size->value <= size->high) continue;
    return status_fail(STATUS_INPUT, "%s: the %s (\"%s\") is %zu, expected %zu to %zu", name, size->what,
                       size->keys[format], size->value, size->low, size->high);
  }
  return STATUS_OK;
}

Status model_config_check(const ModelConfig *config, ModelFormat format, const char *name) {
  TRY(check_sizes(config, format, name));
  if (config->heads % config->kv_heads != 0) {
    return status_fail(STATUS_INPUT, "%s: %zu attention heads are not a multiple of %zu key/value heads",
                       name, config->heads, config->kv_heads);
  }
  if (config->head_dim % 2 != 0) {
    return status_fail(STATUS_INPUT, "%s: head size %zu is odd; rotary embedding needs pairs", name,
                       config->head_dim);
  }
  if (!(config->rms_eps > 0.0f && config->rms_eps < 1.0f)) {
    return status_fail(STATUS_INPUT, "%s: RMS norm epsilon is %g, expected between 0 and 1", name,
                       (double)config->rms_eps);
  }
  return rope_check(&config->rope, name);
}

Status model_config_add_eos(ModelConfig *config, int64_t token, const char *name, const char *key) {
  if (token < 0 || (uint64_t)token >= config->vocab)
    return status_fail(STATUS_INPUT,
                       "%s: %s has %lld, outside the vocabulary of 0 to %zu: no answer could end there; "
                       "correct it, or take it out",
                       name, key, (long long)token, config->vocab - 1);
  for (size_t i = 0; i < config->eos_count; i++)
    if (config->eos[i] == (int32_t)token) return STATUS_OK;
  if (config->eos_count == MODEL_MAX_EOS)
    return status_fail(STATUS_INPUT, "%s: %s lists more than %d tokens", name, key, MODEL_MAX_EOS);
  config->eos[config->eos_count++] = (int32_t)token;
  return STATUS_OK;
}

void model_config_set_bos(ModelConfig *config, int64_t token, const char *name, const char *key) {
  bool known = token >= 0 && (uint64_t)token < config->vocab;
  config->bos = known ? (int32_t)token : -1;
  if (known || token == -1) return;
  log_say(LOG_WARNING, "%s: %s is %lld, outside the vocabulary of 0 to %zu: it is taken for none", name, key,
          (long long)token, config->vocab - 1);
}

void model_config_add_biases(ModelConfig *config, const BiasGroup *group) {
  for (size_t i = 0; i < LINEARS; i++) config->biases[i] = config->biases[i] || group->linears[i];
}
