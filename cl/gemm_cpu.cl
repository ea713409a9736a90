// The product of float32 values, each element of which is a chain of fma.
#include "columns_cpu.h"

#define COLS         (2 * WIDTH)
#define PRODUCT      gemm_cpu
#define WORD_STEPS   1
#define ADDS_PRODUCT // as an adapter's, whose few steps alone would take as long as reading and writing C

INLINE vector add_word(vector sum, vector x, vector w) {
  return fma(x, w, sum);
}

INLINE uint narrow_panel(LOCAL_PTR float *panel, uint steps) {
  (void)panel;
  return steps;
}

#include "gemm_cpu.h"
