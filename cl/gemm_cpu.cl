// C[M,N] = alpha · A · B + beta · C for CPU devices. One work item computes COLS columns of CHUNK rows, with
// vectors as wide as the CPU's.
//
//                         COLS           For each slab of DEPTH steps of k, the work item first packs its
//                      +--------+        part of B into the panel, in local memory: transposed if B is
//                k     | panel  | DEPTH  stored [N,K], widened if B has 16 bits. Then it walks down A, ROWS
//                      +--------+        rows at a time, with their ROWS x COLS sums in registers. Between
//          k           +--------+        slabs the sums are kept in `part`, also in local memory.
//     +---------+ ROWS | sums   |
//     | A chunk |      +--------+        A is not packed: each of its words is multiplied with COLS words of
//     |         |      | part   | CHUNK  the panel.
//     +---------+      +--------+
//
// Every element is one chain of fma per slab, which starts at 0; the slabs' sums are added in order; then
// comes fma(alpha, sum, beta · c). This order is the same in every tile, so a row's result does not depend on
// the other rows. The two levels matter: over the 49,152 words of a vocabulary a single chain loses 1e-4 of a
// gradient, and these lose 5e-6.
#include "platform.h"

#ifndef VECTOR_WIDTH
#define VECTOR_WIDTH 16 // floats in a vector register: 16 (AVX-512), 8 (AVX) or 4
#endif
#define WIDTH VECTOR_WIDTH
#ifndef ROWS
#define ROWS (WIDTH == 16 ? 12 : 6) // 2 · ROWS sums, two vectors of B and one of A fit in the registers
#endif
#ifndef DEPTH
#define DEPTH 256 // steps of k per slab: DEPTH · COLS words are about the size of the first-level cache
#endif
#ifndef CHUNK
#define CHUNK 192 // rows that share a packed slab
#endif
// How many words ahead B is prefetched while it is packed transposed. This takes a third off the time of one
// row times a large B.
#ifndef AHEAD
#define AHEAD 64
#endif
// How many rows ahead, if B is packed row by row: its rows lie pages apart, where hardware does not prefetch.
#ifndef ROWS_AHEAD
#define ROWS_AHEAD 16
#endif
#define COLS (2 * WIDTH)

#define PASTE_(a, b)     a##b
#define PASTE(a, b)      PASTE_(a, b)
#define vector           PASTE(float, WIDTH)
#define load_vector      PASTE(vload, WIDTH)
#define store_vector     PASTE(vstore, WIDTH)
#define load_half_vector PASTE(vload_half, WIDTH)
#define as_vector        PASTE(as_float, WIDTH)
#define widen_vector     PASTE(convert_uint, WIDTH)

INLINE vector load_typed_vector(GLOBAL const void *from, size_t i, uint type) {
  if (type == TYPE_F32) return load_vector(0, (GLOBAL const float *)from + i);
  if (type == TYPE_F16) return load_half_vector(0, (GLOBAL const half *)from + i);
  return as_vector(widen_vector(load_vector(0, (GLOBAL const ushort *)from + i)) << 16);
}

// Prefetches, if the compiler can; no result depends on it. OpenCL's own prefetch does nothing on CPUs.
#ifdef __has_builtin
#if __has_builtin(__builtin_prefetch)
#define FETCH(place) __builtin_prefetch((const __private void *)(size_t)(place))
#endif
#endif
#ifndef FETCH
#define FETCH(place)
#endif

INLINE void fetch_ahead(GLOBAL const void *from, size_t i, uint type) {
  if (type == TYPE_F32) FETCH((GLOBAL const float *)from + i);
  if (type != TYPE_F32) FETCH((GLOBAL const ushort *)from + i);
}

// ---- packing: panel[k][COLS], zeros from column n_end on ----

#if WIDTH == 16
#define FIRST_HALVES(a, b)                                                                                   \
  (vector)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7)
#define LAST_HALVES(a, b)                                                                                    \
  (vector)(a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf)

/// One round of a perfect shuffle of the square's vectors. Four rounds transpose the square.
INLINE void shuffle_round(vector *to, const vector *from) {
  UNROLL for (uint i = 0; i < WIDTH / 2; i++) {
    to[2 * i] = FIRST_HALVES(from[i], from[i + WIDTH / 2]);
    to[2 * i + 1] = LAST_HALVES(from[i], from[i + WIDTH / 2]);
  }
}

/// panel[i][0 … WIDTH) = b[n + 0 … WIDTH)[k + i] for i < WIDTH; rows of b lie `stride` apart.
INLINE void pack_square(LOCAL_PTR float *panel, GLOBAL const void *b, size_t first, uint stride, uint type) {
  vector r[WIDTH], s[WIDTH];
  UNROLL for (uint i = 0; i < WIDTH; i++) fetch_ahead(b, first + (size_t)i * stride + AHEAD, type);
  UNROLL for (uint i = 0; i < WIDTH; i++) r[i] = load_typed_vector(b, first + (size_t)i * stride, type);
  shuffle_round(s, r);
  shuffle_round(r, s);
  shuffle_round(s, r);
  shuffle_round(r, s);
  UNROLL for (uint i = 0; i < WIDTH; i++) store_vector(r[i], 0, panel + i * COLS);
}
#else
// A vector of 8 floats shuffles within its halves at half the cost of shuffling across them. So row i is
// loaded into one half and row i + 4 into the other, and the 4 x 4 square in each half is transposed. A
// vector of 4 holds a single such square.
#if WIDTH == 8
#define BESIDE(b, i, j, type) (vector)(load_typed_four(b, i, type), load_typed_four(b, j, type))
#define FIRST_HALVES(a, b)    (vector)(a.s0, b.s0, a.s1, b.s1, a.s4, b.s4, a.s5, b.s5)
#define LAST_HALVES(a, b)     (vector)(a.s2, b.s2, a.s3, b.s3, a.s6, b.s6, a.s7, b.s7)
#else
#define BESIDE(b, i, j, type) load_typed_four(b, i, type)
#define FIRST_HALVES(a, b)    (vector)(a.s0, b.s0, a.s1, b.s1)
#define LAST_HALVES(a, b)     (vector)(a.s2, b.s2, a.s3, b.s3)
#endif

INLINE float4 load_typed_four(GLOBAL const void *from, size_t i, uint type) {
  if (type == TYPE_F32) return vload4(0, (GLOBAL const float *)from + i);
  if (type == TYPE_F16) return vload_half4(0, (GLOBAL const half *)from + i);
  return as_float4(convert_uint4(vload4(0, (GLOBAL const ushort *)from + i)) << 16);
}

/// panel[i][0 … WIDTH) = b[n + 0 … WIDTH)[k + i] for i < WIDTH; rows of b lie `stride` apart.
INLINE void pack_square(LOCAL_PTR float *panel, GLOBAL const void *b, size_t first, uint stride, uint type) {
  UNROLL for (uint i = 0; i < WIDTH; i++) fetch_ahead(b, first + (size_t)i * stride + AHEAD, type);
  UNROLL for (uint k = 0; k < WIDTH; k += 4) {
    vector r[4], s[4];
    UNROLL for (uint i = 0; i < 4; i++) {
      size_t row = first + k + (size_t)i * stride;
      r[i] = BESIDE(b, row, row + (size_t)4 * stride, type);
    }
    UNROLL for (uint i = 0; i < 2; i++) {
      s[2 * i] = FIRST_HALVES(r[i], r[i + 2]);
      s[2 * i + 1] = LAST_HALVES(r[i], r[i + 2]);
    }
    UNROLL for (uint i = 0; i < 2; i++) {
      store_vector(FIRST_HALVES(s[i], s[i + 2]), 0, panel + (k + 2 * i) * COLS);
      store_vector(LAST_HALVES(s[i], s[i + 2]), 0, panel + (k + 2 * i + 1) * COLS);
    }
  }
}
#endif

/// Any part of a panel, element by element: columns [from_col, to_col), steps [from_step, steps).
INLINE void pack_edge(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k, uint from_col,
                      uint to_col, uint from_step, uint steps, uint b_k, uint b_n, uint type) {
  for (uint i = from_step; i < steps; i++) {
    for (uint j = from_col; j < to_col; j++) {
      size_t offset = (size_t)(k + i) * b_k + (size_t)(n + j) * b_n;
      panel[i * COLS + j] = n + j < n_end ? load_typed(b, offset, type) : 0.0f;
    }
  }
}

/// Packs B stored [N,K].
INLINE void pack_transposed(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k,
                            uint steps, uint b_n, uint type) {
  for (uint col = 0; col < COLS; col += WIDTH) {
    uint whole = n + col + WIDTH <= n_end ? steps / WIDTH * WIDTH : 0;
    for (uint i = 0; i < whole; i += WIDTH) {
      pack_square(panel + i * COLS + col, b, (size_t)(n + col) * b_n + k + i, b_n, type);
    }
    pack_edge(panel, b, n, n_end, k, col, col + WIDTH, whole, steps, 1, b_n, type);
  }
}

/// Packs B stored [K,N].
INLINE void pack_straight(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k,
                          uint steps, uint b_k, uint type) {
  if (n + COLS > n_end) {
    pack_edge(panel, b, n, n_end, k, 0, COLS, 0, steps, b_k, 1, type);
    return;
  }
  for (uint i = 0; i < steps; i++) {
    size_t offset = (size_t)(k + i) * b_k + n;
    fetch_ahead(b, offset + (size_t)ROWS_AHEAD * b_k, type);
    store_vector(load_typed_vector(b, offset, type), 0, panel + i * COLS);
    store_vector(load_typed_vector(b, offset + WIDTH, type), 0, panel + i * COLS + WIDTH);
  }
}

/// Each branch passes its type as a constant, so that the compiler makes a loop for each type.
INLINE void pack(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k, uint steps,
                 uint b_k, uint b_n, uint type) {
  if (b_k == 1) {
    if (type == TYPE_F32) pack_transposed(panel, b, n, n_end, k, steps, b_n, TYPE_F32);
    if (type == TYPE_F16) pack_transposed(panel, b, n, n_end, k, steps, b_n, TYPE_F16);
    if (type == TYPE_BF16) pack_transposed(panel, b, n, n_end, k, steps, b_n, TYPE_BF16);
  } else {
    if (type == TYPE_F32) pack_straight(panel, b, n, n_end, k, steps, b_k, TYPE_F32);
    if (type == TYPE_F16) pack_straight(panel, b, n, n_end, k, steps, b_k, TYPE_F16);
    if (type == TYPE_BF16) pack_straight(panel, b, n, n_end, k, steps, b_k, TYPE_BF16);
  }
}

// ---- tiles ----

/// What happens to a tile's sums at both ends of a slab.
typedef struct Ends {
  int first; // the first slab: `part` holds no sums yet
  int last;  // the last slab: the sums go to C, not to `part`
  float alpha, beta;
  uint n_end;   // columns of C
  size_t pitch; // elements from one row of C to the next
} Ends;

/// Writes up to COLS sums to a row of C, from column n on.
INLINE void finish_row(GLOBAL float *c, uint n, vector left, vector right, Ends ends) {
  if (n + COLS <= ends.n_end) {
    vector old_left = ends.beta == 0.0f ? (vector)(0.0f) : ends.beta * load_vector(0, c);
    vector old_right = ends.beta == 0.0f ? (vector)(0.0f) : ends.beta * load_vector(0, c + WIDTH);
    store_vector(fma((vector)(ends.alpha), left, old_left), 0, c);
    store_vector(fma((vector)(ends.alpha), right, old_right), 0, c + WIDTH);
    return;
  }
  float sums[COLS];
  store_vector(left, 0, sums);
  store_vector(right, 0, sums + WIDTH);
  for (uint j = 0; n + j < ends.n_end; j++) {
    c[j] = fma(ends.alpha, sums[j], ends.beta == 0.0f ? 0.0f : ends.beta * c[j]);
  }
}

/// One tile: `rows` rows of C from `c` on, columns from n on; a(i,k) lies at i·a_m + k·a_k. `rows` is a
/// constant in every call, so the loops over it are unrolled.
INLINE void tile(GLOBAL float *c, LOCAL_PTR float *part, GLOBAL const float *a, LOCAL_PTR const float *panel,
                 const uint rows, uint n, uint steps, size_t a_m, size_t a_k, Ends ends) {
  vector left[ROWS], right[ROWS];
  UNROLL for (uint i = 0; i < rows; i++) {
    left[i] = (vector)(0.0f);
    right[i] = (vector)(0.0f);
  }
  for (uint k = 0; k < steps; k++) {
    vector b_left = load_vector(0, panel + k * COLS), b_right = load_vector(0, panel + k * COLS + WIDTH);
    UNROLL for (uint i = 0; i < rows; i++) {
      vector x = (vector)(a[i * a_m + k * a_k]);
      left[i] = fma(x, b_left, left[i]);
      right[i] = fma(x, b_right, right[i]);
    }
  }
  UNROLL for (uint i = 0; i < rows; i++) {
    if (!ends.first) {
      left[i] += load_vector(0, part + i * COLS);
      right[i] += load_vector(0, part + i * COLS + WIDTH);
    }
    if (ends.last) {
      finish_row(c + i * ends.pitch, n, left[i], right[i], ends);
    } else {
      store_vector(left[i], 0, part + i * COLS);
      store_vector(right[i], 0, part + i * COLS + WIDTH);
    }
  }
}

/// All tiles of a chunk, for one packed slab.
INLINE void walk(GLOBAL float *c, LOCAL_PTR float *part, GLOBAL const float *a, LOCAL_PTR const float *panel,
                 uint rows, uint n, uint steps, size_t a_m, size_t a_k, Ends ends) {
  uint i = 0;
  for (; i + ROWS <= rows; i += ROWS) {
    tile(c + i * ends.pitch, part + i * COLS, a + i * a_m, panel, ROWS, n, steps, a_m, a_k, ends);
  }
  for (; i + 4 <= rows; i += 4) {
    tile(c + i * ends.pitch, part + i * COLS, a + i * a_m, panel, 4, n, steps, a_m, a_k, ends);
  }
  for (; i < rows; i++) {
    tile(c + i * ends.pitch, part + i * COLS, a + i * a_m, panel, 1, n, steps, a_m, a_k, ends);
  }
}

/// Groups: ceil(N / COLS) x ceil(M / CHUNK), one work item each. A(m,k) lies at m·a_m + k·a_k and B(k,n) at
/// k·b_k + n·b_n; one stride of each is 1. A is float32; b_type: TYPE_F32, TYPE_F16 or TYPE_BF16.
KERNEL(gemm_cpu)
(VIEW_ALIASED(float, c), GLOBAL const float *a, ulong a_first, GLOBAL const void *b, ulong b_first,
 uint m_end, uint n_end, uint k_end, uint a_m, uint a_k, uint b_k, uint b_n, uint b_type, float alpha,
 float beta) {
  LOCAL float panel[DEPTH * COLS] __attribute__((aligned(64)));
  LOCAL float part[CHUNK * COLS] __attribute__((aligned(64)));
  uint n = group_id(0) * COLS, m = group_id(1) * CHUNK;
  uint rows = min((uint)CHUNK, m_end - m);
  GLOBAL float *c_tile = c + c_first + (size_t)m * c_pitch + n;
  a += a_first;
  b = skip_typed(b, b_first, b_type);
  for (uint k = 0; k < k_end; k += DEPTH) {
    uint steps = min((uint)DEPTH, k_end - k);
    Ends ends = {k == 0, k + steps == k_end, alpha, beta, n_end, c_pitch};
    pack(panel, b, n, n_end, k, steps, b_k, b_n, b_type);
    GLOBAL const float *a_tile = a + (size_t)m * a_m + (size_t)k * a_k;
    if (a_k == 1) {
      walk(c_tile, part, a_tile, panel, rows, n, steps, a_m, 1, ends);
    } else {
      walk(c_tile, part, a_tile, panel, rows, n, steps, 1, a_k, ends);
    }
  }
}
