// Descriptions of the model families that this program computes. A family is one entry of the table in
// families.c. Code that reads configs, names tensors or writes folders asks the entry, never which family it
// is.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

/// Whose format a model is stored in: Hugging Face's or llama.cpp's.
typedef enum ModelFormat { FORMAT_HF, FORMAT_GGUF, FORMATS } ModelFormat;

/// The matrices of a layer.
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

typedef enum WeightKind {
  WEIGHT_EMBEDDING,
  WEIGHT_FINAL_NORM,
  WEIGHT_HEAD, // unless it is the embedding
  WEIGHT_ATTENTION_NORM,
  WEIGHT_FFN_NORM,
  WEIGHT_LINEAR,
  WEIGHT_BIAS, // of the matrices that have one
} WeightKind;

/// The name of one weight in each format. '#' stands for the number of the layer, in weights that every layer
/// has. A file adds ".weight", or ".bias" for WEIGHT_BIAS. PEFT's name of a matrix is the last part of
/// Hugging Face's: "model.layers.#.self_attn.q_proj" is the target q_proj.
typedef struct WeightName {
  WeightKind kind;
  LinearRole linear; // WEIGHT_LINEAR, WEIGHT_BIAS
  const char *name[FORMATS];
} WeightName;

/// A key of config.json that switches on something not computed here: refused unless it is missing, null or
/// false.
typedef struct OffKey {
  const char *key;
  enum { OFF_ABSENT, OFF_FALSE, OFF_NULL } written; // in the configs that this program writes
} OffKey;

/// Matrices that have biases together.
typedef struct BiasGroup {
  const char *key; // config.json's switch; GGUF says it by having the tensors. NULL: always there
  bool linears[LINEARS];
} BiasGroup;

typedef struct ModelFamily {
  // config.json's model_type; GGUF's general.architecture. NULL: that format stores it as another family.
  const char *name[FORMATS];
  const char *class_name; // in "architectures" of config.json
  const char *chat;       // chat family (text/chat.h) to suggest for an unknown template; NULL: none
  const BiasGroup *biases;
  size_t bias_count;
  bool gguf_interleaved; // GGUF stores the two rows of a rotated pair of q and k next to each other
  // What an absent key of config.json means in transformers.
  size_t default_positions; // max_position_embeddings
  size_t default_kv_heads;  // num_key_value_heads; 0: as many as attention heads
  // Its config class has no windows, so transformers does not drop one that is written all the same.
  bool keeps_window;
  const OffKey *off_keys;
  size_t off_key_count;
  // In the order of the table of weights, those of a layer together.
  const WeightName *weights;
  size_t weight_count;
} ModelFamily;

/// Entry `index` of the table; NULL after the last.
const ModelFamily *family_at(size_t index);
/// The family called `name` in this format. If there is none, STATUS_INPUT names `file` and the supported
/// families.
STATUS_CHECKED Status family_find(ModelFormat format, const char *name, const char *file,
                                  const ModelFamily **out);
/// PEFT's name of a matrix in target_modules: "q_proj"; NULL if the family has no such matrix.
const char *family_linear_name(const ModelFamily *family, LinearRole role);
