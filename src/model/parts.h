// What the files of this room share: the model's parts, and a pass's buffers. Rule: only params.c and
// weights.c create the model's tensors, only pass.c a pass's.
//
//   C width   V vocabulary   H heads   HK key/value heads   D head width   F ffn width   R adapter rank
//   M rows
#pragma once

#include "io/tensors.h"
#include "model/model.h"

// ---- the model (weights.c, params.c, adapters.c) ----

/// A weight and, where it is trained, its gradient; both are views of slabs then. Absent: value.ops is NULL.
typedef struct Weight {
  Tensor value, grad;
} Weight;

typedef struct Linear {
  Weight weight; // [out, in]
  Weight bias;   // [1, out]
  Weight a, b;   // adapters [R, in], [out, R]
  uint32_t slot; // layer · LINEARS + role: names its dropout
} Linear;

typedef struct Layer {
  Weight attention_norm, ffn_norm; // [1, C]
  Linear linears[LINEARS];
} Layer;

struct Model {
  Ops *ops;
  ModelConfig config;
  char *path;        // the base model's, for adapter_config.json
  Weight embedding;  // [V, C]
  Weight final_norm; // [1, C]
  Weight head;       // [V, C]; absent where tied
  Layer *layers;
  Tensor inv_freq; // [1, D/2]
  Lora lora;
  bool full; // every weight is trained
  ParamSet params;
};

static inline bool weight_present(const Weight *weight) {
  return weight->value.ops != NULL;
}
static inline bool weight_trained(const Weight *weight) {
  return weight->grad.ops != NULL;
}
/// The head's matrix: in a tied model, the embedding.
static inline Weight *model_head(Model *model) {
  return model->config.tied ? &model->embedding : &model->head;
}
/// Where the weight of a table entry lies.
Weight *model_weight(Model *model, const WeightSpec *spec);
void weight_free(Weight *weight);

/// Lays out params->specs (names and shapes are set) in slabs and creates those.
STATUS_CHECKED Status params_create(Ops *ops, ParamSet *params);
/// Makes `out` views of parameter `index`.
STATUS_CHECKED Status params_bind(const ParamSet *params, size_t index, Weight *out);
void params_free(ParamSet *params);
/// Reads every parameter from `file` by its name.
STATUS_CHECKED Status params_load(ParamSet *params, const TensorFile *file);
/// *out = what to write of every parameter (free()), with params_fill as its source and the ParamSet as
/// `user`.
STATUS_CHECKED Status params_list(const ParamSet *params, TensorToWrite **out);
Status params_fill(void *user, size_t index, size_t first, size_t count, float *out);

/// Stages `stored` through a bounded buffer into `out` (any float dtype); rows are un-permuted where
/// permuted_head says so.
STATUS_CHECKED Status weight_read(const StoredTensor *stored, size_t permuted_head, Tensor *out);

/// Fails where something is trained already: a model is trained in one way.
STATUS_CHECKED Status model_check_untrained(const Model *model);
/// adapter_config.json and adapter_model.safetensors into `directory`.
STATUS_CHECKED Status adapters_save(Model *model, const char *directory);
/// Reads adapter_model.safetensors into the adapters that the model has.
STATUS_CHECKED Status adapters_load(Model *model, const char *directory);

// ---- a pass (pass.c, forward.c, backward.c, head.c) ----

/// What a layer leaves for its backward; in an inference pass, and under checkpointing, all layers share one.
typedef struct LayerKeep {
  Tensor q, attended; // [M, H·D]; q and k after the rotary embedding
  Tensor k, v;        // [M, HK·D]
  Tensor lse;         // [M, H]
  Tensor middle;      // [M, C] after attention
  Tensor gate, up;    // [M, F]
} LayerKeep;

/// Memory of one layer's computation, used again by the next. What a pass does not need is absent (ops NULL).
typedef struct Scratch {
  Tensor norm;    // [M, C]
  Tensor rstd;    // [1, M]
  Tensor act;     // [M, F]
  Tensor low;     // [M, R] x·Aᵀ
  Tensor dropped; // [M, widest input]
  // backward
  Tensor dx, dnorm;     // [M, C]
  Tensor dact, dup;     // [M, F]; dgate takes act's memory
  Tensor dq, dattended; // [M, H·D]
  Tensor dk, dv;        // [M, HK·D]
  Tensor delta;         // [M, H]
  Tensor dlow;          // [M, R]
  Tensor ddropped;      // [M, widest input]
} Scratch;

/// What is uploaded for a forward, I32.
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
  Tensor logits_out;                   // what pass_logits hands out
  float *host;                         // [2T]
  int32_t *host_rows, *host_targets;   // [T]
  size_t *host_where;                  // [T]
} Head;

struct Pass {
  Model *model;
  PassOptions options;
  Tensor *inputs;   // [layers + 1] input of each layer, then the last one's output; all one while inferring
  LayerKeep *keeps; // [layers] or [1]
  Tensor *cache_k, *cache_v; // [layers] of [cache_rows, HK·D]
  Scratch scratch;           // [max_rows] memory …
  Indices indices;
  Scratch now; // … and views of it for the rows of the last forward
  Indices index;
  Head head;
  uint64_t *sort_keys; // [M] for `order`
  int32_t *host_order; // [M]
  size_t rows;         // of the last forward; 0 before any
  bool cached;         // the last forward read and wrote the cache
  DropoutDraw dropout; // of the last forward
};

/// The first rows, or elements of a vector, of memory that a pass may lack: absent stays absent.
Tensor first_rows(const Tensor *tensor, size_t rows);
Tensor first_elements(const Tensor *tensor, size_t count);
/// The next forward has this many rows: sets pass->rows, and pass->now and pass->index to views of so many.
void pass_set_rows(Pass *pass, size_t rows);
/// What layer `layer` keeps of these rows, and its input; pass_input of the number of layers is the last
/// one's output.
LayerKeep pass_keep(const Pass *pass, size_t layer);
Tensor pass_input(const Pass *pass, size_t layer);

/// Layer `layer` on the rows of the last upload, from its input to what it keeps and, unless `kept_only`, its
/// output.
STATUS_CHECKED Status layer_forward(Pass *pass, size_t layer, bool kept_only);
AttentionShape attention_shape(const ModelConfig *config);
/// pass->now.low = input·Aᵀ, and *input = the x, dropped where dropout is on, as a view of scratch or x.
STATUS_CHECKED Status adapter_low(Pass *pass, const Linear *linear, const Tensor *x, Tensor *input);
/// now.dx: gradient of a layer's output becomes that of its input; gradients of parameters add up.
STATUS_CHECKED Status layer_backward(Pass *pass, size_t layer);
/// now.dx = gradient of Σ weights · H by the last layer's output.
STATUS_CHECKED Status head_backward(Pass *pass, const Batch *batch, float tau, const float *weights,
                                    const float *entropy, const float *log_z);

// ---- writing (shards.c) ----

/// Writes model.safetensors into `directory`, or shards of about 5 GB with their index.
STATUS_CHECKED Status hf_write_weights(const char *directory, const TensorToWrite *tensors, size_t count,
                                       TensorFill fill, void *user);
