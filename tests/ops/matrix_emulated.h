// The matrix instructions of cl/matrix.h done through local memory, on any device. test_matrix_tiles.c puts
// this text before cl/gemm_tile.cl's kernel. Every layout is written from the element to the lane and the
// place in it, as the vendor's document has it, where cl/matrix.h goes from the lane to the element. Sources:
// there.

#if defined(MATRIX_MMA) || defined(MATRIX_MMA_8)
#define A_LANE(row, k)    (row % 8 * 4 + k % 8 / 2)
#define A_PLACE(row, k)   (k % 2 + row / 8 * 2 + k / 8 * 4)
#define B_LANE(k, col)    (col * 4 + k % 8 / 2)
#define B_PLACE(k, col)   (k % 2 + k / 8 * 2)
#define C_LANE(row, col)  (row % 8 * 4 + col / 2)
#define C_PLACE(row, col) (col % 2 + row / 8 * 2)
#elif defined(MATRIX_WMMA)
// What a half of the wave computes, it computes from its own copy of A and B.
#define A_LANE(row, k)    (row + row % 2 * 16)
#define A_PLACE(row, k)   k
#define B_LANE(k, col)    (col + row % 2 * 16)
#define B_PLACE(k, col)   k
#define C_LANE(row, col)  (col + row % 2 * 16)
#define C_PLACE(row, col) (row / 2)
#elif defined(MATRIX_WMMA_12)
#define A_LANE(row, k)    (row + k / 8 * 16)
#define A_PLACE(row, k)   (k % 8)
#define B_LANE(k, col)    (col + k / 8 * 16)
#define B_PLACE(k, col)   (k % 8)
#define C_LANE(row, col)  (col + row / 8 * 16)
#define C_PLACE(row, col) (row % 8)
#elif defined(MATRIX_MFMA)
#define A_LANE(row, k)    (row + k / 4 * 16)
#define A_PLACE(row, k)   (k % 4)
#define B_LANE(k, col)    (col + k / 4 * 16)
#define B_PLACE(k, col)   (k % 4)
#define C_LANE(row, col)  (col + row / 4 * 16)
#define C_PLACE(row, col) (row % 4)
#elif defined(MATRIX_MFMA_8)
#define A_LANE(row, k)    (row + k / 2 * 16)
#define A_PLACE(row, k)   (k % 2)
#define B_LANE(k, col)    (col + k / 2 * 16)
#define B_PLACE(k, col)   (k % 2)
#define C_LANE(row, col)  (col + row / 4 * 16)
#define C_PLACE(row, col) (row % 4)
#elif defined(MATRIX_XMX_16)
#define A_LANE(row, k)    k
#define A_PLACE(row, k)   row
#define B_LANE(k, col)    col
#define B_PLACE(k, col)   k
#define C_LANE(row, col)  col
#define C_PLACE(row, col) row
#elif defined(MATRIX_XMX_8)
#define A_LANE(row, k)    (k / 2)
#define A_PLACE(row, k)   (row * 2 + k % 2)
#define B_LANE(k, col)    col
#define B_PLACE(k, col)   k
#define C_LANE(row, col)  col
#define C_PLACE(row, col) row
#elif defined(MATRIX_DOT2)
#define A_LANE(row, k)    0
#define A_PLACE(row, k)   k
#define B_LANE(k, col)    0
#define B_PLACE(k, col)   k
#define C_LANE(row, col)  0
#define C_PLACE(row, col) 0
#endif

// A wave's part of the exchange: the words of A of all its lanes, those of B, and the sums.
#define B_PART   (MATRIX_LANES * A_WORDS)
#define C_PART   (B_PART + MATRIX_LANES * B_WORDS)
#define PART     (C_PART + MATRIX_LANES * SUMS)
#define EXCHANGE (WAVES_M * WAVES_N * PART)

/// Value `place` of a lane's words, of which each has two.
INLINE float value_at(LOCAL_PTR const uint *words, uint place) {
  uint word = words[place / 2];
#ifdef FACTORS_F16
  float low, high;
  floats_of_halves(word, &low, &high);
  return place % 2 == 0 ? low : high;
#else
  return float_of_bits(place % 2 == 0 ? word << 16 : word & 0xffff0000u);
#endif
}

INLINE void emulate(float *sums, const uint *a, const uint *b, LOCAL_PTR uint *exchange) {
  uint lane = local_id(0) % MATRIX_LANES;
  LOCAL_PTR uint *part = exchange + local_id(0) / MATRIX_LANES * PART;
  for (uint i = 0; i < A_WORDS; i++) part[lane * A_WORDS + i] = a[i];
  for (uint i = 0; i < B_WORDS; i++) part[B_PART + lane * B_WORDS + i] = b[i];
  for (uint i = 0; i < SUMS; i++) part[C_PART + lane * SUMS + i] = bits_of_float(sums[i]);
  BARRIER();
  for (uint i = lane; i < MATRIX_M * MATRIX_N; i += MATRIX_LANES) {
    uint row = i / MATRIX_N, col = i % MATRIX_N;
    LOCAL_PTR uint *at = part + C_PART + C_LANE(row, col) * SUMS + C_PLACE(row, col);
    float sum = float_of_bits(*at);
    for (uint k = 0; k < MATRIX_K; k++) {
      float from_a = value_at(part + A_LANE(row, k) * A_WORDS, A_PLACE(row, k));
      float from_b = value_at(part + B_PART + B_LANE(k, col) * B_WORDS, B_PLACE(k, col));
      sum = fma(from_a, from_b, sum);
    }
    *at = bits_of_float(sum);
  }
  BARRIER();
  for (uint i = 0; i < SUMS; i++) sums[i] = float_of_bits(part[C_PART + lane * SUMS + i]);
}
