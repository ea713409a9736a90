// The layers, backward. Rule: scratch.dx holds the gradient of the hidden states and goes from a layer's
// output to its input in place. Frozen weights get no gradient, and nothing is computed below the lowest
// trained weight.
#include "parts.h"

// ---- one matrix with its bias and adapter ----

// forward: out += scale · low · Bᵀ,  low = input · Aᵀ,  input = dropout(x)
// dlow: a view of scratch memory.
static Status adapter_backward(Pass *pass, Linear *linear, Tensor *dlow, const Tensor *dout,
                               const Tensor *x) {
  Tensor input, low;
  *dlow = tensor_reshape(&pass->scratch.dlow, x->rows, linear->a.value.rows);
  TRY(adapter_low(pass, linear, x, 0, &input, &low));
  TRY(op_linear_dw(&linear->b.grad, dout, &low, linear->scale, 1.0f));
  TRY(op_linear_dx(dlow, dout, &linear->b.value, linear->scale, 0.0f));
  return op_linear_dw(&linear->a.grad, dlow, &input, 1.0f, 1.0f);
}

// dx += dropout's gradient of dlow · A
static Status add_dropped(Pass *pass, const Linear *linear, Tensor *dx, const Tensor *dlow) {
  const Lora *lora = &pass->model->lora;
  uint32_t slots = (uint32_t)(pass->model->config.layers * LINEARS);
  Tensor dinput = tensor_reshape(&pass->scratch.ddropped, dx->rows, dx->cols);
  Tensor dropped = tensor_reshape(&pass->scratch.dropped, dx->rows, dx->cols);
  TRY(op_linear_dx(&dinput, dlow, &linear->a.value, 1.0f, 0.0f));
  TRY(op_dropout(&dropped, &dinput, &pass->index.row_ids, lora->dropout, pass->dropout.seed,
                 pass->dropout.step * slots + linear->slot));
  return op_add(dx, dx, &dropped);
}

// forward: out = x · Wᵀ + bias + adapter(x).
// dx = gradient of x + beta · dx; dx NULL: no layer below needs it.
static Status linear_backward(Pass *pass, Linear *linear, Tensor *dx, const Tensor *dout, const Tensor *x,
                              float beta) {
  bool adapted = weight_trained(&linear->a), dropped = adapted && pass->dropout.on;
  Tensor dlow;
  if (weight_trained(&linear->weight)) TRY(op_linear_dw(&linear->weight.grad, dout, x, 1.0f, 1.0f));
  if (weight_trained(&linear->bias)) TRY(op_bias_backward(&linear->bias.grad, dout));
  if (adapted) TRY(adapter_backward(pass, linear, &dlow, dout, x));
  if (dx == NULL) return STATUS_OK;
  LowRank adapter = {adapted && !dropped ? &dlow : NULL, &linear->a.value, 1.0f};
  TRY(op_linear_dx_adapted(dx, dout, &linear->weight.value, beta, &adapter));
  return dropped ? add_dropped(pass, linear, dx, &dlow) : STATUS_OK;
}

static Tensor *norm_grad(Weight *norm) {
  return weight_trained(norm) ? &norm->grad : NULL;
}

// ---- one layer ----

// forward: out = h + swiglu(n·Wgᵀ, n·Wuᵀ) · Wdᵀ,  n = rmsnorm(h)
static Status ffn_block_backward(Pass *pass, size_t layer, LayerKeep *keep) {
  Scratch *now = &pass->now;
  Layer *weights = &pass->model->layers[layer];
  const Tensor *norm = &weights->ffn_norm.value;
  Tensor *dgate = &now->act; // act is needed only for the gradient of Wd, which is computed before dgate
  TRY(op_swiglu(&now->act, &keep->gate, &keep->up));
  TRY(linear_backward(pass, &weights->linears[LINEAR_DOWN], &now->dact, &now->dx, &now->act, 0.0f));
  TRY(op_swiglu_backward(dgate, &now->dup, &now->dact, &keep->gate, &keep->up));
  TRY(op_rmsnorm(&now->norm, &now->rstd, &keep->middle, norm, pass->model->config.rms_eps));
  TRY(linear_backward(pass, &weights->linears[LINEAR_GATE], &now->dnorm, dgate, &now->norm, 0.0f));
  TRY(linear_backward(pass, &weights->linears[LINEAR_UP], &now->dnorm, &now->dup, &now->norm, 1.0f));
  return op_rmsnorm_backward(&now->dx, norm_grad(&weights->ffn_norm), &now->dnorm, &keep->middle, norm,
                             &now->rstd);
}

// From dattended to the gradients of q and k before the rotary embedding, and of v.
static Status qkv_backward(Pass *pass, LayerKeep *keep) {
  const ModelConfig *config = &pass->model->config;
  const Tensor *positions = &pass->index.positions;
  Scratch *now = &pass->now;
  Attention attention = {.shape = attention_shape(config),
                         .q = &keep->q,
                         .k = &keep->k,
                         .v = &keep->v,
                         .spans = &pass->index.spans,
                         .host_spans = pass->host_spans,
                         .out = &keep->attended,
                         .lse = &keep->lse,
                         .dq = &now->dq,
                         .dk = &now->dk,
                         .dv = &now->dv,
                         .delta = &now->delta,
                         .dout = &now->dattended,
                         .key_spans = &pass->index.key_spans};
  TRY(op_attention_backward(&attention));
  return op_rope(&now->dq, &now->dk, positions, &pass->model->inv_freq, config->head_dim, -1);
}

// forward: h = x + attention(n·Wqᵀ, n·Wkᵀ, n·Wvᵀ) · Woᵀ,  n = rmsnorm(x).
// below: the gradient of x is needed by what is below.
static Status attention_block_backward(Pass *pass, size_t layer, LayerKeep *keep, bool below) {
  Scratch *now = &pass->now;
  Layer *weights = &pass->model->layers[layer];
  Linear *linears = weights->linears;
  const Tensor *norm = &weights->attention_norm.value;
  Tensor input = pass_input(pass, layer);
  Tensor *wanted = below ? &now->dnorm : NULL;
  TRY(linear_backward(pass, &linears[LINEAR_O], &now->dattended, &now->dx, &keep->attended, 0.0f));
  TRY(qkv_backward(pass, keep));
  TRY(op_rmsnorm(&now->norm, &now->rstd, &input, norm, pass->model->config.rms_eps));
  TRY(linear_backward(pass, &linears[LINEAR_Q], wanted, &now->dq, &now->norm, 0.0f));
  TRY(linear_backward(pass, &linears[LINEAR_K], wanted, &now->dk, &now->norm, 1.0f));
  TRY(linear_backward(pass, &linears[LINEAR_V], wanted, &now->dv, &now->norm, 1.0f));
  if (!below) return STATUS_OK;
  return op_rmsnorm_backward(&now->dx, norm_grad(&weights->attention_norm), &now->dnorm, &input, norm,
                             &now->rstd);
}

static bool attention_is_adapted(const Layer *layer) {
  for (LinearRole role = LINEAR_Q; role <= LINEAR_O; role++) {
    if (weight_trained(&layer->linears[role].a)) return true;
  }
  return false;
}

Status layer_backward(Pass *pass, size_t layer) {
  if (pass->options.checkpoint) TRY(layer_recompute(pass, layer));
  LayerKeep keep = pass_keep(pass, layer);
  // Below the first layer is only the embedding, which is trained only if everything is.
  bool below = layer > 0 || pass->model->full;
  TRY(ffn_block_backward(pass, layer, &keep));
  if (!below && !attention_is_adapted(&pass->model->layers[layer])) return STATUS_OK;
  return attention_block_backward(pass, layer, &keep, below);
}

// ---- all layers ----

static Status check_backward(const Pass *pass) {
  if (pass->scratch.dx.ops == NULL) {
    return status_fail(STATUS_FAILED,
                       "this pass has no backward: it is for inference, or nothing is trained");
  }
  if (pass->base) return status_fail(STATUS_FAILED, "the base model has no backward");
  return STATUS_OK;
}

/// From now.dx, the gradient of the last layer's output.
static Status layers_backward(Pass *pass) {
  Model *model = pass->model;
  for (size_t l = model->config.layers; l-- > 0;) TRY(layer_backward(pass, l));
  if (!model->full) return STATUS_OK;
  return op_embed_backward(&model->embedding.grad, &pass->now.dx, &pass->index.ids, &pass->index.order);
}

Status pass_backward(Pass *pass, const Batch *batch, const HeadGradient *gradient) {
  TRY(check_backward(pass));
  OPS_PHASE(pass->model->ops, "backward");
  pass->host_spans = batch->spans;
  TRY(head_backward(pass, batch, gradient));
  return layers_backward(pass);
}

Status pass_targets_backward(Pass *pass, const Batch *batch, float scale, HeadTargets *targets) {
  TRY(check_backward(pass));
  OPS_PHASE(pass->model->ops, "backward");
  pass->host_spans = batch->spans;
  TRY(head_targets_backward(pass, batch, scale, targets));
  return layers_backward(pass);
}
