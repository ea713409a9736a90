// A transformer on a device: its weights, its trained parameters, and passes over it. This room knows the
// layers and their order, but no kernels.
#pragma once

#include "arch/files.h"
#include "arch/lora.h"
#include "model/batch.h"
#include "ops/ops.h"
#include <stdatomic.h>

typedef struct Model Model;

/// Loads the weights: matrices as F32, F16 or BF16, or with DTYPE_STORED each in its file's type if kernels
/// read it (ops_can_read), else as F32; norms and biases as F32. With DTYPE_STORED everything computes what
/// it computes with F32. Of files with model_files_quantise, the matrices of the layers have the type it
/// gives them instead.
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
/// Whether the base model can still be computed, without the adapters: no weight of it is trained, and no
/// adapter has replaced one or was merged into one.
bool model_has_base(const Model *model);

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
  bool targets;          // for pass_targets
  size_t kept_rows;      // rows that pass_keep_rows holds to compare others with; 0: none
  // PASS_TRAINING: keep only the inputs of layers and recompute the rest (activation checkpointing).
  bool checkpoint;
  // Once true, forwards and the head end with STATUS_INTERRUPTED, within a layer on a CPU; may be NULL.
  const atomic_bool *stop;
} PassOptions;

typedef struct Pass Pass;
/// Allocates everything that forwards and backwards of these sizes need. With COMPUTE_F16 the weights are
/// measured, so adapters are loaded before.
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

/// The same with the base model: no adapter is computed, and no backward may follow. STATUS_FAILED without
/// model_has_base.
STATUS_CHECKED Status pass_forward_base(Pass *pass, const Batch *batch);

/// After pass_forward, or pass_forward_cached of the batch's rows: H (nats, at tau) and log Z of every head
/// row of the batch, and the log probability (at tau) of every prediction. Any output may be NULL.
STATUS_CHECKED Status pass_statistics(Pass *pass, const Batch *batch, float tau, float *entropy /*[R]*/,
                                      float *log_z /*[R]*/, float *logprob /*[predictions]*/);

/// STATUS_FAILED if stats[count, 2] of op_entropy (log Z and H) has a number that is not finite.
/// pass_statistics checks its own.
STATUS_CHECKED Status pass_check_statistics(const float *stats, size_t count);

/// Keeps `rows` of the last forward as kept rows first, first + 1, …: what the head makes their logits of.
/// The forwards that follow leave them alone.
STATUS_CHECKED Status pass_keep_rows(Pass *pass, const int32_t *rows, size_t count, size_t first);

/// A head row, whose distribution is p, compared with a kept row, whose distribution is q; both at tau.
typedef struct HeadLink {
  size_t row, kept;       // index into the batch's head rows; number of the kept row
  float forward, reverse; // of the backward: dL/dKL(p‖q) and dL/dKL(q‖p)
  float kl;               // filled in: KL(p‖q) in nats
} HeadLink;

/// After pass_forward: fills in the KL of `count` links, which are ordered by row. A row may have several.
STATUS_CHECKED Status pass_divergences(Pass *pass, const Batch *batch, float tau, HeadLink *links,
                                       size_t count);

/// What a backward starts from: the derivatives of the loss by what the head computes.
typedef struct HeadGradient {
  float tau;
  const float *weights;         // [R] dL/dH of each head row
  const float *entropy, *log_z; // [R] of pass_statistics for the same rows, or NULL to compute them again
  HeadLink *links;              // [link_count] ordered by row
  size_t link_count;
} HeadGradient;

/// After pass_forward (PASS_TRAINING): adds the gradient of the loss to the parameters' gradients, and fills
/// in the KL of the links. The kept rows are taken for constants.
STATUS_CHECKED Status pass_backward(Pass *pass, const Batch *batch, const HeadGradient *gradient);

/// A token that is given after a head row.
typedef struct HeadTarget {
  size_t row; // index into the batch's head rows
  int32_t token;
  uint32_t times; // that it is given: answers to one prompt may begin alike
  // filled in
  float logprob, entropy; // log p of the token and H of the row, in nats, at temperature 1
  bool likeliest;         // no token is likelier
} HeadTarget;

typedef struct HeadTargets {
  HeadTarget *list; // [count] ordered by row and token, each pair once
  size_t count;
  size_t *of; // [predictions] index into the list
} HeadTargets;

/// Lists the predictions of the batch. Call targets_free in any case, also after a failure.
STATUS_CHECKED Status targets_list(const Batch *batch, HeadTargets *out);
/// Safe on a zeroed struct.
void targets_free(HeadTargets *targets);
/// After pass_forward of a pass with options.targets: fills in the targets, which targets_list has made.
STATUS_CHECKED Status pass_targets(Pass *pass, const Batch *batch, HeadTargets *targets);
/// The same in a training pass, and adds the gradient of −scale · Σ times · log p to the parameters'
/// gradients. The logits of a row are made once for both.
STATUS_CHECKED Status pass_targets_backward(Pass *pass, const Batch *batch, float scale,
                                            HeadTargets *targets);

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
