// The cross-entropy of given tokens: −log p of a token, p = softmax(z). Rule: log p is never taken from p.
//
//   dL/dz_j = w · p_j − Σ w_t [j = t]     w = Σ w_t over the tokens t that are given after one row
//
// A row may be followed by many given tokens, as the last one of a prompt that several answers share. So its
// softmax is computed once, and each different token is subtracted by itself, without atomics.
#include "lanes.h"

/// largest[rows] = the log probability of each row's likeliest token, computed from logits[rows,cols] and
/// stats[rows,2] as pick_logprob (entropy.cl) computes it at temperature 1. One group per row.
KERNEL(largest_logprob)
(GLOBAL float *RESTRICT largest, GLOBAL const float *RESTRICT logits, GLOBAL const float *RESTRICT stats,
 uint cols) {
  LOCAL float part[GROUP];
  uint row = group_id(0);
  logits += (size_t)row * cols;
  lanes top = lanes_of(LOWEST);
  for (uint i = local_id(0) * LANES; i < cols; i += GROUP * LANES) {
    lanes z = lanes_load(logits + i, cols - i, LOWEST);
    top = z > top ? z : top;
  }
  float log_p = group_max(part, lanes_max(top)) - stats[2 * row];
  if (local_id(0) == 0) largest[row] = log_p > 0.0f ? 0.0f : log_p; // by rounding; NaN stays
}

/// Replaces logits[rows,cols] by weights[row] · p, from stats[rows,2]. LANES columns per work item
/// (grid_columns).
KERNEL(cross_entropy_backward)
(GLOBAL float *logits, GLOBAL const float *RESTRICT stats, GLOBAL const float *RESTRICT weights, uint cols) {
  uint c = (uint)lanes_column(cols), row = lanes_row(cols);
  if (c >= cols) return;
  logits += (size_t)row * cols + c;
  lanes log_p = lanes_load(logits, cols - c, 0.0f) - stats[2 * row];
  lanes_store(logits, cols - c, lanes_exp(log_p) * weights[row]);
}

/// gradient[rows[i], targets[i]] −= weights[i], for distinct pairs i < count. One work item per pair.
KERNEL(subtract_targets)
(GLOBAL float *gradient, GLOBAL const int *RESTRICT rows, GLOBAL const int *RESTRICT targets,
 GLOBAL const float *RESTRICT weights, uint count, uint cols) {
  size_t i = item_id(0);
  if (i >= count) return;
  gradient[(size_t)rows[i] * cols + (size_t)targets[i]] -= weights[i];
}
