// Inverted dropout.
#include "grid.h"
#include "ops/ops.h"

enum { ITEMS = 64 };

Status op_dropout(Tensor *out, const Tensor *x, const Tensor *row_ids, float p, uint64_t seed,
                  uint32_t stream) {
  TRY(ops_check_shape("op_dropout", "x", x, out->rows, out->cols));
  TRY(ops_check_type("op_dropout", "row_ids", row_ids, DTYPE_I32));
  TRY(ops_check_shape("op_dropout", "row_ids", row_ids, 1, out->rows));
  if (!(p >= 0 && p < 1)) return status_fail(STATUS_FAILED, "op_dropout: p = %g is not in [0, 1)", (double)p);
  Grid grid = grid_groups(out->rows, ITEMS);
  grid.groups[1] = pieces(out->cols, ITEMS);
  OPERATION(out->ops, "dropout", 0, out, x, row_ids);
  return LAUNCH(out->ops, dropout, grid, ARG_TENSOR(out), ARG_TENSOR(x), ARG_TENSOR(row_ids),
                ARG_UINT(out->cols), ARG_FLOAT(p), ARG_FLOAT(1.0f / (1.0f - p)), ARG_UINT(seed),
                ARG_UINT(seed >> 32), ARG_UINT(stream));
}
