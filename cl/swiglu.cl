// SwiGLU (Shazeer 2020), s = sigmoid(gate):
//
//   out = gate · s · up       dgate = dout · up · s · (1 + gate · (1 − s))       dup = dout · gate · s
#include "lanes.h"

INLINE lanes sigmoid(lanes x) {
  return lanes_of(1.0f) / (lanes_exp(-x) + 1.0f);
}

/// Where this work item's elements begin in a view.
#define PLACE(name, i) (name + name##_first + (size_t)lanes_row(cols) * name##_pitch + i)

/// out, gate, up [·,cols]. LANES columns per work item (grid_columns).
KERNEL(swiglu)
(VIEW_ALIASED(float, out), VIEW_ALIASED(const float, gate), VIEW_ALIASED(const float, up), ulong cols) {
  ulong i = lanes_column(cols);
  if (i >= cols) return;
  uint left = cols - i < LANES ? (uint)(cols - i) : LANES;
  lanes g = lanes_load(PLACE(gate, i), left, 0.0f);
  lanes_store(PLACE(out, i), left, g * sigmoid(g) * lanes_load(PLACE(up, i), left, 0.0f));
}

/// All [·,cols]; dgate may be gate, dup may be up. LANES columns per work item (grid_columns).
KERNEL(swiglu_backward)
(VIEW_ALIASED(float, dgate), VIEW_ALIASED(float, dup), VIEW_ALIASED(const float, dout),
 VIEW_ALIASED(const float, gate), VIEW_ALIASED(const float, up), ulong cols) {
  ulong i = lanes_column(cols);
  if (i >= cols) return;
  uint left = cols - i < LANES ? (uint)(cols - i) : LANES;
  lanes gradient = lanes_load(PLACE(dout, i), left, 0.0f);
  lanes g = lanes_load(PLACE(gate, i), left, 0.0f), u = lanes_load(PLACE(up, i), left, 0.0f), s = sigmoid(g);
  lanes_store(PLACE(dgate, i), left, gradient * u * s * (g * (lanes_of(1.0f) - s) + 1.0f));
  lanes_store(PLACE(dup, i), left, gradient * g * s);
}
