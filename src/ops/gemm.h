// Matrix products for the operations that need one. Private to ops.
#pragma once

#include "launch.h"

/// A tensor, or its transpose, as a factor of a product.
typedef struct GemmInput {
  const Tensor *tensor;
  bool transposed;
} GemmInput;

/// The factors of c = alpha · a · b + beta · c, and the coarsest math that this product may have if b is
/// frozen.
typedef struct GemmFactors {
  GemmInput a, b;
  GemmMath coarsest;
} GemmFactors;

/// c = alpha · a · b + beta · c. All may be views. c and a are float32; b is of any type that kernels read,
/// stored as [N,K] or [K,N]. The caller has checked the shapes.
STATUS_CHECKED Status gemm(Tensor *c, const GemmFactors *factors, float alpha, float beta);

/// A product that is added to another's c, alpha · a · b, with a float32 b. a.tensor NULL: nothing is.
typedef struct GemmAdded {
  GemmInput a, b;
  float alpha;
} GemmAdded;

/// The same, and then c += *added; in one launch where the device allows, with the bits of two.
STATUS_CHECKED Status gemm_sum(Tensor *c, const GemmFactors *factors, float alpha, float beta,
                               const GemmAdded *added);

/// Products of one a with several b stored [N,K], in as few launches as the device allows: cs[i] = a ·
/// bs[i]ᵀ and then += added[i], for 1 … GEMM_TOGETHER of them, with the bits of gemm.
enum { GEMM_TOGETHER = 3 };
STATUS_CHECKED Status gemm_each(Tensor *const cs[], const Tensor *a, const Tensor *const bs[],
                                const GemmAdded added[], size_t count, GemmMath coarsest);

// gee-cl's own GEMMs, one for each kernel family: 1 … GEMM_TOGETHER calls. If there are several, they have
// the same a, alpha and beta. A row of a result does not depend on the other rows.

/// cl/gemm_cpu.h, for the CPU family: SIMD tiles; of few rows and a b stored [N,K], cl/gemv_cpu.h. Both
/// have a form for GEMM_HALF_INPUTS. With GEMM_BYTE_INPUTS, of a b stored [N,K], it is cl/gemm_int8_cpu.cl,
/// whatever the number of rows.
STATUS_CHECKED Status gemm_cpu(Ops *ops, const GemmCall calls[], size_t count);
/// The same, and then added[i] to the C of calls[i], unless its k is 0.
STATUS_CHECKED Status gemm_cpu_sums(Ops *ops, const GemmCall calls[], const GemmCall added[], size_t count);
/// cl/gemm.cl, for any device. With GEMM_HALF_INPUTS it is cl/gemm_tile.cl.
STATUS_CHECKED Status gemm_gpu(Ops *ops, const GemmCall calls[], size_t count);

#define ARG_MATRIX(matrix) ARG_BUFFER((matrix).buffer), ARG_COUNT((matrix).offset)
