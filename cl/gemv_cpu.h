// C[M,N] = alpha · A · Bᵀ + beta · C for few rows of A, and B stored [N,K], on CPU devices: what a step of
// decoding is. One work item computes COLS columns of all rows. A file that includes this one says how:
//
//   FEW_PRODUCT     the kernel's name
//   Row             points to a slab of a row of A, in words as in gemm_cpu.h
//   ROW_WORDS       words of local memory that one takes
//   load_row        makes it
//   add_steps       adds the products of two steps of k to the sums, of which the first is even
//   add_last_step   adds those of an even step that is the last
//
//               k      COLS        In gemm_cpu.h a panel of B is widened or decoded for many rows of A. Here
//            +-----+  +------+     no element of B is written as float32: WIDTH rows of B are transposed in
//       M    | A   |  | sums |     registers, so that each has a lane, and multiplied at once with a row of
//            +-----+  +------+     A. The next row of A finds them in a cache.
//
// A quantised B is transposed as bytes, four to a lane. Types whose codes are whole bytes or their halves are
// read as they lie; of the others, unpack() first writes a slab's codes into local memory. So each type has
// only that loop of its own, which keeps the time to compile short.
//
// Rule: every element is summed in the order of gemm_cpu.h, so both give the same bits.
#include "columns_cpu.h"
#include "together_cpu.h"

#define ROWS   3 // of A, at most
#define GROUPS 2 // vectors of columns, which have their sums in registers
#define COLS   (GROUPS * WIDTH)
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
  Row row;
  Share share;
  uint k, steps; // the slab
  Slab slab;
} Few;

/// The element of B at the slab's first step in column `col` of the work item. Behind the last column of C it
/// is that of the last: what is computed there is never stored.
INLINE size_t first_element(const Few *few, uint col) {
  return (size_t)min(few->share.n + col, few->share.n_end - 1) * few->share.b_n + few->k;
}

// ---- plain types ----

/// w = step k of all columns, of which column j begins at b_rows[j].
INLINE void load_step(vector *w, const Few *few, const size_t *b_rows, uint k, uint type) {
  UNROLL for (uint g = 0; g < GROUPS; g++) {
    float part[WIDTH];
    for (uint j = 0; j < WIDTH; j++) part[j] = load_plain(few->share.b, b_rows[g * WIDTH + j] + k, type);
    w[g] = load_vector(0, part);
  }
}

/// Adds a slab's products to the sums.
INLINE void add_plain(vector *sums, const Few *few, uint type) {
  size_t b_rows[COLS];
  UNROLL for (uint j = 0; j < COLS; j++) b_rows[j] = first_element(few, j);
  uint k = 0;
  for (; k + WIDTH <= few->steps; k += WIDTH) {
    vector squares[GROUPS][WIDTH];
    UNROLL for (uint g = 0; g < GROUPS; g++)
        load_square(squares[g], few->share.b, b_rows + g * WIDTH, k, type);
    UNROLL for (uint i = 0; i < WIDTH; i += 2) {
      vector even[GROUPS], odd[GROUPS];
      UNROLL for (uint g = 0; g < GROUPS; g++) {
        even[g] = squares[g][i];
        odd[g] = squares[g][i + 1];
      }
      add_steps(sums, few->row, k + i, even, odd);
    }
  }
  for (; k < few->steps; k += 2) {
    vector even[GROUPS], odd[GROUPS];
    load_step(even, few, b_rows, k, type);
    if (k + 1 == few->steps) {
      add_last_step(sums, few->row, k, even);
      return;
    }
    load_step(odd, few, b_rows, k + 1, type);
    add_steps(sums, few->row, k, even, odd);
  }
}

// ---- quantised types ----

/// Byte b of each lane, as the number that it holds in two's complement.
INLINE vector signed_byte(whole_vector turned, uint b) {
  return to_float((turned << (24 - 8 * (int)b)) >> 24);
}

/// What codes stand for. A scale and a code have at most 23 significant bits together, in every type, so
/// their product is exact, and the sum is rounded once, as in the twins.
INLINE vector decode(vector scale, vector codes, vector shift) {
  return fma(scale, codes, shift);
}

/// The scale of each block, and its shift if the head has four bytes.
INLINE void load_head(vector *scale, vector *shift, GLOBAL const uchar *const *blocks, uint place,
                      uint head) {
#if defined(HAS_HALVES)
  whole_vector first[4];
  turn_blocks(first, blocks, place);
  *scale = half_of(first[0]);
  *shift = head == 4 ? half_of(first[0] >> 16) : (vector)(NO_SHIFT);
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

/// The codes that byte b of each lane, or its low half, holds.
INLINE vector direct_codes(whole_vector turned, uint b, uint type) {
  if (type == TYPE_Q8_0) return signed_byte(turned, b);
  whole_vector code = turned >> (int)(8 * b) & 15;
  return to_float(type == TYPE_Q4_0 ? code - 8 : code);
}

/// As add_plain, of a direct type with blocks of `bytes`, of which the first `head` are not codes.
INLINE void add_direct(vector *sums, const Few *few, uint type, uint head, uint bytes) {
  GLOBAL const uchar *blocks[COLS];
  UNROLL for (uint j = 0; j < COLS; j++) blocks[j] =
      (GLOBAL const uchar *)few->share.b + first_element(few, j) / 32 * bytes;
  uint row_bytes = few->share.b_n / 32 * bytes;
  GLOBAL const uchar *next = // the columns that come next, of which each step fetches a part
      blocks[0] + (size_t)row_bytes * COLS + (COLS - 1) * (few->k / 32 * bytes);
  for (uint k = 0, place = 0; k < few->steps; k += 32, place += bytes) {
    whole_vector turned[GROUPS][4];
    vector scale[GROUPS], shift[GROUPS];
    UNROLL for (uint g = 0; g < GROUPS; g++) {
      load_head(&scale[g], &shift[g], blocks + g * WIDTH, place, head);
      turn_blocks(turned[g], blocks + g * WIDTH, place + head);
    }
    UNROLL for (uint at = 0; at < COLS * bytes; at += 64) FETCH(next + COLS * place + at);
    for (uint first = 0; first < 32; first += LANES) {
      UNROLL for (uint i = 0; i < LANES; i += 2) {
        vector even[GROUPS], odd[GROUPS];
        UNROLL for (uint g = 0; g < GROUPS; g++) {
          even[g] = decode(scale[g], direct_codes(turned[g][i / 4], i % 4, type), shift[g]);
          odd[g] = decode(scale[g], direct_codes(turned[g][i / 4], i % 4 + 1, type), shift[g]);
        }
        add_steps(sums, few->row, k + first + i, even, odd);
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
  if (few->share.b_type == TYPE_##name && !is_direct(TYPE_##name)) {                                         \
    for (uint j = 0; j < COLS; j++) {                                                                        \
      GLOBAL const uchar *block = skip_typed(few->share.b, first_element(few, j), TYPE_##name);              \
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
INLINE void add_unpacked(vector *sums, const Few *few) {
  for (uint k = 0; k < few->steps; k += LANES) {
    whole_vector turned[GROUPS][4];
    vector scale[GROUPS], shift[GROUPS];
    UNROLL for (uint g = 0; g < GROUPS; g++) {
      uint first = g * WIDTH;
      int4 codes[WIDTH];
      UNROLL for (uint j = 0; j < WIDTH; j++) codes[j] =
          as_int4(few->slab.codes[(first + j) * (DEPTH / LANES) + k / LANES]);
      transpose_words(turned[g], codes);
      scale[g] = load_vector(0, few->slab.scales + k / LANES * COLS + first);
      shift[g] = load_vector(0, few->slab.shifts + k / LANES * COLS + first);
    }
    UNROLL for (uint i = 0; i < LANES; i += 2) {
      vector even[GROUPS], odd[GROUPS];
      UNROLL for (uint g = 0; g < GROUPS; g++) {
        even[g] = decode(scale[g], signed_byte(turned[g][i / 4], i % 4), shift[g]);
        odd[g] = decode(scale[g], signed_byte(turned[g][i / 4], i % 4 + 1), shift[g]);
      }
      add_steps(sums, few->row, k + i, even, odd);
    }
  }
}

// ---- products ----

/// Each branch passes its type as a constant.
INLINE void add_slab(vector *sums, const Few *few) {
  uint type = few->share.b_type;
  if (type == TYPE_F32) add_plain(sums, few, TYPE_F32);
  if (type == TYPE_F16) add_plain(sums, few, TYPE_F16);
  if (type == TYPE_BF16) add_plain(sums, few, TYPE_BF16);
  if (type == TYPE_Q8_0) add_direct(sums, few, TYPE_Q8_0, 2, BYTES_Q8_0);
  if (type == TYPE_Q4_0) add_direct(sums, few, TYPE_Q4_0, 2, BYTES_Q4_0);
  if (type == TYPE_Q4_1) add_direct(sums, few, TYPE_Q4_1, 4, BYTES_Q4_1);
  if (!is_plain(type) && !is_direct(type)) add_unpacked(sums, few);
}

/// Adds one slab to a row's sums.
INLINE void multiply(LOCAL_PTR float *row_sums, const Few *few) {
  vector sums[GROUPS];
  UNROLL for (uint g = 0; g < GROUPS; g++) sums[g] = (vector)(0.0f);
  add_slab(sums, few);
  UNROLL for (uint g = 0; g < GROUPS; g++)
      store_vector(few->k == 0 ? sums[g] : sums[g] + load_vector(g, row_sums), g, row_sums);
}

/// Products of one A. A group is one work item, which computes COLS columns. M is at most ROWS. A(m,k) lies
/// at m·a_m + k and B(k,n) at k + n·b_n. A is float32; b_type: any.
KERNEL(FEW_PRODUCT)
(PRODUCT_ARGUMENTS(0), PRODUCT_ARGUMENTS(1), PRODUCT_ARGUMENTS(2), GLOBAL const float *a, ulong a_first,
 uint a_m, uint m_end, uint k_end, float alpha, float beta) {
  LOCAL lanes_byte codes[DEPTH / LANES * COLS];
  LOCAL float scales[DEPTH / LANES * COLS] __attribute__((aligned(64)));
  LOCAL float shifts[DEPTH / LANES * COLS] __attribute__((aligned(64)));
  LOCAL float words[ROW_WORDS] __attribute__((aligned(64)));
  LOCAL float part[ROWS * COLS] __attribute__((aligned(64)));
  CHOOSE_PRODUCT(COLS)
  Few few = {.share = share, .slab = {codes, scales, shifts}};
  for (few.k = 0; few.k < k_end; few.k += DEPTH) {
    few.steps = min((uint)DEPTH, k_end - few.k);
    unpack(&few);
    for (uint m = 0; m < m_end; m++) {
      few.row = load_row(words, a + a_first + (size_t)m * a_m + few.k, few.steps);
      multiply(part + m * COLS, &few);
    }
  }
  for (uint m = 0; m < m_end; m++) {
    for (uint col = 0; col < COLS && share.n + col < share.n_end; col += WIDTH)
      finish(share.c + (size_t)m * share.c_pitch + share.n + col, share.n + col,
             load_vector(0, part + m * COLS + col), alpha, beta, share.n_end);
  }
}
