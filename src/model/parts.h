// What the files of this room share: the parts of a model and the buffers of a pass. Rule: only params.c and
// weights.c create tensors of a model, only pass.c those of a pass.
//
//   C width   V vocabulary   H heads   HK key/value heads   D head width   F ffn width   R largest adapter
//   rank M rows
#pragma once

#include "io/tensors.h"
#include "model/model.h"
#include "ops/profile.h"

// ---- the model (weights.c, params.c, adapters.c) ----

/// A weight. value.ops is NULL if the model has no such weight, grad.ops if it is not trained. Of a trained
/// weight, both are views of slabs.
typedef struct Weight {
  Tensor value, grad;
} Weight;

typedef struct Linear {
  Weight weight; // [out, in]
  Weight bias;   // [1, out]
  Weight a, b;   // its adapter [r, in], [out, r], r ≤ R
  float scale;   // of the adapter
  uint32_t slot; // layer · LINEARS + role: its random stream in dropout
} Linear;

typedef struct Layer {
  Weight attention_norm, ffn_norm; // [1, C]
  Linear linears[LINEARS];
} Layer;

struct Model {
  Ops *ops;
  ModelConfig config;
  char *path;        // of the base model, for adapter_config.json
  Weight embedding;  // [V, C]
  Weight final_norm; // [1, C]
  Weight head;       // [V, C]; absent if tied
  Layer *layers;
  Tensor inv_freq; // [1, D/2]
  Lora lora;
  bool stored;  // matrices have the types of their file
  bool full;    // every weight is trained
  bool changed; // an adapter's file has replaced weights of the base model, or was merged into some
  ParamSet params;
};

static inline bool weight_present(const Weight *weight) {
  return weight->value.ops != NULL;
}
static inline bool weight_trained(const Weight *weight) {
  return weight->grad.ops != NULL;
}
/// The head's matrix; in a tied model this is the embedding.
static inline Weight *model_head(Model *model) {
  return model->config.tied ? &model->embedding : &model->head;
}
/// The weight that a table entry describes.
Weight *model_weight(Model *model, const WeightSpec *spec);
void weight_free(Weight *weight);
/// Makes a matrix that has its file's type float32, with the same numbers, so that others may be put into it.
/// A model that was loaded in one type keeps that.
STATUS_CHECKED Status model_widen(Model *model, const WeightSpec *spec);

/// Gives each of params->specs, whose names and shapes are set, its place in a slab, and creates the slabs.
STATUS_CHECKED Status params_create(Ops *ops, ParamSet *params);
/// *out = views of the value and gradient of parameter `index`.
STATUS_CHECKED Status params_bind(const ParamSet *params, size_t index, Weight *out);
void params_free(ParamSet *params);
/// Fails unless the tensor of the file `path` has this shape; `rank` 1 means [cols].
STATUS_CHECKED Status stored_check_shape(const StoredTensor *stored, const char *path, size_t rank,
                                         size_t rows, size_t cols);
/// Reads parameter `index` from a tensor of the file `path`.
STATUS_CHECKED Status params_read(ParamSet *params, size_t index, const StoredTensor *stored,
                                  const char *path);
/// *out = all parameters as tensors to write (free()); params_fill with the ParamSet as `user` supplies the
/// elements.
STATUS_CHECKED Status params_list(const ParamSet *params, TensorToWrite **out);
Status params_fill(void *user, size_t index, size_t first, size_t count, float *out);

/// Copies `stored` to `out` (a float type, or the stored type) through a bounded buffer. If permuted_head >
/// 0, undoes the interleaving of rows in heads of that size. STATUS_INPUT if a number is not finite, or not
/// in out's type.
STATUS_CHECKED Status weight_read(const StoredTensor *stored, size_t permuted_head, Tensor *out);

/// Fails if the model has trained parameters already: it is trained in one way only.
STATUS_CHECKED Status model_check_untrained(const Model *model);
/// adapter_config.json and adapter_model.safetensors into `directory`.
STATUS_CHECKED Status adapters_save(Model *model, const char *directory);
/// Reads the weights of the adapters that the model has, and those of the base that come with them
/// (adapter_file.c): adapter_model.safetensors, or adapter_model.bin where there is none.
STATUS_CHECKED Status adapters_load(Model *model, const char *directory);
#define ADAPTER_WEIGHTS "adapter_model.safetensors"

/// What a file has of an adapter that is not computed beside its weight but merged into it (adapter_merge.c).
typedef struct AdapterParts {
  const char *path; // the file
  const StoredTensor *a, *b;
  const StoredTensor *magnitudes; // NULL: none
  float scale;
} AdapterParts;
/// True for the embedding, the head, and matrices with magnitudes.
bool adapter_is_merged(const Lora *lora, const WeightSpec *weight);
/// The weight becomes W + scale · B · A, with its rows brought to the length of the magnitudes. It must be
/// float32, quantised or as stored, and is float32 then.
STATUS_CHECKED Status adapter_merge(Model *model, const WeightSpec *weight, size_t rank,
                                    const AdapterParts *parts);

// ---- a pass (pass.c, forward.c, backward.c, head.c) ----

/// What a layer's forward leaves for its backward. In an inference pass, and with checkpointing, all layers
/// share one.
typedef struct LayerKeep {
  Tensor q, attended; // [M, H·D]; q and k after the rotary embedding, but with a cache k before it
  Tensor k, v;        // [M, HK·D]
  Tensor lse;         // [M, H]
  Tensor middle;      // [M, C] after attention
  Tensor gate, up;    // [M, F]
} LayerKeep;

/// Memory for the computation of one layer, which the next one reuses. Tensors that a pass does not need are
/// absent (ops NULL).
typedef struct Scratch {
  Tensor norm;    // [M, C]
  Tensor rstd;    // [1, M]
  Tensor act;     // [M, F]
  Tensor low;     // [3·M, R] x·Aᵀ of the matrices that multiply one x, of an adapter's own rank
  Tensor dropped; // [M, widest input]
  // backward
  Tensor dx, dnorm;     // [M, C]
  Tensor dact, dup;     // [M, F]; dgate reuses the memory of act
  Tensor dq, dattended; // [M, H·D]
  Tensor dk, dv;        // [M, HK·D]
  Tensor delta;         // [M, H]
  Tensor dlow;          // [M, R]
  Tensor ddropped;      // [M, widest input]
} Scratch;

/// Indices that are uploaded for a forward, I32.
typedef struct Indices {
  Tensor ids, positions, row_ids, cache_row, order; // [1, M]
  Tensor spans, key_spans;                          // [M, 4]
} Indices;

typedef struct Head {
  Tensor hidden, norm, dnorm, dhidden; // [T, C]
  Tensor rstd;                         // [1, T]
  Tensor logits;                       // [T, V]
  Tensor stats;                        // [T, 2]
  Tensor weights;                      // [1, T]
  Tensor rows;                         // I32 [1, T]
  Tensor pick_rows, pick_targets;      // I32 [1, T]
  Tensor picked;                       // [1, T]
  // with options.targets
  Tensor largest;        // [1, T] log probability of each row's likeliest token
  Tensor target_weights; // [1, T] of each pick
  // with options.kept_rows
  Tensor kept;                       // [kept_rows, C] after the final norm
  Tensor other, gradient;            // [T, V] logits of kept rows; what links add to the gradient
  Tensor other_norm;                 // [T, C]
  Tensor other_stats, link_weights;  // [T, 2]
  Tensor kl;                         // [1, T]
  Tensor link_rows, link_kept;       // I32 [1, T]
  Tensor logits_out;                 // the view that pass_logits returns
  float *host;                       // [2T]
  int32_t *host_rows, *host_targets; // [T]
  size_t *host_prediction;           // [T] of each pick, its prediction
  size_t *host_link;                 // [T] of each link of a round, its index
} Head;

struct Pass {
  Model *model;
  PassOptions options;
  // [layers + 1] the input of each layer, then the output of the last. In an inference pass only inputs[0]
  // exists and serves as all of them.
  Tensor *inputs;
  LayerKeep *keeps;          // [layers] or [1]
  Tensor *cache_k, *cache_v; // [layers] of [cache_rows, HK·D]
  Scratch scratch;           // memory for max_rows rows
  Indices indices;           // the same
  Scratch now;               // views of `scratch` for the rows of the last forward
  Indices index;             // views of `indices` for them
  Head head;
  uint64_t *sort_keys;       // [M] for `order`
  int32_t *host_order;       // [M]
  const int32_t *host_spans; // [M,4] of the forward or backward that runs; borrowed from its caller
  size_t rows;               // of the last forward; 0: none yet, or it failed
  bool cached;               // the last forward read and wrote the cache
  bool base;                 // the last forward was that of the base model
  DropoutDraw dropout;       // of the last forward
};

/// A view of the first rows of a tensor, or elements of a vector; an absent tensor stays absent.
Tensor first_rows(const Tensor *tensor, size_t rows);
Tensor first_elements(const Tensor *tensor, size_t count);
/// Sets pass->rows, and pass->now and pass->index to views of that many rows.
void pass_set_rows(Pass *pass, size_t rows);
/// What layer `layer` keeps, and its input, for the rows of the last forward. pass_input of the number of
/// layers is the output of the last.
LayerKeep pass_keep(const Pass *pass, size_t layer);
Tensor pass_input(const Pass *pass, size_t layer);

/// out[M,N] = x[M,K] · weightᵀ, coarser in an inference pass where the ops have that.
STATUS_CHECKED Status pass_linear(const Pass *pass, Tensor *out, const Tensor *x, const Weight *weight);
/// Computes again what layer `layer` keeps, from its input.
STATUS_CHECKED Status layer_recompute(Pass *pass, size_t layer);
/// STATUS_INTERRUPTED if the pass is to stop (PassOptions.stop).
STATUS_CHECKED Status pass_check_stop(const Pass *pass);
AttentionShape attention_shape(const ModelConfig *config);
enum { TOGETHER = 3 }; // matrices that multiply one x: query, key and value
/// *low = *input · Aᵀ, where *input is x or, with dropout, a view of scratch memory with the dropped x. *low
/// is a view of scratch memory: `place` of TOGETHER.
STATUS_CHECKED Status adapter_low(Pass *pass, const Linear *linear, const Tensor *x, size_t place,
                                  Tensor *input, Tensor *low);
/// Turns now.dx from the gradient of the layer's output into that of its input, and adds to the parameters'
/// gradients.
STATUS_CHECKED Status layer_backward(Pass *pass, size_t layer);
/// now.dx = gradient of the loss with respect to the output of the last layer.
STATUS_CHECKED Status head_backward(Pass *pass, const Batch *batch, const HeadGradient *gradient);
STATUS_CHECKED Status head_targets_backward(Pass *pass, const Batch *batch, float scale,
                                            HeadTargets *targets);

// ---- writing (shards.c) ----

/// *list = a model's weights in the order of the table, as tensors of `type`; *specs = their entries, which
/// own the names. Both are the caller's to free, also after a failure.
STATUS_CHECKED Status hf_list_weights(const ModelConfig *config, DType type, WeightSpec **specs,
                                      TensorToWrite **list);
/// Writes model.safetensors into `directory`, or shards of about 5 GB with their index.
STATUS_CHECKED Status hf_write_weights(const char *directory, const TensorToWrite *tensors, size_t count,
                                       TensorFill fill, void *user);
