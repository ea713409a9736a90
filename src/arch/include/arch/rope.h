// The rotary embedding: which frequencies a head's pairs of elements turn with, and how they are scaled for
// longer texts.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

typedef enum RopeType {
  ROPE_DEFAULT,
  ROPE_LINEAR,  // every frequency divided by the factor
  ROPE_DYNAMIC, // as the default up to the model's positions; longer texts are refused everywhere
  ROPE_LLAMA3,  // transformers' _compute_llama3_parameters
  ROPE_YARN,    // Peng et al. 2023, as in transformers' _compute_yarn_parameters
  ROPE_TYPES
} RopeType;

typedef struct Rope {
  RopeType type;
  double theta;
  double factor; // 1 or more; 1 for the default
  // A frequency's turns in `original_positions` decide how much it is scaled: wholly below `low`, not at all
  // above `high`. Llama 3's low_freq_factor and high_freq_factor; YaRN's beta_slow and beta_fast.
  double low, high, original_positions;
  bool truncate;    // YaRN: the bounds of the blend are rounded to whole pairs
  double attention; // cos and sin are multiplied by it, so scores by its square; 1: none
} Rope;

/// The default type with this theta.
Rope rope_plain(double theta);
/// config.json's name of the type: "llama3".
const char *rope_type_name(RopeType type);
/// STATUS_INPUT if a number is out of range. `name` is the file in messages.
STATUS_CHECKED Status rope_check(const Rope *rope, const char *name);
/// out[head_dim / 2] = the frequencies, in radians per position.
void rope_inverse_frequencies(const Rope *rope, size_t head_dim, double *out);
/// YaRN's factor of cos and sin for a factor of the positions: 0.1 · weight · ln(factor) + 1.
double rope_yarn_attention(double factor, double weight);
