// The cross-entropy of given tokens.
#include "grid.h"
#include "ops/ops.h"

enum { TARGET_ITEMS = 64 };

Status op_largest_logprob(Tensor *largest, const Tensor *logits, const Tensor *stats) {
  TRY(ops_check_shape("op_largest_logprob", "stats", stats, logits->rows, 2));
  TRY(ops_check_shape("op_largest_logprob", "largest", largest, 1, logits->rows));
  OPERATION(largest->ops, "largest logprob", 0, largest, logits, stats);
  return LAUNCH(largest->ops, largest_logprob, grid_rows(largest->ops, logits->rows), ARG_TENSOR(largest),
                ARG_TENSOR(logits), ARG_TENSOR(stats), ARG_UINT(logits->cols));
}

Status op_cross_entropy_backward(Tensor *logits, const Tensor *stats, const Tensor *weights) {
  TRY(ops_check_shape("op_cross_entropy_backward", "stats", stats, logits->rows, 2));
  TRY(ops_check_shape("op_cross_entropy_backward", "weights", weights, 1, logits->rows));
  OPERATION(logits->ops, "cross-entropy backward", 0, logits, logits, stats, weights);
  return LAUNCH(logits->ops, cross_entropy_backward, grid_columns(logits->ops, logits->cols, logits->rows),
                ARG_TENSOR(logits), ARG_TENSOR(stats), ARG_TENSOR(weights), ARG_UINT(logits->cols));
}

Status op_subtract_targets(Tensor *gradient, const Tensor *rows, const Tensor *targets,
                           const Tensor *weights) {
  static const char op[] = "op_subtract_targets";
  TRY(ops_check_type(op, "rows", rows, DTYPE_I32));
  TRY(ops_check_type(op, "targets", targets, DTYPE_I32));
  TRY(ops_check_shape(op, "rows", rows, 1, weights->cols));
  TRY(ops_check_shape(op, "targets", targets, 1, weights->cols));
  OPERATION(gradient->ops, "subtract targets", 0, weights, weights, weights, rows, targets);
  return LAUNCH(gradient->ops, subtract_targets, grid_items(weights->cols, TARGET_ITEMS),
                ARG_TENSOR(gradient), ARG_TENSOR(rows), ARG_TENSOR(targets), ARG_TENSOR(weights),
                ARG_UINT(weights->cols), ARG_UINT(gradient->cols));
}
