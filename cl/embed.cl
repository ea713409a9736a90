// Rows of the embedding table. Rule: a token's gradient rows are added one after the other by one group.
#include "lanes.h"

/// out[M,cols] = table[V,cols] of `type`, row ids[m]. A group a row.
KERNEL(embed)
(GLOBAL float *RESTRICT out, GLOBAL const void *RESTRICT table, GLOBAL const int *RESTRICT ids, uint cols,
 uint type) {
  uint row = group_id(0);
  size_t from = (size_t)ids[row] * cols, to = (size_t)row * cols;
  for (uint c = local_id(0); c < cols; c += GROUP) out[to + c] = load_typed(table, from + c, type);
}

/// dtable[V,cols] += dout[M,cols] by token. order[M] sorts the rows by id; a group per place in it, and the group whose
/// place opens a token's run walks that run.
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
