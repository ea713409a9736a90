// Rotary position embedding. Its backward is the inverse rotation.
#include "grid.h"
#include "ops/ops.h"

Status op_rope(Tensor *x, const Tensor *positions, const Tensor *inv_freq, size_t head_dim, int direction) {
  TRY(ops_check_type("op_rope", "positions", positions, DTYPE_I32));
  TRY(ops_check_shape("op_rope", "positions", positions, 1, x->rows));
  TRY(ops_check_shape("op_rope", "inv_freq", inv_freq, 1, head_dim / 2));
  if (head_dim == 0 || head_dim % 2 != 0 || x->cols % head_dim != 0) {
    return status_fail(STATUS_FAILED, "op_rope: %zu columns cannot be heads of width %zu", x->cols, head_dim);
  }
  OPERATION(x->ops, "rope", 0, x, x, positions, inv_freq);
  return LAUNCH(x->ops, rope, grid_rows(x->ops, x->rows), ARG_VIEW(x), ARG_TENSOR(positions),
                ARG_TENSOR(inv_freq), ARG_UINT(x->cols / head_dim), ARG_UINT(head_dim / 2),
                ARG_FLOAT(direction < 0 ? -1.0f : 1.0f));
}
