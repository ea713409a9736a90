// Self-test of products with frozen weights in 16 bits (COMPUTE_BF16, COMPUTE_F16): against the twins on
// factors that are rounded first, in sizes with more than one tile, chunk and slab, none of them whole, for
// every type of weights. With IEEE halves what goes forward is too large for one, and what goes back too
// small.
#include "selftest.h"

#include "block_list.h"
#include "context.h"
#include "ref/ref.h"
#include "util/half.h"
#include <math.h>

enum { FEW = 2, TILED = 17, MANY = 197 }; // rows
// The sizes of weights. Those of quantised ones are whole blocks.
enum { SMALL = 35, LARGE = 601, BLOCKS = 2 * 256 };

static const DType types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16,
#define BLOCK_ROW(name) DTYPE_##name,
                              BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
};
enum { TYPES = sizeof types / sizeof *types };

static void round_bf16(double *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    float value = (float)values[i];
    uint16_t bits;
    halves_from_floats(DTYPE_BF16, &value, 1, &bits);
    halves_to_floats(DTYPE_BF16, &bits, 1, &value);
    values[i] = (double)value;
  }
}

static void round_factors(const Probe *p, double *x, size_t m, size_t ins, double *w, size_t count) {
  if (p->ops->compute == COMPUTE_F16) {
    ref_round_f16(x, m, ins);
    ref_round_f16(w, 1, count);
  } else {
    round_bf16(x, m * ins);
    round_bf16(w, count);
  }
}

/// In f16, rows of unlike size: each has a scale of its own.
static void grow_rows(const Probe *p, double *x, size_t m, size_t cols) {
  if (p->ops->compute != COMPUTE_F16) return;
  for (size_t i = 0; i < m * cols; i++) x[i] = ldexp(x[i], (int)(i / cols % 4));
}

/// *view = a matrix as the frozen weights that a model's are, without memory to be counted.
static Status freeze(const Tensor *tensor, Tensor *view) {
  *view = tensor_rows(tensor, 0, tensor->rows);
  view->kind = MEMORY_WEIGHTS;
  return op_measure_weights(view);
}

/// One product with weights [n, k] of the type: x · wᵀ, or dout · w if `back`.
static Status check_product(Probe *p, DType type, size_t m, size_t n, size_t k, bool back) {
  size_t ins = back ? n : k, outs = back ? k : n;
  bool scaled = p->ops->compute == COMPUTE_F16, plain = dtype_info(type)->kind != DTYPE_QUANTISED;
  double size = !scaled ? 1 : back ? 1e-10 : 1e7, weight = scaled && plain && type != DTYPE_F16 ? 1e-6 : 1;
  double *w = draw(p, n * k, weight), *x = draw(p, m * ins, size), *out = draw(p, m * outs, size * weight);
  grow_rows(p, x, m, ins);
  Tensor *dev_w = plain ? device_rounded(p, type, n, k, w) : device_blocks(p, type, n, k, w);
  Tensor *dev_x = device_f32(p, m, ins, x), *dev_out = device_f32(p, m, outs, out);
  TRY(p->status);
  Tensor weights;
  TRY(freeze(dev_w, &weights));
  TRY(back ? op_linear_dx(dev_out, dev_x, &weights, 0.5f, 2.0f)
           : op_linear(dev_out, dev_x, &weights, 0.5f, 2.0f));
  round_factors(p, x, m, ins, w, n * k);
  if (back)
    ref_linear_dx(out, x, w, m, n, k, 0.5, 2);
  else
    ref_linear(out, x, w, m, n, k, 0.5, 2);
  TRY(expect(p, dev_out, out));
  free_tensors(p);
  p->used = 0;
  return STATUS_OK;
}

static Status check_halves(Probe *p) {
  for (size_t i = 0; i < 2 * TYPES; i++) {
    DType type = types[i / 2];
    bool back = i % 2 == 1, plain = dtype_info(type)->kind != DTYPE_QUANTISED;
    size_t n = back && plain ? LARGE : SMALL, k = !plain ? BLOCKS : back ? SMALL : LARGE;
    TRY(check_product(p, type, i < 2 ? MANY : TILED, n, k, back));
    TRY(check_product(p, type, FEW, n, k, back));
  }
  return STATUS_OK;
}

const SelfCheck half_checks[] = {
    {"linear, bf16", check_halves, 1e-5, CHECK_BF16},
    {"linear, f16", check_halves, 1e-5, CHECK_F16},
    {0},
};
