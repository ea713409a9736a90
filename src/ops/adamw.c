// AdamW, and the sum of squares that clipping needs, over slabs of parameters.
#include "grid.h"
#include "ops/ops.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>

enum { CHUNK = 16384 }; // elements in one partial sum of squares

Status op_adamw(Tensor *values, Tensor *m, Tensor *v, const Tensor *grads, AdamWShape shape) {
  TRY(ops_check_shape("op_adamw", "m", m, values->rows, values->cols));
  TRY(ops_check_shape("op_adamw", "v", v, values->rows, values->cols));
  TRY(ops_check_shape("op_adamw", "grads", grads, values->rows, values->cols));
  if (shape.step == 0) return status_fail(STATUS_FAILED, "op_adamw: the first update is step 1");
  size_t count = values->rows * values->cols;
  double step_size = shape.lr / (1 - pow(shape.beta1, shape.step));
  double rescale = 1 / sqrt(1 - pow(shape.beta2, shape.step)), decay = 1 - shape.lr * shape.weight_decay;
  OPERATION(values->ops, "adamw", 0, values, values, m, m, v, v, grads);
  return LAUNCH(values->ops, adamw, grid_elements(values->ops, count), ARG_TENSOR(values), ARG_TENSOR(m),
                ARG_TENSOR(v), ARG_TENSOR(grads), ARG_COUNT(count), ARG_FLOAT((float)shape.grad_scale),
                ARG_FLOAT((float)decay), ARG_FLOAT((float)shape.beta1), ARG_FLOAT((float)shape.beta2),
                ARG_FLOAT((float)(1 - shape.beta1)), ARG_FLOAT((float)(1 - shape.beta2)),
                ARG_FLOAT((float)step_size), ARG_FLOAT((float)rescale), ARG_FLOAT((float)shape.epsilon));
}

Status op_sum_squares(double *out, const Tensor *x) {
  Ops *ops = x->ops;
  size_t count = x->rows * x->cols, chunks = pieces(count, CHUNK);
  const Tensor *partial;
  float *sums = NULL;
  Status status = STATUS_OK;
  *out = 0;
  OPERATION(ops, "sum squares", 0, x);
  TRY(ops_scratch(ops, SCRATCH_REDUCE, chunks, &partial));
  TRY(LAUNCH(ops, sum_squares, grid_rows(ops, chunks), ARG_TENSOR(partial), ARG_TENSOR(x), ARG_COUNT(count),
             ARG_UINT(CHUNK)));
  if (ops_is_plan(ops)) return STATUS_OK;
  TRY_CLEAN(mem_array(&sums, chunks, "partial sums"));
  TRY_CLEAN(tensor_read(partial, 0, chunks, sums));
  for (size_t i = 0; i < chunks; i++) *out += (double)sums[i];
cleanup:
  free(sums);
  return status;
}
