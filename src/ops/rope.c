// Rotary position embedding. Its backward is the inverse rotation.
#include "grid.h"
#include "ops/ops.h"

static Status check_heads(const char *op, const Tensor *x, size_t head_dim) {
  if (head_dim > 0 && head_dim % 2 == 0 && x->cols % head_dim == 0) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: %zu columns cannot be heads of width %zu", op, x->cols, head_dim);
}

static Status check_turned(const char *op, const Tensor *q, const Tensor *k, const Tensor *positions,
                           const Tensor *inv_freq, size_t head_dim) {
  TRY(ops_check_type(op, "positions", positions, DTYPE_I32));
  TRY(ops_check_shape(op, "positions", positions, 1, q->rows));
  TRY(ops_check_shape(op, "k", k, q->rows, k->cols));
  TRY(ops_check_shape(op, "inv_freq", inv_freq, 1, head_dim / 2));
  TRY(check_heads(op, q, head_dim));
  return check_heads(op, k, head_dim);
}

Status op_rope(Tensor *q, Tensor *k, const Tensor *positions, const Tensor *inv_freq, size_t head_dim,
               int direction) {
  TRY(check_turned("op_rope", q, k, positions, inv_freq, head_dim));
  OPERATION(q->ops, "rope", 0, q, q, k, k, positions, inv_freq);
  return LAUNCH(q->ops, rope, grid_rows(q->ops, q->rows), ARG_VIEW(q), ARG_VIEW(k), ARG_TENSOR(positions),
                ARG_TENSOR(inv_freq), ARG_UINT(q->cols / head_dim), ARG_UINT(k->cols / head_dim),
                ARG_UINT(head_dim / 2), ARG_FLOAT(direction < 0 ? -1.0f : 1.0f));
}

static Status check_stored(const char *op, const StoredKeys *keys) {
  TRY(ops_check_type(op, "rows", keys->rows, DTYPE_I32));
  TRY(ops_check_shape(op, "rows", keys->rows, 1, keys->k->rows));
  TRY(ops_check_shape(op, "v", keys->v, keys->k->rows, keys->k->cols));
  TRY(ops_check_shape(op, "cache_k", keys->cache_k, keys->cache_k->rows, keys->k->cols));
  return ops_check_shape(op, "cache_v", keys->cache_v, keys->cache_k->rows, keys->k->cols);
}

Status op_rope_keys(Tensor *q, const StoredKeys *keys, const Tensor *positions, const Tensor *inv_freq,
                    size_t head_dim) {
  const Tensor *k = keys->k, *v = keys->v;
  TRY(check_turned("op_rope_keys", q, k, positions, inv_freq, head_dim));
  TRY(check_stored("op_rope_keys", keys));
  OPERATION(q->ops, "rope keys", 0, q, q, k, k, v, v, keys->rows, positions, inv_freq);
  return LAUNCH(q->ops, rope_keys, grid_rows(q->ops, q->rows), ARG_VIEW(q), ARG_TENSOR(keys->cache_k),
                ARG_TENSOR(keys->cache_v), ARG_VIEW(k), ARG_VIEW(v), ARG_TENSOR(keys->rows),
                ARG_TENSOR(positions), ARG_TENSOR(inv_freq), ARG_UINT(q->cols / head_dim),
                ARG_UINT(k->cols / head_dim), ARG_UINT(head_dim / 2));
}
