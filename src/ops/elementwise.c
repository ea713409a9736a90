// Elementwise operations: sums and SwiGLU.
#include "grid.h"
#include "ops/ops.h"

Status op_add(Tensor *out, const Tensor *a, const Tensor *b) {
  TRY(ops_check_shape("op_add", "a", a, out->rows, out->cols));
  TRY(ops_check_shape("op_add", "b", b, out->rows, out->cols));
  size_t count = out->rows * out->cols;
  OPERATION(out->ops, "add", 0, out, a, b);
  return LAUNCH(out->ops, add, grid_elements(out->ops, count), ARG_TENSOR(out), ARG_TENSOR(a), ARG_TENSOR(b),
                ARG_COUNT(count));
}

/// The shape that an elementwise kernel works on. If all tensors are dense, they are treated as one long row,
/// so that no lane idles at the end of each row.
static void choose_shape(const Tensor *const tensors[], size_t count, size_t *rows, size_t *cols) {
  bool dense = true;
  for (size_t i = 0; i < count; i++) dense = dense && tensor_is_dense(tensors[i]);
  *rows = dense ? 1 : tensors[0]->rows;
  *cols = dense ? tensors[0]->rows * tensors[0]->cols : tensors[0]->cols;
}

Status op_swiglu(Tensor *out, const Tensor *gate, const Tensor *up) {
  TRY(ops_check_shape("op_swiglu", "gate", gate, out->rows, out->cols));
  TRY(ops_check_shape("op_swiglu", "up", up, out->rows, out->cols));
  size_t rows, cols;
  choose_shape((const Tensor *const[]){out, gate, up}, 3, &rows, &cols);
  OPERATION(out->ops, "swiglu", 0, out, gate, up);
  return LAUNCH(out->ops, swiglu, grid_columns(out->ops, cols, rows), ARG_VIEW(out), ARG_VIEW(gate),
                ARG_VIEW(up), ARG_COUNT(cols));
}

Status op_swiglu_backward(Tensor *dgate, Tensor *dup, const Tensor *dout, const Tensor *gate,
                          const Tensor *up) {
  TRY(ops_check_shape("op_swiglu_backward", "dgate", dgate, dout->rows, dout->cols));
  TRY(ops_check_shape("op_swiglu_backward", "dup", dup, dout->rows, dout->cols));
  TRY(ops_check_shape("op_swiglu_backward", "gate", gate, dout->rows, dout->cols));
  TRY(ops_check_shape("op_swiglu_backward", "up", up, dout->rows, dout->cols));
  size_t rows, cols;
  choose_shape((const Tensor *const[]){dout, dgate, dup, gate, up}, 5, &rows, &cols);
  OPERATION(dout->ops, "swiglu backward", 0, dgate, dup, dout, gate, up);
  return LAUNCH(dout->ops, swiglu_backward, grid_columns(dout->ops, cols, rows), ARG_VIEW(dgate),
                ARG_VIEW(dup), ARG_VIEW(dout), ARG_VIEW(gate), ARG_VIEW(up), ARG_COUNT(cols));
}
