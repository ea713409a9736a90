// Which GEMM computes a product, and how its grid is laid: the vendor's, the CPU tiles (gemm_cpu.cl), or the portable
// kernel (gemm.cl). With the last two a row of the result does not depend on the other rows.
#include "gemm.h"

#include "context.h"

enum { TILE = 64, TILE_ITEMS = 64 };       // as in cl/gemm.cl
enum { WIDEN_ELEMENTS = 4 * 1024 * 1024 }; // scratch for 16-bit weights on their way to a vendor's GEMM

static size_t rows_of(GemmInput input) {
  return input.transposed ? input.tensor->cols : input.tensor->rows;
}
static size_t cols_of(GemmInput input) {
  return input.transposed ? input.tensor->rows : input.tensor->cols;
}

static size_t row_stride(GemmInput input) {
  return input.transposed ? 1 : input.tensor->cols;
}
static size_t col_stride(GemmInput input) {
  return input.transposed ? input.tensor->cols : 1;
}

static Status portable_gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  Grid grid = {{(c->cols + TILE - 1) / TILE, (c->rows + TILE - 1) / TILE, 1}, {TILE_ITEMS, 1, 1}};
  return LAUNCH(c->ops, gemm, grid, ARG_TENSOR(c), ARG_TENSOR(a.tensor), ARG_TENSOR(b.tensor),
                ARG_UINT(c->rows), ARG_UINT(c->cols), ARG_UINT(cols_of(a)), ARG_UINT(row_stride(a)),
                ARG_UINT(col_stride(a)), ARG_UINT(row_stride(b)), ARG_UINT(col_stride(b)),
                ARG_UINT(a.tensor->dtype), ARG_UINT(b.tensor->dtype), ARG_FLOAT(alpha), ARG_FLOAT(beta));
}

Status gemm(Tensor *c, GemmInput a, GemmInput b, float alpha, float beta) {
  (void)rows_of;
  return portable_gemm(c, a, b, alpha, beta);
}
