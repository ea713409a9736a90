// RMSNorm (Zhang and Sennrich 2019), forward and backward:
//
//   out = x · rstd · w,   rstd = 1 / sqrt(mean(x²) + eps)
//   dx += rstd · (dout · w) − x · rstd³ / cols · Σ_c dout · w · x        dw += Σ_rows dout · x · rstd
#include "lanes.h"

/// The group writes a row: out = x · rstd · w, where `squares` is the work item's share of Σ x². Each work
/// item reads only the elements of x that it has read or written before.
INLINE void normalise_row(LOCAL_PTR float *part, GLOBAL float *out, GLOBAL float *rstd, GLOBAL const float *x,
                          GLOBAL const float *w, lanes squares, uint cols, float eps) {
  float scale = 1.0f / sqrt(group_sum(part, lanes_sum(squares)) / (float)cols + eps);
  if (local_id(0) == 0) *rstd = scale;
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES) {
    lanes value = lanes_load(x + c, cols - c, 0.0f) * scale;
    lanes_store(out + c, cols - c, value * lanes_load(w + c, cols - c, 0.0f));
  }
}

/// out, x [rows,cols]; rstd[rows]; w[cols]. One group per row.
KERNEL(rmsnorm)
(GLOBAL float *RESTRICT out, GLOBAL float *RESTRICT rstd, GLOBAL const float *RESTRICT x,
 GLOBAL const float *RESTRICT w, uint cols, float eps) {
  LOCAL float part[GROUP];
  size_t from = (size_t)group_id(0) * cols;
  x += from;
  lanes squares = lanes_of(0.0f);
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES) {
    lanes value = lanes_load(x + c, cols - c, 0.0f);
    squares = fma(value, value, squares);
  }
  normalise_row(part, out + from, rstd + group_id(0), x, w, squares, cols, eps);
}

/// sum = a + b, and out as above, of sum; out may be b.
KERNEL(add_rmsnorm)
(GLOBAL float *RESTRICT sum, GLOBAL float *out, GLOBAL float *RESTRICT rstd, GLOBAL const float *RESTRICT a,
 GLOBAL const float *b, GLOBAL const float *RESTRICT w, uint cols, float eps) {
  LOCAL float part[GROUP];
  size_t from = (size_t)group_id(0) * cols;
  sum += from;
  a += from;
  b += from;
  lanes squares = lanes_of(0.0f);
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES) {
    lanes value = lanes_load(a + c, cols - c, 0.0f) + lanes_load(b + c, cols - c, 0.0f);
    lanes_store(sum + c, cols - c, value);
    squares = fma(value, value, squares);
  }
  normalise_row(part, out + from, rstd + group_id(0), sum, w, squares, cols, eps);
}

/// dx, dout, x [rows,cols]; w[cols]; rstd[rows]. One group per row.
KERNEL(rmsnorm_backward)
(GLOBAL float *RESTRICT dx, GLOBAL const float *RESTRICT dout, GLOBAL const float *RESTRICT x,
 GLOBAL const float *RESTRICT w, GLOBAL const float *RESTRICT rstd, uint cols) {
  LOCAL float part[GROUP];
  size_t from = (size_t)group_id(0) * cols;
  dx += from;
  dout += from;
  x += from;
  lanes sum = lanes_of(0.0f);
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES) {
    lanes gradient = lanes_load(dout + c, cols - c, 0.0f) * lanes_load(w + c, cols - c, 0.0f);
    sum = fma(gradient, lanes_load(x + c, cols - c, 0.0f), sum);
  }
  float scale = rstd[group_id(0)];
  float shrink = group_sum(part, lanes_sum(sum)) * scale * scale * scale / (float)cols;
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES) {
    lanes gradient = lanes_load(dout + c, cols - c, 0.0f) * lanes_load(w + c, cols - c, 0.0f);
    lanes change = gradient * scale - lanes_load(x + c, cols - c, 0.0f) * shrink;
    lanes_store(dx + c, cols - c, lanes_load(dx + c, cols - c, 0.0f) + change);
  }
}

/// partial[chunks,cols] = Σ dout · x · rstd over `chunk` rows each. LANES columns per work item
/// (grid_columns, with a row for each chunk).
KERNEL(rmsnorm_weight_partial)
(GLOBAL float *RESTRICT partial, GLOBAL const float *RESTRICT dout, GLOBAL const float *RESTRICT x,
 GLOBAL const float *RESTRICT rstd, uint rows, uint cols, uint chunk) {
  uint c = (uint)lanes_column(cols), part = lanes_row(cols);
  if (c >= cols) return;
  uint begin = part * chunk, end = begin + chunk < rows ? begin + chunk : rows;
  lanes sum = lanes_of(0.0f);
  for (uint row = begin; row < end; row++) {
    size_t i = (size_t)row * cols + c;
    sum = fma(lanes_load(dout + i, cols - c, 0.0f) * rstd[row], lanes_load(x + i, cols - c, 0.0f), sum);
  }
  lanes_store(partial + (size_t)part * cols + c, cols - c, sum);
}

/// dw[cols] += Σ partial[chunks,cols]. LANES columns per work item.
KERNEL(rmsnorm_weight_sum)
(GLOBAL float *RESTRICT dw, GLOBAL const float *RESTRICT partial, uint chunks, uint cols) {
  uint c = (uint)item_id(0) * LANES;
  if (c >= cols) return;
  lanes sum = lanes_of(0.0f);
  for (uint i = 0; i < chunks; i++) sum += lanes_load(partial + (size_t)i * cols + c, cols - c, 0.0f);
  lanes_store(dw + c, cols - c, lanes_load(dw + c, cols - c, 0.0f) + sum);
}
