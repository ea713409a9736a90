// Inverted dropout. Each draw is a function of a counter, so a row's mask does not depend on its place in a
// micro batch.
#include "philox.h"

#define RNG_DROPOUT 3u // as in util/rng.h

/// out[rows,cols] = x · keep / (1 − p); keep is 1 if the draw for (column, row_ids[row], stream) is at least
/// p. One element per work item. Groups: (rows, columns), because CUDA allows at most 65,535 groups on axis 1
/// and there may be more rows.
KERNEL(dropout)
(GLOBAL float *out, GLOBAL const float *x, GLOBAL const int *RESTRICT row_ids, uint cols, float p,
 float scale, uint key0, uint key1, uint stream) {
  uint row = group_id(0), c = group_id(1) * local_count(0) + local_id(0);
  if (c >= cols) return;
  size_t i = (size_t)row * cols + c;
  float draw = (float)(philox_bits(c, (uint)row_ids[row], stream, RNG_DROPOUT, key0, key1) >> 8) *
               5.9604644775390625e-8f;
  out[i] = draw >= p ? x[i] * scale : 0.0f;
}
