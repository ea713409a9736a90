// Conversion between float32 and 16-bit floats.
#include "grid.h"
#include "ops/ops.h"

enum { ITEMS = 256 };

Status op_convert(Tensor *out, const Tensor *x) {
  TRY(ops_check_shape("op_convert", "out", out, x->rows, x->cols));
  bool narrows = x->dtype == DTYPE_F32 && (out->dtype == DTYPE_F16 || out->dtype == DTYPE_BF16);
  bool widens = out->dtype == DTYPE_F32 && (x->dtype == DTYPE_F16 || x->dtype == DTYPE_BF16);
  if (!narrows && !widens)
    return status_fail(STATUS_FAILED, "op_convert: one side must be f32, the other f16 or bf16");
  size_t count = x->rows * x->cols;
  return LAUNCH(out->ops, convert, grid_items(count, ITEMS), ARG_TENSOR(out), ARG_TENSOR(x), ARG_COUNT(count),
                ARG_UINT(out->dtype), ARG_UINT(x->dtype));
}
