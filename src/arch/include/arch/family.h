// The families of models that this program computes, as descriptions. A family is one entry of the table in
// families.c; what reads configs, names tensors and writes folders asks the entry, never which family it is.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

/// Who stored a model: Hugging Face's transformers or llama.cpp.
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
  WEIGHT_HEAD, // where it is not the embedding
  WEIGHT_ATTENTION_NORM,
  WEIGHT_FFN_NORM,
  WEIGHT_LINEAR,
  WEIGHT_BIAS, // where qkv_bias
} WeightKind;

/// What a family calls one weight, in each format. In the name of a weight that every layer has, '#' stands
/// for the layer's number. ".weight", or ".bias" for WEIGHT_BIAS, follows in every format. PEFT's name of a
/// matrix is the last part of Hugging Face's: "model.layers.#.self_attn.q_proj" is the target q_proj.
typedef struct WeightName {
  WeightKind kind;
  LinearRole linear; // WEIGHT_LINEAR, WEIGHT_BIAS
  const char *name[FORMATS];
} WeightName;

/// A key of config.json that switches on what is not computed here: refused unless it is absent, null or
/// false.
typedef struct OffKey {
  const char *key;
  enum { OFF_ABSENT, OFF_FALSE, OFF_NULL } written; // what a config that this program writes says
} OffKey;

typedef struct ModelFamily {
  // config.json's model_type; GGUF's general.architecture. NULL: that format stores it as another family.
  const char *name[FORMATS];
  const char *class_name; // in config.json's architectures
  const char *chat; // the chat family (text/chat.h) to suggest for an unknown template; NULL: none is usual
  bool qkv_bias;    // q, k and v have biases
  // GGUF stores the rows of a head of q and k with the two halves of a rotated pair side by side. Not for a
  // family with qkv_bias: biases are read as they stand.
  bool gguf_interleaved;
  const OffKey *off_keys;
  size_t off_key_count;
  // In the order of the table of weights; the weights of a layer stand together.
  const WeightName *weights;
  size_t weight_count;
} ModelFamily;

/// Entry `index` of the table; NULL behind the last.
const ModelFamily *family_at(size_t index);
/// The family called `name` in this format. STATUS_INPUT where there is none; names `file` and the families
/// supported.
STATUS_CHECKED Status family_find(ModelFormat format, const char *name, const char *file,
                                  const ModelFamily **out);
/// The name of a layer's matrix in PEFT's target_modules, "q_proj"; NULL where the family has no such matrix.
const char *family_linear_name(const ModelFamily *family, LinearRole role);
