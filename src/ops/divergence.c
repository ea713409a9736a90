// The divergence of distributions from others.
#include "grid.h"
#include "ops/ops.h"

static Status check_pairs(const char *op, const Divergence *d) {
  size_t pairs = d->other->rows;
  TRY(ops_check_shape(op, "stats", d->stats, d->logits->rows, 2));
  TRY(ops_check_type(op, "rows", d->rows, DTYPE_I32));
  TRY(ops_check_shape(op, "rows", d->rows, 1, pairs));
  TRY(ops_check_shape(op, "other", d->other, pairs, d->logits->cols));
  return ops_check_shape(op, "other stats", d->other_stats, pairs, 2);
}

#define ARG_PAIRS(d)                                                                                         \
  ARG_TENSOR((d)->logits), ARG_TENSOR((d)->stats), ARG_TENSOR((d)->rows), ARG_TENSOR((d)->other),            \
      ARG_TENSOR((d)->other_stats), ARG_UINT((d)->logits->cols), ARG_FLOAT(1.0f / (d)->tau)

Status op_divergence(Tensor *kl, const Divergence *d) {
  TRY(check_pairs("op_divergence", d));
  TRY(ops_check_shape("op_divergence", "kl", kl, 1, d->other->rows));
  OPERATION(kl->ops, "divergence", 0, kl, d->other, d->other, d->other_stats, d->rows);
  return LAUNCH(kl->ops, divergence, grid_rows(kl->ops, kl->cols), ARG_TENSOR(kl), ARG_PAIRS(d));
}

Status op_divergence_backward(Tensor *gradient, const Tensor *kl, const Tensor *weights,
                              const Divergence *d) {
  static const char op[] = "op_divergence_backward";
  TRY(check_pairs(op, d));
  TRY(ops_check_shape(op, "kl", kl, 1, d->other->rows));
  TRY(ops_check_shape(op, "weights", weights, d->other->rows, 2));
  TRY(ops_check_shape(op, "gradient", gradient, d->logits->rows, d->logits->cols));
  OPERATION(gradient->ops, "divergence backward", 0, d->other, d->other, d->other, d->other, kl, weights);
  return LAUNCH(gradient->ops, divergence_backward,
                grid_columns(gradient->ops, gradient->cols, d->other->rows), ARG_TENSOR(gradient),
                ARG_TENSOR(kl), ARG_TENSOR(weights), ARG_PAIRS(d));
}
