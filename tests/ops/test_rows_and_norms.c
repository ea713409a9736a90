// Embedding, RMSNorm, rotary embedding, SwiGLU, sums and rows against their double-precision twins, at odd
// sizes.
#include "support/ops_fixture.h"

#include "ref/ref.h"
#include "util/half.h"
#include "util/rng.h"
#include <math.h>
#include <string.h>

/// Runs the statement that follows for each pair of odd sizes, on a simulated device only for small ones.
#define EACH_SIZE(M, C)                                                                                      \
  for (const size_t *m_ = fixture_sizes; *m_ != 0; m_++)                                                     \
    for (const size_t *c_ = fixture_sizes; *c_ != 0; c_++)                                                   \
      for (size_t M = *m_, C = *c_, once_ = !fixture_small() || M * C <= 257; once_ != 0;                    \
           once_ = 0, ops_fixture_clean(NULL))

static const double tolerance = 1e-6;

static int32_t *random_ids(size_t count, size_t bound) {
  int32_t *ids = fixture_ints(count);
  for (size_t i = 0; i < count; i++)
    ids[i] = (int32_t)rng_below((uint32_t)bound, 3, RNG_DATA, (uint32_t)i, 0, 0);
  return ids;
}

static void embed(void **state) {
  (void)state;
  EACH_SIZE(M, C) {
    size_t V = 40;
    double *table = fixture_random(V * C, 1), *dout = fixture_random(M * C, 1), *out = fixture_zeros(M * C);
    int32_t *ids = random_ids(M, V), *order = fixture_ints(M);
    size_t next = 0;
    for (size_t id = 0; id < V; id++) {
      for (size_t m = 0; m < M; m++) {
        if ((size_t)ids[m] == id) order[next++] = (int32_t)m;
      }
    }
    Tensor *dev_ids = fixture_i32(1, M, ids), *dev_out = fixture_f32(M, C, NULL);
    assert_ok(op_embed(dev_out, fixture_f32(V, C, table), dev_ids));
    ref_embed(out, table, ids, M, C);
    fixture_compare("embed", dev_out, out, 0);

    Tensor *dtable = fixture_f32(V, C, table);
    assert_ok(op_embed_backward(dtable, fixture_f32(M, C, dout), dev_ids, fixture_i32(1, M, order)));
    ref_embed_backward(table, dout, ids, M, C);
    fixture_compare("embed_backward", dtable, table, tolerance);
  }
}

/// A table of 16-bit floats gives exactly the values that it holds.
static void embed_halves(void **state) {
  (void)state;
  enum { V = 5, C = 33, M = 3 };
  const int32_t ids[M] = {4, 0, 4};
  double *values = fixture_random(V * C, 3), *expected = fixture_zeros(M * C);
  for (int type = DTYPE_F16; type <= DTYPE_BF16; type++) {
    uint16_t bits[V * C];
    for (size_t i = 0; i < V * C; i++) {
      bits[i] = type == DTYPE_F16 ? half_from_float((float)values[i]) : bfloat_from_float((float)values[i]);
    }
    for (size_t i = 0; i < M * C; i++) {
      uint16_t found = bits[(size_t)ids[i / C] * C + i % C];
      expected[i] = (double)(type == DTYPE_F16 ? half_to_float(found) : bfloat_to_float(found));
    }
    Tensor table = {0}, *out = fixture_f32(M, C, NULL);
    assert_ok(tensor_create(fixture_ops(), "table", MEMORY_WEIGHTS, (DType)type, V, C, &table));
    assert_ok(tensor_write(&table, 0, V * C, bits));
    assert_ok(op_embed(out, &table, fixture_i32(1, M, ids)));
    fixture_compare("embed of 16 bits", out, expected, 0);
    tensor_free(&table);
  }
}

static void rmsnorm(void **state) {
  (void)state;
  EACH_SIZE(M, C) {
    double *x = fixture_random(M * C, 2), *w = fixture_random(C, 1), *dout = fixture_random(M * C, 1);
    double *out = fixture_zeros(M * C), *rstd = fixture_zeros(M), *dx = fixture_random(M * C, 1);
    double *dw = fixture_random(C, 1);
    Tensor *dev_x = fixture_f32(M, C, x), *dev_w = fixture_f32(1, C, w), *dev_out = fixture_f32(M, C, NULL);
    Tensor *dev_rstd = fixture_f32(1, M, NULL), *dev_dx = fixture_f32(M, C, dx),
           *dev_dw = fixture_f32(1, C, dw);
    Tensor *dev_dout = fixture_f32(M, C, dout), *dev_dx2 = fixture_f32(M, C, dx);
    assert_ok(op_rmsnorm(dev_out, dev_rstd, dev_x, dev_w, 1e-5f));
    ref_rmsnorm(out, rstd, x, w, M, C, (double)1e-5f);
    fixture_compare("rmsnorm", dev_out, out, tolerance);
    fixture_compare("rmsnorm rstd", dev_rstd, rstd, tolerance);
    assert_ok(op_rmsnorm_backward(dev_dx, dev_dw, dev_dout, dev_x, dev_w, dev_rstd));
    assert_ok(op_rmsnorm_backward(dev_dx2, NULL, dev_dout, dev_x, dev_w, dev_rstd));
    ref_rmsnorm_backward(dx, dw, dout, x, w, rstd, M, C);
    fixture_compare("rmsnorm_backward dx", dev_dx, dx, 4 * tolerance);
    fixture_compare("rmsnorm_backward dx without dw", dev_dx2, dx, 4 * tolerance);
    fixture_compare("rmsnorm_backward dw", dev_dw, dw, 4 * tolerance);
  }
}

static void add_rmsnorm(void **state) {
  (void)state;
  EACH_SIZE(M, C) {
    double *a = fixture_random(M * C, 2), *b = fixture_random(M * C, 2), *w = fixture_random(C, 1);
    double *sum = fixture_zeros(M * C), *out = fixture_zeros(M * C), *rstd = fixture_zeros(M);
    Tensor *dev_a = fixture_f32(M, C, a), *dev_b = fixture_f32(M, C, b), *dev_w = fixture_f32(1, C, w);
    Tensor *dev_sum = fixture_f32(M, C, NULL), *dev_out = fixture_f32(M, C, NULL),
           *dev_rstd = fixture_f32(1, M, NULL);
    for (size_t i = 0; i < M * C; i++) sum[i] = a[i] + b[i];
    ref_rmsnorm(out, rstd, sum, w, M, C, (double)1e-5f);
    assert_ok(op_add_rmsnorm(dev_sum, dev_out, dev_rstd, dev_a, dev_b, dev_w, 1e-5f));
    fixture_compare("add_rmsnorm sum", dev_sum, sum, tolerance);
    fixture_compare("add_rmsnorm rstd", dev_rstd, rstd, tolerance);
    fixture_compare("add_rmsnorm", dev_out, out, tolerance);
  }
}

enum { ROPE_DIMS = 6 };
static const size_t rope_dims[ROPE_DIMS] = {2, 6, 64, 128, 250, 256};

/// Queries and keys of M rows, and what turns them.
typedef struct Turned {
  size_t M, D, heads, kv_heads;
  double *q, *k, *turned_q, *turned_k;
  Tensor *dev_q, *dev_k, *dev_positions, *dev_freq;
} Turned;

static double *copy_of(const double *x, size_t count) {
  double *copy = fixture_zeros(count);
  memcpy(copy, x, count * sizeof *copy);
  return copy;
}

static Turned make_turned(size_t D, size_t heads) {
  Turned t = {.M = fixture_small() ? 3 : 33, .D = D, .heads = heads, .kv_heads = (heads + 1) / 2};
  size_t q_count = t.M * heads * D, k_count = t.M * t.kv_heads * D;
  double *inv_freq = fixture_zeros(D / 2);
  int32_t *positions = fixture_ints(t.M);
  for (size_t p = 0; p < D / 2; p++) inv_freq[p] = (double)(float)pow(10000, -2.0 * (double)p / (double)D);
  for (size_t m = 0; m < t.M; m++) positions[m] = (int32_t)(m * 37);
  t.q = fixture_random(q_count, 1);
  t.k = fixture_random(k_count, 1);
  t.turned_q = copy_of(t.q, q_count);
  t.turned_k = copy_of(t.k, k_count);
  ref_rope(t.turned_q, positions, inv_freq, t.M, heads, D, 1);
  ref_rope(t.turned_k, positions, inv_freq, t.M, t.kv_heads, D, 1);
  t.dev_q = fixture_f32(t.M, heads * D, t.q);
  t.dev_k = fixture_f32(t.M, t.kv_heads * D, t.k);
  t.dev_positions = fixture_i32(1, t.M, positions);
  t.dev_freq = fixture_f32(1, D / 2, inv_freq);
  return t;
}

// The angle is a float32 product, as in Hugging Face's code, and is rounded by up to position · 2^-24.
static const double turned_tolerance = 1e-4;

static void rope(void **state) {
  (void)state;
  for (size_t i = 0; i < ROPE_DIMS; i++) {
    for (size_t heads = 1; heads <= 9; heads += 4) {
      Turned t = make_turned(rope_dims[i], heads);
      assert_ok(op_rope(t.dev_q, t.dev_k, t.dev_positions, t.dev_freq, t.D, 1));
      fixture_compare("rope q", t.dev_q, t.turned_q, turned_tolerance);
      fixture_compare("rope k", t.dev_k, t.turned_k, turned_tolerance);
      assert_ok(op_rope(t.dev_q, t.dev_k, t.dev_positions, t.dev_freq, t.D, -1));
      fixture_compare("rope q back", t.dev_q, t.q, tolerance);
      fixture_compare("rope k back", t.dev_k, t.k, tolerance);
      ops_fixture_clean(NULL);
    }
  }
}

/// What op_rope leaves, in a cache's rows; the cache's other rows stay.
static void rope_keys(void **state) {
  (void)state;
  for (size_t i = 0; i < ROPE_DIMS; i++) {
    for (size_t heads = 1; heads <= 9; heads += 4) {
      Turned t = make_turned(rope_dims[i], heads);
      size_t M = t.M, C = t.kv_heads * t.D, rows = M + 7;
      double *v = fixture_random(M * C, 1), *cache_k = fixture_random(rows * C, 1),
             *cache_v = fixture_random(rows * C, 1);
      Tensor *dev_v = fixture_f32(M, C, v), *dev_cache_k = fixture_f32(rows, C, cache_k),
             *dev_cache_v = fixture_f32(rows, C, cache_v);
      int32_t *numbers = fixture_ints(M);
      for (size_t m = 0; m < M; m++) {
        numbers[m] = (int32_t)(rows - 1 - m);
        memcpy(cache_k + (size_t)numbers[m] * C, t.turned_k + m * C, C * sizeof *v);
        memcpy(cache_v + (size_t)numbers[m] * C, v + m * C, C * sizeof *v);
      }
      const StoredKeys keys = {dev_cache_k, dev_cache_v, t.dev_k, dev_v, fixture_i32(1, M, numbers)};
      assert_ok(op_rope_keys(t.dev_q, &keys, t.dev_positions, t.dev_freq, t.D));
      fixture_compare("rope_keys q", t.dev_q, t.turned_q, turned_tolerance);
      fixture_compare("rope_keys keys", dev_cache_k, cache_k, turned_tolerance);
      fixture_compare("rope_keys values", dev_cache_v, cache_v, 0);
      fixture_compare("rope_keys k", t.dev_k, t.k, 0);
      ops_fixture_clean(NULL);
    }
  }
}

static void swiglu(void **state) {
  (void)state;
  EACH_SIZE(M, C) {
    size_t n = M * C;
    double *gate = fixture_random(n, 9), *up = fixture_random(n, 1), *dout = fixture_random(n, 1);
    double *out = fixture_zeros(n), *dgate = fixture_zeros(n), *dup = fixture_zeros(n);
    Tensor *dev_gate = fixture_f32(M, C, gate), *dev_up = fixture_f32(M, C, up),
           *dev_out = fixture_f32(M, C, NULL);
    Tensor *dev_dgate = fixture_f32(M, C, NULL), *dev_dup = fixture_f32(M, C, NULL),
           *dev_dout = fixture_f32(M, C, dout);
    assert_ok(op_swiglu(dev_out, dev_gate, dev_up));
    ref_swiglu(out, gate, up, n);
    fixture_compare("swiglu", dev_out, out, tolerance);
    assert_ok(op_swiglu_backward(dev_dgate, dev_dup, dev_dout, dev_gate, dev_up));
    ref_swiglu_backward(dgate, dup, dout, gate, up, n);
    fixture_compare("swiglu_backward dgate", dev_dgate, dgate, tolerance);
    fixture_compare("swiglu_backward dup", dev_dup, dup, tolerance);
    assert_ok(op_swiglu_backward(dev_gate, dev_up, dev_dout, dev_gate, dev_up));
    fixture_compare("swiglu_backward dgate in place", dev_gate, dgate, tolerance);
    fixture_compare("swiglu_backward dup in place", dev_up, dup, tolerance);
  }
}

/// Far from 0 the sigmoid is 0 or 1 and nothing overflows.
static void swiglu_extremes(void **state) {
  (void)state;
  const double gate[6] = {-1e30, -200, -88, 88, 200, 1e30}, up[6] = {1, 1, 1, 1, 1, 1};
  double expected[6], dgate[6] = {0, 0, 0, 1, 1, 1}, dup[6];
  for (int i = 0; i < 6; i++) expected[i] = dup[i] = i < 3 ? 0 : gate[i];
  Tensor *out = fixture_f32(1, 6, NULL), *dev_dgate = fixture_f32(1, 6, NULL),
         *dev_dup = fixture_f32(1, 6, NULL);
  Tensor *dev_gate = fixture_f32(1, 6, gate), *dev_up = fixture_f32(1, 6, up);
  assert_ok(op_swiglu(out, dev_gate, dev_up));
  fixture_compare("swiglu", out, expected, tolerance);
  assert_ok(op_swiglu_backward(dev_dgate, dev_dup, dev_up, dev_gate, dev_up));
  fixture_compare("swiglu_backward dgate", dev_dgate, dgate, tolerance);
  fixture_compare("swiglu_backward dup", dev_dup, dup, tolerance);
}

static void add(void **state) {
  (void)state;
  EACH_SIZE(M, C) {
    size_t n = M * C;
    double *a = fixture_random(n, 1), *b = fixture_random(n, 1), *sum = fixture_zeros(n);
    for (size_t i = 0; i < n; i++) sum[i] = a[i] + b[i];
    Tensor *dev_a = fixture_f32(M, C, a), *dev_b = fixture_f32(M, C, b), *out = fixture_f32(M, C, NULL);
    assert_ok(op_add(out, dev_a, dev_b));
    fixture_compare("add", out, sum, tolerance);
    assert_ok(op_add(dev_a, dev_a, dev_b));
    fixture_compare("add into a", dev_a, sum, tolerance);
  }
}

static void rows(void **state) {
  (void)state;
  EACH_SIZE(R, C) {
    size_t M = R + 7;
    double *many = fixture_random(M * C, 1), *few = fixture_random(R * C, 1),
           *gathered = fixture_zeros(R * C);
    double *stored = fixture_zeros(M * C), *added = fixture_zeros(M * C);
    int32_t *numbers = fixture_ints(R);
    for (size_t i = 0; i < M * C; i++) stored[i] = added[i] = many[i];
    for (size_t r = 0; r < R; r++) {
      numbers[r] = (int32_t)(M - 1 - r);
      for (size_t c = 0; c < C; c++) {
        size_t at = (size_t)numbers[r] * C + c;
        gathered[r * C + c] = many[at];
        stored[at] = few[r * C + c];
        added[at] += few[r * C + c];
      }
    }
    Tensor *dev_many = fixture_f32(M, C, many), *dev_few = fixture_f32(R, C, few),
           *dev_rows = fixture_i32(1, R, numbers);
    Tensor *out = fixture_f32(R, C, NULL), *dev_stored = fixture_f32(M, C, many);
    assert_ok(op_gather_rows(out, dev_many, dev_rows));
    fixture_compare("gather_rows", out, gathered, 0);
    assert_ok(op_store_rows(dev_stored, dev_few, dev_rows));
    fixture_compare("store_rows", dev_stored, stored, 0);
    assert_ok(op_scatter_add_rows(dev_many, dev_few, dev_rows));
    fixture_compare("scatter_add_rows", dev_many, added, tolerance);
  }
}

/// A wrong shape or type is a failure that names the operation and the tensor.
static void refuses_wrong_shapes(void **state) {
  (void)state;
  Tensor *a = fixture_f32(3, 5, NULL), *b = fixture_f32(3, 4, NULL),
         *ids = fixture_i32(1, 3, (int32_t[]){0, 0, 0});
  assert_fails(op_add(a, a, b), STATUS_FAILED, "op_add: b is [3, 4], needs [3, 5]");
  assert_fails(op_gather_rows(a, a, b), STATUS_FAILED, "op_gather_rows: rows is F32, needs I32");
  assert_fails(op_rope(a, a, ids, fixture_f32(1, 1, NULL), 2, 1), STATUS_FAILED, "op_rope: 5 columns");
  assert_fails(op_rope(b, a, ids, fixture_f32(1, 1, NULL), 2, 1), STATUS_FAILED, "op_rope: 5 columns");
  const StoredKeys keys = {b, a, b, b, ids};
  assert_fails(op_rope_keys(b, &keys, ids, fixture_f32(1, 1, NULL), 2), STATUS_FAILED,
               "op_rope_keys: cache_v is [3, 5], needs [3, 4]");
  assert_fails(op_add_rmsnorm(a, a, fixture_f32(1, 3, NULL), a, b, fixture_f32(1, 5, NULL), 1e-5f),
               STATUS_FAILED, "op_add_rmsnorm: b is [3, 4], needs [3, 5]");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(embed),
      OPS_TEST(embed_halves),
      OPS_TEST(rmsnorm),
      OPS_TEST(add_rmsnorm),
      OPS_TEST(rope),
      OPS_TEST(rope_keys),
      OPS_TEST(swiglu),
      OPS_TEST(swiglu_extremes),
      OPS_TEST(add),
      OPS_TEST(rows),
      OPS_TEST(refuses_wrong_shapes),
  };
  return RUN_OPS_TESTS(tests);
}
