// The layers, forward. Rule: training, scoring, prefill and decoding run the same operations in the same
// order; they differ only in where keys and values are and in what is kept.
//
//   h = x + attention(rmsnorm(x)) · Woᵀ          out = h + swiglu(n·Wgᵀ, n·Wuᵀ) · Wdᵀ,  n = rmsnorm(h)
#include "parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- one matrix with its bias and adapter ----

Status adapter_low(Pass *pass, const Linear *linear, const Tensor *x, size_t place, Tensor *input,
                   Tensor *low) {
  const Tensor part = tensor_rows(&pass->scratch.low, place * x->rows, x->rows);
  *low = tensor_reshape(&part, x->rows, linear->a.value.rows);
  *input = *x;
  if (pass->dropout.on) {
    const Lora *lora = &pass->model->lora;
    uint32_t slots = (uint32_t)(pass->model->config.layers * LINEARS);
    *input = tensor_reshape(&pass->scratch.dropped, x->rows, x->cols);
    TRY(op_dropout(input, x, &pass->index.row_ids, lora->dropout, pass->dropout.seed,
                   pass->dropout.step * slots + linear->slot));
  }
  return op_linear(low, input, &linear->a.value, 1.0f, 0.0f);
}

Status pass_linear(const Pass *pass, Tensor *out, const Tensor *x, const Weight *weight) {
  return pass->options.kind == PASS_INFERENCE ? op_linear_inference(out, x, &weight->value, 1.0f, 0.0f)
                                              : op_linear(out, x, &weight->value, 1.0f, 0.0f);
}

// out[M,N] += bias + adapter
static Status add_bias(const Linear *linear, Tensor *out, const LowRank *adapter) {
  TRY(op_bias(out, &linear->bias.value));
  return adapter->low != NULL ? op_linear(out, adapter->low, adapter->factor, adapter->scale, 1.0f)
                              : STATUS_OK;
}

// outs[i][M,N] = x[M,K] · Wᵀ + bias + scale · (dropout(x) · Aᵀ) · Bᵀ of `count` matrices that multiply one x.
static Status linears_forward(Pass *pass, const Linear *linears, Tensor *const outs[], size_t count,
                              const Tensor *x) {
  static const LowRank none;
  const Tensor *weights[TOGETHER];
  Tensor lows[TOGETHER], input;
  LowRank adapters[TOGETHER], with_product[TOGETHER]; // a bias comes before the adapter
  for (size_t i = 0; i < count; i++) {
    const Linear *linear = &linears[i];
    weights[i] = &linear->weight.value;
    adapters[i] = none;
    if (!pass->base && weight_present(&linear->a)) {
      TRY(adapter_low(pass, linear, x, i, &input, &lows[i]));
      adapters[i] = (LowRank){&lows[i], &linear->b.value, linear->scale};
    }
    with_product[i] = weight_present(&linear->bias) ? none : adapters[i];
  }
  TRY(pass->options.kind == PASS_INFERENCE ? op_linears_inference(outs, x, weights, with_product, count)
                                           : op_linears(outs, x, weights, with_product, count));
  for (size_t i = 0; i < count; i++) {
    if (weight_present(&linears[i].bias)) TRY(add_bias(&linears[i], outs[i], &adapters[i]));
  }
  return STATUS_OK;
}

static Status linear_forward(Pass *pass, const Linear *linear, Tensor *out, const Tensor *x) {
  return linears_forward(pass, linear, &out, 1, x);
}

// ---- one layer ----

AttentionShape attention_shape(const ModelConfig *config) {
  // cos and sin with a factor turn q and k into vectors that are longer by it
  float longer = (float)(config->rope.attention * config->rope.attention);
  return (AttentionShape){.heads = config->heads,
                          .kv_heads = config->kv_heads,
                          .head_dim = config->head_dim,
                          .scale = longer / sqrtf((float)config->head_dim)};
}

/// Turns queries and keys. In a pass with a cache, keys and values go there and attention reads them there.
static Status turn_and_store(Pass *pass, size_t layer, LayerKeep *keep, Attention *attention) {
  const Indices *index = &pass->index;
  const Tensor *inv_freq = &pass->model->inv_freq;
  size_t head_dim = attention->shape.head_dim;
  if (!pass->cached) return op_rope(&keep->q, &keep->k, &index->positions, inv_freq, head_dim, 1);
  StoredKeys keys = {.cache_k = &pass->cache_k[layer],
                     .cache_v = &pass->cache_v[layer],
                     .k = &keep->k,
                     .v = &keep->v,
                     .rows = &index->cache_row};
  attention->k = keys.cache_k;
  attention->v = keys.cache_v;
  return op_rope_keys(&keep->q, &keys, &index->positions, inv_freq, head_dim);
}

static Status attend(Pass *pass, size_t layer, LayerKeep *keep) {
  Attention attention = {.shape = attention_shape(&pass->model->config),
                         .q = &keep->q,
                         .k = &keep->k,
                         .v = &keep->v,
                         .spans = &pass->index.spans,
                         .host_spans = pass->host_spans,
                         .out = &keep->attended,
                         .lse = pass->options.kind == PASS_TRAINING ? &keep->lse : NULL};
  TRY(turn_and_store(pass, layer, keep, &attention));
  return op_attention(&attention);
}

// From the norm of the layer's input to the layer's middle and the norm of that.
static Status attention_block(Pass *pass, size_t layer, LayerKeep *keep) {
  const Layer *weights = &pass->model->layers[layer];
  const Linear *linears = weights->linears;
  Tensor input = pass_input(pass, layer);
  Tensor *norm = &pass->now.norm;
  TRY(linears_forward(pass, &linears[LINEAR_Q], (Tensor *const[]){&keep->q, &keep->k, &keep->v}, 3, norm));
  TRY(attend(pass, layer, keep));
  TRY(linear_forward(pass, &linears[LINEAR_O], norm, &keep->attended));
  return op_add_rmsnorm(&keep->middle, norm, &pass->now.rstd, &input, norm, &weights->ffn_norm.value,
                        pass->model->config.rms_eps);
}

static Status gate_and_up(Pass *pass, size_t layer, LayerKeep *keep) {
  const Linear *linears = pass->model->layers[layer].linears;
  return linears_forward(pass, &linears[LINEAR_GATE], (Tensor *const[]){&keep->gate, &keep->up}, 2,
                         &pass->now.norm);
}

/// now.norm = the norm of the layer's input.
static Status layer_begin(Pass *pass, size_t layer) {
  Tensor input = pass_input(pass, layer);
  return op_rmsnorm(&pass->now.norm, &pass->now.rstd, &input,
                    &pass->model->layers[layer].attention_norm.value, pass->model->config.rms_eps);
}

/// From the norm of the layer's input to its output and, unless it is the last layer, the norm of that, which
/// is the next one's.
static Status layer_forward(Pass *pass, size_t layer) {
  const Model *model = pass->model;
  LayerKeep keep = pass_keep(pass, layer);
  Tensor output = pass_input(pass, layer + 1);
  Tensor *norm = &pass->now.norm, *act = &pass->now.act;
  TRY(attention_block(pass, layer, &keep));
  TRY(gate_and_up(pass, layer, &keep));
  TRY(op_swiglu(act, &keep.gate, &keep.up));
  TRY(linear_forward(pass, &model->layers[layer].linears[LINEAR_DOWN], norm, act));
  if (layer + 1 == model->config.layers) return op_add(&output, &keep.middle, norm);
  return op_add_rmsnorm(&output, norm, &pass->now.rstd, &keep.middle, norm,
                        &model->layers[layer + 1].attention_norm.value, model->config.rms_eps);
}

Status layer_recompute(Pass *pass, size_t layer) {
  LayerKeep keep = pass_keep(pass, layer);
  TRY(layer_begin(pass, layer));
  TRY(attention_block(pass, layer, &keep));
  return gate_and_up(pass, layer, &keep);
}

// ---- all layers ----

static Status check_ids(const Pass *pass, const int32_t *ids, size_t rows) {
  if (rows == 0 || rows > pass->options.max_rows) {
    return status_fail(STATUS_INPUT, "a batch of %zu rows does not fit into a pass of %zu", rows,
                       pass->options.max_rows);
  }
  for (size_t i = 0; i < rows; i++) {
    if (ids[i] < 0 || (size_t)ids[i] >= pass->model->config.vocab) {
      return status_fail(
          STATUS_INPUT,
          "token %d is outside the model's vocabulary of %zu; tokenizer and model do not belong together",
          ids[i], pass->model->config.vocab);
    }
  }
  return STATUS_OK;
}

Status pass_check_stop(const Pass *pass) {
  const atomic_bool *stop = pass->options.stop;
  if (stop == NULL) return STATUS_OK;
  TRY(ops_keep_pace(pass->model->ops));
  return *stop ? status_fail(STATUS_INTERRUPTED, "stopped while computing") : STATUS_OK;
}

static Status run_layers(Pass *pass) {
  Tensor input = pass_input(pass, 0);
  TRY(op_embed(&input, &pass->model->embedding.value, &pass->index.ids));
  TRY(layer_begin(pass, 0));
  for (size_t l = 0; l < pass->model->config.layers; l++) {
    TRY(pass_check_stop(pass));
    TRY(layer_forward(pass, l));
  }
  return STATUS_OK;
}

static int compare_keys(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

// Rows sorted by token, then by row: the order in which the embedding's gradient is summed. The low 32 bits
// of a key are the row.
static Status upload_order(Pass *pass, const Batch *batch) {
  for (size_t i = 0; i < batch->rows; i++) pass->sort_keys[i] = (uint64_t)(uint32_t)batch->ids[i] << 32 | i;
  qsort(pass->sort_keys, batch->rows, sizeof *pass->sort_keys, compare_keys);
  for (size_t i = 0; i < batch->rows; i++) pass->host_order[i] = (int32_t)(uint32_t)pass->sort_keys[i];
  return tensor_write(&pass->indices.order, 0, batch->rows, pass->host_order);
}

static Status forward_batch(Pass *pass, const Batch *batch, DropoutDraw dropout, bool base) {
  size_t rows = batch->rows;
  OPS_PHASE(pass->model->ops, "forward");
  pass->rows = 0;
  TRY(check_ids(pass, batch->ids, rows));
  Indices *indices = &pass->indices;
  TRY(tensor_write(&indices->ids, 0, rows, batch->ids));
  TRY(tensor_write(&indices->positions, 0, rows, batch->positions));
  TRY(tensor_write(&indices->spans, 0, 4 * rows, batch->spans));
  pass->host_spans = batch->spans;
  pass->dropout = dropout;
  pass->dropout.on = dropout.on && indices->row_ids.ops != NULL;
  if (pass->dropout.on) TRY(tensor_write(&indices->row_ids, 0, rows, batch->row_ids));
  if (indices->key_spans.ops != NULL) TRY(tensor_write(&indices->key_spans, 0, 4 * rows, batch->key_spans));
  if (indices->order.ops != NULL) TRY(upload_order(pass, batch));
  pass_set_rows(pass, rows);
  pass->cached = false;
  pass->base = base;
  return run_layers(pass);
}

Status pass_forward(Pass *pass, const Batch *batch, DropoutDraw dropout) {
  return forward_batch(pass, batch, dropout, false);
}

Status pass_forward_base(Pass *pass, const Batch *batch) {
  if (!model_has_base(pass->model))
    return status_fail(STATUS_FAILED, "the weights of the base model are trained or replaced");
  return forward_batch(pass, batch, (DropoutDraw){.on = false}, true);
}

Status pass_forward_cached(Pass *pass, const CachedRows *rows) {
  if (pass->cache_k == NULL) return status_fail(STATUS_FAILED, "this pass was created without a key cache");
  pass->rows = 0;
  TRY(check_ids(pass, rows->ids, rows->rows));
  Indices *indices = &pass->indices;
  TRY(tensor_write(&indices->ids, 0, rows->rows, rows->ids));
  TRY(tensor_write(&indices->positions, 0, rows->rows, rows->positions));
  TRY(tensor_write(&indices->cache_row, 0, rows->rows, rows->cache_row));
  TRY(tensor_write(&indices->spans, 0, 4 * rows->rows, rows->spans));
  pass->host_spans = rows->spans;
  pass->dropout.on = false;
  pass_set_rows(pass, rows->rows);
  pass->cached = true;
  pass->base = false;
  return run_layers(pass);
}
