// C[M,N] = alpha · A · B + beta · C for few rows of A, and B stored [N,K], on CPU devices: what a step of
// decoding is. One work item computes COLS columns of all rows. A launch has up to three B and C, since
// starting one takes as long as some of these products: a layer's query, key and value, or gate and up.
//
//               k      COLS        In gemm_cpu.cl a panel of B is widened or decoded for many rows of A. Here
//            +-----+  +------+     no element of B is written as float32: WIDTH rows of B are transposed in
//       M    | A   |  | sums |     registers, so that each has a lane, and multiplied at once with a row of
//            +-----+  +------+     A. The next row of A finds them in a cache.
//
// A quantised B is transposed as bytes, four to a lane. Types whose codes are whole bytes or their halves are
// read as they lie; of the others, unpack() first writes a slab's codes into local memory. So each type has
// only that loop of its own, which keeps the time to compile short.
//
// Rule: every element is summed in the order of gemm_cpu.cl, so both give the same bits.
#include "columns_cpu.h"

#define ROWS   3 // of A, at most
#define GROUPS 2 // vectors of columns that have their sums in registers at a time
#define COLS   (4 * WIDTH)
#ifndef BYTES_AHEAD
#define BYTES_AHEAD 512 // how far ahead B is prefetched while it is unpacked
#endif

/// Some rows of a slab of B: code k of row j is in codes[j · DEPTH / LANES + k / LANES]; the scale and the
/// shift of these LANES codes are in scales[k / LANES · COLS + j] and at the same place of shifts.
typedef struct Slab {
  LOCAL_PTR lanes_byte *codes;
  LOCAL_PTR float *scales, *shifts;
} Slab;

/// What a work item multiplies with, in one slab.
typedef struct Few {
  GLOBAL const float *a; // at the slab's first step; rows lie a_m apart
  uint a_m;
  GLOBAL const void *b; // rows lie b_n apart
  uint b_n, b_type;
  uint n, n_end; // the first column, and columns of C
  uint k, steps; // the slab
  Slab slab;
} Few;

/// The element of B at the slab's first step in column `col` of the work item. Behind the last column of C it
/// is that of the last: what is computed there is never stored.
INLINE size_t first_element(const Few *few, uint col) {
  return (size_t)min(few->n + col, few->n_end - 1) * few->b_n + few->k;
}

/// sums[g] += x · w[g]
INLINE void add_step(vector *sums, float x, const vector *w) {
  UNROLL for (uint g = 0; g < GROUPS; g++) sums[g] = fma((vector)(x), w[g], sums[g]);
}

// ---- plain types ----

/// Adds a slab's products to the sums of GROUPS vectors of columns from `col` on.
INLINE void add_plain(vector *sums, const Few *few, uint col, uint type) {
  size_t b_rows[GROUPS * WIDTH];
  UNROLL for (uint j = 0; j < GROUPS * WIDTH; j++) b_rows[j] = first_element(few, col + j);
  uint k = 0;
  for (; k + WIDTH <= few->steps; k += WIDTH) {
    vector squares[GROUPS][WIDTH];
    UNROLL for (uint g = 0; g < GROUPS; g++) load_square(squares[g], few->b, b_rows + g * WIDTH, k, type);
    UNROLL for (uint i = 0; i < WIDTH; i++) {
      vector w[GROUPS];
      UNROLL for (uint g = 0; g < GROUPS; g++) w[g] = squares[g][i];
      add_step(sums, few->a[k + i], w);
    }
  }
  for (; k < few->steps; k++) {
    vector w[GROUPS];
    UNROLL for (uint g = 0; g < GROUPS; g++) {
      float part[WIDTH];
      for (uint j = 0; j < WIDTH; j++) part[j] = load_plain(few->b, b_rows[g * WIDTH + j] + k, type);
      w[g] = load_vector(0, part);
    }
    add_step(sums, few->a[k], w);
  }
}

// ---- quantised types ----

TRANSPOSE_FOURS(transpose_bytes, whole_vector, int4)

/// Byte b of each lane, as the number that it holds in two's complement.
INLINE vector signed_byte(whole_vector turned, uint b) {
  return to_float((turned << (24 - 8 * (int)b)) >> 24);
}

/// What codes stand for. A scale and a code have at most 23 significant bits together, in every type, so
/// their product is exact, and the sum is rounded once, as in the twins.
INLINE vector decode(vector scale, vector codes, vector shift) {
  return fma(scale, codes, shift);
}

/// Types with blocks of 32 codes, whole bytes or halves of bytes, behind a scale and perhaps a shift.
INLINE int is_direct(uint type) {
  return type == TYPE_Q8_0 || type == TYPE_Q4_0 || type == TYPE_Q4_1;
}

/// The scale of each block, and its shift if the head has four bytes.
INLINE void load_head(vector *scale, vector *shift, GLOBAL const uchar *const *blocks, uint place,
                      uint head) {
#if defined(__F16C__) && WIDTH == 8
  int words[WIDTH];
  UNROLL for (uint j = 0; j < WIDTH; j++) words[j] =
      as_int(vload2(0, (GLOBAL const ushort *)(blocks[j] + place)));
  int8 heads = vload8(0, words);
  *scale = __builtin_ia32_vcvtph2ps256(convert_short8(heads & 0xffff));
  *shift = head == 4 ? __builtin_ia32_vcvtph2ps256(convert_short8(heads >> 16)) : (vector)(NO_SHIFT);
#else
  float scales[WIDTH], shifts[WIDTH];
  UNROLL for (uint j = 0; j < WIDTH; j++) {
    scales[j] = half_at(blocks[j] + place);
    shifts[j] = head == 4 ? half_at(blocks[j] + place + 2) : NO_SHIFT;
  }
  *scale = load_vector(0, scales);
  *shift = load_vector(0, shifts);
#endif
}

/// turned[q] has bytes 4 q … 4 q + 3 from `place` on of each block in a lane.
INLINE void turn_blocks(whole_vector *turned, GLOBAL const uchar *const *blocks, uint place) {
  int4 rows[WIDTH];
  UNROLL for (uint j = 0; j < WIDTH; j++) rows[j] = as_int4(vload16(0, blocks[j] + place));
  transpose_bytes(turned, rows);
}

/// The codes that byte b of each lane, or its low half, holds.
INLINE vector direct_codes(whole_vector turned, uint b, uint type) {
  if (type == TYPE_Q8_0) return signed_byte(turned, b);
  whole_vector code = turned >> (int)(8 * b) & 15;
  return to_float(type == TYPE_Q4_0 ? code - 8 : code);
}

/// As add_plain, of a direct type with blocks of `bytes`, of which the first `head` are not codes.
INLINE void add_direct(vector *sums, const Few *few, uint col, uint type, uint head, uint bytes) {
  GLOBAL const uchar *blocks[GROUPS * WIDTH];
  UNROLL for (uint j = 0; j < GROUPS * WIDTH; j++) blocks[j] =
      (GLOBAL const uchar *)few->b + first_element(few, col + j) / 32 * bytes;
  uint ahead = few->b_n / 32 * bytes * GROUPS * WIDTH; // the same place of the columns that come next
  for (uint k = 0, place = 0; k < few->steps; k += 32, place += bytes) {
    whole_vector turned[GROUPS][4];
    vector scale[GROUPS], shift[GROUPS];
    UNROLL for (uint g = 0; g < GROUPS; g++) {
      load_head(&scale[g], &shift[g], blocks + g * WIDTH, place, head);
      turn_blocks(turned[g], blocks + g * WIDTH, place + head);
      UNROLL for (uint j = 0; j < WIDTH; j++) FETCH(blocks[g * WIDTH + j] + place + ahead);
    }
    for (uint first = 0; first < 32; first += LANES) {
      UNROLL for (uint i = 0; i < LANES; i++) {
        vector w[GROUPS];
        UNROLL for (uint g = 0; g < GROUPS; g++) w[g] =
            decode(scale[g], direct_codes(turned[g][i / 4], i % 4, type), shift[g]);
        add_step(sums, few->a[k + first + i], w);
      }
      UNROLL for (uint g = 0; g < GROUPS; g++) {
        if (type == TYPE_Q8_0) turn_blocks(turned[g], blocks + g * WIDTH, place + head + LANES);
        UNROLL for (uint q = 0; q < 4; q++) turned[g][q] >>= type == TYPE_Q8_0 ? 0 : 4;
      }
    }
  }
}

/// Unpacks the work item's columns of the slab, if B's type is not direct.
INLINE void unpack(const Few *few) {
#define BLOCK_ROW(name)                                                                                      \
  if (few->b_type == TYPE_##name && !is_direct(TYPE_##name)) {                                               \
    for (uint j = 0; j < COLS; j++) {                                                                        \
      GLOBAL const uchar *block = skip_typed(few->b, first_element(few, j), TYPE_##name);                    \
      for (uint k = 0; k < few->steps; k += ELEMENTS_##name, block += BYTES_##name) {                        \
        lanes_byte codes[ELEMENTS_##name / LANES];                                                           \
        float scales[ELEMENTS_##name / LANES], shifts[ELEMENTS_##name / LANES];                              \
        FETCH(block + BYTES_AHEAD);                                                                          \
        UNROLL for (uint i = 0; i < ELEMENTS_##name / LANES; i++) codes[i] =                                 \
            block_##name(block, i * LANES, &scales[i], &shifts[i]);                                          \
        UNROLL for (uint i = 0; i < ELEMENTS_##name / LANES; i++) {                                          \
          few->slab.codes[j * (DEPTH / LANES) + k / LANES + i] = codes[i];                                   \
          few->slab.scales[(k / LANES + i) * COLS + j] = scales[i];                                          \
          few->slab.shifts[(k / LANES + i) * COLS + j] = shifts[i];                                          \
        }                                                                                                    \
      }                                                                                                      \
    }                                                                                                        \
  }
  BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
}

/// As add_plain, of what was unpacked.
INLINE void add_unpacked(vector *sums, const Few *few, uint col) {
  for (uint k = 0; k < few->steps; k += LANES) {
    whole_vector turned[GROUPS][4];
    vector scale[GROUPS], shift[GROUPS];
    UNROLL for (uint g = 0; g < GROUPS; g++) {
      uint first = col + g * WIDTH;
      int4 codes[WIDTH];
      UNROLL for (uint j = 0; j < WIDTH; j++) codes[j] =
          as_int4(few->slab.codes[(first + j) * (DEPTH / LANES) + k / LANES]);
      transpose_bytes(turned[g], codes);
      scale[g] = load_vector(0, few->slab.scales + k / LANES * COLS + first);
      shift[g] = load_vector(0, few->slab.shifts + k / LANES * COLS + first);
    }
    UNROLL for (uint i = 0; i < LANES; i++) {
      vector w[GROUPS];
      UNROLL for (uint g = 0; g < GROUPS; g++) w[g] =
          decode(scale[g], signed_byte(turned[g][i / 4], i % 4), shift[g]);
      add_step(sums, few->a[k + i], w);
    }
  }
}

// ---- products ----

/// Each branch passes its type as a constant.
INLINE void add_slab(vector *sums, const Few *few, uint col) {
  uint type = few->b_type;
  if (type == TYPE_F32) add_plain(sums, few, col, TYPE_F32);
  if (type == TYPE_F16) add_plain(sums, few, col, TYPE_F16);
  if (type == TYPE_BF16) add_plain(sums, few, col, TYPE_BF16);
  if (type == TYPE_Q8_0) add_direct(sums, few, col, TYPE_Q8_0, 2, BYTES_Q8_0);
  if (type == TYPE_Q4_0) add_direct(sums, few, col, TYPE_Q4_0, 2, BYTES_Q4_0);
  if (type == TYPE_Q4_1) add_direct(sums, few, col, TYPE_Q4_1, 4, BYTES_Q4_1);
  if (!is_plain(type) && !is_direct(type)) add_unpacked(sums, few, col);
}

/// Adds one slab to a row's sums of all columns of the work item.
INLINE void multiply(LOCAL_PTR float *row, const Few *few) {
  for (uint col = 0; col < COLS && few->n + col < few->n_end; col += GROUPS * WIDTH) {
    vector sums[GROUPS];
    UNROLL for (uint g = 0; g < GROUPS; g++) sums[g] = (vector)(0.0f);
    add_slab(sums, few, col);
    UNROLL for (uint g = 0; g < GROUPS; g++) {
      LOCAL_PTR float *sum = row + col + g * WIDTH;
      store_vector(few->k == 0 ? sums[g] : sums[g] + load_vector(0, sum), 0, sum);
    }
  }
}

#define PRODUCT(i)                                                                                           \
  VIEW_ALIASED(float, c##i), GLOBAL const void *b##i, ulong b##i##_first, uint n_end##i, uint b_n##i,        \
      uint b_type##i

/// `few` and `c` become those of product i if the work item is one of its own, counted from `first`.
#define CHOOSE(i)                                                                                            \
  if (item >= first && item - first < (n_end##i + COLS - 1) / COLS) {                                        \
    few.b = skip_typed(b##i, b##i##_first, b_type##i);                                                       \
    few.b_n = b_n##i;                                                                                        \
    few.b_type = b_type##i;                                                                                  \
    few.n = (item - first) * COLS;                                                                           \
    few.n_end = n_end##i;                                                                                    \
    c = c##i + c##i##_first;                                                                                 \
    c_pitch = c##i##_pitch;                                                                                  \
  }                                                                                                          \
  first += (n_end##i + COLS - 1) / COLS;

/// Three products of one A, of which all but the first may have no columns. Groups: the sum of their ceil(N /
/// COLS), one work item each. M is at most ROWS. A(m,k) lies at m·a_m + k and B(k,n) at k + n·b_n. A is
/// float32; b_type: any.
KERNEL(gemv_cpu)
(PRODUCT(0), PRODUCT(1), PRODUCT(2), GLOBAL const float *a, ulong a_first, uint a_m, uint m_end, uint k_end,
 float alpha, float beta) {
  LOCAL lanes_byte codes[DEPTH / LANES * COLS];
  LOCAL float scales[DEPTH / LANES * COLS] __attribute__((aligned(64)));
  LOCAL float shifts[DEPTH / LANES * COLS] __attribute__((aligned(64)));
  LOCAL float part[ROWS * COLS] __attribute__((aligned(64)));
  Few few = {.slab = {codes, scales, shifts}};
  GLOBAL float *c = c0;
  uint item = group_id(0), first = 0, c_pitch = 0;
  CHOOSE(0)
  CHOOSE(1)
  CHOOSE(2)
  for (uint k = 0; k < k_end; k += DEPTH) {
    few.k = k;
    few.steps = min((uint)DEPTH, k_end - k);
    unpack(&few);
    for (uint m = 0; m < m_end; m++) {
      few.a = a + a_first + (size_t)m * a_m + k;
      multiply(part + m * COLS, &few);
    }
  }
  for (uint m = 0; m < m_end; m++) {
    for (uint col = 0; col < COLS && few.n + col < few.n_end; col += WIDTH)
      finish(c + (size_t)m * c_pitch + few.n + col, few.n + col, load_vector(0, part + m * COLS + col), alpha,
             beta, few.n_end);
  }
}
