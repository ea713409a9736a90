// Which GEMM computes a product: the vendor's if one is wanted and can do the call, else the kernel family's
// own.
#include "gemm.h"

#include "context.h"

enum { VENDOR_STEPS = 2048 }; // steps of k in one call of a vendor's GEMM, which sums in one chain
enum {
  WIDEN_ELEMENTS = 4 * 1024 * 1024
}; // scratch for the 16-bit weights that a vendor's GEMM needs as float32

static GemmMatrix matrix_of(GemmInput input) {
  const Tensor *tensor = input.tensor;
  return (GemmMatrix){.buffer = tensor->buffer,
                      .offset = tensor->first,
                      .stride = tensor->pitch,
                      .type = tensor->dtype,
                      .transposed = input.transposed};
}

/// Advances the matrix by `steps` of k: down its stored rows if k counts them, else along a row.
static void skip_k(GemmMatrix *matrix, bool k_counts_rows, size_t steps) {
  matrix->offset += k_counts_rows ? steps * matrix->stride : steps;
}

/// The vendor's GEMM over slabs of k. The second and later slabs are added to C (beta = 1). One chain of fma
/// over a whole vocabulary would lose 1e-4 of the result.
static Status vendor_gemm(Ops *ops, GemmCall call) {
  if (ops->device == NULL) return STATUS_OK;
  size_t left = call.k;
  for (call.k = VENDOR_STEPS; left > 0; left -= call.k) {
    if (call.k > left) call.k = left;
    TRY(device_gemm(ops->device, &call));
    skip_k(&call.a, call.a.transposed, call.k);
    skip_k(&call.b, !call.b.transposed, call.k);
    call.beta = 1.0f;
  }
  return STATUS_OK;
}

/// Widens 16-bit weights to float32 some stored rows at a time and multiplies with each part. If b is
/// transposed, stored rows are columns of c, so each part gives its own columns. Otherwise they are steps of
/// k, and the products are added.
static Status widened_gemm(Ops *ops, GemmCall call, const Tensor *weights) {
  const Tensor *scratch;
  size_t at_once = WIDEN_ELEMENTS / weights->cols;
  if (at_once == 0) at_once = 1;
  if (at_once > weights->rows) at_once = weights->rows;
  TRY(ops_scratch(ops, SCRATCH_GEMM, at_once * weights->cols, &scratch));
  bool by_columns = call.b.transposed;
  call.b = (GemmMatrix){
      .buffer = scratch->buffer, .stride = weights->cols, .type = DTYPE_F32, .transposed = by_columns};
  for (size_t row = 0; row < weights->rows; row += at_once) {
    Tensor part = tensor_rows(weights, row, weights->rows - row < at_once ? weights->rows - row : at_once);
    size_t count = part.rows * part.cols;
    TRY(LAUNCH(ops, widen, grid_items(count, ops->group_items), ARG_TENSOR(scratch), ARG_VIEW(&part),
               ARG_UINT(part.dtype), ARG_UINT(part.cols), ARG_UINT(count)));
    if (by_columns) {
      call.n = part.rows;
      TRY(vendor_gemm(ops, call));
      call.c.offset += part.rows;
    } else {
      call.k = part.rows;
      TRY(vendor_gemm(ops, call));
      skip_k(&call.a, call.a.transposed, part.rows);
      call.beta = 1.0f;
    }
  }
  return STATUS_OK;
}

Status gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  Ops *ops = c->ops;
  TRY(ops_check_type("gemm", "c", c, DTYPE_F32));
  TRY(ops_check_type("gemm", "a", a.tensor, DTYPE_F32));
  GemmCall call = {.m = c->rows,
                   .n = c->cols,
                   .k = a.transposed ? a.tensor->rows : a.tensor->cols,
                   .alpha = alpha,
                   .beta = beta,
                   .a = matrix_of(a),
                   .b = matrix_of(b),
                   .c = matrix_of((GemmInput){c, false}),
                   .math = GEMM_F32};
  if (ops->vendor == NULL) return ops->family->gemm(ops, &call);
  if (device_can_gemm(ops->vendor, &call)) return vendor_gemm(ops, call);
  GemmCall widened = call;
  widened.b.type = DTYPE_F32;
  if (dtype_is_half(b.tensor->dtype) && device_can_gemm(ops->vendor, &widened)) {
    return widened_gemm(ops, call, b.tensor);
  }
  return ops->family->gemm(ops, &call);
}
