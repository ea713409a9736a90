// Rows read, stored and added to by number. In each kernel rows[R] holds the row numbers, and there is one
// group per entry.
#include "lanes.h"

/// The group copies a row.
INLINE void copy_row(GLOBAL float *out, GLOBAL const float *x, uint cols) {
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES)
    lanes_store(out + c, cols - c, lanes_load(x + c, cols - c, 0.0f));
}

/// out[r] = x[rows[r]], for out[R,cols]
KERNEL(gather_rows)
(GLOBAL float *RESTRICT out, GLOBAL const float *RESTRICT x, GLOBAL const int *RESTRICT rows, uint cols) {
  copy_row(out + (size_t)group_id(0) * cols, x + (size_t)rows[group_id(0)] * cols, cols);
}

/// out[rows[r]] = x[r], for x[R,cols]
KERNEL(store_rows)
(GLOBAL float *RESTRICT out, VIEW(const float, x), GLOBAL const int *RESTRICT rows, uint cols) {
  copy_row(out + (size_t)rows[group_id(0)] * cols, x + x_first + (size_t)group_id(0) * x_pitch, cols);
}

/// The same of two tensors: cache_k[rows[r]] = k[r] and cache_v[rows[r]] = v[r].
KERNEL(store_keys)
(GLOBAL float *RESTRICT cache_k, GLOBAL float *RESTRICT cache_v, VIEW(const float, k), VIEW(const float, v),
 GLOBAL const int *RESTRICT rows, uint cols) {
  size_t to = (size_t)rows[group_id(0)] * cols;
  copy_row(cache_k + to, k + k_first + (size_t)group_id(0) * k_pitch, cols);
  copy_row(cache_v + to, v + v_first + (size_t)group_id(0) * v_pitch, cols);
}

/// out[rows[r]] += x[r], for x[R,cols]; the row numbers are distinct
KERNEL(scatter_add_rows)
(GLOBAL float *RESTRICT out, GLOBAL const float *RESTRICT x, GLOBAL const int *RESTRICT rows, uint cols) {
  x += (size_t)group_id(0) * cols;
  out += (size_t)rows[group_id(0)] * cols;
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES)
    lanes_store(out + c, cols - c, lanes_load(out + c, cols - c, 0.0f) + lanes_load(x + c, cols - c, 0.0f));
}
