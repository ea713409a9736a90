// LoRA (Hu et al. 2021) as PEFT describes it: adapter_config.json, and the names of its targets and tensors.
// For each target W of a layer, y = W · x becomes y = W · x + (alpha / rank) · B · A · dropout(x).
#pragma once

#include "arch/weights.h"
#include "util/status.h"

/// What the user sets.
typedef struct LoraOptions {
  size_t rank;
  float alpha;
  float dropout;
  const char *targets; // names of matrices (family_linear_name), separated by commas; or "all"
} LoraOptions;

typedef struct Lora {
  size_t rank; // 0: no adapters
  float alpha, dropout;
  float scale; // alpha / rank
  bool targets[LINEARS];
} Lora;

/// STATUS_INPUT if a target is unknown or a number is out of range.
STATUS_CHECKED Status lora_from_options(const ModelConfig *config, const LoraOptions *options, Lora *out);
/// Reads directory/adapter_config.json. STATUS_INPUT also if it sets something that is not computed here.
STATUS_CHECKED Status lora_read_config(const ModelConfig *config, const char *directory, Lora *out);
/// Writes directory/adapter_config.json. `base` is the path of the base model.
STATUS_CHECKED Status lora_write_config(const ModelConfig *config, const Lora *lora, const char *base,
                                        const char *directory);
/// *out = the name in a file of adapter `which` ('A' or 'B') of a matrix, in fresh memory (free()).
STATUS_CHECKED Status lora_tensor_name(const WeightSpec *weight, char which, char **out);
