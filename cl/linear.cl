// Bias of a linear layer.
#include "platform.h"

/// x[M,N] += bias[N]; one work item an element.
KERNEL(bias_add)(GLOBAL float *RESTRICT x, GLOBAL const float *RESTRICT bias, uint rows, uint cols) {
  size_t i = item_id(0);
  if (i < (size_t)rows * cols) x[i] += bias[i % cols];
}

/// dbias[N] += column sums of dout[M,N]; one work item a column, rows in order.
KERNEL(bias_backward)(GLOBAL float *RESTRICT dbias, GLOBAL const float *RESTRICT dout, uint rows, uint cols) {
  size_t col = item_id(0);
  if (col >= cols) return;
  float sum = 0.0f;
  for (uint row = 0; row < rows; row++) sum += dout[(size_t)row * cols + col];
  dbias[col] += sum;
}
