// What the matrix products of CPU devices share: vectors whose lanes are columns of C, which are rows of a B
// stored [N,K], the transposition that puts them there, and the ends of sums.
#include "typed.h"

#ifndef VECTOR_WIDTH
#define VECTOR_WIDTH 16 // floats in a vector register: 16 (AVX-512), 8 (AVX) or 4
#endif
#define WIDTH VECTOR_WIDTH
#ifndef DEPTH
#define DEPTH 256 // steps of k per slab: DEPTH · COLS words are about the size of the first-level cache
#endif
#define MOST_CHUNK 768 // rows that share a packed slab, at most
// How many words ahead B is prefetched while its rows are transposed. This takes a third off the time of one
// row times a large B.
#ifndef AHEAD
#define AHEAD 64
#endif

#define PASTE_(a, b)     a##b
#define PASTE(a, b)      PASTE_(a, b)
#define vector           PASTE(float, WIDTH)
#define whole_vector     PASTE(int, WIDTH)
#define load_vector      PASTE(vload, WIDTH)
#define store_vector     PASTE(vstore, WIDTH)
#define load_half_vector PASTE(vload_half, WIDTH)
#define as_vector        PASTE(as_float, WIDTH)
#define widen_vector     PASTE(convert_uint, WIDTH)
#define to_float         PASTE(convert_float, WIDTH)

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

/// Types with blocks of 32 codes, whole bytes or halves of bytes, behind a scale and perhaps a shift.
INLINE int is_direct(uint type) {
  return type == TYPE_Q8_0 || type == TYPE_Q4_0 || type == TYPE_Q4_1;
}

// ---- transposing ----
//
// A vector of 8 shuffles within its halves at half the cost of shuffling across them. So row i is loaded into
// one half and row i + 4 into the other, and the 4 x 4 square in each half is transposed. A vector of 4 holds
// a single such square, one of 16 holds four.

#if WIDTH == 16
#define BESIDE(type, r, i) (type)(r[i], r[i + 4], r[i + 8], r[i + 12])
#define FIRST_HALVES(type, a, b)                                                                             \
  (type)(a.s0, b.s0, a.s1, b.s1, a.s4, b.s4, a.s5, b.s5, a.s8, b.s8, a.s9, b.s9, a.sc, b.sc, a.sd, b.sd)
#define LAST_HALVES(type, a, b)                                                                              \
  (type)(a.s2, b.s2, a.s3, b.s3, a.s6, b.s6, a.s7, b.s7, a.sa, b.sa, a.sb, b.sb, a.se, b.se, a.sf, b.sf)
#elif WIDTH == 8
#define BESIDE(type, r, i)       (type)(r[i], r[i + 4])
#define FIRST_HALVES(type, a, b) (type)(a.s0, b.s0, a.s1, b.s1, a.s4, b.s4, a.s5, b.s5)
#define LAST_HALVES(type, a, b)  (type)(a.s2, b.s2, a.s3, b.s3, a.s6, b.s6, a.s7, b.s7)
#else
#define BESIDE(type, r, i)       (r[i])
#define FIRST_HALVES(type, a, b) (type)(a.s0, b.s0, a.s1, b.s1)
#define LAST_HALVES(type, a, b)  (type)(a.s2, b.s2, a.s3, b.s3)
#endif

/// Defines `name`: to[i] has word i of each row in a lane, from the four words of WIDTH rows.
#define TRANSPOSE_FOURS(name, type, four)                                                                    \
  INLINE void name(type *to, const four *rows) {                                                             \
    type r[4], s[4];                                                                                         \
    UNROLL for (uint i = 0; i < 4; i++) r[i] = BESIDE(type, rows, i);                                        \
    UNROLL for (uint i = 0; i < 2; i++) {                                                                    \
      s[2 * i] = FIRST_HALVES(type, r[i], r[i + 2]);                                                         \
      s[2 * i + 1] = LAST_HALVES(type, r[i], r[i + 2]);                                                      \
    }                                                                                                        \
    UNROLL for (uint i = 0; i < 2; i++) {                                                                    \
      to[2 * i] = FIRST_HALVES(type, s[i], s[i + 2]);                                                        \
      to[2 * i + 1] = LAST_HALVES(type, s[i], s[i + 2]);                                                     \
    }                                                                                                        \
  }

#if WIDTH == 16
#define FIRST_OF_TWO(a, b)                                                                                   \
  (vector)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7)
#define LAST_OF_TWO(a, b)                                                                                    \
  (vector)(a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf)

/// One round of a perfect shuffle of the square's vectors. Four rounds transpose the square.
INLINE void shuffle_round(vector *to, const vector *from) {
  UNROLL for (uint i = 0; i < WIDTH / 2; i++) {
    to[2 * i] = FIRST_OF_TWO(from[i], from[i + WIDTH / 2]);
    to[2 * i + 1] = LAST_OF_TWO(from[i], from[i + WIDTH / 2]);
  }
}

/// square[i] has element rows[j] + k + i of B in lane j.
INLINE void load_square(vector *square, GLOBAL const void *b, const size_t *rows, uint k, uint type) {
  vector s[WIDTH];
  UNROLL for (uint i = 0; i < WIDTH; i++) fetch_ahead(b, rows[i] + k + AHEAD, type);
  UNROLL for (uint i = 0; i < WIDTH; i++) square[i] = load_typed_vector(b, rows[i] + k, type);
  shuffle_round(s, square);
  shuffle_round(square, s);
  shuffle_round(s, square);
  shuffle_round(square, s);
}
#else
TRANSPOSE_FOURS(transpose_floats, vector, float4)

INLINE float4 load_typed_four(GLOBAL const void *from, size_t i, uint type) {
  if (type == TYPE_F32) return vload4(0, (GLOBAL const float *)from + i);
  if (type == TYPE_F16) return vload_half4(0, (GLOBAL const half *)from + i);
  return as_float4(convert_uint4(vload4(0, (GLOBAL const ushort *)from + i)) << 16);
}

/// square[i] has element rows[j] + k + i of B in lane j.
INLINE void load_square(vector *square, GLOBAL const void *b, const size_t *rows, uint k, uint type) {
  UNROLL for (uint i = 0; i < WIDTH; i++) fetch_ahead(b, rows[i] + k + AHEAD, type);
  UNROLL for (uint i = 0; i < WIDTH; i += 4) {
    float4 fours[WIDTH];
    UNROLL for (uint j = 0; j < WIDTH; j++) fours[j] = load_typed_four(b, rows[j] + k + i, type);
    transpose_floats(square + i, fours);
  }
}
#endif

// ---- blocks of quantised types ----

TRANSPOSE_FOURS(transpose_words, whole_vector, int4)

/// turned[q] has bytes 4 q … 4 q + 3 from `place` on of each block in a lane.
INLINE void turn_blocks(whole_vector *turned, GLOBAL const uchar *const *blocks, uint place) {
  int4 rows[WIDTH];
  UNROLL for (uint j = 0; j < WIDTH; j++) rows[j] = as_int4(vload16(0, blocks[j] + place));
  transpose_words(turned, rows);
}

// The half in the low bits of each lane, where the processor has an instruction for it.
#if defined(__AVX512F__) && WIDTH == 16
#define HAS_HALVES
INLINE vector half_of(whole_vector bits) {
  vector value;
  ushort16 halves = convert_ushort16(bits);
  __asm__("vcvtph2ps %1, %0" : "=v"(value) : "v"(halves));
  return value;
}
#elif defined(__F16C__) && WIDTH == 8
#define HAS_HALVES
INLINE vector half_of(whole_vector bits) {
  return __builtin_ia32_vcvtph2ps256(convert_short8(bits & 0xffff));
}
#endif

/// What happens to a tile's sums at both ends of a slab.
typedef struct Ends {
  int first; // the first slab: `part` holds no sums yet
  int last;  // the last slab: the sums go to C, not to `part`
  float alpha, beta;
  uint n_end;   // columns of C
  size_t pitch; // elements from one row of C to the next
} Ends;

/// c[0 … WIDTH) = alpha · sums + beta · c, where c[0] is in column n of n_end.
INLINE void finish(GLOBAL float *c, uint n, vector sums, float alpha, float beta, uint n_end) {
  if (n + WIDTH <= n_end) {
    vector old = beta == 0.0f ? (vector)(0.0f) : beta * load_vector(0, c);
    store_vector(fma((vector)(alpha), sums, old), 0, c);
    return;
  }
  float part[WIDTH];
  store_vector(sums, 0, part);
  for (uint j = 0; n + j < n_end; j++) c[j] = fma(alpha, part[j], beta == 0.0f ? 0.0f : beta * c[j]);
}
