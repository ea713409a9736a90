// Matrix products for the operations that need one. Private to ops.
#pragma once

#include "launch.h"

/// A matrix as GEMM reads it: element (row, col) of the stored, row-major [rows, cols] tensor, or of its transpose.
typedef struct GemmInput {
  const Tensor *tensor;
  bool transposed;
} GemmInput;

/// c = alpha · a · b + beta · c. c is float32; a is float32; b may be F32, F16 or BF16 (16-bit: as stored, [N,K] or [K,N]).
/// The caller has checked the shapes.
STATUS_CHECKED Status gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta);
