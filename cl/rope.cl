// Rotary position embedding (Su et al. 2021) in Hugging Face's layout: column i of a head is paired with
// column i + D/2.
//
//   angle = position · inv_freq[i]     x1' = x1 · cos − x2 · sin     x2' = x2 · cos + x1 · sin
#include "lanes.h"

/// The group turns a row of q in place and a row of k into to_k, which may be k. Its work items divide up the
/// pairs of `streams` heads at a time, and compute each angle only once for all their heads, those of k
/// behind those of q. (No pointer is RESTRICT: once inlined, it would leave a mark that oclgrind does not
/// know.)
INLINE void turn_row(GLOBAL float *q, GLOBAL float *to_k, GLOBAL const float *k, GLOBAL const float *inv_freq,
                     float position, uint heads, uint kv_heads, uint pairs, float direction) {
  uint chunks = (pairs + LANES - 1) / LANES;
  uint streams = chunks < GROUP ? GROUP / chunks : 1;
  uint stride = GROUP / streams;
  uint stream = local_id(0) / stride;
  if (stream >= streams) return;
  for (uint i = local_id(0) % stride * LANES; i < pairs; i += stride * LANES) {
    uint left = pairs - i;
    lanes angle = lanes_load(inv_freq + i, left, 0.0f) * position;
    lanes cosine = cos(angle), sine = sin(angle) * direction;
    for (uint head = stream; head < heads + kv_heads; head += streams) {
      size_t place = (size_t)(head < heads ? head : head - heads) * 2 * pairs + i;
      GLOBAL float *to = (head < heads ? q : to_k) + place;
      GLOBAL const float *from = (head < heads ? q : k) + place;
      lanes x1 = lanes_load(from, left, 0.0f), x2 = lanes_load(from + pairs, left, 0.0f);
      lanes_store(to, left, x1 * cosine - x2 * sine);
      lanes_store(to + pairs, left, x2 * cosine + x1 * sine);
    }
  }
}

/// q[rows, heads·2·pairs] and k[rows, kv_heads·2·pairs] in place; positions[rows]; inv_freq[pairs]; direction
/// −1 is the inverse. One group per row.
KERNEL(rope)
(VIEW_ALIASED(float, q), VIEW_ALIASED(float, k), GLOBAL const int *RESTRICT positions,
 GLOBAL const float *RESTRICT inv_freq, uint heads, uint kv_heads, uint pairs, float direction) {
  q += q_first + (size_t)group_id(0) * q_pitch;
  k += k_first + (size_t)group_id(0) * k_pitch;
  turn_row(q, k, k, inv_freq, (float)positions[group_id(0)], heads, kv_heads, pairs, direction);
}

/// q as above; cache_k[rows[r]] = the turned row r of k, and cache_v[rows[r]] = row r of v, which is as wide.
/// One group per row.
KERNEL(rope_keys)
(VIEW_ALIASED(float, q), GLOBAL float *RESTRICT cache_k, GLOBAL float *RESTRICT cache_v, VIEW(const float, k),
 VIEW(const float, v), GLOBAL const int *RESTRICT rows, GLOBAL const int *RESTRICT positions,
 GLOBAL const float *RESTRICT inv_freq, uint heads, uint kv_heads, uint pairs) {
  uint cols = kv_heads * 2 * pairs;
  size_t to = (size_t)rows[group_id(0)] * cols;
  q += q_first + (size_t)group_id(0) * q_pitch;
  k += k_first + (size_t)group_id(0) * k_pitch;
  v += v_first + (size_t)group_id(0) * v_pitch;
  copy_row(cache_v + to, v, cols);
  turn_row(q, cache_k + to, k, inv_freq, (float)positions[group_id(0)], heads, kv_heads, pairs, 1.0f);
}
