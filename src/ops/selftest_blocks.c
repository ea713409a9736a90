// Self-test of quantised weights: each type that kernels decode, whole and in rows, and in products of both
// directions, against the host's own decoders.
#include "selftest.h"

#include "block_list.h"
#include "ref/ref.h"
#include "util/dequant.h"
#include <math.h>

static const DType types[] = {
#define BLOCK_ROW(name) DTYPE_##name,
    BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
};
enum { TYPES = sizeof types / sizeof *types };
enum { M = 3, N = 9, K = 256, BLOCK_ELEMENTS = 256 }; // the most that a block of any type has
enum { MANY = 5 };                                    // rows for which a CPU packs panels

/// True if no number is so large that others beside it are lost in a sum.
static bool is_tame(const float *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!(fabsf(values[i]) < 8)) return false;
  }
  return true;
}

/// A block of random bytes from a linear congruential generator (Knuth's MMIX), drawn until it is tame.
static void draw_block(DType type, uint64_t *random, uint8_t *block, double *values) {
  const DTypeInfo *info = dtype_info(type);
  float decoded[BLOCK_ELEMENTS];
  do {
    for (size_t i = 0; i < info->block_bytes; i++) {
      *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
      block[i] = (uint8_t)(*random >> 56);
    }
    dequantise(type, block, 1, decoded);
  } while (!is_tame(decoded, info->block_elements));
  for (size_t i = 0; i < info->block_elements; i++) values[i] = (double)decoded[i];
}

Tensor *device_blocks(Probe *p, DType type, size_t rows, size_t cols, double *values) {
  const DTypeInfo *info = dtype_info(type);
  uint8_t *bytes = (uint8_t *)p->floats;
  uint64_t random = (uint64_t)type + 1;
  size_t count = rows * cols / info->block_elements;
  for (size_t i = 0; i < count; i++)
    draw_block(type, &random, bytes + i * info->block_bytes, values + i * info->block_elements);
  return device_tensor(p, type, rows, cols, bytes);
}

static Status check_decoded(Probe *p) {
  static const int32_t ids[M] = {N - 1, 0, 4};
  double *values = draw(p, (size_t)N * K, 0), *rows = draw(p, (size_t)M * K, 0);
  for (size_t t = 0; t < TYPES; t++) {
    Tensor *stored = device_blocks(p, types[t], N, K, values);
    Tensor *wide = device_f32(p, N, K, NULL), *out = device_f32(p, M, K, NULL);
    Tensor *dev_ids = device_i32(p, 1, M, ids);
    TRY(p->status);
    TRY(op_convert(wide, stored));
    TRY(expect(p, wide, values));
    TRY(op_embed(out, stored, dev_ids));
    ref_embed(rows, values, ids, M, K);
    TRY(expect(p, out, rows));
    free_tensors(p);
  }
  return STATUS_OK;
}

static Status check_linear(Probe *p) {
  double *w = draw(p, (size_t)N * K, 0), *x = draw(p, (size_t)MANY * K, 1),
         *out = draw(p, (size_t)MANY * N, 1);
  for (size_t i = 0; i < 2 * TYPES; i++) {
    size_t m = i % 2 == 0 ? M : MANY;
    Tensor *dev_w = device_blocks(p, types[i / 2], N, K, w);
    Tensor *dev_out = device_f32(p, m, N, out), *dev_x = device_f32(p, m, K, x);
    TRY(p->status);
    TRY(op_linear(dev_out, dev_x, dev_w, 0.5f, 0.0f));
    ref_linear(out, x, w, m, N, K, 0.5, 0);
    TRY(expect(p, dev_out, out));
    free_tensors(p);
  }
  return STATUS_OK;
}

static Status check_linear_dx(Probe *p) {
  double *w = draw(p, (size_t)N * K, 0), *dout = draw(p, (size_t)M * N, 1), *dx = draw(p, (size_t)M * K, 1);
  for (size_t t = 0; t < TYPES; t++) {
    Tensor *dev_w = device_blocks(p, types[t], N, K, w);
    Tensor *dev_dx = device_f32(p, M, K, dx), *dev_dout = device_f32(p, M, N, dout);
    TRY(p->status);
    TRY(op_linear_dx(dev_dx, dev_dout, dev_w, 0.5f, 0.0f));
    ref_linear_dx(dx, dout, w, M, N, K, 0.5, 0);
    TRY(expect(p, dev_dx, dx));
    free_tensors(p);
  }
  return STATUS_OK;
}

const SelfCheck block_checks[] = {
    {"quantised, decoded", check_decoded, 0, CHECK_ALWAYS},
    {"quantised, linear", check_linear, 1e-5, CHECK_ALWAYS},
    {"quantised, linear_dx", check_linear_dx, 1e-5, CHECK_ALWAYS},
    {0},
};
