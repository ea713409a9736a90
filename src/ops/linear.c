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

/// Adds what the adapter of a product into `out` costs: out itself is in memory once for both.
static Status check_adapter(const char *op, const Tensor *out, const LowRank *adapter, bool forward,
                            OpsWork *work) {
  const Tensor *low = adapter->low, *factor = adapter->factor;
  if (low == NULL) return STATUS_OK;
  TRY(ops_check_shape(op, "low", low, out->rows, low->cols));
  TRY(ops_check_shape(op, "factor", factor, forward ? out->cols : low->cols,
                      forward ? low->cols : out->cols));
  work->flops += product_flops(out, low->cols);
  work->bytes += ops_bytes((const Tensor *const[]){low, factor}, 2);
  return STATUS_OK;
}

static GemmAdded added_by(const LowRank *adapter, bool forward) {
  return (GemmAdded){{adapter->low, false}, {adapter->factor, forward}, adapter->scale};
}

static Status linears(Tensor *const outs[], const Tensor *x, const Tensor *const ws[],
                      const LowRank adapters[], size_t count, GemmMath coarsest) {
  static const LowRank none[GEMM_TOGETHER];
  GemmAdded added[GEMM_TOGETHER];
  OpsWork work = {0, ops_bytes(&x, 1)};
  if (adapters == NULL) adapters = none;
  if (count > GEMM_TOGETHER) return status_fail(STATUS_FAILED, "op_linears: %zu products together", count);
  for (size_t i = 0; i < count; i++) {
    TRY(ops_check_shape("op_linears", "out", outs[i], x->rows, ws[i]->rows));
    TRY(ops_check_shape("op_linears", "w", ws[i], outs[i]->cols, x->cols));
    work.flops += product_flops(outs[i], x->cols);
    work.bytes += ops_bytes((const Tensor *const[]){outs[i], ws[i]}, 2);
    TRY(check_adapter("op_linears", outs[i], &adapters[i], true, &work));
    added[i] = added_by(&adapters[i], true);
  }
  OPERATION_OF(x->ops, "linear", work.flops, work.bytes);
  return gemm_each(outs, x, ws, added, count, coarsest);
}

Status op_linears(Tensor *const outs[], const Tensor *x, const Tensor *const ws[], const LowRank adapters[],
                  size_t count) {
  return linears(outs, x, ws, adapters, count, GEMM_HALF_INPUTS);
}

Status op_linears_inference(Tensor *const outs[], const Tensor *x, const Tensor *const ws[],
                            const LowRank adapters[], size_t count) {
  return linears(outs, x, ws, adapters, count, GEMM_BYTE_INPUTS);
}

static Status linear_dx(Tensor *dx, const Tensor *dout, const Tensor *w, float alpha, float beta,
                        const LowRank *adapter) {
  TRY(ops_check_shape("op_linear_dx", "dx", dx, dout->rows, w->cols));
  TRY(ops_check_shape("op_linear_dx", "w", w, dout->cols, dx->cols));
  OpsWork work = {product_flops(dx, dout->cols),
                  ops_bytes((const Tensor *const[]){dx, dout, w, beta != 0 ? dx : NULL}, 4)};
  TRY(check_adapter("op_linear_dx", dx, adapter, false, &work));
  GemmAdded added = added_by(adapter, false);
  OPERATION_OF(dx->ops, "linear dx", work.flops, work.bytes);
  return gemm_sum(dx, &(GemmFactors){{dout, false}, {w, false}, GEMM_HALF_INPUTS}, alpha, beta, &added);
}

Status op_linear_dx(Tensor *dx, const Tensor *dout, const Tensor *w, float alpha, float beta) {
  return linear_dx(dx, dout, w, alpha, beta, &(LowRank){NULL, NULL, 0});
}

Status op_linear_dx_adapted(Tensor *dx, const Tensor *dout, const Tensor *w, float beta,
                            const LowRank *adapter) {
  return linear_dx(dx, dout, w, 1.0f, beta, adapter);
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
