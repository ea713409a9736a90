// The table of a model's weights: what each is called in each format, its shape, and how its file orders its rows.
//
//   C width   V vocabulary   D head width
#pragma once

#include "arch/config.h"

typedef enum LinearRole {
  LINEAR_Q,
  LINEAR_K,
  LINEAR_V,
  LINEAR_O,
  LINEAR_GATE,
  LINEAR_UP,
  LINEAR_DOWN,
  LINEARS
} LinearRole;

/// "q_proj", … as PEFT's target_modules and Hugging Face's names have them.
const char *linear_name(LinearRole role);

typedef enum WeightKind {
  WEIGHT_EMBEDDING,
  WEIGHT_FINAL_NORM,
  WEIGHT_HEAD,
  WEIGHT_ATTENTION_NORM,
  WEIGHT_FFN_NORM,
  WEIGHT_LINEAR,
  WEIGHT_BIAS,
} WeightKind;

enum { WEIGHT_NAME_SIZE = 96 };

/// One weight of the model as its file stores it.
typedef struct WeightSpec {
  WeightKind kind;
  size_t layer;
  LinearRole linear;             // WEIGHT_LINEAR, WEIGHT_BIAS
  char name[WEIGHT_NAME_SIZE];   // Hugging Face's
  char stored[WEIGHT_NAME_SIZE]; // in this file: Hugging Face's or GGUF's
  size_t rank, rows, cols;       // rank 1: rows = 1
  size_t permuted_head; // D where the rows of a head are stored interleaved (GGUF of a Llama), else 0
} WeightSpec;

size_t weight_count(const ModelConfig *config);
/// Entry `index` of the table, in the order of the layers.
void weight_spec(const ModelConfig *config, bool gguf, size_t index, WeightSpec *out);
