// Which GEMM computes a product: the vendor's if one is wanted and can do the call, else the kernel family's
// own; and what is widened to float32 first, because neither reads it.
#include "gemm.h"

#include "convert.h"
#include "gemm_choice.h"
#include "ops/ops.h"
#include "util/memory.h"

enum { VENDOR_STEPS = 2048 }; // steps of k in one call of a vendor's GEMM, which sums in one chain
enum { WIDEN_ELEMENTS = 4 * 1024 * 1024 }; // scratch for weights that are multiplied as float32
enum { ROUND_ELEMENTS = 8 * 1024 * 1024 }; // scratch for rows that a vendor's GEMM multiplies in 16 bits
enum { ALIGNED_HALVES = 8 };               // 16 bytes, with which a row of those begins

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

static Status multiply(Ops *ops, const GemmCall *call) {
  return gemm_is_vendors(ops, call) ? vendor_gemm(ops, *call) : ops->family->gemm(ops, call, 1);
}

/// Widens weights to float32 some stored rows at a time and multiplies with each part. If b is transposed,
/// stored rows are columns of c, so each part gives its own columns. Otherwise they are steps of k, and the
/// products are added.
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
    TRY(convert_widen(scratch, &part));
    if (by_columns) {
      call.n = part.rows;
      TRY(multiply(ops, &call));
      call.c.offset += part.rows;
    } else {
      call.k = part.rows;
      TRY(multiply(ops, &call));
      skip_k(&call.a, call.a.transposed, part.rows);
      call.beta = 1.0f;
    }
  }
  return STATUS_OK;
}

/// The vendor's GEMM of some rows of `a` at a time, rounded to the 16-bit type of b.
static Status rounded_gemm(Ops *ops, GemmCall call, const Tensor *a) {
  const Tensor *scratch;
  size_t pitch = (call.k + ALIGNED_HALVES - 1) / ALIGNED_HALVES * ALIGNED_HALVES;
  size_t at_once = size_min(a->rows, pitch < ROUND_ELEMENTS ? ROUND_ELEMENTS / pitch : 1);
  TRY(ops_scratch(ops, SCRATCH_ROUNDED, at_once * pitch / 2, &scratch));
  call.a = (GemmMatrix){.buffer = scratch->buffer, .stride = pitch, .type = call.b.type};
  for (size_t row = 0; row < a->rows; row += call.m) {
    call.m = size_min(at_once, a->rows - row);
    Tensor part = tensor_rows(a, row, call.m);
    TRY(convert_narrow(scratch, pitch, &part, call.b.type));
    TRY(vendor_gemm(ops, call));
    call.c.offset += call.m * call.c.stride;
  }
  return STATUS_OK;
}

/// True if a GEMM of this Ops is to read b's type: the vendor's, or the family's own where the vendor's could
/// not multiply b as float32 either.
static bool reads_type(const Ops *ops, GemmCall call) {
  if (gemm_is_vendors(ops, &call)) return true;
  const DType type = call.b.type;
  call.b.type = DTYPE_F32;
  return !gemm_is_vendors(ops, &call) && ops->family->gemm_reads(type, call.math);
}

/// How a product with b is computed.
static GemmMath math_of(const Ops *ops, const Tensor *b, GemmMath coarsest) {
  static const GemmMath maths[] = {
      [COMPUTE_F32] = GEMM_F32,
      [COMPUTE_BF16] = GEMM_HALF_INPUTS,
      [COMPUTE_F16] = GEMM_HALF_INPUTS,
      [COMPUTE_INT8] = GEMM_BYTE_INPUTS,
  };
  GemmMath math = maths[ops->compute];
  return b->kind == MEMORY_WEIGHTS && math <= coarsest ? math : GEMM_F32;
}

static Status call_of(Tensor *c, const GemmFactors *factors, float alpha, float beta, GemmCall *call) {
  const GemmInput a = factors->a, b = factors->b;
  TRY(ops_check_type("gemm", "c", c, DTYPE_F32));
  TRY(ops_check_type("gemm", "a", a.tensor, DTYPE_F32));
  TRY(ops_check_readable("gemm", "b", b.tensor));
  *call = (GemmCall){.m = c->rows,
                     .n = c->cols,
                     .k = a.transposed ? a.tensor->rows : a.tensor->cols,
                     .alpha = alpha,
                     .beta = beta,
                     .a = matrix_of(a),
                     .b = matrix_of(b),
                     .c = matrix_of((GemmInput){c, false}),
                     .b_scale = b.tensor->scale,
                     .math = math_of(c->ops, b.tensor, factors->coarsest)};
  return STATUS_OK;
}

Status gemm(Tensor *c, const GemmFactors *factors, float alpha, float beta) {
  GemmCall call;
  TRY(call_of(c, factors, alpha, beta, &call));
  if (gemm_rounds_for_vendor(c->ops, &call)) return rounded_gemm(c->ops, call, factors->a.tensor);
  return reads_type(c->ops, call) ? multiply(c->ops, &call) : widened_gemm(c->ops, call, factors->b.tensor);
}

/// Whether the family's own GEMM is what computes the call.
static bool is_own(const Ops *ops, const GemmCall *call) {
  return reads_type(ops, *call) && !gemm_is_vendors(ops, call) && !gemm_rounds_for_vendor(ops, call);
}

/// *call = what is added to c; of nothing, a call without steps.
static Status added_call(Tensor *c, const GemmAdded *added, GemmCall *call) {
  *call = (GemmCall){.k = 0};
  if (added->a.tensor == NULL) return STATUS_OK;
  TRY(ops_check_type("gemm", "added b", added->b.tensor, DTYPE_F32));
  return call_of(c, &(GemmFactors){added->a, added->b, GEMM_F32}, added->alpha, 1.0f, call);
}

/// Calls for which is_own is true, each with what is added to it.
static Status own_sums(Ops *ops, const GemmCall calls[], const GemmCall added[], size_t count) {
  bool all_own = ops->family->gemm_sums != NULL;
  for (size_t i = 0; i < count; i++) all_own = all_own && (added[i].k == 0 || is_own(ops, &added[i]));
  if (all_own) return ops->family->gemm_sums(ops, calls, added, count);
  if (count > 0) TRY(ops->family->gemm(ops, calls, count));
  for (size_t i = 0; i < count; i++) {
    if (added[i].k > 0) TRY(multiply(ops, &added[i]));
  }
  return STATUS_OK;
}

Status gemm_sum(Tensor *c, const GemmFactors *factors, float alpha, float beta, const GemmAdded *added) {
  GemmCall call, more;
  TRY(call_of(c, factors, alpha, beta, &call));
  TRY(added_call(c, added, &more));
  if (is_own(c->ops, &call)) return own_sums(c->ops, &call, &more, 1);
  TRY(gemm(c, factors, alpha, beta));
  return more.k > 0 ? multiply(c->ops, &more) : STATUS_OK;
}

Status gemm_each(Tensor *const cs[], const Tensor *a, const Tensor *const bs[], const GemmAdded added[],
                 size_t count, GemmMath coarsest) {
  GemmCall calls[GEMM_TOGETHER], more[GEMM_TOGETHER];
  Ops *ops = a->ops;
  size_t own = 0;
  for (size_t i = 0; i < count; i++) {
    const GemmFactors factors = {{a, false}, {bs[i], true}, coarsest};
    TRY(call_of(cs[i], &factors, 1.0f, 0.0f, &calls[own]));
    TRY(added_call(cs[i], &added[i], &more[own]));
    if (is_own(ops, &calls[own])) {
      own++;
    } else {
      TRY(gemm_sum(cs[i], &factors, 1.0f, 0.0f, &added[i]));
    }
  }
  return own_sums(ops, calls, more, own);
}
