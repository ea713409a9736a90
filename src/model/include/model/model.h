// A transformer on a device: its frozen weights, what of it is trained, and passes over it. This room knows
// layers and their order, and never a kernel.
#pragma once

#include "arch/files.h"
#include "arch/lora.h"
#include "model/batch.h"
#include "ops/ops.h"

typedef struct Model Model;

/// Loads the weights, de-quantised, the matrices as F32, F16 or BF16 (config model.dtype); norms and biases
/// are F32. From here on every weight's tensor says its own type.
STATUS_CHECKED Status model_load(Ops *ops, const ModelFiles *files, DType matrices, Model **out);
void model_free(Model *model);
const ModelConfig *model_config(const Model *model);
Ops *model_ops(const Model *model);

// ---- what is trained: exactly one of these, before passes are created; neither = inference ----

/// Adds fresh adapters: A uniform in ±1/sqrt(in) (PEFT's kaiming_uniform with a = √5), B zero, from `seed`.
STATUS_CHECKED Status model_add_lora(Model *model, const LoraOptions *options, uint64_t seed);
/// Makes every weight trainable; the model must have been loaded as F32.
STATUS_CHECKED Status model_train_full(Model *model);
/// Adds the adapters of a PEFT folder (adapter_config.json, adapter_model.safetensors), trainable.
STATUS_CHECKED Status model_load_adapter(Model *model, const char *directory);

/// One trained tensor; the table of them is the one list of what is trained.
typedef struct ParamSpec {
  char *name;  // the file name of the tensor: PEFT's or Hugging Face's
  size_t rank; // in the file: 1 (rows = 1) or 2
  size_t rows, cols;
  size_t slab, offset; // where it lies, in elements
} ParamSpec;

/// Values and gradients of what is trained, in as few slabs as the device's largest allocation permits.
/// Padding between parameters is zero in both.
typedef struct ParamSet {
  ParamSpec *specs;
  size_t count;
  Tensor *values, *grads; // [slabs], each [1, n] float32
  size_t slabs;
} ParamSet;
/// NULL where nothing is trained. Owned by the model.
ParamSet *model_params(Model *model);
STATUS_CHECKED Status params_zero_grads(ParamSet *params);

/// Writes what is trained into `directory` (inside an AtomicDir): a PEFT adapter, or for a fully trained
/// model a Hugging Face folder's weights and config.
STATUS_CHECKED Status model_save_trained(Model *model, const char *directory);
/// Reads back what model_save_trained wrote, into the same parameters.
STATUS_CHECKED Status model_load_trained(Model *model, const char *directory);
/// Writes a Hugging Face folder's weights with the adapters merged in, each rounded to `type` (F32, F16,
/// BF16), config.json and generation_config.json. The tokenizer is text's (tokenizer_export, into the same
/// folder).
STATUS_CHECKED Status model_export_merged(Model *model, const ModelFiles *files, DType type,
                                          const char *directory);

// ---- passes ----

typedef enum PassKind {
  PASS_INFERENCE, // keys and values kept in a cache of `cache_rows`, nothing else
  PASS_TRAINING,  // activations kept for the backward
} PassKind;

typedef struct PassOptions {
  PassKind kind;
  size_t max_rows;       // of one forward
  size_t cache_rows;     // PASS_INFERENCE: key rows over all sequences
  size_t head_tile_rows; // logits of this many rows exist at a time
  // PASS_TRAINING: keep only the inputs of layers, and compute the rest again (activation checkpointing).
  bool checkpoint;
} PassOptions;

typedef struct Pass Pass;
/// Allocates all that passes of these sizes need.
STATUS_CHECKED Status pass_create(Model *model, const PassOptions *options, Pass **out);
void pass_free(Pass *pass);
/// The sizes it was created with, and the model it runs.
const PassOptions *pass_options(const Pass *pass);
Model *pass_model(const Pass *pass);

/// What LoRA's dropout is drawn from; `on` only in PASS_TRAINING.
typedef struct DropoutDraw {
  bool on;
  uint64_t seed;
  uint32_t step;
} DropoutDraw;
/// Training and scoring: runs all rows of `batch`. In PASS_TRAINING, what the backward needs is kept.
STATUS_CHECKED Status pass_forward(Pass *pass, const Batch *batch, DropoutDraw dropout);

/// After pass_forward, or pass_forward_cached of the batch's rows: H (nats, at tau) and log Z of every head
/// row of the batch, and the log probability (at tau) of every prediction. Any output may be NULL. Logits
/// exist for head_tile_rows rows at a time.
STATUS_CHECKED Status pass_statistics(Pass *pass, const Batch *batch, float tau, float *entropy /*[R]*/,
                                      float *log_z /*[R]*/, float *logprob /*[predictions]*/);

/// After pass_forward (PASS_TRAINING): adds the gradient of Σ_r weights[r] · H_r to the parameters'
/// gradients. entropy/log_z: statistics of those rows if already known (from pass_statistics of the same
/// rows), else NULL.
STATUS_CHECKED Status pass_backward(Pass *pass, const Batch *batch, float tau, const float *weights /*[R]*/,
                                    const float *entropy, const float *log_z);

/// Sampling: runs rows whose keys and values go to cache rows `cache_row`, and which see cache rows `spans`.
typedef struct CachedRows {
  size_t rows;
  const int32_t *ids, *positions, *cache_row; // [rows]
  const int32_t *spans;                       // [rows,4]
} CachedRows;
/// PASS_INFERENCE.
STATUS_CHECKED Status pass_forward_cached(Pass *pass, const CachedRows *rows);
/// Logits of `count` (≤ head_tile_rows) rows of the last forward, in a tensor [count, V] that the pass owns
/// and the next call overwrites.
STATUS_CHECKED Status pass_logits(Pass *pass, const int32_t *rows, size_t count, const Tensor **logits);
