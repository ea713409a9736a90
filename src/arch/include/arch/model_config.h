// The sizes and constants of a model, from config.json or GGUF metadata.
#pragma once

#include "arch/family.h"
#include <stdint.h>

enum { MODEL_MAX_EOS = 8 };

typedef struct ModelConfig {
  const ModelFamily *family;
  size_t layers, width /*C*/, heads /*H*/, kv_heads /*HK*/, head_dim /*D*/, ffn /*F*/, vocab /*V*/,
      max_positions;
  float rms_eps;
  double rope_theta;
  // Llama 3's rope scaling; factor 1: none
  double rope_factor, rope_low, rope_high, rope_original_positions;
  bool tied;                  // the head is the embedding
  int32_t eos[MODEL_MAX_EOS]; // from generation_config.json, else config.json; or from GGUF
  size_t eos_count;
  int32_t bos; // −1: none
} ModelConfig;

/// inv_freq[D/2] of the rotary embedding, with Llama 3's scaling.
void model_config_inverse_frequencies(const ModelConfig *config, double *inv_freq);
