// The product of values rounded to bfloat16, summed in float32.
#include "bf16_cpu.h"

#define COLS       (2 * WIDTH)
#define PRODUCT    gemm_bf16
#define WORD_STEPS 2

/// panel[i][COLS] = steps 2 i and 2 i + 1, which are in rows that are no longer needed. A last step alone has
/// a 0 beside it.
INLINE uint narrow_panel(LOCAL_PTR float *panel, uint steps) {
  for (uint i = 0; i < steps; i += 2) {
    UNROLL for (uint col = 0; col < COLS; col += WIDTH) {
      LOCAL_PTR const float *from = panel + i * COLS + col;
      vector even = load_vector(0, from), odd = (vector)(0.0f);
      if (i + 1 < steps) odd = load_vector(0, from + COLS);
      store_vector(words_of(even, odd), 0, panel + i / 2 * COLS + col);
    }
  }
  return (steps + 1) / 2;
}

#include "gemm_cpu.h"

/// to[m] = row m of A in words; its rows touch. Groups: M, of one work item.
KERNEL(round_rows)
(GLOBAL float *RESTRICT to, GLOBAL const float *RESTRICT a, ulong a_first, uint k_end, uint a_m) {
  uint words = (k_end + 1) / 2;
  a += a_first + (size_t)group_id(0) * a_m;
  to += (size_t)group_id(0) * words;
  for (uint k = 0; k < k_end; k += 2 * WIDTH)
    lanes_store(to + k / 2, words - k / 2, row_words(a + k, k_end - k));
}
