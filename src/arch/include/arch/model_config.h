// The sizes and constants of a model, from config.json or GGUF metadata.
#pragma once

#include "arch/family.h"
#include "arch/rope.h"
#include <stdint.h>

enum { MODEL_MAX_EOS = 64 };

typedef struct ModelConfig {
  const ModelFamily *family;
  size_t layers, width /*C*/, heads /*H*/, kv_heads /*HK*/, head_dim /*D*/, ffn /*F*/, vocab /*V*/,
      max_positions;
  float rms_eps;
  Rope rope;
  bool biases[LINEARS]; // the matrices of a layer that have one
  bool tied;            // the head is the embedding
  // From generation_config.json, or from config.json if there is no such file; or from GGUF.
  int32_t eos[MODEL_MAX_EOS];
  size_t eos_count;
  int32_t bos; // −1: none
} ModelConfig;

/// Adds the biases of a group of the family.
void model_config_add_biases(ModelConfig *config, const BiasGroup *group);
