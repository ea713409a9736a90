// Conversion between float32 and the other types of elements.
#include "convert.h"

#include "grid.h"
#include "ops/ops.h"

// The list of types that kernels decode is that of the kernels themselves.
#include "block_list.h"
static const bool decoded[DTYPE_COUNT] = {
#define BLOCK_ROW(name) [DTYPE_##name] = true,
    BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
};

bool ops_can_read(DType type) {
  return type == DTYPE_F32 || dtype_is_half(type) || decoded[type];
}

Status ops_check_readable(const char *op, const char *tensor, const Tensor *value) {
  size_t block = dtype_info(value->dtype)->block_elements;
  if (!ops_can_read(value->dtype))
    return status_fail(STATUS_FAILED, "%s: no kernel reads %s, the type of %s", op, dtype_name(value->dtype),
                       tensor);
  if ((value->first | value->pitch | value->cols) % block == 0) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: the rows of %s do not begin and end with blocks of %s", op, tensor,
                     dtype_name(value->dtype));
}

Status convert_widen(const Tensor *out, const Tensor *x) {
  return LAUNCH(x->ops, widen, grid_columns(x->ops, x->cols, x->rows), ARG_BUFFER(out->buffer), ARG_VIEW(x),
                ARG_UINT(x->cols), ARG_UINT(x->dtype));
}

Status convert_narrow(const Tensor *out, size_t pitch, const Tensor *x, DType type) {
  return LAUNCH(x->ops, narrow, grid_columns(x->ops, x->cols, x->rows), ARG_BUFFER(out->buffer),
                ARG_UINT(pitch), ARG_VIEW(x), ARG_UINT(x->cols), ARG_UINT(type));
}

Status op_convert(Tensor *out, const Tensor *x) {
  TRY(ops_check_shape("op_convert", "out", out, x->rows, x->cols));
  bool narrows = x->dtype == DTYPE_F32 && dtype_is_half(out->dtype);
  if (!narrows && (x->dtype == DTYPE_F32 || out->dtype != DTYPE_F32))
    return status_fail(STATUS_FAILED, "op_convert: one side must be f32, the other of another type");
  TRY(ops_check_whole("op_convert", "out", out));
  TRY(ops_check_readable("op_convert", "x", x));
  OPERATION(out->ops, "convert", 0, out, x);
  return narrows ? convert_narrow(out, out->pitch, x, out->dtype) : convert_widen(out, x);
}
