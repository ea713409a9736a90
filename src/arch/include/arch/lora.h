// LoRA (Hu et al. 2021) as PEFT describes it: adapter_config.json, and the names of its targets and tensors.
// An adapted matrix W computes y = W · x + scale · B · A · dropout(x), with a rank and a scale of its own.
// With magnitudes m (DoRA, Liu et al. 2024) each row of W + scale · B · A is brought to length m_row.
#pragma once

#include "arch/weights.h"
#include "util/status.h"

/// What the user sets: the same on every matrix that it adapts. scale = alpha / rank.
typedef struct LoraOptions {
  size_t rank;
  float alpha;
  float dropout;
  const char *targets; // names of matrices (family_linear_name), separated by commas; or "all"
} LoraOptions;

/// The adapter of one matrix.
typedef struct LoraTarget {
  size_t rank; // 0: the matrix has none
  float scale;
} LoraTarget;

/// Rows of the embedding or the head, distinct, for which an adapter's file has new values.
typedef struct LoraRows {
  size_t *rows; // [count]
  size_t count;
} LoraRows;

/// Zero-initialise it, and free it with lora_free.
typedef struct Lora {
  size_t rank;         // the largest of its targets; 0: no adapters
  LoraTarget *targets; // [layers · LINEARS]: lora_target
  // Only of an adapter that was read: of the embedding and of the head, and DoRA's magnitudes on every
  // matrix.
  LoraTarget embedding, head;
  bool magnitudes;
  // In a tied model those of the embedding are the head's too, unless the head has some of its own.
  LoraRows embedding_rows, head_rows;
  float alpha, dropout;
  // The matrices that lora_from_options adapts in every layer: what lora_write_config writes.
  bool roles[LINEARS];
  // Of an adapter that was read: [lora_weight_count] whether the config says that its file brings this weight
  // of the base with it (modules_to_save, bias). NULL for one that is trained here.
  bool *brings;
  bool keeps_tied; // an embedding that it brings is also the head of a tied model (ensure_weight_tying)
} Lora;

void lora_free(Lora *lora);
/// The adapter of a layer's matrix.
const LoraTarget *lora_target(const Lora *lora, size_t layer, LinearRole role);

/// The adapter of any weight; NULL if it has none.
const LoraTarget *lora_weight_target(const Lora *lora, const WeightSpec *weight);

/// STATUS_INPUT if a target is unknown or a number is out of range.
STATUS_CHECKED Status lora_from_options(const ModelConfig *config, const LoraOptions *options, Lora *out);
/// Reads directory/adapter_config.json by PEFT's rules. STATUS_INPUT also if it sets something that is not
/// computed here, or a key whose meaning is not known.
STATUS_CHECKED Status lora_read_config(const ModelConfig *config, const char *directory, Lora *out);
/// Writes directory/adapter_config.json of an adapter made by lora_from_options. `base` is the path of the
/// base model; of a .gguf file its folder is written.
STATUS_CHECKED Status lora_write_config(const ModelConfig *config, const Lora *lora, const char *base,
                                        const char *directory);

// ---- names of tensors ----

/// What a file has of the adapter of a weight: A [rank, in] and B [out, rank]; of an embedding [V, C], whose
/// rows are looked up, A is [rank, V] and B is [C, rank].
typedef enum LoraPart { LORA_A, LORA_B, LORA_MAGNITUDES /*[out]*/, LORA_ROWS /*[count, C]*/ } LoraPart;
/// *out = the name of a part in a file, in fresh memory (free()).
STATUS_CHECKED Status lora_tensor_name(const WeightSpec *weight, LoraPart part, char **out);
/// *out = a tensor's name as PEFT writes it, in fresh memory: without what torch.compile, FSDP and DDP put
/// into names and without the adapter's name "default", and with the prefix that transformers leaves out.
STATUS_CHECKED Status lora_usual_name(const char *stored, char **out);

/// An adapter may bring a head to a tied model. So the base's weights are counted here as if it were untied.
size_t lora_weight_count(const ModelConfig *config);
/// *spec = weight `index` of the base, and *out = its name in an adapter's file, in fresh memory.
STATUS_CHECKED Status lora_weight(const ModelConfig *config, const Lora *lora, size_t index, WeightSpec *spec,
                                  char **out);
