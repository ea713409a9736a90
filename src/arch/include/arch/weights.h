// The table of a model's weights: the name of each in each format, its shape, and the order of its rows.
//
//   C width   V vocabulary   D head width
#pragma once

#include "arch/model_config.h"

enum { WEIGHT_NAME_SIZE = 96 };

/// One weight of the model as a file stores it.
typedef struct WeightSpec {
  WeightKind kind;
  size_t layer;
  LinearRole linear;             // WEIGHT_LINEAR, WEIGHT_BIAS
  char name[WEIGHT_NAME_SIZE];   // Hugging Face's
  char stored[WEIGHT_NAME_SIZE]; // the format's
  size_t rank, rows, cols;       // rank 1: rows = 1
  size_t permuted_head;          // D if the rows of a head are stored interleaved (gguf_interleaved), else 0
} WeightSpec;

size_t weight_count(const ModelConfig *config);
/// The name in `format` of a weight that is not in layers: WEIGHT_EMBEDDING, WEIGHT_FINAL_NORM or
/// WEIGHT_HEAD.
void weight_name(const ModelFamily *family, ModelFormat format, WeightKind kind, char out[WEIGHT_NAME_SIZE]);
/// *out = entry `index` of the table, as a file of `format` stores it. Layers come in order.
void weight_spec(const ModelConfig *config, ModelFormat format, size_t index, WeightSpec *out);
