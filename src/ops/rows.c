// Rows of a tensor read, stored and added to by row number.
#include "grid.h"
#include "ops/ops.h"

static Status check_rows(const char *op, const Tensor *many, const Tensor *few, const Tensor *rows) {
  TRY(ops_check_type(op, "rows", rows, DTYPE_I32));
  TRY(ops_check_shape(op, "rows", rows, 1, few->rows));
  return ops_check_shape(op, "x", few, few->rows, many->cols);
}

Status op_gather_rows(Tensor *out, const Tensor *x, const Tensor *rows) {
  TRY(check_rows("op_gather_rows", x, out, rows));
  OPERATION(out->ops, "gather rows", 0, out, out, rows);
  return LAUNCH(out->ops, gather_rows, grid_rows(out->ops, out->rows), ARG_TENSOR(out), ARG_TENSOR(x),
                ARG_TENSOR(rows), ARG_UINT(x->cols));
}

Status op_store_rows(Tensor *out, const Tensor *x, const Tensor *rows) {
  TRY(check_rows("op_store_rows", out, x, rows));
  OPERATION(out->ops, "store rows", 0, x, x, rows);
  return LAUNCH(out->ops, store_rows, grid_rows(out->ops, x->rows), ARG_TENSOR(out), ARG_VIEW(x),
                ARG_TENSOR(rows), ARG_UINT(x->cols));
}

Status op_scatter_add_rows(Tensor *out, const Tensor *x, const Tensor *rows) {
  TRY(check_rows("op_scatter_add_rows", out, x, rows));
  OPERATION(out->ops, "scatter rows", 0, x, x, x, rows);
  return LAUNCH(out->ops, scatter_add_rows, grid_rows(out->ops, x->rows), ARG_TENSOR(out), ARG_TENSOR(x),
                ARG_TENSOR(rows), ARG_UINT(x->cols));
}
