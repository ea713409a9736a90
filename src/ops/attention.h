// Attention's two sets of kernels, to choose from: an operation takes those of its device's class; a test tries both on any
// CPU device. Private to ops.
#pragma once

#include "ops/ops.h"

typedef enum AttentionTiles {
  TILES_LANES,  // attention_cpu.cl: a work item holds 16 lanes; only on CPU devices
  TILES_GROUPS, // attention.cl: 16 × 16 work items
} AttentionTiles;

/// op_attention and op_attention_backward with these kernels.
STATUS_CHECKED Status attention_forward(AttentionTiles tiles, Tensor *out, Tensor *lse, const Tensor *q,
                                        const Tensor *k, const Tensor *v, const Tensor *spans,
                                        AttentionShape shape);
STATUS_CHECKED Status attention_backward(AttentionTiles tiles, Tensor *dq, Tensor *dk, Tensor *dv,
                                         Tensor *delta, const Tensor *dout, const Tensor *q, const Tensor *k,
                                         const Tensor *v, const Tensor *out, const Tensor *lse,
                                         const Tensor *spans, const Tensor *key_spans, AttentionShape shape);
