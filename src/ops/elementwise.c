// Operations that work element by element: sums and SwiGLU.
#include "grid.h"
#include "ops/ops.h"

Status op_add(Tensor *out, const Tensor *a, const Tensor *b) {
  TRY(ops_check_shape("op_add", "a", a, out->rows, out->cols));
  TRY(ops_check_shape("op_add", "b", b, out->rows, out->cols));
  size_t count = out->rows * out->cols;
  return LAUNCH(out->ops, add, grid_elements(out->ops, count), ARG_TENSOR(out), ARG_TENSOR(a), ARG_TENSOR(b),
                ARG_COUNT(count));
}

Status op_swiglu(Tensor *out, const Tensor *gate, const Tensor *up) {
  TRY(ops_check_shape("op_swiglu", "gate", gate, out->rows, out->cols));
  TRY(ops_check_shape("op_swiglu", "up", up, out->rows, out->cols));
  size_t count = out->rows * out->cols;
  return LAUNCH(out->ops, swiglu, grid_elements(out->ops, count), ARG_TENSOR(out), ARG_TENSOR(gate),
                ARG_TENSOR(up), ARG_COUNT(count));
}

Status op_swiglu_backward(Tensor *dgate, Tensor *dup, const Tensor *dout, const Tensor *gate,
                          const Tensor *up) {
  TRY(ops_check_shape("op_swiglu_backward", "dgate", dgate, dout->rows, dout->cols));
  TRY(ops_check_shape("op_swiglu_backward", "dup", dup, dout->rows, dout->cols));
  TRY(ops_check_shape("op_swiglu_backward", "gate", gate, dout->rows, dout->cols));
  TRY(ops_check_shape("op_swiglu_backward", "up", up, dout->rows, dout->cols));
  size_t count = dout->rows * dout->cols;
  return LAUNCH(dout->ops, swiglu_backward, grid_elements(dout->ops, count), ARG_TENSOR(dgate),
                ARG_TENSOR(dup), ARG_TENSOR(dout), ARG_TENSOR(gate), ARG_TENSOR(up), ARG_COUNT(count));
}
