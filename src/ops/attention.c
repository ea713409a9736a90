// Attention over spans, forward and backward: tiles of SIMD lanes on CPU devices, of work groups on GPUs.
#include "grid.h"
#include "ops/ops.h"

enum { LANES_CPU = 16, TILE_GPU = 16, HEAD_DIM_MAX = 256 };

static Status check_shape(const char *op, const Tensor *q, const Tensor *k, const Tensor *v,
                          AttentionShape shape) {
  if (shape.head_dim == 0 || shape.head_dim > HEAD_DIM_MAX || shape.kv_heads == 0 ||
      shape.heads % shape.kv_heads != 0) {
    return status_fail(STATUS_FAILED,
                       "%s: %zu heads over %zu key/value heads of width %zu (at most %d) do not work", op,
                       shape.heads, shape.kv_heads, shape.head_dim, HEAD_DIM_MAX);
  }
  TRY(ops_check_shape(op, "q", q, q->rows, shape.heads * shape.head_dim));
  TRY(ops_check_shape(op, "k", k, k->rows, shape.kv_heads * shape.head_dim));
  return ops_check_shape(op, "v", v, k->rows, shape.kv_heads * shape.head_dim);
}

/// Groups over query rows: lanes (or tile rows) hold the heads of one key/value head, for as many rows as fit.
static Grid query_grid(size_t rows, AttentionShape shape, size_t lanes, size_t items) {
  size_t group_heads = shape.heads / shape.kv_heads, block = group_heads < lanes ? lanes / group_heads : 1;
  Grid grid = {
      .groups = {(rows + block - 1) / block, shape.kv_heads * ((group_heads + lanes - 1) / lanes), 1},
      .items = {items, items, 1}};
  return grid;
}

static Grid key_grid(size_t rows, AttentionShape shape, size_t keys, size_t items) {
  Grid grid = {.groups = {(rows + keys - 1) / keys, shape.kv_heads, 1}, .items = {items, items, 1}};
  return grid;
}

#define ARG_SHAPE(rows, shape)                                                                               \
  ARG_UINT(rows), ARG_UINT((shape).heads), ARG_UINT((shape).kv_heads), ARG_UINT((shape).head_dim),           \
      ARG_FLOAT((shape).scale)

static Status forward_cpu(Tensor *out, const Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v,
                          const Tensor *spans, AttentionShape shape, bool keep_lse) {
  return LAUNCH(out->ops, attention_cpu, query_grid(q->rows, shape, LANES_CPU, 1), ARG_TENSOR(out),
                ARG_TENSOR(lse), ARG_TENSOR(q), ARG_TENSOR(k), ARG_TENSOR(v), ARG_TENSOR(spans),
                ARG_SHAPE(q->rows, shape), ARG_UINT(keep_lse));
}

Status op_attention(Tensor *out, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v,
                    const Tensor *spans, AttentionShape shape) {
  TRY(check_shape("op_attention", q, k, v, shape));
  TRY(ops_check_shape("op_attention", "out", out, q->rows, q->cols));
  TRY(ops_check_type("op_attention", "spans", spans, DTYPE_I32));
  TRY(ops_check_shape("op_attention", "spans", spans, q->rows, 4));
  if (lse != NULL) TRY(ops_check_shape("op_attention", "lse", lse, q->rows, shape.heads));
  const Tensor *kept = lse != NULL ? lse : out; // a kernel takes a buffer even where it writes none
  return forward_cpu(out, kept, q, k, v, spans, shape, lse != NULL);
}

Status op_attention_backward(Tensor *dq, Tensor *dk, Tensor *dv, Tensor *delta, const Tensor *dout,
                             const Tensor *q, const Tensor *k, const Tensor *v, const Tensor *out,
                             const Tensor *lse, const Tensor *spans, const Tensor *key_spans,
                             AttentionShape shape) {
  const char *op = "op_attention_backward";
  TRY(check_shape(op, q, k, v, shape));
  TRY(ops_check_shape(op, "k", k, q->rows, k->cols));
  TRY(ops_check_shape(op, "dq", dq, q->rows, q->cols));
  TRY(ops_check_shape(op, "dout", dout, q->rows, q->cols));
  TRY(ops_check_shape(op, "out", out, q->rows, q->cols));
  TRY(ops_check_shape(op, "dk", dk, k->rows, k->cols));
  TRY(ops_check_shape(op, "dv", dv, k->rows, k->cols));
  TRY(ops_check_shape(op, "lse", lse, q->rows, shape.heads));
  TRY(ops_check_shape(op, "delta", delta, q->rows, shape.heads));
  TRY(ops_check_type(op, "spans", spans, DTYPE_I32));
  TRY(ops_check_shape(op, "spans", spans, q->rows, 4));
  TRY(ops_check_type(op, "key_spans", key_spans, DTYPE_I32));
  TRY(ops_check_shape(op, "key_spans", key_spans, q->rows, 4));
  TRY(LAUNCH(dq->ops, attention_dq_cpu, query_grid(q->rows, shape, LANES_CPU, 1), ARG_TENSOR(dq),
             ARG_TENSOR(delta), ARG_TENSOR(dout), ARG_TENSOR(q), ARG_TENSOR(k), ARG_TENSOR(v),
             ARG_TENSOR(out), ARG_TENSOR(lse), ARG_TENSOR(spans), ARG_SHAPE(q->rows, shape)));
  return LAUNCH(dq->ops, attention_dkv_cpu, key_grid(q->rows, shape, LANES_CPU, 1), ARG_TENSOR(dk),
                ARG_TENSOR(dv), ARG_TENSOR(dout), ARG_TENSOR(q), ARG_TENSOR(k), ARG_TENSOR(v),
                ARG_TENSOR(lse), ARG_TENSOR(delta), ARG_TENSOR(key_spans), ARG_SHAPE(q->rows, shape));
}
