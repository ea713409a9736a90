// Attention over spans, forward and backward: tiles of SIMD lanes on CPU devices, of work groups on GPUs.
#include "attention.h"

#include "launch.h"

// Lanes of a work item in attention_cpu.cl, and of a group in attention.cl.
enum { LANES = 16, HEAD_DIM_MAX = 256 };

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

/// Groups over query rows: the lanes hold the heads of one key/value head, for as many rows as fit.
static Grid query_grid(AttentionTiles tiles, size_t rows, AttentionShape shape) {
  size_t group_heads = shape.heads / shape.kv_heads, block = group_heads < LANES ? LANES / group_heads : 1;
  size_t items = tiles == TILES_GROUPS ? LANES : 1, chunks = (group_heads + LANES - 1) / LANES;
  return (Grid){.groups = {(rows + block - 1) / block, shape.kv_heads * chunks, 1},
                .items = {items, items, 1}};
}

/// Groups over key rows, 16 each.
static Grid key_grid(AttentionTiles tiles, size_t rows, AttentionShape shape) {
  size_t items = tiles == TILES_GROUPS ? LANES : 1;
  return (Grid){.groups = {(rows + LANES - 1) / LANES, shape.kv_heads, 1}, .items = {items, items, 1}};
}

static AttentionTiles tiles_of(const Ops *ops) {
  return ops_device_class(ops) == DEVICE_CPU ? TILES_LANES : TILES_GROUPS;
}

#define ARG_SHAPE(rows, shape)                                                                               \
  ARG_UINT(rows), ARG_UINT((shape).heads), ARG_UINT((shape).kv_heads), ARG_UINT((shape).head_dim),           \
      ARG_FLOAT((shape).scale)
#define COUNT(array) (sizeof(array) / sizeof *(array))

Status attention_forward(AttentionTiles tiles, Tensor *out, Tensor *lse, const Tensor *q, const Tensor *k,
                         const Tensor *v, const Tensor *spans, AttentionShape shape) {
  const char *op = "op_attention";
  TRY(check_shape(op, q, k, v, shape));
  TRY(ops_check_shape(op, "out", out, q->rows, q->cols));
  TRY(ops_check_type(op, "spans", spans, DTYPE_I32));
  TRY(ops_check_shape(op, "spans", spans, q->rows, 4));
  if (lse != NULL) TRY(ops_check_shape(op, "lse", lse, q->rows, shape.heads));
  const Tensor *kept = lse != NULL ? lse : out; // a kernel takes a buffer even where it writes none
  KernelId kernel = tiles == TILES_LANES ? KERNEL_attention_cpu : KERNEL_attention;
  const KernelArgument arguments[] = {
      ARG_TENSOR(out),   ARG_TENSOR(kept),          ARG_TENSOR(q),        ARG_TENSOR(k), ARG_TENSOR(v),
      ARG_TENSOR(spans), ARG_SHAPE(q->rows, shape), ARG_UINT(lse != NULL)};
  return ops_launch(out->ops, kernel, query_grid(tiles, q->rows, shape), arguments, COUNT(arguments));
}

static Status check_backward(const Tensor *dq, const Tensor *dk, const Tensor *dv, const Tensor *delta,
                             const Tensor *dout, const Tensor *q, const Tensor *k, const Tensor *v,
                             const Tensor *out, const Tensor *lse, const Tensor *spans,
                             const Tensor *key_spans, AttentionShape shape) {
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
  return ops_check_shape(op, "key_spans", key_spans, q->rows, 4);
}

Status attention_backward(AttentionTiles tiles, Tensor *dq, Tensor *dk, Tensor *dv, Tensor *delta,
                          const Tensor *dout, const Tensor *q, const Tensor *k, const Tensor *v,
                          const Tensor *out, const Tensor *lse, const Tensor *spans, const Tensor *key_spans,
                          AttentionShape shape) {
  TRY(check_backward(dq, dk, dv, delta, dout, q, k, v, out, lse, spans, key_spans, shape));
  bool lanes = tiles == TILES_LANES;
  const KernelArgument for_dq[] = {
      ARG_TENSOR(dq), ARG_TENSOR(delta), ARG_TENSOR(dout), ARG_TENSOR(q),     ARG_TENSOR(k),
      ARG_TENSOR(v),  ARG_TENSOR(out),   ARG_TENSOR(lse),  ARG_TENSOR(spans), ARG_SHAPE(q->rows, shape)};
  TRY(ops_launch(dq->ops, lanes ? KERNEL_attention_dq_cpu : KERNEL_attention_dq,
                 query_grid(tiles, q->rows, shape), for_dq, COUNT(for_dq)));
  const KernelArgument for_dkv[] = {
      ARG_TENSOR(dk), ARG_TENSOR(dv),  ARG_TENSOR(dout),  ARG_TENSOR(q),         ARG_TENSOR(k),
      ARG_TENSOR(v),  ARG_TENSOR(lse), ARG_TENSOR(delta), ARG_TENSOR(key_spans), ARG_SHAPE(q->rows, shape)};
  return ops_launch(dq->ops, lanes ? KERNEL_attention_dkv_cpu : KERNEL_attention_dkv,
                    key_grid(tiles, q->rows, shape), for_dkv, COUNT(for_dkv));
}

Status op_attention(Tensor *out, Tensor *lse, const Tensor *q, const Tensor *k, const Tensor *v,
                    const Tensor *spans, AttentionShape shape) {
  return attention_forward(tiles_of(out->ops), out, lse, q, k, v, spans, shape);
}

Status op_attention_backward(Tensor *dq, Tensor *dk, Tensor *dv, Tensor *delta, const Tensor *dout,
                             const Tensor *q, const Tensor *k, const Tensor *v, const Tensor *out,
                             const Tensor *lse, const Tensor *spans, const Tensor *key_spans,
                             AttentionShape shape) {
  return attention_backward(tiles_of(dq->ops), dq, dk, dv, delta, dout, q, k, v, out, lse, spans, key_spans,
                            shape);
}
