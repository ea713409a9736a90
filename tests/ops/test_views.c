// Views: an operation that takes views gives the same bits on parts of wider tensors as on dense tensors, and
// writes nothing outside the part. All other operations refuse views.
#include "support/ops_fixture.h"

#include "context.h"
#include "util/half.h"
#include <math.h>
#include <string.h>

enum { ABOVE = 2, BELOW = 1, LEFT = 5, RIGHT = 3 }; // rows and columns of the whole around a part
static const float outside = 77.5f;                 // the value of every element around a part

/// A part of a wider tensor, and the whole.
typedef struct Part {
  Tensor *whole, view;
} Part;

/// The values, or NaN if `values` is NULL, as rows [ABOVE, ABOVE + rows) and columns [LEFT, LEFT + cols) of a
/// wider tensor.
static Part make_part(size_t rows, size_t cols, const double *values) {
  size_t all_rows = ABOVE + rows + BELOW, all_cols = LEFT + cols + RIGHT;
  double *all = fixture_zeros(all_rows * all_cols);
  for (size_t i = 0; i < all_rows * all_cols; i++) all[i] = (double)outside;
  for (size_t r = 0; r < rows; r++) {
    for (size_t c = 0; c < cols; c++) {
      all[(ABOVE + r) * all_cols + LEFT + c] = values != NULL ? values[r * cols + c] : NAN;
    }
  }
  Part part = {.whole = fixture_f32(all_rows, all_cols, all)};
  Tensor rows_of_it = tensor_rows(part.whole, ABOVE, rows);
  part.view = tensor_columns(&rows_of_it, LEFT, cols);
  return part;
}

/// Fails unless the part has the bits of `dense` and the rest of the whole is unchanged.
static void assert_part(const char *what, const Part *part, const Tensor *dense) {
  static float whole[1 << 14], expected[1 << 14];
  size_t all = part->whole->rows * part->whole->cols, count = dense->rows * dense->cols;
  assert_true(all <= sizeof whole / sizeof *whole);
  assert_ok(tensor_read(part->whole, 0, all, whole));
  assert_ok(tensor_read(dense, 0, count, expected));
  for (size_t i = 0; i < all; i++) {
    size_t r = i / part->whole->cols, c = i % part->whole->cols;
    bool inside = r >= ABOVE && r < ABOVE + dense->rows && c >= LEFT && c < LEFT + dense->cols;
    const float *wanted = inside ? &expected[(r - ABOVE) * dense->cols + c - LEFT] : &outside;
    if (memcmp(&whole[i], wanted, sizeof *wanted) != 0)
      fail_msg("%s: [%zu, %zu] of the whole is %.9g, needs %.9g", what, r, c, (double)whole[i],
               (double)*wanted);
  }
}

enum { M = 37, N = 45, K = 19 };

static void products(void **state) {
  (void)state;
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 1), *out = fixture_random(M * N, 1);
  Tensor *dense_x = fixture_f32(M, K, x), *dense_w = fixture_f32(N, K, w),
         *dense_out = fixture_f32(M, N, out);
  Part part_x = make_part(M, K, x), part_w = make_part(N, K, w), part_out = make_part(M, N, out);
  assert_ok(op_linear(dense_out, dense_x, dense_w, 0.5f, 2.0f));
  assert_ok(op_linear(&part_out.view, &part_x.view, &part_w.view, 0.5f, 2.0f));
  assert_part("linear", &part_out, dense_out);
  assert_ok(op_linear_dx(dense_x, dense_out, dense_w, 0.5f, 2.0f));
  assert_ok(op_linear_dx(&part_x.view, &part_out.view, &part_w.view, 0.5f, 2.0f));
  assert_part("linear_dx", &part_x, dense_x);
  assert_ok(op_linear_dw(dense_w, dense_out, dense_x, 0.5f, 2.0f));
  assert_ok(op_linear_dw(&part_w.view, &part_out.view, &part_x.view, 0.5f, 2.0f));
  assert_part("linear_dw", &part_w, dense_w);
}

/// 16-bit weights may be views too: here some rows of a table.
static void products_of_halves(void **state) {
  (void)state;
  uint16_t bits[(N + 4) * K];
  double *x = fixture_random(M * K, 1), *w = fixture_random((N + 4) * K, 1);
  float values[(N + 4) * K];
  for (size_t i = 0; i < (N + 4) * K; i++) values[i] = (float)w[i];
  for (int t = 0; t < 2; t++) {
    DType type = t == 0 ? DTYPE_F16 : DTYPE_BF16;
    Tensor whole, part, *out = fixture_f32(M, N, NULL), *expected = fixture_f32(M, N, NULL);
    halves_from_floats(type, values, (N + 4) * K, bits);
    assert_ok(tensor_create(fixture_ops(), "w", MEMORY_WEIGHTS, type, N + 4, K, &whole));
    assert_ok(tensor_write(&whole, 0, (N + 4) * K, bits));
    assert_ok(tensor_create(fixture_ops(), "w", MEMORY_WEIGHTS, type, N, K, &part));
    assert_ok(tensor_write(&part, 0, N * K, bits + 3 * K));
    Tensor view = tensor_rows(&whole, 3, N), *dense_x = fixture_f32(M, K, x);
    assert_ok(op_linear(expected, dense_x, &part, 1.0f, 0.0f));
    assert_ok(op_linear(out, dense_x, &view, 1.0f, 0.0f));
    float found[M * N], wanted[M * N];
    assert_ok(tensor_read(out, 0, M * N, found));
    assert_ok(tensor_read(expected, 0, M * N, wanted));
    assert_memory_equal(found, wanted, sizeof found);
    tensor_free(&whole);
    tensor_free(&part);
  }
}

/// The purpose of a pitch: q, k and v, taken as views of one product, have the bits of three products.
static void one_product_has_the_bits_of_its_parts(void **state) {
  (void)state;
  enum { WIDTHS = 3 };
  const size_t widths[WIDTHS] = {48, 16, 16}, all = 80;
  if (fixture_ops()->vendor != NULL) skip(); // a vendor may sum in another order
  double *x = fixture_random(M * K, 1), *w = fixture_random(all * K, 1);
  Tensor *dense_x = fixture_f32(M, K, x), *whole = fixture_f32(M, all, NULL),
         *weights = fixture_f32(all, K, w);
  assert_ok(op_linear(whole, dense_x, weights, 1.0f, 0.0f));
  static float together[M * 80], alone[M * 48];
  assert_ok(tensor_read(whole, 0, M * all, together));
  for (size_t i = 0, first = 0; i < WIDTHS; first += widths[i++]) {
    Tensor rows = tensor_rows(weights, first, widths[i]), *out = fixture_f32(M, widths[i], NULL);
    assert_ok(op_linear(out, dense_x, &rows, 1.0f, 0.0f));
    assert_ok(tensor_read(out, 0, M * widths[i], alone));
    for (size_t m = 0; m < M; m++)
      assert_memory_equal(alone + m * widths[i], together + m * all + first, widths[i] * sizeof *alone);
  }
}

static void biases(void **state) {
  (void)state;
  double *x = fixture_random(M * N, 1), *bias = fixture_random(N, 1);
  Tensor *dense = fixture_f32(M, N, x), *dev_bias = fixture_f32(1, N, bias), *sums[2];
  Part part = make_part(M, N, x);
  assert_ok(op_bias(dense, dev_bias));
  assert_ok(op_bias(&part.view, dev_bias));
  assert_part("bias", &part, dense);
  float found[2][N];
  for (int i = 0; i < 2; i++) {
    sums[i] = fixture_f32(1, N, bias);
    assert_ok(op_bias_backward(sums[i], i == 0 ? dense : &part.view));
    assert_ok(tensor_read(sums[i], 0, N, found[i]));
  }
  assert_memory_equal(found[0], found[1], sizeof found[0]);
}

static void rope_and_stored_rows(void **state) {
  (void)state;
  enum { HEADS = 3, D = 14, WIDTH = HEADS * D };
  double *x = fixture_random(M * WIDTH, 1), *frequencies = fixture_random(D / 2, 1);
  int32_t *positions = fixture_ints(M), *numbers = fixture_ints(M);
  for (int32_t m = 0; m < M; m++) {
    positions[m] = 3 * m;
    numbers[m] = M - m;
  }
  Tensor *dense = fixture_f32(M, WIDTH, x), *inv_freq = fixture_f32(1, D / 2, frequencies);
  Tensor *at = fixture_i32(1, M, positions), *rows = fixture_i32(1, M, numbers), *stored[2];
  Part part = make_part(M, WIDTH, x);
  Part other = make_part(M, WIDTH, x);
  Tensor *dense_k = fixture_f32(M, WIDTH, x);
  assert_ok(op_rope(dense, dense_k, at, inv_freq, D, 1));
  assert_ok(op_rope(&part.view, &other.view, at, inv_freq, D, 1));
  assert_part("rope q", &part, dense);
  assert_part("rope k", &other, dense_k);
  static float found[2][(M + 1) * WIDTH];
  for (int i = 0; i < 2; i++) {
    stored[i] = fixture_f32(M + 1, WIDTH, fixture_zeros((M + 1) * WIDTH));
    assert_ok(op_store_rows(stored[i], i == 0 ? dense : &part.view, rows));
    assert_ok(tensor_read(stored[i], 0, (M + 1) * WIDTH, found[i]));
  }
  assert_memory_equal(found[0], found[1], sizeof found[0]);
}

/// Queries that are rows of a wider tensor, as are keys and values, give the bits of dense ones.
static void rope_and_stored_keys(void **state) {
  (void)state;
  enum { HEADS = 3, KV = 2, D = 14, WIDTH = HEADS * D, KEYS = KV * D };
  double *q = fixture_random(M * WIDTH, 1), *k = fixture_random(M * KEYS, 1),
         *v = fixture_random(M * KEYS, 1);
  int32_t *positions = fixture_ints(M), *numbers = fixture_ints(M);
  for (int32_t m = 0; m < M; m++) {
    positions[m] = 3 * m;
    numbers[m] = M - m;
  }
  Tensor *inv_freq = fixture_f32(1, D / 2, fixture_random(D / 2, 1));
  Tensor *at = fixture_i32(1, M, positions), *rows = fixture_i32(1, M, numbers);
  Tensor *dense_q = fixture_f32(M, WIDTH, q), *dense_k = fixture_f32(M, KEYS, k),
         *dense_v = fixture_f32(M, KEYS, v);
  Part part_q = make_part(M, WIDTH, q), part_k = make_part(M, KEYS, k), part_v = make_part(M, KEYS, v);
  static float found[2][2][(M + 1) * KEYS];
  for (int i = 0; i < 2; i++) {
    Tensor *caches[2];
    for (int c = 0; c < 2; c++) caches[c] = fixture_f32(M + 1, KEYS, fixture_zeros((M + 1) * KEYS));
    const StoredKeys keys = {caches[0], caches[1], i == 0 ? dense_k : &part_k.view,
                             i == 0 ? dense_v : &part_v.view, rows};
    assert_ok(op_rope_keys(i == 0 ? dense_q : &part_q.view, &keys, at, inv_freq, D));
    for (int c = 0; c < 2; c++) assert_ok(tensor_read(caches[c], 0, (M + 1) * KEYS, found[i][c]));
  }
  assert_part("rope_keys q", &part_q, dense_q);
  assert_memory_equal(found[0], found[1], sizeof found[0]);
}

static void swiglu(void **state) {
  (void)state;
  double *gate = fixture_random(M * N, 4), *up = fixture_random(M * N, 1), *dout = fixture_random(M * N, 1);
  Tensor *dense_gate = fixture_f32(M, N, gate), *dense_up = fixture_f32(M, N, up);
  Tensor *dense_out = fixture_f32(M, N, NULL), *dense_dout = fixture_f32(M, N, dout);
  Part part_gate = make_part(M, N, gate), part_up = make_part(M, N, up), part_out = make_part(M, N, NULL);
  assert_ok(op_swiglu(dense_out, dense_gate, dense_up));
  assert_ok(op_swiglu(&part_out.view, &part_gate.view, &part_up.view));
  assert_part("swiglu", &part_out, dense_out);
  assert_ok(op_swiglu_backward(dense_gate, dense_up, dense_dout, dense_gate, dense_up));
  assert_ok(op_swiglu_backward(&part_gate.view, &part_up.view, dense_dout, &part_gate.view, &part_up.view));
  assert_part("swiglu_backward dgate", &part_gate, dense_gate);
  assert_part("swiglu_backward dup", &part_up, dense_up);
}

static void attention(void **state) {
  (void)state;
  enum { ROWS = 23, HEADS = 4, KV = 2, D = 9, Q = HEADS * D, KEYS = KV * D };
  int32_t *spans = fixture_ints(4 * ROWS), *key_spans = fixture_ints(4 * ROWS);
  for (int32_t m = 0; m < ROWS; m++) {
    spans[4 * m + 3] = m + 1;
    key_spans[4 * m] = m;
    key_spans[4 * m + 1] = ROWS;
  }
  double *q = fixture_random(ROWS * Q, 1), *k = fixture_random(ROWS * KEYS, 1),
         *v = fixture_random(ROWS * KEYS, 1), *dout = fixture_random(ROWS * Q, 1);
  Tensor *dev_spans = fixture_i32(ROWS, 4, spans), *dev_key_spans = fixture_i32(ROWS, 4, key_spans);
  Attention dense = {.shape = {HEADS, KV, D, 0.3f},
                     .q = fixture_f32(ROWS, Q, q),
                     .k = fixture_f32(ROWS, KEYS, k),
                     .v = fixture_f32(ROWS, KEYS, v),
                     .spans = dev_spans,
                     .out = fixture_f32(ROWS, Q, NULL),
                     .lse = fixture_f32(ROWS, HEADS, NULL),
                     .dq = fixture_f32(ROWS, Q, NULL),
                     .dk = fixture_f32(ROWS, KEYS, NULL),
                     .dv = fixture_f32(ROWS, KEYS, NULL),
                     .delta = fixture_f32(ROWS, HEADS, NULL),
                     .dout = fixture_f32(ROWS, Q, dout),
                     .key_spans = dev_key_spans};
  Part parts[] = {make_part(ROWS, Q, q),       make_part(ROWS, KEYS, k), make_part(ROWS, KEYS, v),
                  make_part(ROWS, Q, NULL),    make_part(ROWS, Q, NULL), make_part(ROWS, KEYS, NULL),
                  make_part(ROWS, KEYS, NULL), make_part(ROWS, Q, dout)};
  Attention views = dense;
  views.q = &parts[0].view;
  views.k = &parts[1].view;
  views.v = &parts[2].view;
  views.out = &parts[3].view;
  views.dq = &parts[4].view;
  views.dk = &parts[5].view;
  views.dv = &parts[6].view;
  views.dout = &parts[7].view;
  assert_ok(op_attention(&dense));
  assert_ok(op_attention(&views));
  assert_part("attention", &parts[3], dense.out);
  assert_ok(op_attention_backward(&dense));
  assert_ok(op_attention_backward(&views));
  assert_part("attention_backward dq", &parts[4], dense.dq);
  assert_part("attention_backward dk", &parts[5], dense.dk);
  assert_part("attention_backward dv", &parts[6], dense.dv);
}

static void others_refuse_views(void **state) {
  (void)state;
  double *values = fixture_random(M * N, 1);
  Tensor *dense = fixture_f32(M, N, values), *row = fixture_f32(1, N, values),
         *rstd = fixture_f32(1, M, NULL);
  Part part = make_part(M, N, values);
  Tensor *view = &part.view, later = tensor_rows(part.whole, 1, M), none = tensor_rows(dense, 1, M);
  float numbers[N];
  assert_fails(op_add(dense, dense, view), STATUS_FAILED, "takes no view");
  assert_fails(op_rmsnorm(dense, rstd, view, row, 1e-5f), STATUS_FAILED, "takes no view");
  assert_fails(op_entropy(fixture_f32(M, 2, NULL), view, 1.0f), STATUS_FAILED, "takes no view");
  later = tensor_reshape(&later, M, N);
  assert_fails(op_add(dense, dense, &later), STATUS_FAILED, "takes no view");
  assert_fails(tensor_read(view, 0, N, numbers), STATUS_FAILED, "tensor_read: the rows of tensor lie");
  assert_fails(tensor_zero(view), STATUS_FAILED, "tensor_zero: the rows of tensor lie");
  assert_int_equal(none.rows + none.cols, 0);
  assert_fails(op_swiglu(dense, &none, dense), STATUS_FAILED, "op_swiglu: gate is [0, 0]");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(products),
      OPS_TEST(products_of_halves),
      OPS_TEST(one_product_has_the_bits_of_its_parts),
      OPS_TEST(biases),
      OPS_TEST(rope_and_stored_rows),
      OPS_TEST(rope_and_stored_keys),
      OPS_TEST(swiglu),
      OPS_TEST(attention),
      OPS_TEST(others_refuse_views),
  };
  return RUN_OPS_TESTS(tests);
}
