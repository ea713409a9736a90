// C = alpha · A · Bᵀ + beta · C of values rounded to eight bits, by the instructions of AVX512-VNNI, for CPU
// devices. B is stored [N,K]. One work item computes COLS columns of `chunk` rows at a time, as in
// gemm_cpu.h, with a column in each lane.
//
// A row of A has a scale for each BLOCK of k and so has a row of B, which may also have a shift:
//
//   A(m,k) ≈ d · a,  B(k,n) = s · b + t      Σ A · B = Σ over blocks of  d · (s · Σ a · b) + (d · Σ a) · t
//
// Quantised types with 32 elements to a scale keep their codes, so nothing of them is rounded. All others are
// rounded as rows of A are.
//
// Rows of A are rounded by int8_rows, once for all columns; of few rows each work item rounds its own copy,
// which costs less than another launch, and computes more columns, and products of one A share a launch.
//
// Rule: sums within a block are of whole numbers, so they are exact; those of blocks are one chain of fma
// over k for each element. So a row's result depends neither on its place nor on the other rows.
//
// pocl takes a CPU that it does not know for one without these instructions, so they are written out.
#include "int8_cpu.h"
#include "together_cpu.h"

#define COLS        (2 * WIDTH)
#define ROWS        6   // 4 · ROWS sums, two vectors of B and one of A fit in the registers
#define SLAB        768 // steps of k of a slab
#define BLOCKS      (SLAB / BLOCK)
#define BLOCK_CODES (2 * BLOCK / 4) // vectors

/// A slab of B, in vectors of columns, of which there are two: of block i, word q of half h is
/// codes[2 · (8 · i + q) + h]; its scales and shifts are at 2 · i + h.
typedef struct Panel {
  LOCAL_PTR whole_vector *codes;
  LOCAL_PTR vector *scales, *shifts;
} Panel;

/// What a work item multiplies with, in one slab.
typedef struct Source {
  GLOBAL const void *b;
  uint b_n, type; // rows of B lie b_n apart
  uint n, n_end;  // the panel's first column, and columns of C
  uint k, k_end;  // the slab's first step, and all steps
} Source;

// ---- packing ----

/// What is behind the last column of C is that of the last; it is never stored.
INLINE size_t row_element(const Source *from, uint col) {
  return (size_t)min(from->n + col, from->n_end - 1) * from->b_n + from->k;
}

/// The bytes before a block's codes.
INLINE uint head_of(uint type) {
  return type == TYPE_Q4_1 ? 4 : 2;
}

INLINE uint bytes_of(uint type) {
  return type == TYPE_Q4_1 ? BYTES_Q4_1 : type == TYPE_Q4_0 ? BYTES_Q4_0 : BYTES_Q8_0;
}

/// A block of WIDTH columns, a column in each lane. Word q of its codes has steps 4 q … 4 q + 3.
typedef struct Columns {
  whole_vector codes[BLOCK / 4];
  vector scale, shift;
} Columns;

/// Where the rows of B begin that are `part` of a panel.
INLINE void find_blocks(GLOBAL const uchar **blocks, const Source *from, uint part, uint type) {
  UNROLL for (uint j = 0; j < WIDTH; j++) blocks[j] =
      (GLOBAL const uchar *)from->b + row_element(from, part * WIDTH + j) / BLOCK * bytes_of(type);
}

/// The blocks that lie `place` bytes behind the first. Fetches those of the columns that come next.
INLINE void load_columns(Columns *to, const Source *from, GLOBAL const uchar *const *blocks, uint place,
                         uint type) {
  whole_vector first[4];
  uint bytes = bytes_of(type);
  GLOBAL const uchar *next = blocks[0] + (size_t)from->b_n / BLOCK * bytes * WIDTH;
  UNROLL for (uint at = 0; at < WIDTH * bytes; at += 64) FETCH(next + WIDTH * place + at);
  turn_blocks(first, blocks, place);
  turn_blocks(to->codes, blocks, place + head_of(type));
  if (type == TYPE_Q8_0) turn_blocks(to->codes + 4, blocks, place + head_of(type) + 16);
  UNROLL for (uint q = 0; q < 4; q++) {
    if (type == TYPE_Q8_0) {
      to->codes[q] ^= (int)0x80808080;
      to->codes[q + 4] ^= (int)0x80808080;
    } else {
      to->codes[q + 4] = to->codes[q] >> 4 & 0x0f0f0f0f;
      to->codes[q] &= 0x0f0f0f0f;
    }
  }
  to->scale = half_of(first[0]);
  to->shift = half_of(first[0] >> 16);
}

/// Packs `count` blocks of WIDTH columns of a direct type.
INLINE void pack_direct(Panel panel, const Source *from, uint part, uint count, uint type) {
  GLOBAL const uchar *blocks[WIDTH];
  find_blocks(blocks, from, part, type);
  for (uint i = 0; i < count; i++) {
    Columns columns;
    load_columns(&columns, from, blocks, i * bytes_of(type), type);
    UNROLL for (uint q = 0; q < 8; q++) panel.codes[i * BLOCK_CODES + 2 * q + part] = columns.codes[q];
    panel.scales[2 * i + part] = columns.scale;
    if (type == TYPE_Q4_1) panel.shifts[2 * i + part] = columns.shift;
  }
}

/// True for types with more than one scale in BLOCK elements.
INLINE int has_parts(uint type) {
  return type == TYPE_Q2_K || type == TYPE_Q3_K || type == TYPE_Q6_K;
}

/// The codes of one block of a row of B, their scale and their shift. `left` steps are left of the row.
INLINE float load_block(lanes_byte *codes, float *shift, GLOBAL const void *b, size_t place, uint left,
                        uint type) {
  vector values[2];
  float scales[2];
  *shift = 0.0f;
  if (is_plain(type) && left < BLOCK) {
    float part[BLOCK];
    for (uint i = 0; i < BLOCK; i++) part[i] = i < left ? load_plain(b, place + i, type) : 0.0f;
    values[0] = load_vector(0, part);
    values[1] = load_vector(1, part);
  } else if (is_plain(type)) {
    values[0] = load_typed_vector(b, place, type);
    values[1] = load_typed_vector(b, place + WIDTH, type);
  } else {
    for (uint i = 0; i < 2; i++) {
      codes[i] = load_codes(b, place + i * LANES, type, &scales[i], shift);
      values[i] = lanes_product((vector)(scales[i]), lanes_number(codes[i])) + *shift;
    }
    if (!has_parts(type)) return scales[0];
    *shift = 0.0f;
  }
  return round_block(codes, values);
}

/// Stores block i of one half of the panel, from its rows' codes, which are bytes with a sign.
INLINE void store_block(Panel panel, uint i, uint part, const int4 *first, const int4 *last) {
  whole_vector codes[8];
  transpose_words(codes, first);
  transpose_words(codes + 4, last);
  UNROLL for (uint q = 0; q < 8; q++) panel.codes[i * BLOCK_CODES + 2 * q + part] =
      codes[q] ^ (int)0x80808080;
}

/// Lane j is the largest lane of rows[j]; `rows` is overwritten.
INLINE int16 largest_of_rows(int16 *rows) {
  UNROLL for (uint i = 0; i < WIDTH; i += 4) {
    UNROLL for (uint j = i; j < i + 2; j++) rows[j] =
        max(FIRST_HALVES(int16, rows[j], rows[j + 2]), LAST_HALVES(int16, rows[j], rows[j + 2]));
    rows[i] = max(FIRST_HALVES(int16, rows[i], rows[i + 1]), LAST_HALVES(int16, rows[i], rows[i + 1]));
  }
  UNROLL for (uint i = 0; i < WIDTH; i += 8) rows[i] =
      max((int16)(rows[i].s0123, rows[i].s89ab, rows[i + 4].s0123, rows[i + 4].s89ab),
          (int16)(rows[i].s4567, rows[i].scdef, rows[i + 4].s4567, rows[i + 4].scdef));
  return max((int16)(rows[0].s0123, rows[0].s89ab, rows[8].s0123, rows[8].s89ab),
             (int16)(rows[0].s4567, rows[0].scdef, rows[8].s4567, rows[8].scdef));
}

/// As pack_direct, of a plain type, with round_block's numbers for WIDTH rows at once. The blocks are whole.
INLINE void pack_plain(Panel panel, const Source *from, uint part, uint count, uint type) {
  size_t first[WIDTH];
  UNROLL for (uint j = 0; j < WIDTH; j++) first[j] = row_element(from, part * WIDTH + j);
  for (uint i = 0; i < count; i++) {
    int16 rows[WIDTH];
    int4 codes[2][WIDTH];
    float factors[WIDTH];
    UNROLL for (uint j = 0; j < WIDTH; j++) {
      size_t at = first[j] + i * BLOCK;
      fetch_ahead(from->b, at + AHEAD, type);
      rows[j] = max(as_int16(load_typed_vector(from->b, at, type)) & 0x7fffffff,
                    as_int16(load_typed_vector(from->b, at + WIDTH, type)) & 0x7fffffff);
    }
    vector largest = as_float16(largest_of_rows(rows));
    int16 none = largest < NONE;
    store_vector(select(127.0f / largest, (vector)(0.0f), none), 0, factors);
    panel.scales[2 * i + part] = select(largest * (1.0f / 127.0f), (vector)(0.0f), none);
    UNROLL for (uint j = 0; j < WIDTH; j++) {
      UNROLL for (uint h = 0; h < 2; h++) {
        vector values = load_typed_vector(from->b, first[j] + i * BLOCK + h * WIDTH, type);
        codes[h][j] = as_int4(convert_uchar16(nearest_whole(values * factors[j])));
      }
    }
    store_block(panel, i, part, codes[0], codes[1]);
  }
}

/// As pack_direct, of any type, from block `i` on.
INLINE void pack_rows(Panel panel, const Source *from, uint part, uint i, uint count) {
  for (; i < count; i++) {
    int4 rows[2][WIDTH];
    float scales[WIDTH], shifts[WIDTH];
    for (uint j = 0; j < WIDTH; j++) {
      lanes_byte bytes[2];
      uint k = i * BLOCK;
      scales[j] = load_block(bytes, &shifts[j], from->b, row_element(from, part * WIDTH + j) + k,
                             from->k_end - from->k - k, from->type);
      rows[0][j] = as_int4(bytes[0]);
      rows[1][j] = as_int4(bytes[1]);
    }
    store_block(panel, i, part, rows[0], rows[1]);
    panel.scales[2 * i + part] = load_vector(0, scales);
    panel.shifts[2 * i + part] = load_vector(0, shifts);
  }
}

/// Each branch passes its type as a constant.
INLINE void pack(Panel panel, const Source *from, uint count) {
  uint type = from->type, whole = min(count, (from->k_end - from->k) / BLOCK);
  for (uint part = 0; part < 2; part++) {
    if (type == TYPE_Q4_0) pack_direct(panel, from, part, count, TYPE_Q4_0);
    if (type == TYPE_Q4_1) pack_direct(panel, from, part, count, TYPE_Q4_1);
    if (type == TYPE_Q8_0) pack_direct(panel, from, part, count, TYPE_Q8_0);
    if (type == TYPE_F32) pack_plain(panel, from, part, whole, TYPE_F32);
    if (type == TYPE_F16) pack_plain(panel, from, part, whole, TYPE_F16);
    if (type == TYPE_BF16) pack_plain(panel, from, part, whole, TYPE_BF16);
    if (!is_direct(type)) pack_rows(panel, from, part, is_plain(type) ? whole : 0, count);
  }
}

// ---- tiles ----

/// sums + the products of four codes of `w`, which have no sign, and of `x` in each lane.
INLINE int16 add_word(int16 sums, int16 w, int16 x) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(w), "v"(x));
  return sums;
}

/// A word in each lane. The compiler would spread several over the stack.
INLINE int16 spread(GLOBAL const int *word) {
  int16 lanes_of_word;
  __asm__("vpbroadcastd %1, %0" : "=v"(lanes_of_word) : "m"(*word));
  return lanes_of_word;
}

/// sum + the sum of a block, which is scale · whole, times the row's scale
INLINE vector add_block(vector sum, int16 whole, vector scale, float row_scale) {
  return fma((vector)(row_scale), to_float(whole) * scale, sum);
}

/// One tile: `rows` rows of C from `c` on, columns from n on; rows of A lie a_m apart. `rows` and `shifted`
/// are constants in every call.
INLINE void tile(GLOBAL float *c, LOCAL_PTR float *part, GLOBAL const int *a, Panel panel, const uint rows,
                 const int shifted, uint n, uint count, size_t a_m, Ends ends) {
  vector left[ROWS], right[ROWS];
  UNROLL for (uint i = 0; i < rows; i++) {
    left[i] = ends.first ? (vector)(0.0f) : load_vector(0, part + i * COLS);
    right[i] = ends.first ? (vector)(0.0f) : load_vector(0, part + i * COLS + WIDTH);
  }
  for (uint block = 0; block < count; block++, a += BLOCK_WORDS) {
    LOCAL_PTR const whole_vector *codes = panel.codes + block * BLOCK_CODES;
    int16 whole_left[ROWS], whole_right[ROWS];
    UNROLL for (uint i = 0; i < rows; i++) {
      whole_left[i] = spread(a + i * a_m + START_WORD);
      whole_right[i] = whole_left[i];
    }
    UNROLL for (uint q = 0; q < BLOCK / 4; q++) {
      whole_vector b_left = codes[2 * q], b_right = codes[2 * q + 1];
      UNROLL for (uint i = 0; i < rows; i++) {
        int16 x = spread(a + i * a_m + CODE_WORD + q);
        whole_left[i] = add_word(whole_left[i], b_left, x);
        whole_right[i] = add_word(whole_right[i], b_right, x);
      }
    }
    vector scale_left = panel.scales[2 * block], scale_right = panel.scales[2 * block + 1];
    UNROLL for (uint i = 0; i < rows; i++) {
      float row_scale = as_float(a[i * a_m + SCALE_WORD]);
      left[i] = add_block(left[i], whole_left[i], scale_left, row_scale);
      right[i] = add_block(right[i], whole_right[i], scale_right, row_scale);
    }
    if (!shifted) continue;
    UNROLL for (uint i = 0; i < rows; i++) {
      vector row_sum = (vector)(as_float(a[i * a_m + SUM_WORD]));
      left[i] = fma(row_sum, panel.shifts[2 * block], left[i]);
      right[i] = fma(row_sum, panel.shifts[2 * block + 1], right[i]);
    }
  }
  UNROLL for (uint i = 0; i < rows; i++) {
    if (ends.last) {
      GLOBAL float *row = c + i * ends.pitch;
      finish(row, n, left[i], ends.alpha, ends.beta, ends.n_end);
      finish(row + WIDTH, n + WIDTH, right[i], ends.alpha, ends.beta, ends.n_end);
    } else {
      store_vector(left[i], 0, part + i * COLS);
      store_vector(right[i], 0, part + i * COLS + WIDTH);
    }
  }
}

/// All tiles of a chunk, for one packed slab.
INLINE void walk(GLOBAL float *c, LOCAL_PTR float *part, GLOBAL const int *a, Panel panel, uint rows,
                 const int shifted, uint n, uint count, size_t a_m, Ends ends) {
  uint i = 0;
  for (; i + ROWS <= rows; i += ROWS) {
    tile(c + i * ends.pitch, part + i * COLS, a + i * a_m, panel, ROWS, shifted, n, count, a_m, ends);
  }
  for (; i < rows; i++) {
    tile(c + i * ends.pitch, part + i * COLS, a + i * a_m, panel, 1, shifted, n, count, a_m, ends);
  }
}

/// True for types whose blocks have a shift that load_block and pack_direct leave as it is.
INLINE int has_shift(uint type) {
  return type == TYPE_Q4_1 || type == TYPE_Q5_1 || type == TYPE_Q4_K || type == TYPE_Q5_K;
}

/// to = a row of A, rounded for weights of b_type.
INLINE void round_row(GLOBAL int *to, GLOBAL const float *a, uint k_end, uint b_type) {
  for (uint k = 0; k < k_end; k += BLOCK, to += BLOCK_WORDS) {
    lanes_byte codes[2];
    float shift, scale = load_block(codes, &shift, a, k, k_end - k, TYPE_F32);
    int sum = sum_of(convert_int16(as_char16(codes[0])) + convert_int16(as_char16(codes[1])));
    to[SCALE_WORD] = as_int(scale);
    to[SUM_WORD] = as_int(scale * (float)sum);
    to[START_WORD] = -(int)code_offset(b_type) * sum;
    vstore4(as_int4(codes[0]), 0, to + CODE_WORD);
    vstore4(as_int4(codes[1]), 0, to + CODE_WORD + 4);
  }
}

/// A single row times a panel of a direct type, which is then used only once and so is not packed.
INLINE void one_row(GLOBAL float *c, GLOBAL const int *row, const Source *from, float alpha, float beta,
                    uint type) {
  for (uint part = 0; part < 2; part++) {
    GLOBAL const uchar *blocks[WIDTH];
    vector sum = (vector)(0.0f);
    find_blocks(blocks, from, part, type);
    for (uint i = 0; i < from->k_end / BLOCK; i++) {
      GLOBAL const int *a = row + i * BLOCK_WORDS;
      Columns columns;
      load_columns(&columns, from, blocks, i * bytes_of(type), type);
      int16 whole = spread(a + START_WORD);
      UNROLL for (uint q = 0; q < BLOCK / 4; q++) whole =
          add_word(whole, columns.codes[q], spread(a + CODE_WORD + q));
      sum = add_block(sum, whole, columns.scale, as_float(a[SCALE_WORD]));
      if (type == TYPE_Q4_1) sum = fma((vector)(as_float(a[SUM_WORD])), columns.shift, sum);
    }
    finish(c + part * WIDTH, from->n + part * WIDTH, sum, alpha, beta, from->n_end);
  }
}

/// Some rows times a panel, of any type.
INLINE void some_rows(GLOBAL float *c, LOCAL_PTR float *part, GLOBAL const int *rounded, uint pitch,
                      Panel panel, Source *from, uint rows, Ends ends) {
  for (; from->k < from->k_end; from->k += SLAB) {
    uint steps = min((uint)SLAB, from->k_end - from->k), count = (steps + BLOCK - 1) / BLOCK;
    GLOBAL const int *a = rounded + from->k / BLOCK * BLOCK_WORDS;
    ends.first = from->k == 0;
    ends.last = from->k + steps == from->k_end;
    pack(panel, from, count);
    if (has_shift(from->type)) {
      walk(c, part, a, panel, rows, 1, from->n, count, pitch, ends);
    } else {
      walk(c, part, a, panel, rows, 0, from->n, count, pitch, ends);
    }
  }
}

/// Products of one A. Groups: those of the products, each of panels · COLS columns, x ceil(M / chunk), one
/// work item each. chunk is at most MOST_CHUNK. Row m of A, rounded, lies at rounded + m · pitch. If `own`,
/// each work item rounds for itself, behind what those before it round, and chunk is M; else `a` is not read,
/// and the products have weights of one type. B(k,n) lies at k + n·b_n. b_type: any but NF4.
KERNEL(gemm_int8)
(PRODUCT_ARGUMENTS(0), PRODUCT_ARGUMENTS(1), PRODUCT_ARGUMENTS(2), GLOBAL int *rounded, uint pitch, int own,
 GLOBAL const float *a, ulong a_first, uint a_m, uint m_end, uint k_end, uint chunk, uint panels, float alpha,
 float beta) {
  LOCAL whole_vector codes[BLOCKS * BLOCK_CODES];
  LOCAL vector scales[2 * BLOCKS];
  LOCAL vector shifts[2 * BLOCKS];
  LOCAL float part[MOST_CHUNK * COLS] __attribute__((aligned(64)));
  Panel panel = {codes, scales, shifts};
  uint cols = panels * COLS, m = group_id(1) * chunk, rows = min(chunk, m_end - m);
  CHOOSE_PRODUCT(cols)
  uint type = share.b_type, n_last = min(share.n + cols, share.n_end);
  rounded += (size_t)(own ? group_id(0) * m_end : m) * pitch;
  for (uint i = 0; own && i < rows; i++)
    round_row(rounded + (size_t)i * pitch, a + a_first + (size_t)i * a_m, k_end, type);
  for (uint n = share.n; n < n_last; n += COLS) {
    Source from = {share.b, share.b_n, type, n, share.n_end, 0, k_end};
    GLOBAL float *c = share.c + (size_t)m * share.c_pitch + n;
    Ends ends = {0, 0, alpha, beta, share.n_end, share.c_pitch};
    if (rows == 1 && type == TYPE_Q4_0) one_row(c, rounded, &from, alpha, beta, TYPE_Q4_0);
    if (rows == 1 && type == TYPE_Q4_1) one_row(c, rounded, &from, alpha, beta, TYPE_Q4_1);
    if (rows == 1 && type == TYPE_Q8_0) one_row(c, rounded, &from, alpha, beta, TYPE_Q8_0);
    if (rows > 1 || !is_direct(type)) some_rows(c, part, rounded, pitch, panel, &from, rows, ends);
  }
}

/// to[m] = row m of A, rounded for weights of b_type; its rows touch. Groups: M, of one work item.
KERNEL(int8_rows)
(GLOBAL int *RESTRICT to, GLOBAL const float *RESTRICT a, ulong a_first, uint k_end, uint a_m, uint b_type) {
  uint pitch = (k_end + BLOCK - 1) / BLOCK * BLOCK_WORDS;
  round_row(to + (size_t)group_id(0) * pitch, a + a_first + (size_t)group_id(0) * a_m, k_end, b_type);
}
