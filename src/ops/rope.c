// Rotary position embedding. Its backward is the inverse rotation.
#include "grid.h"
#include "ops/ops.h"

static Status check_heads(const Tensor *x, size_t head_dim) {
  if (head_dim > 0 && head_dim % 2 == 0 && x->cols % head_dim == 0) return STATUS_OK;
  return status_fail(STATUS_FAILED, "op_rope: %zu columns cannot be heads of width %zu", x->cols, head_dim);
}

Status op_rope(Tensor *q, Tensor *k, const Tensor *positions, const Tensor *inv_freq, size_t head_dim,
               int direction) {
  TRY(ops_check_type("op_rope", "positions", positions, DTYPE_I32));
  TRY(ops_check_shape("op_rope", "positions", positions, 1, q->rows));
  TRY(ops_check_shape("op_rope", "k", k, q->rows, k->cols));
  TRY(ops_check_shape("op_rope", "inv_freq", inv_freq, 1, head_dim / 2));
  TRY(check_heads(q, head_dim));
  TRY(check_heads(k, head_dim));
  OPERATION(q->ops, "rope", 0, q, q, k, k, positions, inv_freq);
  return LAUNCH(q->ops, rope, grid_rows(q->ops, q->rows), ARG_VIEW(q), ARG_VIEW(k), ARG_TENSOR(positions),
                ARG_TENSOR(inv_freq), ARG_UINT(q->cols / head_dim), ARG_UINT(k->cols / head_dim),
                ARG_UINT(head_dim / 2), ARG_FLOAT(direction < 0 ? -1.0f : 1.0f));
}
