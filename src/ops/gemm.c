// Which GEMM computes a product, and how its grid is laid: the vendor's, the CPU tiles (cl/gemm_cpu.cl), or the portable
// kernel (cl/gemm.cl). With the last two a row of the result does not depend on the other rows.
#include "gemm.h"

#include "context.h"

enum { TILE = 64, TILE_ITEMS = 64 };       // as in cl/gemm.cl
enum { PORTABLE_STEPS = 512 };             // of k in one launch of it
enum { CHUNK = 192, COLS_PER_VECTOR = 2 }; // as in cl/gemm_cpu.cl
enum { VENDOR_STEPS = 2048 };              // of k in a call of a vendor's GEMM, which adds in one chain
enum { WIDEN_ELEMENTS = 4 * 1024 * 1024 }; // scratch for 16-bit weights on their way to a vendor's GEMM

static size_t cols_of(GemmInput input) {
  return input.transposed ? input.tensor->rows : input.tensor->cols;
}
static size_t row_stride(GemmInput input) {
  return input.transposed ? 1 : input.tensor->cols;
}
static size_t col_stride(GemmInput input) {
  return input.transposed ? input.tensor->cols : 1;
}
static size_t pieces(size_t count, size_t size) {
  return (count + size - 1) / size;
}

/// Long sums come in slabs of k, the later ones added to C: one chain of fma over a vocabulary loses 1e-4 of the result, and
/// Mesa's llvmpipe leaves a work item's loops, without a word, after 65,535 rounds of them all (48 slabs of cl/gemm.cl).
static Status portable_gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  Grid grid = {{pieces(c->cols, TILE), pieces(c->rows, TILE), 1}, {TILE_ITEMS, 1, 1}};
  size_t steps = cols_of(a);
  for (size_t k = 0; k < steps; k += PORTABLE_STEPS) {
    size_t end = steps - k < PORTABLE_STEPS ? steps : k + PORTABLE_STEPS;
    TRY(LAUNCH(c->ops, gemm, grid, ARG_TENSOR(c), ARG_TENSOR(a.tensor), ARG_TENSOR(b.tensor),
               ARG_UINT(c->rows), ARG_UINT(c->cols), ARG_UINT(k), ARG_UINT(end), ARG_UINT(row_stride(a)),
               ARG_UINT(col_stride(a)), ARG_UINT(row_stride(b)), ARG_UINT(col_stride(b)),
               ARG_UINT(a.tensor->dtype), ARG_UINT(b.tensor->dtype), ARG_FLOAT(alpha),
               ARG_FLOAT(k == 0 ? beta : 1.0f)));
  }
  return STATUS_OK;
}

static Status cpu_gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  size_t cols = COLS_PER_VECTOR * c->ops->vector_width;
  Grid grid = {{pieces(c->cols, cols), pieces(c->rows, CHUNK), 1}, {1, 1, 1}};
  return LAUNCH(c->ops, gemm_cpu, grid, ARG_TENSOR(c), ARG_TENSOR(a.tensor), ARG_TENSOR(b.tensor),
                ARG_UINT(c->rows), ARG_UINT(c->cols), ARG_UINT(cols_of(a)), ARG_UINT(row_stride(a)),
                ARG_UINT(col_stride(a)), ARG_UINT(row_stride(b)), ARG_UINT(col_stride(b)),
                ARG_UINT(b.tensor->dtype), ARG_FLOAT(alpha), ARG_FLOAT(beta));
}

/// The vendor's GEMM with b in float32.
static GemmCall vendor_call(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  return (GemmCall){
      .transpose_a = a.transposed,
      .transpose_b = b.transposed,
      .m = c->rows,
      .n = c->cols,
      .k = cols_of(a),
      .alpha = alpha,
      .beta = beta,
      .a = a.tensor->buffer,
      .b = b.tensor->buffer,
      .c = c->buffer,
      .lda = a.tensor->cols,
      .ldb = b.tensor->cols,
      .ldc = c->cols,
  };
}

/// The vendor's GEMM over slabs of k, the second and later ones added to what the first left.
static Status call_in_slabs(Device *device, GemmCall call) {
  size_t steps = call.k;
  for (size_t k = 0; k < steps; k += VENDOR_STEPS) {
    GemmCall slab = call;
    slab.k = steps - k < VENDOR_STEPS ? steps - k : VENDOR_STEPS;
    slab.a_offset += call.transpose_a ? k * call.lda : k;
    slab.b_offset += call.transpose_b ? k : k * call.ldb;
    if (k > 0) slab.beta = 1.0f;
    TRY(device_gemm(device, &slab));
  }
  return STATUS_OK;
}

/// 16-bit weights are widened some stored rows at a time: columns of c where b is transposed, else steps of k, whose
/// products add up.
static Status widened_vendor_gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  Ops *ops = c->ops;
  const Tensor *weights = b.tensor, *scratch;
  size_t at_once = WIDEN_ELEMENTS / weights->cols;
  if (at_once == 0) at_once = 1;
  if (at_once > weights->rows) at_once = weights->rows;
  TRY(ops_scratch(ops, SCRATCH_GEMM, at_once * weights->cols, &scratch));
  if (ops->device == NULL) return STATUS_OK;
  for (size_t row = 0; row < weights->rows; row += at_once) {
    size_t rows = weights->rows - row < at_once ? weights->rows - row : at_once, count = rows * weights->cols;
    TRY(LAUNCH(ops, widen, grid_items(count, ops->group_items), ARG_TENSOR(scratch), ARG_TENSOR(weights),
               ARG_UINT(weights->dtype), ARG_UINT(row), ARG_UINT(weights->cols), ARG_UINT(count)));
    GemmCall call = vendor_call(c, a, b, alpha, beta);
    call.b = scratch->buffer;
    if (b.transposed) {
      call.n = rows;
      call.c_offset = row;
    } else {
      call.k = rows;
      call.a_offset = a.transposed ? row * call.lda : row;
      if (row > 0) call.beta = 1.0f;
    }
    TRY(call_in_slabs(ops->device, call));
  }
  return STATUS_OK;
}

static Status vendor_gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  if (b.tensor->dtype != DTYPE_F32) return widened_vendor_gemm(c, a, b, alpha, beta);
  if (c->ops->device == NULL) return STATUS_OK;
  return call_in_slabs(c->ops->device, vendor_call(c, a, b, alpha, beta));
}

Status gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  TRY(ops_check_type("gemm", "c", c, DTYPE_F32));
  TRY(ops_check_type("gemm", "a", a.tensor, DTYPE_F32));
  if (c->ops->vendor_gemm) return vendor_gemm(c, a, b, alpha, beta);
  if (ops_device_class(c->ops) == DEVICE_CPU) return cpu_gemm(c, a, b, alpha, beta);
  return portable_gemm(c, a, b, alpha, beta);
}
