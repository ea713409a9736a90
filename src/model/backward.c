// The layers, backward. Rule: scratch.dx holds the gradient of the hidden states, from a layer's output to its input in
// place; what is frozen gets no gradient, and nothing is computed below the lowest thing that is trained.
#include "parts.h"
#include <math.h>

// ---- one matrix with its bias and adapter ----

// forward: out += scale · low · Bᵀ,  low = input · Aᵀ,  input = dropout(x)
static Status adapter_backward(Pass *pass, Linear *linear, Tensor *dx, const Tensor *dout, const Tensor *x) {
  Tensor low;
  Tensor input;
  Tensor dlow = tensor_first_rows(&pass->scratch.dlow, x->rows);
  TRY(adapter_low(pass, linear, x, &low, &input));
  float scale = pass->model->lora.scale;
  TRY(op_linear_dw(&linear->b.grad, dout, &low, scale, 1.0f));
  TRY(op_linear_dx(&dlow, dout, &linear->b.value, scale, 0.0f));
  TRY(op_linear_dw(&linear->a.grad, &dlow, &input, 1.0f, 1.0f));
  if (dx == NULL) return STATUS_OK;
  if (!pass->dropout.on) return op_linear_dx(dx, &dlow, &linear->a.value, 1.0f, 1.0f);
  const Lora *lora = &pass->model->lora;
  uint32_t slots = (uint32_t)(pass->model->config.layers * LINEARS);
  Tensor row_ids = tensor_alias(&pass->row_ids, 1, x->rows);
  Tensor dinput = tensor_alias(&pass->scratch.ddropped, x->rows, x->cols);
  Tensor dropped = tensor_alias(&pass->scratch.dropped, x->rows, x->cols);
  TRY(op_linear_dx(&dinput, &dlow, &linear->a.value, 1.0f, 0.0f));
  TRY(op_dropout(&dropped, &dinput, &row_ids, lora->dropout, pass->dropout.seed,
                 pass->dropout.step * slots + linear->slot));
  return op_add(dx, dx, &dropped);
}

// forward: out = x · Wᵀ + bias + adapter(x).   dx = dout · W + … + beta · dx; dx NULL: nobody below wants it.
static Status linear_backward(Pass *pass, Linear *linear, Tensor *dx, const Tensor *dout, const Tensor *x,
                              float beta) {
  if (dx != NULL) TRY(op_linear_dx(dx, dout, &linear->weight.value, 1.0f, beta));
  if (weight_trained(&linear->weight)) TRY(op_linear_dw(&linear->weight.grad, dout, x, 1.0f, 1.0f));
  if (weight_trained(&linear->bias)) TRY(op_bias_backward(&linear->bias.grad, dout));
  return weight_trained(&linear->a) ? adapter_backward(pass, linear, dx, dout, x) : STATUS_OK;
}

static Tensor *norm_grad(Weight *norm) {
  return weight_trained(norm) ? &norm->grad : NULL;
}

// ---- one layer ----

// forward: out = h + swiglu(n·Wgᵀ, n·Wuᵀ) · Wdᵀ,  n = rmsnorm(h)
static Status ffn_backward(Pass *pass, size_t layer, LayerKeep *keep) {
  size_t rows = pass->rows;
  Scratch *scratch = &pass->scratch;
  Layer *weights = &pass->model->layers[layer];
  Tensor dx = tensor_first_rows(&scratch->dx, rows);
  Tensor dnorm = tensor_first_rows(&scratch->dnorm, rows);
  Tensor norm = tensor_first_rows(&scratch->norm, rows);
  Tensor rstd = tensor_alias(&scratch->rstd, 1, rows);
  Tensor act = tensor_first_rows(&scratch->act, rows);
  Tensor dact = tensor_first_rows(&scratch->dact, rows);
  Tensor dup = tensor_first_rows(&scratch->dup, rows);
  TRY(op_swiglu(&act, &keep->gate, &keep->up));
  TRY(linear_backward(pass, &weights->linears[LINEAR_DOWN], &dact, &dx, &act, 0.0f));
  Tensor dgate = act;
  TRY(op_swiglu_backward(&dgate, &dup, &dact, &keep->gate, &keep->up));
  TRY(op_rmsnorm(&norm, &rstd, &keep->middle, &weights->ffn_norm.value, pass->model->config.rms_eps));
  TRY(linear_backward(pass, &weights->linears[LINEAR_GATE], &dnorm, &dgate, &norm, 0.0f));
  TRY(linear_backward(pass, &weights->linears[LINEAR_UP], &dnorm, &dup, &norm, 1.0f));
  return op_rmsnorm_backward(&dx, norm_grad(&weights->ffn_norm), &dnorm, &keep->middle,
                             &weights->ffn_norm.value, &rstd);
}

// From dattended to the gradients of q, k, v before the rotary embedding.
static Status unattend(Pass *pass, LayerKeep *keep, Tensor *dq, Tensor *dk, Tensor *dv) {
  const ModelConfig *config = &pass->model->config;
  size_t rows = pass->rows;
  Tensor dattended = tensor_first_rows(&pass->scratch.dattended, rows);
  Tensor delta = tensor_first_rows(&pass->scratch.delta, rows);
  Tensor spans = tensor_first_rows(&pass->spans, rows);
  Tensor key_spans = tensor_first_rows(&pass->key_spans, rows);
  Tensor positions = tensor_alias(&pass->positions, 1, rows);
  AttentionShape shape = {.heads = config->heads,
                          .kv_heads = config->kv_heads,
                          .head_dim = config->head_dim,
                          .scale = 1.0f / sqrtf((float)config->head_dim)};
  TRY(op_attention_backward(dq, dk, dv, &delta, &dattended, &keep->q, &keep->k, &keep->v, &keep->attended,
                            &keep->lse, &spans, &key_spans, shape));
  TRY(op_rope(dq, &positions, &pass->model->inv_freq, config->head_dim, -1));
  return op_rope(dk, &positions, &pass->model->inv_freq, config->head_dim, -1);
}

// forward: h = x + attention(n·Wqᵀ, n·Wkᵀ, n·Wvᵀ) · Woᵀ,  n = rmsnorm(x).   below: somebody wants x's gradient.
static Status attention_backward(Pass *pass, size_t layer, LayerKeep *keep, bool below) {
  size_t rows = pass->rows;
  Scratch *scratch = &pass->scratch;
  Layer *weights = &pass->model->layers[layer];
  Linear *linears = weights->linears;
  Tensor input = pass_input(pass, layer, rows);
  Tensor dx = tensor_first_rows(&scratch->dx, rows);
  Tensor dnorm = tensor_first_rows(&scratch->dnorm, rows);
  Tensor norm = tensor_first_rows(&scratch->norm, rows);
  Tensor rstd = tensor_alias(&scratch->rstd, 1, rows);
  Tensor dattended = tensor_first_rows(&scratch->dattended, rows);
  Tensor dq = tensor_first_rows(&scratch->dq, rows);
  Tensor dk = tensor_first_rows(&scratch->dk, rows);
  Tensor dv = tensor_first_rows(&scratch->dv, rows);
  Tensor *wanted = below ? &dnorm : NULL;
  TRY(linear_backward(pass, &linears[LINEAR_O], &dattended, &dx, &keep->attended, 0.0f));
  TRY(unattend(pass, keep, &dq, &dk, &dv));
  TRY(op_rmsnorm(&norm, &rstd, &input, &weights->attention_norm.value, pass->model->config.rms_eps));
  TRY(linear_backward(pass, &linears[LINEAR_Q], wanted, &dq, &norm, 0.0f));
  TRY(linear_backward(pass, &linears[LINEAR_K], wanted, &dk, &norm, 1.0f));
  TRY(linear_backward(pass, &linears[LINEAR_V], wanted, &dv, &norm, 1.0f));
  if (!below) return STATUS_OK;
  return op_rmsnorm_backward(&dx, norm_grad(&weights->attention_norm), &dnorm, &input,
                             &weights->attention_norm.value, &rstd);
}

static bool attention_is_adapted(const Lora *lora) {
  return lora->targets[LINEAR_Q] || lora->targets[LINEAR_K] || lora->targets[LINEAR_V] ||
         lora->targets[LINEAR_O];
}

Status layer_backward(Pass *pass, size_t layer) {
  if (pass->options.checkpoint) TRY(layer_forward(pass, layer, true));
  LayerKeep keep = pass_keep(pass, layer, pass->rows);
  // Below the first layer lies only the embedding, which is trained with the rest or not at all.
  bool below = layer > 0 || pass->model->full;
  TRY(ffn_backward(pass, layer, &keep));
  if (!below && !attention_is_adapted(&pass->model->lora)) return STATUS_OK;
  return attention_backward(pass, layer, &keep, below);
}

// ---- all layers ----

Status pass_backward(Pass *pass, const Batch *batch, float tau, const float *weights, const float *entropy,
                     const float *log_z) {
  Model *model = pass->model;
  if (pass->scratch.dx.ops == NULL) {
    return status_fail(STATUS_FAILED, "this pass cannot go back: it is for inference, or nothing is trained");
  }
  TRY(head_backward(pass, batch, tau, weights, entropy, log_z));
  for (size_t l = model->config.layers; l-- > 0;) TRY(layer_backward(pass, l));
  if (!model->full) return STATUS_OK;
  Tensor dx = tensor_first_rows(&pass->scratch.dx, pass->rows);
  Tensor ids = tensor_alias(&pass->ids, 1, pass->rows);
  Tensor order = tensor_alias(&pass->order, 1, pass->rows);
  return op_embed_backward(&model->embedding.grad, &dx, &ids, &order);
}
