// What configs of both formats share: the checks, and the rotary frequencies.
#include "formats.h"
#include <math.h>

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
  bool rope_fine = isfinite(config->rope_theta) && config->rope_theta > 1 && isfinite(config->rope_factor) &&
                   config->rope_factor >= 1;
  if (rope_fine && config->rope_factor > 1) {
    rope_fine = config->rope_low > 0 && config->rope_high > config->rope_low && isfinite(config->rope_high) &&
                config->rope_original_positions > 0 && isfinite(config->rope_original_positions);
  }
  if (!rope_fine) {
    return status_fail(STATUS_INPUT, "%s: theta %g and factor %g of the rotary embedding are out of range",
                       name, config->rope_theta, config->rope_factor);
  }
  for (size_t i = 0; i < config->eos_count; i++) {
    if (config->eos[i] < 0 || (size_t)config->eos[i] >= config->vocab) {
      return status_fail(STATUS_INPUT, "%s: eos token %d is outside the vocabulary of %zu", name,
                         config->eos[i], config->vocab);
    }
  }
  return STATUS_OK;
}

// Llama 3's scaling, as in transformers' _compute_llama3_parameters: divides the frequency of long waves by
// rope_factor, keeps that of short ones, and blends linearly between them by the number of turns in
// rope_original_positions.
static double scaled_frequency(const ModelConfig *config, double frequency) {
  const double pi = 3.14159265358979323846;
  double turns = config->rope_original_positions * frequency / (2 * pi);
  if (turns > config->rope_high) return frequency;
  if (turns < config->rope_low) return frequency / config->rope_factor;
  double smooth = (turns - config->rope_low) / (config->rope_high - config->rope_low);
  return (1 - smooth) * frequency / config->rope_factor + smooth * frequency;
}

// Rounds where transformers rounds (float32 power, float32 reciprocal): at position 4,096 the last bit of a
// frequency changes the angle by 2e-4.
void model_config_inverse_frequencies(const ModelConfig *config, double *inv_freq) {
  for (size_t i = 0; i < config->head_dim / 2; i++) {
    float power = (float)pow(config->rope_theta, 2.0 * (double)i / (double)config->head_dim);
    double frequency = (double)(1.0f / power);
    inv_freq[i] = config->rope_factor > 1 ? scaled_frequency(config, frequency) : frequency;
  }
}
