// C[M,N] = alpha · A · B + beta · C on any device. A(m,k) lies at m·a_m + k·a_k and B(k,n) at k·b_k + n·b_n.
// One stride of each is 1, so this kernel serves all three forms of a linear layer (NT, NN and TN).
//
//            b_n           A group of SIDE x SIDE work items computes a TILE x TILE tile of C. It walks
//          +------+        along k, DEPTH steps at a time: all items fetch one slab of A and one of B
//      b_k | B    |        into local memory, then each item adds to its REACH x REACH elements. These
//          +------+        lie SIDE apart, so that neighbouring items touch neighbouring words.
//   a_k
//  +----+  +------+        The sum over k has the same order for any M and any place of a row. A long
//  | A  |  | C    |        sum takes several launches, each over [k_begin, k_end); src/ops/gemm_own.c
//  +----+  +------+        says why.
#include "typed.h"

#ifndef SIDE
#define SIDE 8 // work items along one edge of a tile
#endif
#ifndef REACH
#define REACH 8 // elements of C per work item along each edge of a tile
#endif
#ifndef DEPTH
#define DEPTH 16 // steps of k per slab
#endif
#define TILE (SIDE * REACH)
#define ROW  (TILE + 1) // one word of padding, against bank conflicts when a slab is written transposed

/// slab[DEPTH][TILE] = `from`, with the outer index (m or n) from `outer` and k from `depth`; 0 outside the
/// matrix. Neighbouring work items read along the axis whose stride is 1.
INLINE void fetch(LOCAL_PTR float *slab, GLOBAL const void *from, uint type, uint outer, uint outer_end,
                  uint depth, uint depth_end, uint outer_stride, uint depth_stride, uint item) {
  UNROLL for (uint step = 0; step < TILE * DEPTH / (SIDE * SIDE); step++) {
    uint i = item + step * SIDE * SIDE;
    uint o = depth_stride == 1 ? i / DEPTH : i % TILE;
    uint d = depth_stride == 1 ? i % DEPTH : i / TILE;
    float value = 0.0f;
    if (outer + o < outer_end && depth + d < depth_end) {
      value = load_plain(from, (size_t)(outer + o) * outer_stride + (size_t)(depth + d) * depth_stride, type);
    }
    slab[d * ROW + o] = value;
  }
}

/// Groups: ceil(N / TILE) x ceil(M / TILE), SIDE · SIDE work items each. a_type, b_type: TYPE_F32, TYPE_F16
/// or TYPE_BF16.
KERNEL_OF(SIDE *SIDE, 1)
gemm(VIEW(float, c), GLOBAL const void *RESTRICT a, ulong a_first, GLOBAL const void *RESTRICT b,
     ulong b_first, uint m_end, uint n_end, uint k_begin, uint k_end, uint a_m, uint a_k, uint b_k, uint b_n,
     uint a_type, uint b_type, float alpha, float beta) {
  LOCAL float a_slab[DEPTH * ROW];
  LOCAL float b_slab[DEPTH * ROW];
  a = skip_typed(a, a_first, a_type);
  b = skip_typed(b, b_first, b_type);
  c += c_first;
  uint item = local_id(0), item_m = item / SIDE, item_n = item % SIDE;
  uint tile_m = group_id(1) * TILE, tile_n = group_id(0) * TILE;
  float sums[REACH][REACH];
  UNROLL for (uint i = 0; i < REACH; i++) {
    UNROLL for (uint j = 0; j < REACH; j++) sums[i][j] = 0.0f;
  }
  for (uint k = k_begin; k < k_end; k += DEPTH) {
    fetch(a_slab, a, a_type, tile_m, m_end, k, k_end, a_m, a_k, item);
    fetch(b_slab, b, b_type, tile_n, n_end, k, k_end, b_n, b_k, item);
    BARRIER();
    UNROLL for (uint d = 0; d < DEPTH; d++) {
      float from_a[REACH];
      UNROLL for (uint i = 0; i < REACH; i++) from_a[i] = a_slab[d * ROW + item_m + i * SIDE];
      UNROLL for (uint j = 0; j < REACH; j++) {
        float from_b = b_slab[d * ROW + item_n + j * SIDE];
        UNROLL for (uint i = 0; i < REACH; i++) sums[i][j] = fma(from_a[i], from_b, sums[i][j]);
      }
    }
    BARRIER();
  }
  UNROLL for (uint i = 0; i < REACH; i++) {
    UNROLL for (uint j = 0; j < REACH; j++) {
      uint row = tile_m + item_m + i * SIDE, col = tile_n + item_n + j * SIDE;
      if (row >= m_end || col >= n_end) continue;
      size_t offset = (size_t)row * c_pitch + col;
      c[offset] = beta == 0.0f ? alpha * sums[i][j] : fma(alpha, sums[i][j], beta * c[offset]);
    }
  }
}
