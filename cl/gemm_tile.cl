// C[M,N] = alpha · A · B + beta · C with both factors rounded to bfloat16 and float32 sums, on GPUs. A(m,k)
// is float32 and lies at m·a_m + k. B(k,n), of any type that kernels read, lies at k·b_k + n·b_n, where one
// stride is 1. With FACTORS_F16 both are IEEE halves: rows of A are those that half_rows (halves.cl) made,
// a_m words apart, and B is multiplied by b_scale before it is rounded. Both scales are powers of two, and
// the sums are freed of them, which is exact.
//
//              WAVES_N waves          A group of WAVES_M x WAVES_N waves computes a tile of C. It walks along
//            +----+----+----+----+    k, DEPTH steps at a time: all its work items round, or decode, one slab
//   WAVES_M  | w0 | w1 | w0 | w1 |    of A and one of B into local memory. Then each wave multiplies its
//   waves    +----+----+----+----+    REPEAT_M x REPEAT_N matrices (matrix.h) of MATRIX_M x MATRIX_N, which
//            | w2 | w3 | w2 | w3 |    lie WAVES_M and WAVES_N apart. A wave is MATRIX_LANES work items, side
//            +----+----+----+----+    by side along axis 0: every device's are, and the self-test shows it.
//
// The sum over k has the same order for any M and any place of a row: slabs, and in each the steps of the
// instruction. A long sum takes several launches, as in gemm.cl.
#include "matrix.h"
#include "powers.h"

#define ITEMS  (WAVES_M * WAVES_N * MATRIX_LANES)
#define TILE_M (WAVES_M * REPEAT_M * MATRIX_M)
#define TILE_N (WAVES_N * REPEAT_N * MATRIX_N)

/// What a slab is made of: rows of A, or columns of B, from `first` on. What is in the factors' type and not
/// scaled is taken as it is.
#define FACTOR_IN                                                                                            \
  GLOBAL const void *from, uint type, uint first, uint end, uint k, uint k_end, uint stride, uint k_stride
#define FACTOR_IN_OF(type, k) from, type, first, end, k, k_end, stride, k_stride
#ifdef FACTORS_F16
#define A_ELEMENT          uint
#define FACTOR             FACTOR_IN, float scale
#define FACTOR_OF(type, k) FACTOR_IN_OF(type, k), scale
#define SCALED(value)      (scale * (value))
#define IS_FACTOR(type)    ((type) == TYPE_F16 && scale == 1.0f)
#else
#define A_ELEMENT          float
#define FACTOR             FACTOR_IN
#define FACTOR_OF(type, k) FACTOR_IN_OF(type, k)
#define SCALED(value)      (value)
#define IS_FACTOR(type)    ((type) == TYPE_BF16)
#endif

INLINE float load_step(GLOBAL const void *from, size_t i, uint type) {
  return is_plain(type) ? load_plain(from, i, type) : load_blocks(from, i, type);
}

/// Steps k and k + 1 of row `row`; 0 outside the matrix.
INLINE uint load_word(FACTOR, uint row) {
  size_t i = (size_t)(first + row) * stride + (size_t)k * k_stride;
  if (first + row >= end || k >= k_end) return 0;
  uint two = k + 1 < k_end;
  if (IS_FACTOR(type)) {
    GLOBAL const ushort *bits = (GLOBAL const ushort *)from + i;
    return bits[0] | (two ? (uint)bits[k_stride] << 16 : 0);
  }
  return round_pair(SCALED(load_step(from, i, type)),
                    two ? SCALED(load_step(from, i + k_stride, type)) : 0.0f);
}

/// slab[rows][PITCH] = steps k … k + DEPTH − 1. Neighbouring work items read along the axis whose stride
/// is 1.
INLINE void fetch_typed(LOCAL_PTR uint *slab, uint rows, FACTOR) {
  for (uint i = local_id(0); i < rows * WORDS; i += ITEMS) {
    uint row = k_stride == 1 ? i / WORDS : i % rows, word = k_stride == 1 ? i % WORDS : i / rows;
    slab[row * PITCH + word] = load_word(FACTOR_OF(type, k + 2 * word), row);
  }
}

/// The same in loops that know their type.
INLINE void fetch(LOCAL_PTR uint *slab, uint rows, FACTOR) {
  if (type == TYPE_F32)
    fetch_typed(slab, rows, FACTOR_OF(TYPE_F32, k));
  else if (type == TYPE_F16)
    fetch_typed(slab, rows, FACTOR_OF(TYPE_F16, k));
  else if (type == TYPE_BF16)
    fetch_typed(slab, rows, FACTOR_OF(TYPE_BF16, k));
  else
    fetch_typed(slab, rows, FACTOR_OF(type, k));
}

#ifdef FACTORS_F16
/// The same of rows that are words already, of which the last has no step behind the end.
INLINE void fetch_rows(LOCAL_PTR uint *slab, GLOBAL const uint *from, uint first, uint end, uint k,
                       uint k_end, uint stride) {
  for (uint i = local_id(0); i < TILE_M * WORDS; i += ITEMS) {
    uint row = i / WORDS, word = i % WORDS;
    bool inside = first + row < end && k + 2 * word < k_end;
    slab[row * PITCH + word] = inside ? from[(size_t)(first + row) * stride + k / 2 + word] : 0;
  }
}

/// A sum without the scales of its row of A, whose last word undoes the row's, and of B.
INLINE float undo_scales(float sum, GLOBAL const uint *a, uint a_m, uint row, float b_scale) {
  return sum * inverse_power(b_scale) * float_of_bits(a[(size_t)row * a_m + a_m - 1]);
}
#define FETCH_A()        fetch_rows(a_slab, a, tile_m, m_end, k, k_end, a_m)
#define FETCH_B()        fetch(b_slab, TILE_N, b, b_type, tile_n, n_end, k, k_end, b_n, b_k, b_scale)
#define RESULT(sum, row) undo_scales(sum, a, a_m, row, b_scale)
#else
#define FETCH_A()        fetch_typed(a_slab, TILE_M, a, TYPE_F32, tile_m, m_end, k, k_end, a_m, 1)
#define FETCH_B()        fetch(b_slab, TILE_N, b, b_type, tile_n, n_end, k, k_end, b_n, b_k)
#define RESULT(sum, row) (sum)
#endif

/// Groups: ceil(N / TILE_N) x ceil(M / TILE_M), ITEMS work items each.
MATRIX_ATTRIBUTE KERNEL_OF(ITEMS, 1)
    gemm_tile(VIEW(float, c), GLOBAL const A_ELEMENT *RESTRICT a, ulong a_first,
              GLOBAL const void *RESTRICT b, ulong b_first, uint m_end, uint n_end, uint k_begin, uint k_end,
              uint a_m, uint b_k, uint b_n, uint b_type, float b_scale, float alpha, float beta) {
  LOCAL uint a_slab[TILE_M * PITCH];
  LOCAL uint b_slab[TILE_N * PITCH];
  a += a_first;
  b = skip_typed(b, b_first, b_type);
  c += c_first;
  uint lane = local_id(0) % MATRIX_LANES, wave = local_id(0) / MATRIX_LANES;
  uint wave_m = wave / WAVES_N, wave_n = wave % WAVES_N;
  uint tile_m = group_id(1) * TILE_M, tile_n = group_id(0) * TILE_N;
  float sums[REPEAT_M][REPEAT_N][SUMS];
  UNROLL for (uint i = 0; i < REPEAT_M; i++) {
    UNROLL for (uint j = 0; j < REPEAT_N; j++) {
      UNROLL for (uint s = 0; s < SUMS; s++) sums[i][j][s] = 0.0f;
    }
  }
  for (uint k = k_begin; k < k_end; k += DEPTH) {
    FETCH_A();
    FETCH_B();
    BARRIER();
    for (uint word = 0; word < WORDS; word += MATRIX_K / 2) {
      uint from_a[REPEAT_M][A_WORDS], from_b[B_WORDS];
      UNROLL for (uint i = 0; i < REPEAT_M; i++) {
        load_a(from_a[i], a_slab + (i * WAVES_M + wave_m) * MATRIX_M * PITCH + word, lane);
      }
      UNROLL for (uint j = 0; j < REPEAT_N; j++) {
        load_b(from_b, b_slab + (j * WAVES_N + wave_n) * MATRIX_N * PITCH + word, lane);
        UNROLL for (uint i = 0; i < REPEAT_M; i++) multiply(sums[i][j], from_a[i], from_b);
      }
    }
    BARRIER();
  }
  UNROLL for (uint i = 0; i < REPEAT_M; i++) {
    UNROLL for (uint j = 0; j < REPEAT_N; j++) {
      UNROLL for (uint s = 0; s < SUMS; s++) {
        uint row = tile_m + (i * WAVES_M + wave_m) * MATRIX_M + sum_row(lane, s);
        uint col = tile_n + (j * WAVES_N + wave_n) * MATRIX_N + sum_col(lane, s);
        if (row >= m_end || col >= n_end) continue;
        size_t place = (size_t)row * c_pitch + col;
        c[place] = beta == 0.0f ? alpha * RESULT(sums[i][j][s], row)
                                : fma(alpha, RESULT(sums[i][j][s], row), beta * c[place]);
      }
    }
  }
}
