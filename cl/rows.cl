// Rows read, stored and added to by number. In each kernel rows[R] holds the row numbers, and there is one
// group per entry.
#include "lanes.h"

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

/// out[rows[r]] += x[r], for x[R,cols]; the row numbers are distinct
KERNEL(scatter_add_rows)
(GLOBAL float *RESTRICT out, GLOBAL const float *RESTRICT x, GLOBAL const int *RESTRICT rows, uint cols) {
  x += (size_t)group_id(0) * cols;
  out += (size_t)rows[group_id(0)] * cols;
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES)
    lanes_store(out + c, cols - c, lanes_load(out + c, cols - c, 0.0f) + lanes_load(x + c, cols - c, 0.0f));
}
