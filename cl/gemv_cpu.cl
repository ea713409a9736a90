// Few rows times float32 values, each element of which is a chain of fma.
#define FEW_PRODUCT gemv_cpu
#define ROW_WORDS   1 // none

#include "columns_cpu.h"

typedef GLOBAL const float *Row;

INLINE Row load_row(LOCAL_PTR float *words, GLOBAL const float *a, uint steps) {
  (void)words, (void)steps;
  return a;
}

/// sums[g] += row[k] · w[g]
INLINE void add_last_step(vector *sums, Row row, uint k, const vector *w) {
  UNROLL for (uint g = 0; g < 2; g++) sums[g] = fma((vector)(row[k]), w[g], sums[g]);
}

INLINE void add_steps(vector *sums, Row row, uint k, const vector *even, const vector *odd) {
  add_last_step(sums, row, k, even);
  add_last_step(sums, row, k + 1, odd);
}

#include "gemv_cpu.h"
