// C[M,N] = alpha · A · B + beta · C for CPU devices. One work item computes COLS columns of `chunk` rows,
// with vectors as wide as the CPU's. A file that includes this one says what a word of A and of the panel is:
//
//   PRODUCT         the kernel's name
//   WORD_STEPS      steps of k in a word: 1 (float32) or 2 (bfloat16, which has A in such words already)
//   add_word        sum + the products of two words' steps
//   narrow_panel    makes the panel's steps words, and returns how many
//   ADDS_PRODUCT    if defined, the kernel adds a second product to C, A2 · B2
//
//                         COLS           For each slab of DEPTH steps of k, the work item first packs its
//                      +--------+        part of B into the panel, in local memory: transposed if B is
//                k     | panel  | DEPTH  stored [N,K], widened or decoded. Then it walks down A, ROWS
//                      +--------+        rows at a time, with their ROWS x COLS sums in registers. Between
//          k           +--------+        slabs the sums are kept in `part`, also in local memory.
//     +---------+ ROWS | sums   |
//     | A chunk |      +--------+        A is not packed: each of its words is multiplied with COLS words of
//     |         |      | part   | chunk  the panel.
//     +---------+      +--------+
//
// Every element is one chain of sums per slab, which starts at 0; the slabs' sums are added in order; then
// comes fma(alpha, sum, beta · c). This order is the same in every tile, so a row's result does not depend on
// the other rows. The two levels matter: over the 49,152 words of a vocabulary a single chain loses 1e-4 of a
// gradient, and these lose 5e-6.

#ifndef ROWS
#define ROWS (WIDTH == 16 ? 12 : 6) // 2 · ROWS sums, two vectors of B and one of A fit in the registers
#endif
#define LINE 16 // words in a line of the caches
// How many bytes ahead B is prefetched while it is packed transposed, if it is quantised.
#ifndef BYTES_AHEAD
#define BYTES_AHEAD 256
#endif
// How many rows ahead, if B is packed row by row: its rows lie pages apart, where hardware does not prefetch.
#ifndef ROWS_AHEAD
#define ROWS_AHEAD 16
#endif

// ---- packing: panel[k][COLS]; what is in columns from n_end on is never used ----

/// panel[i][0 … WIDTH) = b[n + 0 … WIDTH)[k + i] for i < WIDTH; rows of b lie `stride` apart, and behind
/// `last` that one is packed again.
INLINE void pack_square(LOCAL_PTR float *panel, GLOBAL const void *b, size_t first, uint last, uint stride,
                        uint type) {
  size_t rows[WIDTH];
  vector square[WIDTH];
  UNROLL for (uint i = 0; i < WIDTH; i++) rows[i] = first + (size_t)min(i, last) * stride;
  load_square(square, b, rows, 0, type);
  UNROLL for (uint i = 0; i < WIDTH; i++) store_vector(square[i], 0, panel + i * COLS);
}

/// Any part of a panel, element by element: columns [from_col, to_col), steps [from_step, steps).
INLINE void pack_edge(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k, uint from_col,
                      uint to_col, uint from_step, uint steps, uint b_k, uint b_n, uint type) {
  for (uint i = from_step; i < steps; i++) {
    for (uint j = from_col; j < to_col; j++) {
      size_t offset = (size_t)(k + i) * b_k + (size_t)(n + j) * b_n;
      panel[i * COLS + j] = n + j < n_end ? load_plain(b, offset, type) : 0.0f;
    }
  }
}

/// Packs B stored [N,K].
INLINE void pack_transposed(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k,
                            uint steps, uint b_n, uint type) {
  uint whole = steps / WIDTH * WIDTH;
  for (uint col = 0; col < COLS && n + col < n_end; col += WIDTH) {
    for (uint i = 0; i < whole; i += WIDTH) {
      pack_square(panel + i * COLS + col, b, (size_t)(n + col) * b_n + k + i, n_end - n - col - 1, b_n, type);
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

// Of a quantised B, rows are whole blocks, and so k, `steps` and, if B is stored [K,N], n_end are multiples
// of 32. Codes are transposed as bytes, and what they stand for is computed with a column in each lane.

#define to_whole   PASTE(convert_int, WIDTH)
#define load_bytes PASTE(vload, WIDTH)
#define FIRST_BYTES(a, b)                                                                                    \
  (uchar16)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7)
#define LAST_BYTES(a, b)                                                                                     \
  (uchar16)(a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf)

INLINE vector vector_product(vector a, vector b) {
  NOT_FUSED;
  return a * b;
}

/// panel[i][0 … WIDTH) = scale · codes[0 … WIDTH)[i] + shift for i < LANES, of each column its own.
INLINE void pack_codes(LOCAL_PTR float *panel, const lanes_byte *codes, vector scale, vector shift) {
  char turned[LANES * WIDTH];
  lanes_byte r[WIDTH], s[WIDTH];
  UNROLL for (uint i = 0; i < WIDTH; i++) r[i] = codes[i];
  UNROLL for (uint width = 1; width < WIDTH; width *= 2) { // a perfect shuffle a round, as in shuffle_round
    UNROLL for (uint i = 0; i < WIDTH / 2; i++) {
      s[2 * i] = FIRST_BYTES(r[i], r[i + WIDTH / 2]);
      s[2 * i + 1] = LAST_BYTES(r[i], r[i + WIDTH / 2]);
    }
    UNROLL for (uint i = 0; i < WIDTH; i++) r[i] = s[i];
  }
  UNROLL for (uint i = 0; i < WIDTH; i++) vstore16(as_char16(r[i]), i, turned);
  UNROLL for (uint i = 0; i < LANES; i++) {
    vector numbers = to_float(to_whole(load_bytes(i, turned)));
    store_vector(vector_product(scale, numbers) + shift, 0, panel + i * COLS);
  }
}

/// Packs a quantised B stored [N,K].
INLINE void pack_blocks_transposed(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k,
                                   uint steps, uint b_n, uint type) {
  lanes_byte codes[2][WIDTH];
  float scale[2][WIDTH], shift[2][WIDTH];
  for (uint col = 0; col < COLS; col += WIDTH) {
    for (uint i = 0; i < steps; i += 2 * LANES) {
      for (uint j = 0; j < WIDTH; j++) {
        uint row = min(n + col + j, n_end - 1); // what is behind the last is packed and never used
        size_t place = ((size_t)row * b_n + k + i) / 32 * 32; // as it is; now the compiler knows
        FETCH((GLOBAL const uchar *)skip_typed(b, place, type) + BYTES_AHEAD);
        codes[0][j] = load_codes(b, place, type, &scale[0][j], &shift[0][j]);
        codes[1][j] = load_codes(b, place + LANES, type, &scale[1][j], &shift[1][j]);
      }
      UNROLL for (uint part = 0; part < 2; part++) {
        pack_codes(panel + (i + part * LANES) * COLS + col, codes[part], load_vector(0, scale[part]),
                   load_vector(0, shift[part]));
      }
    }
  }
}

/// Packs a quantised B stored [K,N]. A panel of fewer than LANES columns is half of what is decoded.
INLINE void pack_blocks_straight(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k,
                                 uint steps, uint b_k, uint type) {
  for (uint i = 0; i < steps; i++) {
    size_t offset = (size_t)(k + i) * b_k + n;
#if COLS < LANES
    lanes both = load_blocks(b, offset / LANES * LANES, type);
    vstore8(offset % LANES == 0 ? both.lo : both.hi, 0, panel + i * COLS);
#else
    for (uint col = 0; col < COLS; col += LANES) {
      lanes values = n + col < n_end ? load_blocks(b, offset + col, type) : lanes_of(0.0f);
      vstore16(values, 0, panel + i * COLS + col);
    }
#endif
  }
}

/// Each branch passes its type as a constant, so that the compiler makes a loop for each type. All quantised
/// types share one, in which only their decoders differ: a loop for each took twice as long to compile.
INLINE void pack(LOCAL_PTR float *panel, GLOBAL const void *b, uint n, uint n_end, uint k, uint steps,
                 uint b_k, uint b_n, uint type) {
  if (!is_plain(type) && b_k == 1) {
    pack_blocks_transposed(panel, b, n, n_end, k, steps, b_n, type);
  } else if (!is_plain(type)) {
    pack_blocks_straight(panel, b, n, n_end, k, steps, b_k, type);
  } else if (b_k == 1) {
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

/// Prefetches what word k and its neighbours of the next tile, or if A is stored [K,M] of the next words,
/// need: a slab's part of a row is so short that hardware has only begun to prefetch it when it ends.
INLINE void fetch_words(GLOBAL const float *a, uint rows, uint k, size_t a_m, size_t a_k) {
  if (a_k > 1) {
    FETCH(a + (k + LINE) * a_k);
  } else if (k % LINE < rows) { // each turn the line of another row
    FETCH(a + (rows + k % LINE) * a_m + k);
  }
}

/// One tile: `rows` rows of C from `c` on, columns from n on; word k of row i of A lies at i·a_m + k·a_k.
/// `rows` is a constant in every call, so the loops over it are unrolled.
INLINE void tile(GLOBAL float *c, LOCAL_PTR float *part, GLOBAL const float *a, LOCAL_PTR const float *panel,
                 const uint rows, uint n, uint words, size_t a_m, size_t a_k, Ends ends) {
  vector left[ROWS], right[ROWS];
  UNROLL for (uint i = 0; i < rows; i++) {
    left[i] = (vector)(0.0f);
    right[i] = (vector)(0.0f);
  }
  for (uint k = 0; k < words; k++) {
    vector b_left = load_vector(0, panel + k * COLS), b_right = load_vector(0, panel + k * COLS + WIDTH);
    fetch_words(a, rows, k, a_m, a_k);
    UNROLL for (uint i = 0; i < rows; i++) {
      vector x = (vector)(a[i * a_m + k * a_k]);
      left[i] = add_word(left[i], x, b_left);
      right[i] = add_word(right[i], x, b_right);
    }
  }
  UNROLL for (uint i = 0; i < rows; i++) {
    if (!ends.first) {
      left[i] += load_vector(0, part + i * COLS);
      right[i] += load_vector(0, part + i * COLS + WIDTH);
    }
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
INLINE void walk(GLOBAL float *c, LOCAL_PTR float *part, GLOBAL const float *a, LOCAL_PTR const float *panel,
                 uint rows, uint n, uint words, size_t a_m, size_t a_k, Ends ends) {
  uint i = 0;
  for (; i + ROWS <= rows; i += ROWS) {
    tile(c + i * ends.pitch, part + i * COLS, a + i * a_m, panel, ROWS, n, words, a_m, a_k, ends);
  }
  for (; i + 4 <= rows; i += 4) {
    tile(c + i * ends.pitch, part + i * COLS, a + i * a_m, panel, 4, n, words, a_m, a_k, ends);
  }
  for (; i < rows; i++) {
    tile(c + i * ends.pitch, part + i * COLS, a + i * a_m, panel, 1, n, words, a_m, a_k, ends);
  }
}

/// Word k of row m of A lies at m·a_m + k·a_k, and B(k,n) at k·b_k + n·b_n; one stride of each is 1.
typedef struct Product {
  GLOBAL const float *a;
  GLOBAL const void *b; // b_type: any
  uint k_end, a_m, a_k, b_k, b_n, b_type;
  float alpha, beta;
} Product;

/// What a work item computes: `rows` rows of C from m on, COLS columns from n on.
typedef struct Place {
  GLOBAL float *c; // the first element, which has the others c_m and c_n apart
  uint c_m, c_n, m, rows, n, n_end;
} Place;

/// The sums in `part` go to a C whose columns lie apart.
INLINE void finish_columns(Place at, LOCAL_PTR const float *part, float alpha, float beta) {
  for (uint j = 0; j < COLS && at.n + j < at.n_end; j++) {
    for (uint i = 0; i < at.rows; i++) {
      GLOBAL float *c = at.c + (size_t)i * at.c_m + (size_t)j * at.c_n;
      *c = fma(alpha, part[i * COLS + j], beta == 0.0f ? 0.0f : beta * *c);
    }
  }
}

INLINE void multiply(Place at, LOCAL_PTR float *panel, LOCAL_PTR float *part, Product p) {
  for (uint k = 0; k < p.k_end; k += DEPTH) {
    uint steps = min((uint)DEPTH, p.k_end - k);
    Ends ends = {k == 0, k + steps == p.k_end && at.c_n == 1, p.alpha, p.beta, at.n_end, at.c_m};
    pack(panel, p.b, at.n, at.n_end, k, steps, p.b_k, p.b_n, p.b_type);
    uint words = narrow_panel(panel, steps);
    GLOBAL const float *a = p.a + (size_t)at.m * p.a_m + (size_t)(k / WORD_STEPS) * p.a_k;
    if (p.a_k == 1 || WORD_STEPS > 1) { // a word of two steps is a part of a row
      walk(at.c, part, a, panel, at.rows, at.n, words, p.a_m, 1, ends);
    } else {
      walk(at.c, part, a, panel, at.rows, at.n, words, 1, p.a_k, ends);
    }
  }
  if (at.c_n != 1) finish_columns(at, part, p.alpha, p.beta);
}

#ifdef ADDS_PRODUCT
#define SECOND_ARGUMENTS                                                                                     \
  , GLOBAL const float *a2, ulong a2_first, GLOBAL const void *b2, ulong b2_first, uint k2_end, uint a2_m,   \
      uint a2_k, uint b2_k, uint b2_n, uint b2_type, float alpha2
#else
#define SECOND_ARGUMENTS
#endif

/// Groups: ceil(N / COLS) x ceil(M / chunk), one work item each; chunk ≤ MOST_CHUNK. Columns of C lie c_n
/// apart. C = alpha · A · B + beta · C and then, if c_n is 1, C += alpha2 · A2 · B2, with the bits of one
/// after the other; k2_end 0: no second product.
KERNEL(PRODUCT)
(VIEW_ALIASED(float, c), uint c_n, GLOBAL const float *a, ulong a_first, GLOBAL const void *b, ulong b_first,
 uint m_end, uint n_end, uint k_end, uint chunk, uint a_m, uint a_k, uint b_k, uint b_n, uint b_type,
 float alpha, float beta SECOND_ARGUMENTS) {
  LOCAL float panel[DEPTH * COLS] __attribute__((aligned(64)));
  LOCAL float part[MOST_CHUNK * COLS] __attribute__((aligned(64)));
  uint n = group_id(0) * COLS, m = group_id(1) * chunk;
  Place at = {
      c + c_first + (size_t)m * c_pitch + (size_t)n * c_n, c_pitch, c_n, m, min(chunk, m_end - m), n, n_end};
  Product product = {a + a_first, skip_typed(b, b_first, b_type), k_end, a_m, a_k, b_k, b_n, b_type, alpha,
                     beta};
#ifdef ADDS_PRODUCT
  Product second = {
      a2 + a2_first, skip_typed(b2, b2_first, b2_type), k2_end, a2_m, a2_k, b2_k, b2_n, b2_type, alpha2,
      1.0f};
  for (uint i = 0; i < (k2_end > 0 ? 2 : 1); i++) { // a loop, so that the product's code is there once
    multiply(at, panel, part, product);
    product = second;
  }
#else
  multiply(at, panel, part, product);
#endif
}
