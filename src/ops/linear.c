// Linear layers: the three matrix products of forward and backward, and the bias.
#include "gemm.h"
#include "grid.h"
#include "ops/ops.h"

/// 2 · M · N · K of a product into `out` that sums over k.
static double product_flops(const Tensor *out, size_t k) {
  return 2 * (double)out->rows * (double)out->cols * (double)k;
}

static Status linear(Tensor *out, const GemmFactors *factors, float alpha, float beta) {
  const Tensor *x = factors->a.tensor, *w = factors->b.tensor;
  TRY(ops_check_shape("op_linear", "out", out, x->rows, w->rows));
  TRY(ops_check_shape("op_linear", "w", w, out->cols, x->cols));
  OPERATION(out->ops, "linear", product_flops(out, x->cols), out, x, w, beta != 0 ? out : NULL);
  return gemm(out, factors, alpha, beta);
}

Status op_linear(Tensor *out, const Tensor *x, const Tensor *w, float alpha, float beta) {
  return linear(out, &(GemmFactors){{x, false}, {w, true}, GEMM_HALF_INPUTS}, alpha, beta);
}

Status op_linear_inference(Tensor *out, const Tensor *x, const Tensor *w, float alpha, float beta) {
  return linear(out, &(GemmFactors){{x, false}, {w, true}, GEMM_BYTE_INPUTS}, alpha, beta);
}

static Status linears(Tensor *const outs[], const Tensor *x, const Tensor *const ws[], size_t count,
                      GemmMath coarsest) {
  double flops = 0, bytes = ops_bytes(&x, 1);
  for (size_t i = 0; i < count; i++) {
    TRY(ops_check_shape("op_linears", "out", outs[i], x->rows, ws[i]->rows));
    TRY(ops_check_shape("op_linears", "w", ws[i], outs[i]->cols, x->cols));
    flops += product_flops(outs[i], x->cols);
    bytes += ops_bytes((const Tensor *const[]){outs[i], ws[i]}, 2);
  }
  OPERATION_OF(x->ops, "linear", flops, bytes);
  return gemm_each(outs, x, ws, count, coarsest);
}

Status op_linears(Tensor *const outs[], const Tensor *x, const Tensor *const ws[], size_t count) {
  return linears(outs, x, ws, count, GEMM_HALF_INPUTS);
}

Status op_linears_inference(Tensor *const outs[], const Tensor *x, const Tensor *const ws[], size_t count) {
  return linears(outs, x, ws, count, GEMM_BYTE_INPUTS);
}

Status op_linear_dx(Tensor *dx, const Tensor *dout, const Tensor *w, float alpha, float beta) {
  TRY(ops_check_shape("op_linear_dx", "dx", dx, dout->rows, w->cols));
  TRY(ops_check_shape("op_linear_dx", "w", w, dout->cols, dx->cols));
  OPERATION(dx->ops, "linear dx", product_flops(dx, dout->cols), dx, dout, w, beta != 0 ? dx : NULL);
  return gemm(dx, &(GemmFactors){{dout, false}, {w, false}, GEMM_HALF_INPUTS}, alpha, beta);
}

Status op_linear_dw(Tensor *dw, const Tensor *dout, const Tensor *x, float alpha, float beta) {
  TRY(ops_check_shape("op_linear_dw", "dw", dw, dout->cols, x->cols));
  TRY(ops_check_shape("op_linear_dw", "x", x, dout->rows, dw->cols));
  OPERATION(dw->ops, "linear dw", product_flops(dw, x->rows), dw, dout, x, beta != 0 ? dw : NULL);
  return gemm(dw, &(GemmFactors){{dout, true}, {x, false}, GEMM_F32}, alpha, beta);
}

Status op_bias(Tensor *x, const Tensor *bias) {
  TRY(ops_check_shape("op_bias", "bias", bias, 1, x->cols));
  OPERATION(x->ops, "bias", 0, x, x, bias);
  return LAUNCH(x->ops, bias_add, grid_columns(x->ops, x->cols, x->rows), ARG_VIEW(x), ARG_TENSOR(bias),
                ARG_UINT(x->cols));
}

Status op_bias_backward(Tensor *dbias, const Tensor *dout) {
  TRY(ops_check_shape("op_bias_backward", "dbias", dbias, 1, dout->cols));
  OPERATION(dout->ops, "bias backward", 0, dbias, dbias, dout);
  return LAUNCH(dout->ops, bias_backward, grid_elements(dout->ops, dout->cols), ARG_TENSOR(dbias),
                ARG_VIEW(dout), ARG_UINT(dout->rows), ARG_UINT(dout->cols));
}
