// The entropy head, and log probabilities from logits and the statistics that the head keeps.
#include "grid.h"
#include "ops/ops.h"

enum { PICK_ITEMS = 64 };

Status op_entropy(Tensor *stats, const Tensor *logits, float tau) {
  TRY(ops_check_shape("op_entropy", "stats", stats, logits->rows, 2));
  OPERATION(stats->ops, "entropy", 0, stats, logits);
  return LAUNCH(stats->ops, entropy, grid_rows(stats->ops, logits->rows), ARG_TENSOR(stats),
                ARG_TENSOR(logits), ARG_UINT(logits->cols), ARG_FLOAT(1.0f / tau));
}

Status op_entropy_backward(Tensor *logits, const Tensor *stats, const Tensor *weights, float tau) {
  TRY(ops_check_shape("op_entropy_backward", "stats", stats, logits->rows, 2));
  TRY(ops_check_shape("op_entropy_backward", "weights", weights, 1, logits->rows));
  OPERATION(logits->ops, "entropy backward", 0, logits, logits, stats, weights);
  return LAUNCH(logits->ops, entropy_backward, grid_columns(logits->ops, logits->cols, logits->rows),
                ARG_TENSOR(logits), ARG_TENSOR(stats), ARG_TENSOR(weights), ARG_UINT(logits->cols),
                ARG_FLOAT(1.0f / tau));
}

Status op_pick_logprob(Tensor *logprob, const Tensor *logits, const Tensor *stats, const Tensor *rows,
                       const Tensor *targets, float tau) {
  TRY(ops_check_shape("op_pick_logprob", "stats", stats, logits->rows, 2));
  TRY(ops_check_type("op_pick_logprob", "rows", rows, DTYPE_I32));
  TRY(ops_check_shape("op_pick_logprob", "rows", rows, 1, logprob->cols));
  TRY(ops_check_type("op_pick_logprob", "targets", targets, DTYPE_I32));
  TRY(ops_check_shape("op_pick_logprob", "targets", targets, 1, logprob->cols));
  OPERATION(logprob->ops, "pick logprob", 0, logprob, logprob, logprob, rows, targets);
  return LAUNCH(logprob->ops, pick_logprob, grid_items(logprob->cols, PICK_ITEMS), ARG_TENSOR(logprob),
                ARG_TENSOR(logits), ARG_TENSOR(stats), ARG_TENSOR(rows), ARG_TENSOR(targets),
                ARG_UINT(logprob->cols), ARG_UINT(logits->cols), ARG_FLOAT(1.0f / tau));
}
