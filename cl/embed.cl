// Rows of the embedding table. Rule: one group adds all gradient rows of a token, in the order given.
#include "typed.h"

/// out[m] = table[ids[m]], for out[M,cols] and table[V,cols] of `type`, any. One group per row.
KERNEL(embed)
(GLOBAL float *RESTRICT out, GLOBAL const void *RESTRICT table, GLOBAL const int *RESTRICT ids, uint cols,
 uint type) {
  uint row = group_id(0);
  size_t from = (size_t)ids[row] * cols, to = (size_t)row * cols;
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES)
    lanes_store(out + to + c, cols - c, load_typed(table, from + c, cols - c, type));
}

/// dtable[ids[m]] += dout[m], for dtable[V,cols] and dout[M,cols]. order[M] sorts the rows by id. There is
/// one group per entry of order; the group at a token's first entry adds all of the token's rows, and the
/// others return.
KERNEL(embed_backward)
(GLOBAL float *RESTRICT dtable, GLOBAL const float *RESTRICT dout, GLOBAL const int *RESTRICT ids,
 GLOBAL const int *RESTRICT order, uint rows, uint cols) {
  uint place = group_id(0);
  int id = ids[order[place]];
  if (place > 0 && ids[order[place - 1]] == id) return;
  uint end = place + 1;
  while (end < rows && ids[order[end]] == id) end++;
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES) {
    GLOBAL float *to = dtable + (size_t)id * cols + c;
    lanes sum = lanes_load(to, cols - c, 0.0f);
    for (uint i = place; i < end; i++) sum += lanes_load(dout + (size_t)order[i] * cols + c, cols - c, 0.0f);
    lanes_store(to, cols - c, sum);
  }
}
