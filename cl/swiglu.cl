// SwiGLU (Shazeer 2020), s = sigmoid(gate):
//
//   out = gate · s · up       dgate = dout · up · s · (1 + gate · (1 − s))       dup = dout · gate · s
#include "lanes.h"

INLINE lanes sigmoid(lanes x) {
  return lanes_of(1.0f) / (lanes_exp(-x) + 1.0f);
}

/// out, gate, up [count]. A work item LANES elements.
KERNEL(swiglu)(GLOBAL float *out, GLOBAL const float *gate, GLOBAL const float *up, ulong count) {
  ulong i = (ulong)item_id(0) * LANES;
  if (i >= count) return;
  uint left = count - i < LANES ? (uint)(count - i) : LANES;
  lanes g = lanes_load(gate + i, left, 0.0f);
  lanes_store(out + i, left, g * sigmoid(g) * lanes_load(up + i, left, 0.0f));
}

/// All [count]; dgate may be gate, dup may be up.
KERNEL(swiglu_backward)
(GLOBAL float *dgate, GLOBAL float *dup, GLOBAL const float *dout, GLOBAL const float *gate,
 GLOBAL const float *up, ulong count) {
  ulong i = (ulong)item_id(0) * LANES;
  if (i >= count) return;
  uint left = count - i < LANES ? (uint)(count - i) : LANES;
  lanes gradient = lanes_load(dout + i, left, 0.0f);
  lanes g = lanes_load(gate + i, left, 0.0f), u = lanes_load(up + i, left, 0.0f), s = sigmoid(g);
  lanes_store(dgate + i, left, gradient * u * s * (g * (lanes_of(1.0f) - s) + 1.0f));
  lanes_store(dup + i, left, gradient * g * s);
}
