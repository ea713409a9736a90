// Values rounded to bfloat16, two steps of k to a word, the first in its low half, by the instructions of
// AVX512-BF16. They round to nearest even; NaN stays NaN; what is below the normal numbers becomes 0.
//
// pocl takes a CPU that it does not know for one without these instructions, so they are written out.
#include "columns_cpu.h"

/// sum + the products of two steps, the second of which is added first. Each sum is rounded once, to nearest
/// even. What is below the normal numbers counts as 0.
INLINE vector add_word(vector sum, vector x, vector w) {
  __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
  return sum;
}

/// The values of `first`, then those of `second`, in words.
INLINE vector round_two(vector first, vector second) {
  vector rounded;
  __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(rounded) : "v"(first), "v"(second));
  return rounded;
}

/// Words of a step of each lane in `even` and of the next in `odd`.
INLINE vector words_of(vector even, vector odd) {
  const int16 order = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) * 0x10001 + 0x100000;
  vector words;
  __asm__("vpermw %1, %2, %0" : "=v"(words) : "v"(round_two(even, odd)), "v"(order));
  return words;
}

/// The words of a[0 … 2 · WIDTH), of which the first `left` are there; the others count as 0.
INLINE vector row_words(GLOBAL const float *a, uint left) {
  if (left >= 2 * WIDTH) return round_two(load_vector(0, a), load_vector(1, a));
  float part[2 * WIDTH];
  for (uint k = 0; k < 2 * WIDTH; k++) part[k] = k < left ? a[k] : 0.0f;
  return round_two(load_vector(0, part), load_vector(1, part));
}
