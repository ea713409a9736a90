// The optimizer's passes over slabs of parameters.
#include "lanes.h"

/// AdamW (Loshchilov and Hutter 2019) as PyTorch defines it; for each element:
///
///   g = grad · grad_scale      value −= lr · weight_decay · value
///   m = β1 m + (1 − β1) g      v = β2 v + (1 − β2) g²
///   value −= step_size · m / (sqrt(v) · rescale + epsilon)
///   step_size = lr / (1 − β1^t),  rescale = 1 / sqrt(1 − β2^t)
///
/// All [count]; decay = 1 − lr · weight_decay. LANES elements per work item.
KERNEL(adamw)
(GLOBAL float *RESTRICT values, GLOBAL float *RESTRICT m, GLOBAL float *RESTRICT v,
 GLOBAL const float *RESTRICT grads, ulong count, float grad_scale, float decay, float beta1, float beta2,
 float one_minus_beta1, float one_minus_beta2, float step_size, float rescale, float epsilon) {
  ulong i = (ulong)item_id(0) * LANES;
  if (i >= count) return;
  uint left = count - i < LANES ? (uint)(count - i) : LANES;
  lanes g = lanes_load(grads + i, left, 0.0f) * grad_scale;
  lanes first = lanes_load(m + i, left, 0.0f) * beta1 + g * one_minus_beta1;
  lanes second = lanes_load(v + i, left, 0.0f) * beta2 + g * g * one_minus_beta2;
  lanes value =
      lanes_load(values + i, left, 0.0f) * decay - first * step_size / (sqrt(second) * rescale + epsilon);
  lanes_store(m + i, left, first);
  lanes_store(v + i, left, second);
  lanes_store(values + i, left, value);
}

/// partial[groups] = Σ x² over `chunk` elements per group, in LANES · GROUP running sums. The host adds the
/// partial sums in double.
KERNEL(sum_squares)(GLOBAL float *RESTRICT partial, GLOBAL const float *RESTRICT x, ulong count, uint chunk) {
  LOCAL float part[GROUP];
  ulong begin = (ulong)group_id(0) * chunk;
  uint length = count - begin < chunk ? (uint)(count - begin) : chunk;
  lanes sum = lanes_of(0.0f);
  for (uint i = local_id(0) * LANES; i < length; i += GROUP * LANES) {
    lanes value = lanes_load(x + begin + i, length - i, 0.0f);
    sum = fma(value, value, sum);
  }
  float all = group_sum(part, lanes_sum(sum));
  if (local_id(0) == 0) partial[group_id(0)] = all;
}
