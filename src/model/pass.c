// The memory of passes. Rule: every tensor that a pass needs is created here; forward and backward allocate
// nothing.
#include "parts.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

// ---- the rows of a forward ----

Tensor first_rows(const Tensor *tensor, size_t rows) {
  return tensor->ops != NULL ? tensor_rows(tensor, 0, rows) : (Tensor){0};
}

Tensor first_elements(const Tensor *tensor, size_t count) {
  return tensor->ops != NULL ? tensor_columns(tensor, 0, count) : (Tensor){0};
}

static Scratch scratch_rows(const Scratch *all, size_t rows) {
  return (Scratch){
      .norm = first_rows(&all->norm, rows),
      .rstd = first_elements(&all->rstd, rows),
      .act = first_rows(&all->act, rows),
      .dropped = first_rows(&all->dropped, rows),
      .dx = first_rows(&all->dx, rows),
      .dnorm = first_rows(&all->dnorm, rows),
      .dact = first_rows(&all->dact, rows),
      .dup = first_rows(&all->dup, rows),
      .dq = first_rows(&all->dq, rows),
      .dattended = first_rows(&all->dattended, rows),
      .dk = first_rows(&all->dk, rows),
      .dv = first_rows(&all->dv, rows),
      .delta = first_rows(&all->delta, rows),
      .ddropped = first_rows(&all->ddropped, rows),
  };
}

static Indices index_rows(const Indices *all, size_t rows) {
  return (Indices){
      .ids = first_elements(&all->ids, rows),
      .positions = first_elements(&all->positions, rows),
      .row_ids = first_elements(&all->row_ids, rows),
      .cache_row = first_elements(&all->cache_row, rows),
      .order = first_elements(&all->order, rows),
      .spans = first_rows(&all->spans, rows),
      .key_spans = first_rows(&all->key_spans, rows),
  };
}

void pass_set_rows(Pass *pass, size_t rows) {
  pass->rows = rows;
  pass->now = scratch_rows(&pass->scratch, rows);
  pass->index = index_rows(&pass->indices, rows);
}

Tensor pass_input(const Pass *pass, size_t layer) {
  return first_rows(&pass->inputs[pass->options.kind == PASS_INFERENCE ? 0 : layer], pass->rows);
}

LayerKeep pass_keep(const Pass *pass, size_t layer) {
  bool shared = pass->options.kind == PASS_INFERENCE || pass->options.checkpoint;
  const LayerKeep *all = &pass->keeps[shared ? 0 : layer];
  size_t rows = pass->rows;
  return (LayerKeep){
      .q = first_rows(&all->q, rows),
      .attended = first_rows(&all->attended, rows),
      .k = first_rows(&all->k, rows),
      .v = first_rows(&all->v, rows),
      .lse = first_rows(&all->lse, rows),
      .middle = first_rows(&all->middle, rows),
      .gate = first_rows(&all->gate, rows),
      .up = first_rows(&all->up, rows),
  };
}

// ---- creation ----

typedef struct Sizes {
  size_t rows, tile, width, heads_width, kv_width, heads, ffn, vocab, rank, widest;
} Sizes;

static Sizes pass_sizes(const Pass *pass) {
  const ModelConfig *config = &pass->model->config;
  Sizes sizes = {.rows = pass->options.max_rows,
                 .tile = pass->options.head_tile_rows,
                 .width = config->width,
                 .heads_width = config->heads * config->head_dim,
                 .kv_width = config->kv_heads * config->head_dim,
                 .heads = config->heads,
                 .ffn = config->ffn,
                 .vocab = config->vocab,
                 .rank = pass->model->lora.rank};
  sizes.widest = sizes.ffn > sizes.width ? sizes.ffn : sizes.width;
  if (sizes.heads_width > sizes.widest) sizes.widest = sizes.heads_width;
  return sizes;
}

static bool is_training(const Pass *pass) {
  return pass->options.kind == PASS_TRAINING;
}

static Status activation(const Pass *pass, const char *name, size_t rows, size_t cols, Tensor *out) {
  return tensor_create(pass->model->ops, name, MEMORY_ACTIVATIONS, DTYPE_F32, rows, cols, out);
}

static Status index_tensor(const Pass *pass, const char *name, size_t rows, size_t cols, Tensor *out) {
  return tensor_create(pass->model->ops, name, MEMORY_ACTIVATIONS, DTYPE_I32, rows, cols, out);
}

static Status create_keep(const Pass *pass, Sizes sizes, LayerKeep *keep) {
  TRY(activation(pass, "queries", sizes.rows, sizes.heads_width, &keep->q));
  TRY(activation(pass, "attended values", sizes.rows, sizes.heads_width, &keep->attended));
  TRY(activation(pass, "keys", sizes.rows, sizes.kv_width, &keep->k));
  TRY(activation(pass, "values", sizes.rows, sizes.kv_width, &keep->v));
  if (is_training(pass)) TRY(activation(pass, "attention sums", sizes.rows, sizes.heads, &keep->lse));
  TRY(activation(pass, "hidden states between", sizes.rows, sizes.width, &keep->middle));
  TRY(activation(pass, "feed-forward gate", sizes.rows, sizes.ffn, &keep->gate));
  return activation(pass, "feed-forward up", sizes.rows, sizes.ffn, &keep->up);
}

static Status create_layers(Pass *pass, Sizes sizes) {
  size_t layers = pass->model->config.layers;
  size_t inputs = is_training(pass) ? layers + 1 : 1;
  size_t keeps = is_training(pass) && !pass->options.checkpoint ? layers : 1;
  TRY(mem_array(&pass->inputs, layers + 1, "pass"));
  TRY(mem_array(&pass->keeps, layers, "pass"));
  for (size_t i = 0; i < inputs; i++)
    TRY(activation(pass, "hidden states", sizes.rows, sizes.width, &pass->inputs[i]));
  for (size_t i = 0; i < keeps; i++) TRY(create_keep(pass, sizes, &pass->keeps[i]));
  if (pass->options.cache_rows == 0) return STATUS_OK;
  TRY(mem_array(&pass->cache_k, layers, "pass"));
  TRY(mem_array(&pass->cache_v, layers, "pass"));
  for (size_t i = 0; i < layers; i++) {
    TRY(tensor_create(pass->model->ops, "key cache", MEMORY_CACHE, DTYPE_F32, pass->options.cache_rows,
                      sizes.kv_width, &pass->cache_k[i]));
    TRY(tensor_create(pass->model->ops, "value cache", MEMORY_CACHE, DTYPE_F32, pass->options.cache_rows,
                      sizes.kv_width, &pass->cache_v[i]));
  }
  return STATUS_OK;
}

static bool uses_dropout(const Pass *pass) {
  return is_training(pass) && pass->model->lora.dropout > 0;
}

static bool has_backward(const Pass *pass) {
  return is_training(pass) && pass->model->params.count > 0;
}

static Status create_scratch(Pass *pass, Sizes sizes) {
  Scratch *scratch = &pass->scratch;
  TRY(activation(pass, "normed hidden states", sizes.rows, sizes.width, &scratch->norm));
  TRY(activation(pass, "norms", 1, sizes.rows, &scratch->rstd));
  TRY(activation(pass, "feed-forward activation", sizes.rows, sizes.ffn, &scratch->act));
  if (sizes.rank > 0)
    TRY(activation(pass, "adapter activation", TOGETHER * sizes.rows, sizes.rank, &scratch->low));
  if (uses_dropout(pass)) TRY(activation(pass, "dropped input", sizes.rows, sizes.widest, &scratch->dropped));
  if (!has_backward(pass)) return STATUS_OK;
  TRY(activation(pass, "hidden gradient", sizes.rows, sizes.width, &scratch->dx));
  TRY(activation(pass, "normed gradient", sizes.rows, sizes.width, &scratch->dnorm));
  TRY(activation(pass, "feed-forward gradient", sizes.rows, sizes.ffn, &scratch->dact));
  TRY(activation(pass, "feed-forward up gradient", sizes.rows, sizes.ffn, &scratch->dup));
  TRY(activation(pass, "query gradient", sizes.rows, sizes.heads_width, &scratch->dq));
  TRY(activation(pass, "attended gradient", sizes.rows, sizes.heads_width, &scratch->dattended));
  TRY(activation(pass, "key gradient", sizes.rows, sizes.kv_width, &scratch->dk));
  TRY(activation(pass, "value gradient", sizes.rows, sizes.kv_width, &scratch->dv));
  TRY(activation(pass, "attention delta", sizes.rows, sizes.heads, &scratch->delta));
  if (sizes.rank > 0) TRY(activation(pass, "adapter gradient", sizes.rows, sizes.rank, &scratch->dlow));
  if (uses_dropout(pass))
    TRY(activation(pass, "dropped gradient", sizes.rows, sizes.widest, &scratch->ddropped));
  return STATUS_OK;
}

static Status create_indices(Pass *pass, Sizes sizes) {
  Indices *indices = &pass->indices;
  TRY(index_tensor(pass, "token ids", 1, sizes.rows, &indices->ids));
  TRY(index_tensor(pass, "positions", 1, sizes.rows, &indices->positions));
  TRY(index_tensor(pass, "key spans", sizes.rows, 4, &indices->spans));
  if (pass->options.cache_rows > 0) TRY(index_tensor(pass, "cache rows", 1, sizes.rows, &indices->cache_row));
  if (uses_dropout(pass)) TRY(index_tensor(pass, "dropout rows", 1, sizes.rows, &indices->row_ids));
  if (!has_backward(pass)) return STATUS_OK;
  TRY(index_tensor(pass, "query spans", sizes.rows, 4, &indices->key_spans));
  if (!pass->model->full) return STATUS_OK;
  TRY(mem_array(&pass->sort_keys, sizes.rows, "pass"));
  TRY(mem_array(&pass->host_order, sizes.rows, "pass"));
  return index_tensor(pass, "rows by token", 1, sizes.rows, &indices->order);
}

static Status create_kept(Pass *pass, Sizes sizes) {
  Head *head = &pass->head;
  Ops *ops = pass->model->ops;
  TRY(activation(pass, "kept rows", pass->options.kept_rows, sizes.width, &head->kept));
  TRY(tensor_create(ops, "other logits", MEMORY_HEAD, DTYPE_F32, sizes.tile, sizes.vocab, &head->other));
  TRY(tensor_create(ops, "other head input", MEMORY_HEAD, DTYPE_F32, sizes.tile, sizes.width,
                    &head->other_norm));
  TRY(tensor_create(ops, "head statistics", MEMORY_HEAD, DTYPE_F32, sizes.tile, 2, &head->other_stats));
  TRY(tensor_create(ops, "divergences", MEMORY_HEAD, DTYPE_F32, 1, sizes.tile, &head->kl));
  TRY(tensor_create(ops, "linked rows", MEMORY_HEAD, DTYPE_I32, 1, sizes.tile, &head->link_rows));
  TRY(tensor_create(ops, "linked rows", MEMORY_HEAD, DTYPE_I32, 1, sizes.tile, &head->link_kept));
  TRY(mem_array(&head->host_link, sizes.tile, "head"));
  if (!has_backward(pass)) return STATUS_OK;
  TRY(tensor_create(ops, "head weights", MEMORY_HEAD, DTYPE_F32, sizes.tile, 2, &head->link_weights));
  return tensor_create(ops, "head gradient", MEMORY_HEAD, DTYPE_F32, sizes.tile, sizes.vocab,
                       &head->gradient);
}

static Status create_head(Pass *pass, Sizes sizes) {
  Head *head = &pass->head;
  Ops *ops = pass->model->ops;
  TRY(tensor_create(ops, "logits", MEMORY_HEAD, DTYPE_F32, sizes.tile, sizes.vocab, &head->logits));
  TRY(tensor_create(ops, "head input", MEMORY_HEAD, DTYPE_F32, sizes.tile, sizes.width, &head->hidden));
  TRY(tensor_create(ops, "head input", MEMORY_HEAD, DTYPE_F32, sizes.tile, sizes.width, &head->norm));
  TRY(tensor_create(ops, "head norms", MEMORY_HEAD, DTYPE_F32, 1, sizes.tile, &head->rstd));
  TRY(tensor_create(ops, "head statistics", MEMORY_HEAD, DTYPE_F32, sizes.tile, 2, &head->stats));
  TRY(tensor_create(ops, "log probabilities", MEMORY_HEAD, DTYPE_F32, 1, sizes.tile, &head->picked));
  TRY(tensor_create(ops, "head rows", MEMORY_HEAD, DTYPE_I32, 1, sizes.tile, &head->rows));
  TRY(tensor_create(ops, "prediction rows", MEMORY_HEAD, DTYPE_I32, 1, sizes.tile, &head->pick_rows));
  TRY(tensor_create(ops, "prediction targets", MEMORY_HEAD, DTYPE_I32, 1, sizes.tile, &head->pick_targets));
  TRY(mem_array(&head->host, 2 * sizes.tile, "head"));
  TRY(mem_array(&head->host_rows, sizes.tile, "head"));
  TRY(mem_array(&head->host_targets, sizes.tile, "head"));
  TRY(mem_array(&head->host_prediction, sizes.tile, "head"));
  if (pass->options.targets)
    TRY(tensor_create(ops, "log probabilities", MEMORY_HEAD, DTYPE_F32, 1, sizes.tile, &head->largest));
  if (pass->options.targets && has_backward(pass))
    TRY(tensor_create(ops, "head weights", MEMORY_HEAD, DTYPE_F32, 1, sizes.tile, &head->target_weights));
  if (pass->options.kept_rows > 0) TRY(create_kept(pass, sizes));
  if (!has_backward(pass)) return STATUS_OK;
  TRY(tensor_create(ops, "head weights", MEMORY_HEAD, DTYPE_F32, 1, sizes.tile, &head->weights));
  TRY(tensor_create(ops, "head gradient", MEMORY_HEAD, DTYPE_F32, sizes.tile, sizes.width, &head->dnorm));
  return tensor_create(ops, "head gradient", MEMORY_HEAD, DTYPE_F32, sizes.tile, sizes.width, &head->dhidden);
}

static Status check_options(const PassOptions *options) {
  if (options->max_rows == 0 || options->max_rows > INT32_MAX / 4 || options->cache_rows > INT32_MAX / 4) {
    return status_fail(STATUS_INPUT,
                       "a pass of %zu rows and a cache of %zu is too large; lower the batch size",
                       options->max_rows, options->cache_rows);
  }
  if (options->kept_rows > INT32_MAX / 4)
    return status_fail(STATUS_INPUT,
                       "a pass that keeps %zu rows to compare others with is too large; lower "
                       "train.effective_batch or sampling.max_new_tokens",
                       options->kept_rows);
  if (options->head_tile_rows == 0)
    return status_fail(STATUS_INPUT, "the head needs tiles of at least one row");
  if (options->kind == PASS_TRAINING && options->cache_rows > 0) {
    return status_fail(STATUS_FAILED, "a training pass has no key cache");
  }
  return STATUS_OK;
}

/// What COMPUTE_F16 has to know of the matrices that are multiplied with. Adapters may have changed them
/// since they were read.
static Status measure_weights(Model *model) {
  for (size_t l = 0; l < model->config.layers; l++)
    for (size_t role = 0; role < LINEARS; role++)
      TRY(op_measure_weights(&model->layers[l].linears[role].weight.value));
  return op_measure_weights(&model_head(model)->value);
}

Status pass_create(Model *model, const PassOptions *options, Pass **out) {
  *out = NULL;
  TRY(check_options(options));
  TRY(measure_weights(model));
  Status status = STATUS_OK;
  Pass *pass = NULL;
  TRY(mem_array(&pass, 1, "pass"));
  pass->model = model;
  pass->options = *options;
  if (pass->options.head_tile_rows > options->max_rows) pass->options.head_tile_rows = options->max_rows;
  Sizes sizes = pass_sizes(pass);
  TRY_CLEAN(create_layers(pass, sizes));
  TRY_CLEAN(create_scratch(pass, sizes));
  TRY_CLEAN(create_indices(pass, sizes));
  TRY_CLEAN(create_head(pass, sizes));
  *out = pass;
cleanup:
  if (status != STATUS_OK) pass_free(pass);
  return status;
}

const PassOptions *pass_options(const Pass *pass) {
  return &pass->options;
}

Model *pass_model(const Pass *pass) {
  return pass->model;
}

// ---- freeing ----

static void free_all(Tensor *const *tensors, size_t count) {
  for (size_t i = 0; i < count; i++) tensor_free(tensors[i]);
}

#define FREE_ALL(...)                                                                                        \
  free_all((Tensor *const[]){__VA_ARGS__}, sizeof((Tensor *const[]){__VA_ARGS__}) / sizeof(Tensor *))

static void free_layers(Pass *pass) {
  size_t layers = pass->model->config.layers;
  for (size_t i = 0; pass->inputs != NULL && i <= layers; i++) tensor_free(&pass->inputs[i]);
  for (size_t i = 0; pass->keeps != NULL && i < layers; i++) {
    LayerKeep *keep = &pass->keeps[i];
    FREE_ALL(&keep->q, &keep->attended, &keep->k, &keep->v, &keep->lse, &keep->middle, &keep->gate,
             &keep->up);
  }
  for (size_t i = 0; pass->cache_k != NULL && i < layers; i++) tensor_free(&pass->cache_k[i]);
  for (size_t i = 0; pass->cache_v != NULL && i < layers; i++) tensor_free(&pass->cache_v[i]);
  free(pass->inputs);
  free(pass->keeps);
  free(pass->cache_k);
  free(pass->cache_v);
}

void pass_free(Pass *pass) {
  if (pass == NULL) return;
  free_layers(pass);
  Scratch *scratch = &pass->scratch;
  FREE_ALL(&scratch->norm, &scratch->rstd, &scratch->act, &scratch->low, &scratch->dropped, &scratch->dx,
           &scratch->dnorm, &scratch->dact, &scratch->dup, &scratch->dq, &scratch->dattended, &scratch->dk,
           &scratch->dv, &scratch->delta, &scratch->dlow, &scratch->ddropped);
  Head *head = &pass->head;
  FREE_ALL(&head->logits, &head->hidden, &head->norm, &head->dnorm, &head->dhidden, &head->rstd, &head->stats,
           &head->weights, &head->rows, &head->pick_rows, &head->pick_targets, &head->picked);
  FREE_ALL(&head->kept, &head->other, &head->gradient, &head->other_norm, &head->other_stats,
           &head->link_weights, &head->kl, &head->link_rows, &head->link_kept);
  FREE_ALL(&head->largest, &head->target_weights);
  Indices *indices = &pass->indices;
  FREE_ALL(&indices->ids, &indices->positions, &indices->row_ids, &indices->cache_row, &indices->order,
           &indices->spans, &indices->key_spans);
  free(head->host);
  free(head->host_rows);
  free(head->host_targets);
  free(head->host_prediction);
  free(head->host_link);
  free(pass->sort_keys);
  free(pass->host_order);
  free(pass);
}
