// Self-test of matrix products: small ones of odd sizes against the twins, large ones by projection.
#include "selftest.h"

#include "ops/products.h"
#include "ref/ref.h"
#include "util/half.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>

enum { M = 5, FEW = 2, MANY = 70, N = 33, K = 67, RANK = 3 }; // a CPU has another kernel for few rows

/// The types that matrices are stored in on a device.
static const DType weight_types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
enum { WEIGHT_TYPES = sizeof weight_types / sizeof *weight_types };

/// All forms of products into few columns, which a CPU computes turned round.
static Status check_thin(Probe *p) {
  double *x = draw(p, MANY * K, 1), *w = draw(p, RANK * K, 1), *out = draw(p, MANY * RANK, 1);
  double *b = draw(p, K * RANK, 1), *db = draw(p, K * RANK, 1);
  Tensor *dev_x = device_f32(p, MANY, K, x), *dev_w = device_f32(p, RANK, K, w);
  Tensor *dev_out = device_f32(p, MANY, RANK, out), *dev_b = device_f32(p, K, RANK, b);
  Tensor *dev_db = device_f32(p, K, RANK, db);
  TRY(p->status);
  TRY(op_linear(dev_out, dev_x, dev_w, 0.5f, 2.0f));
  TRY(op_linear_dx(dev_out, dev_x, dev_b, -0.5f, 1.0f));
  TRY(op_linear_dw(dev_db, dev_x, dev_out, 0.5f, 2.0f));
  ref_linear(out, x, w, MANY, RANK, K, 0.5, 2);
  ref_linear_dx(out, x, b, MANY, K, RANK, -0.5, 1);
  ref_linear_dw(db, x, out, MANY, K, RANK, 0.5, 2);
  TRY(expect(p, dev_out, out));
  return expect(p, dev_db, db);
}

static Status check_linear(Probe *p) {
  double *x = draw(p, M * K, 1), *w = draw(p, N * K, 1), *out = draw(p, M * N, 1);
  for (size_t i = 0; i < 2 * WEIGHT_TYPES; i++) {
    size_t m = i % 2 == 0 ? M : FEW;
    Tensor *dev_w = device_rounded(p, weight_types[i / 2], N, K, w);
    Tensor *dev_out = device_f32(p, m, N, out), *dev_x = device_f32(p, m, K, x);
    TRY(p->status);
    TRY(op_linear(dev_out, dev_x, dev_w, 0.5f, 2.0f));
    ref_linear(out, x, w, m, N, K, 0.5, 2);
    TRY(expect(p, dev_out, out));
  }
  return check_thin(p);
}

/// Three products in one launch, where the device has that: more columns than a work item has, fewer, and
/// one. All but the second have an adapter.
static Status check_linears_of(Probe *p, size_t m) {
  static const size_t columns[] = {7 * N, N, 1};
  static const DType types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F32};
  double *x = draw(p, m * K, 1), *low = draw(p, m * RANK, 1), *expected[3];
  Tensor *dev_x = device_f32(p, m, K, x), *dev_low = device_f32(p, m, RANK, low), *outs[3];
  const Tensor *ws[3];
  LowRank adapters[3];
  for (size_t i = 0; i < 3; i++) {
    double *w = draw(p, columns[i] * K, 1), *b = draw(p, columns[i] * RANK, 1);
    expected[i] = draw(p, m * columns[i], 0);
    ws[i] = device_rounded(p, types[i], columns[i], K, w);
    outs[i] = device_f32(p, m, columns[i], NULL);
    adapters[i] = (LowRank){i == 1 ? NULL : dev_low, device_f32(p, columns[i], RANK, b), 0.5f};
    TRY(p->status);
    ref_linear(expected[i], x, w, m, columns[i], K, 1, 0);
    if (i != 1) ref_linear(expected[i], low, b, m, columns[i], RANK, 0.5, 1);
  }
  TRY(op_linears(outs, dev_x, ws, adapters, 3));
  for (size_t i = 0; i < 3; i++) TRY(expect(p, outs[i], expected[i]));
  return STATUS_OK;
}

static Status check_linears(Probe *p) {
  TRY(check_linears_of(p, FEW));
  return check_linears_of(p, M);
}

static Status check_linear_dx(Probe *p) {
  double *dout = draw(p, M * N, 1), *w = draw(p, N * K, 1), *dx = draw(p, M * K, 1);
  double *dlow = draw(p, M * RANK, 1), *a = draw(p, RANK * K, 1);
  for (size_t t = 0; t < WEIGHT_TYPES; t++) {
    Tensor *dev_w = device_rounded(p, weight_types[t], N, K, w);
    Tensor *dev_dx = device_f32(p, M, K, dx), *dev_dout = device_f32(p, M, N, dout);
    Tensor *dev_dlow = device_f32(p, M, RANK, dlow), *dev_a = device_f32(p, RANK, K, a);
    TRY(p->status);
    TRY(op_linear_dx(dev_dx, dev_dout, dev_w, 0.5f, 2.0f));
    TRY(op_linear_dx_adapted(dev_dx, dev_dout, dev_w, 1.0f, &(LowRank){dev_dlow, dev_a, 0.25f}));
    ref_linear_dx(dx, dout, w, M, N, K, 0.5, 2);
    ref_linear_dx(dx, dout, w, M, N, K, 1, 1);
    ref_linear_dx(dx, dlow, a, M, RANK, K, 0.25, 1);
    TRY(expect(p, dev_dx, dx));
  }
  return STATUS_OK;
}

static Status check_linear_dw(Probe *p) {
  double *dout = draw(p, M * N, 1), *x = draw(p, M * K, 1), *dw = draw(p, N * K, 1);
  Tensor *dev_dw = device_f32(p, N, K, dw), *dev_dout = device_f32(p, M, N, dout),
         *dev_x = device_f32(p, M, K, x);
  TRY(p->status);
  TRY(op_linear_dw(dev_dw, dev_dout, dev_x, 0.5f, 2.0f));
  ref_linear_dw(dw, dout, x, M, N, K, 0.5, 2);
  return expect(p, dev_dw, dw);
}

static Status check_bias(Probe *p) {
  double *x = draw(p, M * N, 1), *bias = draw(p, N, 1);
  Tensor *dev_x = device_f32(p, M, N, x), *dev_bias = device_f32(p, 1, N, bias);
  TRY(p->status);
  TRY(op_bias(dev_x, dev_bias));
  ref_bias(x, bias, M, N);
  return expect(p, dev_x, x);
}

static Status check_bias_backward(Probe *p) {
  double *dout = draw(p, M * N, 1), *dbias = draw(p, N, 1);
  Tensor *dev_dout = device_f32(p, M, N, dout), *dev_dbias = device_f32(p, 1, N, dbias);
  TRY(p->status);
  TRY(op_bias_backward(dev_dbias, dev_dout));
  ref_bias_backward(dbias, dout, M, N);
  return expect(p, dev_dbias, dbias);
}

static Status check_convert(Probe *p) {
  double *x = draw(p, N, 3);
  Tensor *dev_x = device_f32(p, 1, N, x), *back = device_f32(p, 1, N, NULL);
  for (size_t t = 1; t < WEIGHT_TYPES; t++) {
    DType type = weight_types[t];
    double *rounded = draw(p, N, 0), *zeros = draw(p, N, 0);
    for (size_t i = 0; i < N; i++) rounded[i] = x[i];
    Tensor *narrow = device_rounded(p, type, 1, N, zeros);
    (void)device_rounded(p, type, 1, N, rounded);
    TRY(p->status);
    TRY(op_convert(narrow, dev_x));
    TRY(op_convert(back, narrow));
    TRY(expect(p, back, rounded));
  }
  return STATUS_OK;
}

// ---- large products ----
//
// Drivers fail in code that small sizes never reach: the second slab of k (256 and 512 steps in gee-cl's
// kernels, 2,048 in a call of a vendor's), full tiles, a vendor's kernel for large matrices. A twin on the
// host would take too long for a product of that size, so it is projected: for a random r, C · r must be A ·
// (B · r). This costs one pass over each matrix, and a wrong element anywhere changes the result.

typedef enum Form { FORM_LINEAR, FORM_DX, FORM_DW } Form;

/// A stored matrix that a product uses as it is, or transposed.
typedef struct Factor {
  float *values;
  size_t rows, cols; // stored
  bool transposed;
} Factor;

/// out = factor · in
static void project(const Factor *factor, const double *in, double *out) {
  size_t outs = factor->transposed ? factor->cols : factor->rows;
  for (size_t i = 0; i < outs; i++) out[i] = 0;
  for (size_t r = 0; r < factor->rows; r++) {
    const float *row = factor->values + r * factor->cols;
    double sum = 0;
    if (factor->transposed) {
      for (size_t c = 0; c < factor->cols; c++) out[c] += (double)row[c] * in[r];
    } else {
      for (size_t c = 0; c < factor->cols; c++) sum += (double)row[c] * in[c];
      out[r] = sum;
    }
  }
}

/// Random values in [−1, 1) that the type holds exactly, from a linear congruential generator (Knuth's MMIX),
/// which is fast.
static Status make_factor(Probe *p, DType type, Factor *factor, uint64_t seed, Tensor **out) {
  size_t count = factor->rows * factor->cols;
  uint16_t *bits = NULL;
  TRY(mem_array(&factor->values, count, "selftest"));
  for (size_t i = 0; i < count; i++) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    factor->values[i] = (float)(int32_t)(seed >> 40) / (float)(1 << 23) - 1.0f;
  }
  if (type != DTYPE_F32) {
    TRY(mem_array(&bits, count, "selftest"));
    halves_from_floats(type, factor->values, count, bits);
    halves_to_floats(type, bits, count, factor->values);
  }
  *out = device_tensor(p, type, factor->rows, factor->cols, bits != NULL ? (void *)bits : factor->values);
  free(bits);
  return p->status;
}

/// Draws a random r and keeps the error of c · r against a · (b · r).
static Status compare_projections(Probe *p, const Factor *a, const Factor *b, const Factor *c) {
  size_t inner = a->transposed ? a->rows : a->cols;
  double *r = draw(p, c->cols, 1), *middle = draw(p, inner, 0), *expected = draw(p, c->rows, 0),
         *found = draw(p, c->rows, 0), difference = 0, norm = 0;
  TRY(p->status);
  project(b, r, middle);
  project(a, middle, expected);
  project(c, r, found);
  for (size_t i = 0; i < c->rows; i++) {
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  keep_error(p, sqrt(difference), sqrt(norm));
  return STATUS_OK;
}

/// One product of this form, over x[m,k], w[n,k], out[m,n] or their gradients.
static Status check_product(Probe *p, Form form, DType type, size_t m, size_t n, size_t k) {
  Factor a = {NULL, m, form == FORM_LINEAR ? k : n, form == FORM_DW};
  Factor b = {NULL, form == FORM_DW ? m : n, k, form == FORM_LINEAR};
  Factor c = {NULL, form == FORM_DW ? n : m, form == FORM_LINEAR ? n : k, false};
  Tensor *dev_a = NULL, *dev_b = NULL, *dev_c = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(make_factor(p, DTYPE_F32, &a, 1, &dev_a));
  TRY_CLEAN(make_factor(p, type, &b, 2, &dev_b));
  TRY_CLEAN(make_factor(p, DTYPE_F32, &c, 3, &dev_c)); // overwritten: beta is 0
  if (form == FORM_LINEAR) TRY_CLEAN(op_linear(dev_c, dev_a, dev_b, 1.0f, 0.0f));
  if (form == FORM_DX) TRY_CLEAN(op_linear_dx(dev_c, dev_a, dev_b, 1.0f, 0.0f));
  if (form == FORM_DW) TRY_CLEAN(op_linear_dw(dev_c, dev_a, dev_b, 1.0f, 0.0f));
  TRY_CLEAN(tensor_read(dev_c, 0, c.rows * c.cols, c.values));
  tell(p, c.values, c.rows * c.cols);
  TRY_CLEAN(compare_projections(p, &a, &b, &c));
cleanup:
  free(a.values);
  free(b.values);
  free(c.values);
  return status;
}

/// Sizes with more than one tile, chunk and slab along every axis, for every type that weights are stored in.
static Status check_large_forms(Probe *p, Form form) {
  size_t m = form == FORM_DW ? 2107 : 203, n = form == FORM_DX ? 2107 : 165,
         k = form == FORM_LINEAR ? 2107 : 203;
  for (size_t t = 0; t < (form == FORM_DW ? 1 : WEIGHT_TYPES); t++) {
    TRY(check_product(p, form, weight_types[t], m, n, k));
    if (form == FORM_LINEAR) TRY(check_product(p, form, weight_types[t], FEW, n, k));
  }
  return STATUS_OK;
}
static Status check_large_linear(Probe *p) {
  return check_large_forms(p, FORM_LINEAR);
}
static Status check_large_dx(Probe *p) {
  return check_large_forms(p, FORM_DX);
}
static Status check_large_dw(Probe *p) {
  return check_large_forms(p, FORM_DW);
}

/// A product of every form at every size that may have a parameter set of its own, of every type.
static Status check_tuned(Probe *p) {
  static const size_t smaller[] = {9, 67, 165}; // of M and N: few, some, many
  for (size_t size = 0; size < PRODUCT_SIZES; size++) {
    for (size_t t = 0; t < WEIGHT_TYPES; t++) {
      TRY(check_product(p, FORM_LINEAR, weight_types[t], smaller[size], 203, 1061));
      TRY(check_product(p, FORM_DX, weight_types[t], smaller[size], 1061, 203));
      free_tensors(p);
    }
    TRY(check_product(p, FORM_DW, DTYPE_F32, 1061, smaller[size], 203));
  }
  return STATUS_OK;
}

/// CLBlast uses another kernel if m · n · k is above a limit that depends on the device, at most 1,984³ in
/// its database (1.6.3). gee-cl's own GEMMs have only the kernel that "linear, large" has checked.
static Status check_vendor_linear(Probe *p) {
  return check_product(p, FORM_LINEAR, DTYPE_F32, 2311, 2293, 2309);
}

const SelfCheck product_checks[] = {
    {"linear", check_linear, 1e-5, CHECK_ALWAYS},
    {"linear, three together", check_linears, 1e-5, CHECK_ALWAYS},
    {"linear_dx", check_linear_dx, 1e-5, CHECK_ALWAYS},
    {"linear_dw", check_linear_dw, 1e-5, CHECK_ALWAYS},
    {"linear, large", check_large_linear, 1e-5, CHECK_DEEP},
    {"linear_dx, large", check_large_dx, 1e-5, CHECK_DEEP},
    {"linear_dw, large", check_large_dw, 1e-5, CHECK_DEEP},
    {"products, every tuned size", check_tuned, 1e-5, CHECK_TUNED},
    {"linear, the vendor's largest", check_vendor_linear, 1e-5, CHECK_VENDOR},
    {"bias", check_bias, 1e-6, CHECK_ALWAYS},
    {"bias_backward", check_bias_backward, 1e-6, CHECK_ALWAYS},
    {"convert", check_convert, 0, CHECK_ALWAYS},
    {0},
};
