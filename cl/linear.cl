// The bias of a linear layer.
#include "lanes.h"

/// x[·,cols] += bias[cols]. LANES columns per work item (grid_columns).
KERNEL(bias_add)(VIEW(float, x), GLOBAL const float *RESTRICT bias, uint cols) {
  uint c = (uint)lanes_column(cols);
  if (c >= cols) return;
  x += x_first + (size_t)lanes_row(cols) * x_pitch + c;
  lanes_store(x, cols - c, lanes_load(x, cols - c, 0.0f) + lanes_load(bias + c, cols - c, 0.0f));
}

/// dbias[cols] += column sums of dout[rows,cols], with the rows in order. LANES columns per work item.
KERNEL(bias_backward)(GLOBAL float *RESTRICT dbias, VIEW(const float, dout), uint rows, uint cols) {
  uint c = (uint)item_id(0) * LANES;
  if (c >= cols) return;
  dout += dout_first + c;
  lanes sum = lanes_of(0.0f);
  for (uint row = 0; row < rows; row++) {
    sum += lanes_load(dout + (size_t)row * dout_pitch, cols - c, 0.0f);
  }
  lanes_store(dbias + c, cols - c, lanes_load(dbias + c, cols - c, 0.0f) + sum);
}
