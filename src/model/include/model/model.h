// A transformer on a device: its weights, its trained parameters, and passes over it. This room knows the
// layers and their order, but no kernels.
#pragma once

#include "arch/files.h"
#include "arch/lora.h"
#include "model/batch.h"
#include "ops/ops.h"
#include <stdatomic.h>

typedef struct Model Model;

/// Loads the weights, dequantised: matrices as F32, F16 or BF16 (config model.dtype), norms and biases as
/// F32.
STATUS_CHECKED Status model_load(Ops *ops, const ModelFiles *files, DType matrices, Model **out);
void model_free(Model *model);
const ModelConfig *model_config(const Model *model);
Ops *model_ops(const Model *model);

// ---- trained parameters: call at most one of these, before passes are created; for inference, none ----

/// Adds fresh adapters: A uniform in ±1/sqrt(in) (PEFT's kaiming_uniform with a = √5), B zero, from `seed`.
STATUS_CHECKED Status model_add_lora(Model *model, const LoraOptions *options, uint64_t seed);
/// Makes every weight trainable; the model must have been loaded as F32.
STATUS_CHECKED Status model_train_full(Model *model);
/// Adds the adapters of a PEFT folder (adapter_config.json, adapter_model.safetensors), trainable.
STATUS_CHECKED Status model_load_adapter(Model *model, const char *directory);

/// One trained tensor. ParamSet's table is the only list of them.
typedef struct ParamSpec {
  char *name;  // the tensor's name in a file: PEFT's or Hugging Face's
  size_t rank; // in the file: 1 (rows = 1) or 2
  size_t rows, cols;
  size_t slab, offset; // `offset` in elements
} ParamSpec;

/// Values and gradients of the trained parameters, in as few slabs as the device's largest allocation
/// permits. The padding between parameters is zero in both.
typedef struct ParamSet {
  ParamSpec *specs;
  size_t count;
  Tensor *values, *grads; // [slabs], each [1, n] float32
  size_t slabs;
} ParamSet;
/// NULL if nothing is trained. Owned by the model.
ParamSet *model_params(Model *model);
STATUS_CHECKED Status params_zero_grads(ParamSet *params);

/// Writes the trained parameters into `directory` (inside an AtomicDir): a PEFT adapter or, for a fully
/// trained model, the weights and configs of a Hugging Face folder.
STATUS_CHECKED Status model_save_trained(Model *model, const char *directory);
/// Reads what model_save_trained wrote back into the same parameters.
STATUS_CHECKED Status model_load_trained(Model *model, const char *directory);
/// Writes into `directory` the weights with the adapters merged in, rounded to `type` (F32, F16, BF16),
/// config.json and generation_config.json. tokenizer_export adds the tokenizer. STATUS_INTERRUPTED once *stop
/// (may be NULL) is true.
STATUS_CHECKED Status model_export_merged(Model *model, const ModelFiles *files, DType type,
                                          const char *directory, const atomic_bool *stop);

// ---- passes ----

typedef enum PassKind {
  PASS_INFERENCE, // keeps only keys and values, in a cache of `cache_rows`
  PASS_TRAINING,  // keeps activations for the backward
} PassKind;

typedef struct PassOptions {
  PassKind kind;
  size_t max_rows;       // of one forward
  size_t cache_rows;     // PASS_INFERENCE: key rows over all sequences
  size_t head_tile_rows; // logits of this many rows exist at a time
  // PASS_TRAINING: keep only the inputs of layers and recompute the rest (activation checkpointing).
  bool checkpoint;
} PassOptions;

typedef struct Pass Pass;
/// Allocates everything that forwards and backwards of these sizes need.
STATUS_CHECKED Status pass_create(Model *model, const PassOptions *options, Pass **out);
void pass_free(Pass *pass);
/// The options it was created with (head_tile_rows at most max_rows), and its model.
const PassOptions *pass_options(const Pass *pass);
Model *pass_model(const Pass *pass);

/// What the random numbers of LoRA's dropout depend on. Inference passes ignore it.
typedef struct DropoutDraw {
  bool on;
  uint64_t seed;
  uint32_t step;
} DropoutDraw;
/// Training and scoring: runs all rows of `batch`. PASS_TRAINING keeps what the backward needs.
STATUS_CHECKED Status pass_forward(Pass *pass, const Batch *batch, DropoutDraw dropout);

/// After pass_forward, or pass_forward_cached of the batch's rows: H (nats, at tau) and log Z of every head
/// row of the batch, and the log probability (at tau) of every prediction. Any output may be NULL.
STATUS_CHECKED Status pass_statistics(Pass *pass, const Batch *batch, float tau, float *entropy /*[R]*/,
                                      float *log_z /*[R]*/, float *logprob /*[predictions]*/);

/// STATUS_FAILED if stats[count, 2] of op_entropy (log Z and H) has a number that is not finite.
/// pass_statistics checks its own.
STATUS_CHECKED Status pass_check_statistics(const float *stats, size_t count);

/// After pass_forward (PASS_TRAINING): adds the gradient of Σ_r weights[r] · H_r to the parameters'
/// gradients. `entropy` and `log_z` are those of the same rows from pass_statistics, or NULL to compute them
/// again.
STATUS_CHECKED Status pass_backward(Pass *pass, const Batch *batch, float tau, const float *weights /*[R]*/,
                                    const float *entropy, const float *log_z);

/// Sampling: rows that put their keys and values into cache rows `cache_row` and see cache rows `spans`.
typedef struct CachedRows {
  size_t rows;
  const int32_t *ids, *positions, *cache_row; // [rows]
  const int32_t *spans;                       // [rows,4]
} CachedRows;
/// PASS_INFERENCE with a cache.
STATUS_CHECKED Status pass_forward_cached(Pass *pass, const CachedRows *rows);
/// Logits [count, V] of `count` ≤ head_tile_rows rows of the last forward. The pass owns the tensor; the next
/// use of the head overwrites it.
STATUS_CHECKED Status pass_logits(Pass *pass, const int32_t *rows, size_t count, const Tensor **logits);
