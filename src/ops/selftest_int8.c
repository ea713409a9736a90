// Self-test of products in eight bits (COMPUTE_INT8): against the twin on factors that are rounded first, in
// sizes with more than one tile, chunk and slab, none of them whole, for every type of weights.
#include "selftest.h"

#include "block_list.h"
#include "ref/ref.h"

enum { ONE = 1, FEW = 2, TILED = 17, MANY = 197 }; // rows
enum { COLS = 35, STEPS = 785, BLOCKS = 4 * 256 };
enum { WIDE = 2 * 64 * 32 + COLS, SHORT = 65 }; // columns of which a work item has more than one panel

static const DType types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16,
#define BLOCK_ROW(name) DTYPE_##name,
                              BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
};
enum { TYPES = sizeof types / sizeof *types };

/// Whether weights of the type are rounded. Those with 32 elements to a scale have eight bits as they are.
static bool is_rounded(DType type) {
  bool parts = type == DTYPE_Q2_K || type == DTYPE_Q3_K || type == DTYPE_Q6_K;
  return parts || type == DTYPE_NF4 || dtype_info(type)->kind != DTYPE_QUANTISED;
}

static Status check_product(Probe *p, DType type, size_t m, size_t n, size_t k) {
  bool plain = dtype_info(type)->kind != DTYPE_QUANTISED;
  double *w = draw(p, n * k, 1), *x = draw(p, m * k, 1), *out = draw(p, m * n, 1);
  Tensor *dev_w = plain ? device_rounded(p, type, n, k, w) : device_blocks(p, type, n, k, w);
  Tensor *dev_x = device_f32(p, m, k, x), *dev_out = device_f32(p, m, n, out);
  TRY(p->status);
  Tensor weights = tensor_rows(dev_w, 0, n);
  weights.kind = MEMORY_WEIGHTS;
  TRY(op_linear_inference(dev_out, dev_x, &weights, 0.5f, 2.0f));
  if (is_rounded(type)) ref_round_int8(w, n, k);
  ref_round_int8(x, m, k);
  ref_linear(out, x, w, m, n, k, 0.5, 2);
  TRY(expect(p, dev_out, out));
  free_tensors(p);
  p->used = 0;
  return STATUS_OK;
}

static Status check_int8(Probe *p) {
  for (size_t i = 0; i < TYPES; i++) {
    size_t k = dtype_info(types[i])->kind == DTYPE_QUANTISED ? BLOCKS : STEPS;
    TRY(check_product(p, types[i], i == 0 ? MANY : TILED, COLS, k));
    TRY(check_product(p, types[i], FEW, COLS, k));
    TRY(check_product(p, types[i], ONE, COLS, k));
  }
  return check_product(p, DTYPE_F32, FEW, WIDE, SHORT);
}

const SelfCheck int8_checks[] = {
    {"linear, int8", check_int8, 1e-5, CHECK_INT8},
    {0},
};
