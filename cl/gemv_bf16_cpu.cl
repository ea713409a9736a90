// Few rows times values rounded to bfloat16. Each work item rounds A for itself, since that takes less time
// than another launch.
#include "bf16_cpu.h"

#define FEW_PRODUCT gemv_bf16
#define ROW_WORDS   (DEPTH / 2)

typedef LOCAL_PTR const float *Row;

INLINE Row load_row(LOCAL_PTR float *words, GLOBAL const float *a, uint steps) {
  for (uint k = 0; k < steps; k += 2 * WIDTH) store_vector(row_words(a + k, steps - k), 0, words + k / 2);
  return words;
}

INLINE void add_steps(vector *sums, Row row, uint k, const vector *even, const vector *odd) {
  UNROLL for (uint g = 0; g < 2; g++) sums[g] =
      add_word(sums[g], (vector)(row[k / 2]), words_of(even[g], odd[g]));
}

INLINE void add_last_step(vector *sums, Row row, uint k, const vector *w) {
  const vector none[2] = {(vector)(0.0f), (vector)(0.0f)};
  add_steps(sums, row, k, w, none);
}

#include "gemv_cpu.h"
