// Elementwise sums.
#include "lanes.h"

/// out[count] = a + b; out may be a or b. LANES elements per work item.
KERNEL(add)(GLOBAL float *out, GLOBAL const float *a, GLOBAL const float *b, ulong count) {
  ulong i = (ulong)item_id(0) * LANES;
  if (i >= count) return;
  uint left = count - i < LANES ? (uint)(count - i) : LANES;
  lanes_store(out + i, left, lanes_load(a + i, left, 0.0f) + lanes_load(b + i, left, 0.0f));
}
