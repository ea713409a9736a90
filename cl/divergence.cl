// How far a row's distribution p is from another, q: KL(p‖q) = Σ p (log p − log q), and the gradient of it
// and of KL(q‖p) by the row's logits. Rule: nothing cancels where p and q are nearly the same.
//
//   p = softmax(z / tau),  q = softmax(y / tau),  r = log p − log q = (z − y)/tau − (log Z_p − log Z_q)
//   KL(p‖q) = Σ (p r + q − p)                   because Σ p = Σ q; no term is below 0
//   dKL(p‖q)/dz = (1/tau) p (r − KL(p‖q))       dKL(q‖p)/dz = (1/tau) (p − q)
//
// p r + q − p = p (r + exp(−r) − 1) = p (r²/2 − r³/6 + …). So an error of log Z, which is the same in every
// r, counts only as its square, and a small KL is not the rest of large terms that cancel.
//
// Pair i is row rows[i] of logits[·,cols], which has stats (log Z, H), and row i of other[pairs,cols].
#include "lanes.h"

#define SMALLEST (-87.0f) // logarithm of the smallest probability that is told from 0

#ifndef DIVERGENCE_STEPS
#define DIVERGENCE_STEPS 16 // steps of GROUP · LANES floats in a partial sum
#endif

/// exp(x) as a probability: 0 below exp(−87), where lanes_exp goes no lower.
INLINE lanes probability(lanes x) {
  lanes e = lanes_exp(x);
  return x < lanes_of(SMALLEST) ? lanes_of(0.0f) : e;
}

#define IS_CLOSE(r) ((r) * (r) < lanes_of(0.0625f))

/// r + exp(−r) − 1 where IS_CLOSE(r), by its series; the first term left out is 1e-8 of the sum.
INLINE lanes close_excess(lanes r) {
  lanes s = fma(r, lanes_of(-1.0f / 5040.0f), lanes_of(1.0f / 720.0f));
  s = fma(s, r, lanes_of(-1.0f / 120.0f));
  s = fma(s, r, lanes_of(1.0f / 24.0f));
  s = fma(s, r, lanes_of(-1.0f / 6.0f));
  s = fma(s, r, lanes_of(0.5f));
  return r * r * s;
}

/// kl[pairs] = KL(p‖q). One group per pair.
KERNEL(divergence)
(GLOBAL float *RESTRICT kl, GLOBAL const float *RESTRICT logits, GLOBAL const float *RESTRICT stats,
 GLOBAL const int *RESTRICT rows, GLOBAL const float *RESTRICT other,
 GLOBAL const float *RESTRICT other_stats, uint cols, float inverse_tau) {
  LOCAL float part[GROUP];
  uint pair = group_id(0);
  size_t row = (size_t)rows[pair];
  const uint step = GROUP * LANES, block = step * DIVERGENCE_STEPS;
  float log_z = stats[2 * row], log_y = other_stats[2 * pair], shift = log_z - log_y, sum = 0.0f;
  logits += row * cols;
  other += (size_t)pair * cols;
  for (uint begin = local_id(0) * LANES; begin < cols; begin += block) {
    uint end = cols - begin < block ? cols : begin + block;
    lanes terms = lanes_of(0.0f);
    for (uint i = begin; i < end; i += step) {
      lanes z = lanes_load(logits + i, cols - i, LOWEST), y = lanes_load(other + i, cols - i, LOWEST);
      lanes p = probability(z * inverse_tau - log_z), q = probability(y * inverse_tau - log_y);
      lanes r = (z - y) * inverse_tau - shift;
      lanes term = IS_CLOSE(r) ? p * close_excess(r) : fma(p, r, q - p);
      terms += p == lanes_of(0.0f) ? q : term; // r may then be anything
    }
    sum += lanes_sum(terms);
  }
  sum = group_sum(part, sum);
  if (local_id(0) == 0) kl[pair] = sum;
}

/// gradient[·,cols] += weights[pair,0] · dKL(p‖q)/dz + weights[pair,1] · dKL(q‖p)/dz in the rows of the
/// pairs, from kl[pairs]. LANES columns per work item (grid_columns, with a row for each pair).
KERNEL(divergence_backward)
(GLOBAL float *RESTRICT gradient, GLOBAL const float *RESTRICT kl, GLOBAL const float *RESTRICT weights,
 GLOBAL const float *RESTRICT logits, GLOBAL const float *RESTRICT stats, GLOBAL const int *RESTRICT rows,
 GLOBAL const float *RESTRICT other, GLOBAL const float *RESTRICT other_stats, uint cols, float inverse_tau) {
  uint c = (uint)lanes_column(cols), pair = lanes_row(cols);
  if (c >= cols) return;
  size_t row = (size_t)rows[pair];
  float log_z = stats[2 * row], log_y = other_stats[2 * pair], shift = log_z - log_y;
  float forward = weights[2 * pair] * inverse_tau, reverse = weights[2 * pair + 1] * inverse_tau;
  gradient += row * cols + c;
  lanes z = lanes_load(logits + row * cols + c, cols - c, LOWEST);
  lanes y = lanes_load(other + (size_t)pair * cols + c, cols - c, LOWEST);
  lanes p = probability(z * inverse_tau - log_z), q = probability(y * inverse_tau - log_y);
  lanes r = (z - y) * inverse_tau - shift;
  lanes apart = p == lanes_of(0.0f) ? p : p * (r - kl[pair]);
  lanes toward = IS_CLOSE(r) ? p * (r - close_excess(r)) : p - q; // p − q
  lanes slope = apart * forward + toward * reverse;
  lanes_store(gradient, cols - c, lanes_load(gradient, cols - c, 0.0f) + slope);
}
