// RMSNorm and its backward. The weight's gradient is summed over chunks of rows, then over the chunks: this
// gives a GPU enough groups and keeps the order of the sum fixed.
#include "grid.h"
#include "ops/ops.h"

enum { WEIGHT_CHUNK_ROWS = 64 };

Status op_rmsnorm(Tensor *out, Tensor *rstd, const Tensor *x, const Tensor *w, float eps) {
  TRY(ops_check_shape("op_rmsnorm", "out", out, x->rows, x->cols));
  TRY(ops_check_shape("op_rmsnorm", "rstd", rstd, 1, x->rows));
  TRY(ops_check_shape("op_rmsnorm", "w", w, 1, x->cols));
  OPERATION(out->ops, "rmsnorm", 0, out, rstd, x, w);
  return LAUNCH(out->ops, rmsnorm, grid_rows(out->ops, x->rows), ARG_TENSOR(out), ARG_TENSOR(rstd),
                ARG_TENSOR(x), ARG_TENSOR(w), ARG_UINT(x->cols), ARG_FLOAT(eps));
}

Status op_add_rmsnorm(Tensor *sum, Tensor *out, Tensor *rstd, const Tensor *a, const Tensor *b,
                      const Tensor *w, float eps) {
  TRY(ops_check_shape("op_add_rmsnorm", "out", out, sum->rows, sum->cols));
  TRY(ops_check_shape("op_add_rmsnorm", "rstd", rstd, 1, sum->rows));
  TRY(ops_check_shape("op_add_rmsnorm", "a", a, sum->rows, sum->cols));
  TRY(ops_check_shape("op_add_rmsnorm", "b", b, sum->rows, sum->cols));
  TRY(ops_check_shape("op_add_rmsnorm", "w", w, 1, sum->cols));
  OPERATION(sum->ops, "add rmsnorm", 0, sum, out, rstd, a, b, w);
  return LAUNCH(sum->ops, add_rmsnorm, grid_rows(sum->ops, sum->rows), ARG_TENSOR(sum), ARG_TENSOR(out),
                ARG_TENSOR(rstd), ARG_TENSOR(a), ARG_TENSOR(b), ARG_TENSOR(w), ARG_UINT(sum->cols),
                ARG_FLOAT(eps));
}

static Status weight_gradient(Tensor *dw, const Tensor *dout, const Tensor *x, const Tensor *rstd) {
  Ops *ops = dw->ops;
  size_t chunks = pieces(x->rows, WEIGHT_CHUNK_ROWS);
  const Tensor *partial;
  TRY(ops_scratch(ops, SCRATCH_REDUCE, chunks * x->cols, &partial));
  TRY(LAUNCH(ops, rmsnorm_weight_partial, grid_columns(ops, x->cols, chunks), ARG_TENSOR(partial),
             ARG_TENSOR(dout), ARG_TENSOR(x), ARG_TENSOR(rstd), ARG_UINT(x->rows), ARG_UINT(x->cols),
             ARG_UINT(WEIGHT_CHUNK_ROWS)));
  return LAUNCH(ops, rmsnorm_weight_sum, grid_elements(ops, x->cols), ARG_TENSOR(dw), ARG_TENSOR(partial),
                ARG_UINT(chunks), ARG_UINT(x->cols));
}

Status op_rmsnorm_backward(Tensor *dx, Tensor *dw, const Tensor *dout, const Tensor *x, const Tensor *w,
                           const Tensor *rstd) {
  TRY(ops_check_shape("op_rmsnorm_backward", "dx", dx, x->rows, x->cols));
  TRY(ops_check_shape("op_rmsnorm_backward", "dout", dout, x->rows, x->cols));
  TRY(ops_check_shape("op_rmsnorm_backward", "w", w, 1, x->cols));
  TRY(ops_check_shape("op_rmsnorm_backward", "rstd", rstd, 1, x->rows));
  OPERATION(dx->ops, "rmsnorm backward", 0, dx, dx, dout, x, w, rstd, dw, dw);
  TRY(LAUNCH(dx->ops, rmsnorm_backward, grid_rows(dx->ops, x->rows), ARG_TENSOR(dx), ARG_TENSOR(dout),
             ARG_TENSOR(x), ARG_TENSOR(w), ARG_TENSOR(rstd), ARG_UINT(x->cols)));
  if (dw == NULL) return STATUS_OK;
  TRY(ops_check_shape("op_rmsnorm_backward", "dw", dw, 1, x->cols));
  return weight_gradient(dw, dout, x, rstd);
}
