// The product of values rounded to bfloat16, summed in float32, by the instructions of AVX512-BF16. A word
// has two steps of k, the first in its low half. Of each word, the second step's product is added first; each
// sum is rounded once, to nearest even. What is below the normal numbers counts as 0.
//
// pocl takes a CPU that it does not know for one without these instructions, so they are written out.
#include "columns_cpu.h"

#define COLS       (2 * WIDTH)
#define PRODUCT    gemm_bf16
#define WORD_STEPS 2

INLINE vector add_word(vector sum, vector x, vector w) {
  __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
  return sum;
}

/// Rounds to nearest even; NaN stays NaN.
INLINE ushort16 round_vector(vector value) {
  ushort16 rounded;
  __asm__("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(value));
  return rounded;
}

/// panel[i][COLS] = steps 2 i and 2 i + 1, which are in rows that are no longer needed. A last step alone has
/// a 0 beside it.
INLINE uint narrow_panel(LOCAL_PTR float *panel, uint steps) {
  for (uint i = 0; i < steps; i += 2) {
    UNROLL for (uint col = 0; col < COLS; col += WIDTH) {
      LOCAL_PTR const float *from = panel + i * COLS + col;
      uint16 low = convert_uint16(round_vector(load_vector(0, from))), high = (uint16)(0);
      if (i + 1 < steps) high = convert_uint16(round_vector(load_vector(0, from + COLS)));
      store_vector(as_vector(low | high << 16), 0, panel + i / 2 * COLS + col);
    }
  }
  return (steps + 1) / 2;
}

#include "gemm_cpu.h"

/// to[m] = row m of A in words; its rows touch. Groups: M, of one work item.
KERNEL(round_rows)
(GLOBAL ushort *RESTRICT to, GLOBAL const float *RESTRICT a, ulong a_first, uint k_end, uint a_m) {
  uint steps = (k_end + 1) / 2 * 2, k = 0;
  a += a_first + (size_t)group_id(0) * a_m;
  to += (size_t)group_id(0) * steps;
  for (; k + WIDTH <= k_end; k += WIDTH) vstore16(round_vector(load_vector(0, a + k)), 0, to + k);
  for (; k < steps; k++) store_bfloat(to, k, k < k_end ? a[k] : 0.0f);
}
