// What configs of both formats share: the checks.
#include "formats.h"

static Status check_size(const char *name, const char *what, size_t value, size_t low, size_t high) {
  if (value >= low && value <= high) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: %s is %zu, expected %zu to %zu", name, what, value, low, high);
}

Status model_config_check(const ModelConfig *config, const char *name) {
  TRY(check_size(name, "number of layers", config->layers, 1, 1024));
  TRY(check_size(name, "hidden size", config->width, 1, 1 << 17));
  TRY(check_size(name, "number of attention heads", config->heads, 1, 1024));
  TRY(check_size(name, "number of key/value heads", config->kv_heads, 1, config->heads));
  TRY(check_size(name, "head size", config->head_dim, 2, 1024));
  TRY(check_size(name, "feed-forward size", config->ffn, 1, 1 << 20));
  TRY(check_size(name, "vocabulary size", config->vocab, 1, 1 << 24));
  TRY(check_size(name, "number of positions", config->max_positions, 1, (size_t)1 << 30));
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
  TRY(rope_check(&config->rope, name));
  for (size_t i = 0; i < config->eos_count; i++) {
    if (config->eos[i] < 0 || (size_t)config->eos[i] >= config->vocab) {
      return status_fail(STATUS_INPUT, "%s: eos token %d is outside the vocabulary of %zu", name,
                         config->eos[i], config->vocab);
    }
  }
  return STATUS_OK;
}

void model_config_add_biases(ModelConfig *config, const BiasGroup *group) {
  for (size_t i = 0; i < LINEARS; i++) config->biases[i] = config->biases[i] || group->linears[i];
}
