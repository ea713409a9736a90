// Sampling tokens from logits.
#include "grid.h"
#include "ops/ops.h"

enum { ROWS_AT_ONCE = 64 };     // rows per launch, which bounds the scratch
enum { SCRATCH_PER_LOGIT = 3 }; // a score, its list entry and its id: see cl/sample.cl

static Status check(const Tensor *tokens, const Tensor *seen, const Tensor *logits, const Tensor *uniforms,
                    SampleShape shape) {
  TRY(ops_check_type("op_sample", "tokens", tokens, DTYPE_I32));
  TRY(ops_check_shape("op_sample", "tokens", tokens, 1, logits->rows));
  TRY(ops_check_type("op_sample", "seen", seen, DTYPE_I32));
  TRY(ops_check_shape("op_sample", "seen", seen, logits->rows, (logits->cols + 31) / 32));
  TRY(ops_check_shape("op_sample", "uniforms", uniforms, 1, logits->rows));
  if (shape.temperature >= 0 && shape.top_p > 0 && shape.top_p <= 1 && shape.repetition_penalty > 0)
    return STATUS_OK;
  return status_fail(
      STATUS_FAILED,
      "op_sample: temperature %g, top_p %g and repetition penalty %g must be ≥ 0, in (0, 1] and > 0",
      (double)shape.temperature, (double)shape.top_p, (double)shape.repetition_penalty);
}

Status op_sample(Tensor *tokens, Tensor *seen, const Tensor *logits, const Tensor *uniforms,
                 SampleShape shape) {
  TRY(check(tokens, seen, logits, uniforms, shape));
  Ops *ops = tokens->ops;
  size_t V = logits->cols, at_once = logits->rows < ROWS_AT_ONCE ? logits->rows : ROWS_AT_ONCE;
  const Tensor *scratch;
  OPERATION(ops, "sample", 0, tokens, seen, logits, uniforms);
  TRY(ops_scratch(ops, SCRATCH_OTHER, at_once * SCRATCH_PER_LOGIT * V, &scratch));
  for (size_t row = 0; row < logits->rows; row += at_once) {
    size_t rows = logits->rows - row < at_once ? logits->rows - row : at_once;
    if (shape.temperature == 0) {
      TRY(LAUNCH(ops, sample_largest, grid_rows(ops, rows), ARG_TENSOR(tokens), ARG_TENSOR(seen),
                 ARG_TENSOR(scratch), ARG_TENSOR(logits), ARG_UINT(row), ARG_UINT(V), ARG_UINT(seen->cols),
                 ARG_FLOAT(shape.repetition_penalty)));
    } else {
      TRY(LAUNCH(ops, sample, grid_rows(ops, rows), ARG_TENSOR(tokens), ARG_TENSOR(seen), ARG_TENSOR(scratch),
                 ARG_TENSOR(logits), ARG_TENSOR(uniforms), ARG_UINT(row), ARG_UINT(V), ARG_UINT(seen->cols),
                 ARG_FLOAT(shape.temperature), ARG_FLOAT(shape.top_p), ARG_UINT(shape.top_k),
                 ARG_FLOAT(shape.repetition_penalty)));
    }
  }
  return STATUS_OK;
}
