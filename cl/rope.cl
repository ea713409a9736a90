// Rotary position embedding (Su et al. 2021) in Hugging Face's layout: column i of a head is paired with
// column i + D/2.
//
//   angle = position · inv_freq[i]     x1' = x1 · cos − x2 · sin     x2' = x2 · cos + x1 · sin
#include "lanes.h"

/// q[rows, heads·2·pairs] and k[rows, kv_heads·2·pairs] in place; positions[rows]; inv_freq[pairs]; direction
/// −1 is the inverse. One group per row. Its work items divide up the pairs of `streams` heads at a time, and
/// compute each angle only once for all their heads, those of k behind those of q.
KERNEL(rope)
(VIEW_ALIASED(float, q), VIEW_ALIASED(float, k), GLOBAL const int *RESTRICT positions,
 GLOBAL const float *RESTRICT inv_freq, uint heads, uint kv_heads, uint pairs, float direction) {
  float position = (float)positions[group_id(0)];
  q += q_first + (size_t)group_id(0) * q_pitch;
  k += k_first + (size_t)group_id(0) * k_pitch;
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
      GLOBAL float *first =
          head < heads ? q + (size_t)head * 2 * pairs : k + (size_t)(head - heads) * 2 * pairs;
      GLOBAL float *a = first + i, *b = a + pairs;
      lanes x1 = lanes_load(a, left, 0.0f), x2 = lanes_load(b, left, 0.0f);
      lanes_store(a, left, x1 * cosine - x2 * sine);
      lanes_store(b, left, x2 * cosine + x1 * sine);
    }
  }
}
