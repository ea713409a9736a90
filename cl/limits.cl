// What a device can do at most, to compare other kernels with: multiply and add in registers, and move
// memory. Compiled only when it is asked for.
#include "platform.h"

#if LANES > 1 // the CPU family: a work item works on whole vector registers
#define PASTE_(a, b)    a##b
#define PASTE(a, b)     PASTE_(a, b)
#define number          PASTE(float, VECTOR_WIDTH)
#define WIDTH           VECTOR_WIDTH
#define CHAINS          12
#define LOAD(from, i)   PASTE(vload, VECTOR_WIDTH)(0, (from) + (i))
#define STORE(x, to, i) PASTE(vstore, VECTOR_WIDTH)((x), 0, (to) + (i))
#define NUMBER(x)       ((number)(x))
#else
#define number          float
#define WIDTH           1
#define CHAINS          16
#define LOAD(from, i)   ((from)[i])
#define STORE(x, to, i) ((to)[i] = (x))
#define NUMBER(x)       (x)
#endif

/// out[items · WIDTH]: `rounds` fma in each of CHAINS sums of every work item, more than an fma takes cycles.
KERNEL(limit_fma)(GLOBAL float *RESTRICT out, float factor, uint rounds) {
  number sum[CHAINS];
  UNROLL for (uint i = 0; i < CHAINS; i++) sum[i] = NUMBER(factor * (float)i);
  for (uint n = 0; n < rounds; n++) {
    UNROLL for (uint i = 0; i < CHAINS; i++) sum[i] = fma(sum[i], NUMBER(factor), NUMBER(0.5f));
  }
  UNROLL for (uint i = 1; i < CHAINS; i++) sum[0] += sum[i];
  STORE(sum[0], out, (size_t)item_id(0) * WIDTH);
}

/// out[items · WIDTH] = sums of x, of which every group reads `block` numbers, a multiple of 4 · GROUP ·
/// WIDTH.
KERNEL(limit_read)(GLOBAL float *RESTRICT out, GLOBAL const float *RESTRICT x, uint block) {
  GLOBAL const float *from = x + (size_t)group_id(0) * block;
  uint step = local_count(0) * WIDTH;
  number sum[4];
  UNROLL for (uint j = 0; j < 4; j++) sum[j] = NUMBER(0.0f);
  for (uint i = local_id(0) * WIDTH; i < block; i += 4 * step) {
    UNROLL for (uint j = 0; j < 4; j++) sum[j] += LOAD(from, i + j * step);
  }
  STORE(sum[0] + sum[1] + sum[2] + sum[3], out, (size_t)item_id(0) * WIDTH);
}

/// a = b + factor · c, blocks as above
KERNEL(limit_triad)
(GLOBAL float *RESTRICT a, GLOBAL const float *RESTRICT b, GLOBAL const float *RESTRICT c, float factor,
 uint block) {
  size_t first = (size_t)group_id(0) * block;
  uint step = local_count(0) * WIDTH;
  for (uint i = local_id(0) * WIDTH; i < block; i += step) {
    STORE(fma(NUMBER(factor), LOAD(c, first + i), LOAD(b, first + i)), a, first + i);
  }
}
