// The entropy head: p = softmax(z / tau), H = −Σ p log p. Rule: the logarithm of p is never taken.
//
//   m = max z/tau,  d = z/tau − m,  s = Σ exp(d),  t = Σ exp(d) · d
//   log Z = m + log s,   H = log s − t / s
//   dH/dz = −(1/tau) · p · (log p + H),   log p = z/tau − log Z
//
// The forward reads a row once, a block at a time. If a block has a new maximum m', the earlier sums are
// moved to it with shrink = exp(m − m'): t becomes shrink · (t + (m − m') · s), and s becomes shrink · s.
#include "lanes.h"

#ifndef ENTROPY_STEPS
#define ENTROPY_STEPS 16 // steps of GROUP · LANES floats in a block
#endif

/// stats[rows,2] = (log Z, H) of logits[rows,cols]. One group per row.
KERNEL(entropy)
(GLOBAL float *RESTRICT stats, GLOBAL const float *RESTRICT logits, uint cols, float inverse_tau) {
  LOCAL float part[GROUP];
  uint row = group_id(0);
  const uint step = GROUP * LANES, block = step * ENTROPY_STEPS;
  logits += (size_t)row * cols;
  float m = LOWEST, s = 0.0f, t = 0.0f;
  for (uint begin = local_id(0) * LANES; begin < cols; begin += block) {
    uint end = cols - begin < block ? cols : begin + block;
    lanes largest = lanes_of(LOWEST);
    for (uint i = begin; i < end; i += step) {
      lanes z = lanes_load(logits + i, cols - i, LOWEST);
      largest = z > largest ? z : largest;
    }
    float top = lanes_max(largest) * inverse_tau;
    if (top > m) {
      float shrink = float_exp(m - top);
      t = shrink * (t + (m - top) * s);
      s *= shrink;
      m = top;
    }
    lanes sum = lanes_of(0.0f), weighted = lanes_of(0.0f);
    for (uint i = begin; i < end; i += step) {
      lanes d = lanes_load(logits + i, cols - i, LOWEST) * inverse_tau - m;
      d = d < lanes_of(-87.0f) ? lanes_of(-87.0f) : d;
      lanes e = lanes_exp(d);
      sum += e;
      weighted = fma(e, d, weighted);
    }
    s += lanes_sum(sum);
    t += lanes_sum(weighted);
  }
  float top = group_max(part, m), shrink = float_exp(m - top);
  t = group_sum(part, shrink * (t + (m - top) * s));
  s = group_sum(part, shrink * s);
  if (local_id(0) == 0) {
    float entropy = log(s) - t / s;
    stats[2 * row] = top + log(s);
    stats[2 * row + 1] = entropy < 0.0f ? 0.0f : entropy; // by rounding; NaN stays
  }
}

/// Replaces logits[rows,cols] by weights[row] · dH/dz, from stats[rows,2]. LANES columns per work item
/// (grid_columns).
KERNEL(entropy_backward)
(GLOBAL float *logits, GLOBAL const float *RESTRICT stats, GLOBAL const float *RESTRICT weights, uint cols,
 float inverse_tau) {
  uint c = (uint)lanes_column(cols), row = lanes_row(cols);
  if (c >= cols) return;
  logits += (size_t)row * cols + c;
  float log_z = stats[2 * row], entropy = stats[2 * row + 1], scale = -weights[row] * inverse_tau;
  lanes log_p = lanes_load(logits, cols - c, 0.0f) * inverse_tau - log_z;
  lanes_store(logits, cols - c, lanes_exp(log_p) * (log_p + entropy) * scale);
}

/// logprob[i] = logits[rows[i], targets[i]] / tau − log Z, at most 0, for logprob[count]. One work item per
/// element.
KERNEL(pick_logprob)
(GLOBAL float *RESTRICT logprob, GLOBAL const float *RESTRICT logits, GLOBAL const float *RESTRICT stats,
 GLOBAL const int *RESTRICT rows, GLOBAL const int *RESTRICT targets, uint count, uint cols,
 float inverse_tau) {
  size_t i = item_id(0);
  if (i >= count) return;
  size_t row = (size_t)rows[i];
  float log_p = logits[row * cols + (size_t)targets[i]] * inverse_tau - stats[2 * row];
  logprob[i] = log_p > 0.0f ? 0.0f : log_p; // by rounding; NaN stays
}
