// What products in IEEE halves (gemm_tile.cl with FACTORS_F16) need beside themselves: rows of A as halves,
// and how large the elements of a matrix are. A row has a scale of its own, so its bits depend on no other
// row.
#include "lanes.h"
#include "powers.h"
#include "typed.h"

/// out[·,ceil(cols / 2) + 1] = rows of x, each times a power of two, as halves, two steps in a word, and as
/// the last word the float that undoes the power. What is not finite stays so. One group per row (grid_rows).
KERNEL(half_rows)
(GLOBAL uint *RESTRICT out, GLOBAL const float *RESTRICT x, ulong x_first, uint x_pitch, uint cols) {
  LOCAL float part[GROUP];
  uint row = group_id(0), words = (cols + 1) / 2;
  x += x_first + (size_t)row * x_pitch;
  out += (size_t)row * (words + 1);
  float largest = 0.0f;
  for (uint i = local_id(0); i < cols; i += GROUP) largest = fmax(largest, fabs(x[i]));
  float scale = half_scale(group_max(part, largest));
  for (uint i = local_id(0); i < words; i += GROUP) {
    float first = x[2 * i], second = 2 * i + 1 < cols ? x[2 * i + 1] : 0.0f;
    out[i] = half_of_float(first * scale) | half_of_float(second * scale) << 16;
  }
  if (local_id(0) == 0) out[words] = bits_of_float(inverse_power(scale));
}

/// out[row] = the largest magnitude in row `row` of the view w[·,cols] of any type. One group per row.
KERNEL(row_largest)(GLOBAL float *RESTRICT out, VIEW(const void, w), uint cols, uint type) {
  LOCAL float part[GROUP];
  size_t row = group_id(0);
  w = skip_typed(w, w_first, type);
  float most = 0.0f;
  for (uint i = local_id(0) * LANES; i < cols; i += GROUP * LANES)
    most = fmax(most, lanes_max(fabs(load_typed(w, row * w_pitch + i, cols - i, type))));
  most = group_max(part, most);
  if (local_id(0) == 0) out[row] = most;
}
