// Self-test of a layer's operations: rows, norms, rotary embedding, attention, elementwise.
#include "selftest.h"

#include "ref/ref.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { M = 5, N = 33, C = 257 };

// ---- rows ----

static const int32_t row_numbers[M] = {3, 0, 6, 1, 5};

static Status check_embed(Probe *p) {
  static const int32_t ids[M] = {2, 0, 2, 6, 2};
  double *table = draw(p, 7 * N, 1), *out = draw(p, M * N, 0);
  Tensor *dev_ids = device_i32(p, 1, M, ids);
  static const DType types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
  for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
    Tensor *dev_table = device_rounded(p, types[t], 7, N, table);
    Tensor *dev_out = device_f32(p, M, N, NULL);
    TRY(p->status);
    TRY(op_embed(dev_out, dev_table, dev_ids));
    ref_embed(out, table, ids, M, N);
    TRY(expect(p, dev_out, out));
  }
  return STATUS_OK;
}

static Status check_embed_backward(Probe *p) {
  static const int32_t ids[M] = {2, 0, 2, 6, 2}, order[M] = {1, 0, 2, 4, 3};
  double *table = draw(p, 7 * N, 1), *dout = draw(p, M * N, 1);
  Tensor *dev_table = device_f32(p, 7, N, table), *dev_dout = device_f32(p, M, N, dout);
  Tensor *dev_ids = device_i32(p, 1, M, ids), *dev_order = device_i32(p, 1, M, order);
  TRY(p->status);
  TRY(op_embed_backward(dev_table, dev_dout, dev_ids, dev_order));
  ref_embed_backward(table, dout, ids, M, N);
  return expect(p, dev_table, table);
}

static Status check_gather_rows(Probe *p) {
  double *x = draw(p, 7 * N, 1), *out = draw(p, M * N, 0);
  Tensor *dev_out = device_f32(p, M, N, NULL), *dev_x = device_f32(p, 7, N, x);
  Tensor *dev_rows = device_i32(p, 1, M, row_numbers);
  TRY(p->status);
  TRY(op_gather_rows(dev_out, dev_x, dev_rows));
  ref_embed(out, x, row_numbers, M, N);
  return expect(p, dev_out, out);
}

/// op_scatter_add_rows if `add`, else op_store_rows.
static Status check_rows_into(Probe *p, bool add) {
  double *x = draw(p, M * N, 1), *out = draw(p, 7 * N, 1);
  Tensor *dev_out = device_f32(p, 7, N, out), *dev_x = device_f32(p, M, N, x);
  Tensor *dev_rows = device_i32(p, 1, M, row_numbers);
  TRY(p->status);
  TRY(add ? op_scatter_add_rows(dev_out, dev_x, dev_rows) : op_store_rows(dev_out, dev_x, dev_rows));
  for (size_t i = 0; i < M * N; i++) {
    double *to = &out[(size_t)row_numbers[i / N] * N + i % N];
    *to = add ? *to + x[i] : x[i];
  }
  return expect(p, dev_out, out);
}
static Status check_store_rows(Probe *p) {
  return check_rows_into(p, false);
}
static Status check_scatter_add_rows(Probe *p) {
  return check_rows_into(p, true);
}

// ---- norm and rotary embedding ----

static Status check_rmsnorm(Probe *p) {
  double *x = draw(p, M * C, 2), *w = draw(p, C, 1), *out = draw(p, M * C, 0), *rstd = draw(p, M, 0);
  Tensor *dev_out = device_f32(p, M, C, NULL), *dev_rstd = device_f32(p, 1, M, NULL);
  Tensor *dev_x = device_f32(p, M, C, x), *dev_w = device_f32(p, 1, C, w);
  TRY(p->status);
  TRY(op_rmsnorm(dev_out, dev_rstd, dev_x, dev_w, 1e-5f));
  ref_rmsnorm(out, rstd, x, w, M, C, 1e-5);
  TRY(expect(p, dev_rstd, rstd));
  return expect(p, dev_out, out);
}

static Status check_add_rmsnorm(Probe *p) {
  double *a = draw(p, M * C, 2), *b = draw(p, M * C, 2), *w = draw(p, C, 1), *sum = draw(p, M * C, 0);
  double *out = draw(p, M * C, 0), *rstd = draw(p, M, 0);
  Tensor *dev_sum = device_f32(p, M, C, NULL), *dev_rstd = device_f32(p, 1, M, NULL);
  Tensor *dev_a = device_f32(p, M, C, a), *dev_b = device_f32(p, M, C, b), *dev_w = device_f32(p, 1, C, w);
  TRY(p->status);
  TRY(op_add_rmsnorm(dev_sum, dev_b, dev_rstd, dev_a, dev_b, dev_w, 1e-5f));
  for (size_t i = 0; i < M * C; i++) sum[i] = a[i] + b[i];
  ref_rmsnorm(out, rstd, sum, w, M, C, 1e-5);
  TRY(expect(p, dev_sum, sum));
  TRY(expect(p, dev_rstd, rstd));
  return expect(p, dev_b, out);
}

static Status check_rmsnorm_backward(Probe *p) {
  double *x = draw(p, M * C, 2), *w = draw(p, C, 1), *dout = draw(p, M * C, 1), *rstd = draw(p, M, 0);
  double *dx = draw(p, M * C, 1), *dw = draw(p, C, 1), *unused = draw(p, M * C, 0);
  ref_rmsnorm(unused, rstd, x, w, M, C, 1e-5);
  Tensor *dev_dx = device_f32(p, M, C, dx), *dev_dw = device_f32(p, 1, C, dw),
         *dev_dout = device_f32(p, M, C, dout);
  Tensor *dev_x = device_f32(p, M, C, x), *dev_w = device_f32(p, 1, C, w),
         *dev_rstd = device_f32(p, 1, M, rstd);
  TRY(p->status);
  TRY(op_rmsnorm_backward(dev_dx, dev_dw, dev_dout, dev_x, dev_w, dev_rstd));
  ref_rmsnorm_backward(dx, dw, dout, x, w, rstd, M, C);
  TRY(expect(p, dev_dx, dx));
  return expect(p, dev_dw, dw);
}

enum { HEADS = 3, KV_HEADS = 2, D = 38 };

/// Queries and keys, and what turns them.
typedef struct RopeProbe {
  double *q, *k, *inv_freq;
  Tensor *dev_q, *dev_k, *dev_positions, *dev_freq;
} RopeProbe;

static const int32_t rope_positions[M] = {0, 1, 2, 30, 77};

static RopeProbe make_rope(Probe *p) {
  RopeProbe r = {
      .q = draw(p, M * HEADS * D, 1), .k = draw(p, M * KV_HEADS * D, 1), .inv_freq = draw(p, D / 2, 0)};
  for (size_t i = 0; i < D / 2; i++) r.inv_freq[i] = (double)(float)pow(10000, -2.0 * (double)i / D);
  r.dev_q = device_f32(p, M, HEADS * D, r.q);
  r.dev_k = device_f32(p, M, KV_HEADS * D, r.k);
  r.dev_positions = device_i32(p, 1, M, rope_positions);
  r.dev_freq = device_f32(p, 1, D / 2, r.inv_freq);
  return r;
}

static void turn(const RopeProbe *r) {
  ref_rope(r->q, rope_positions, r->inv_freq, M, HEADS, D, 1);
  ref_rope(r->k, rope_positions, r->inv_freq, M, KV_HEADS, D, 1);
}

static Status check_rope(Probe *p) {
  RopeProbe r = make_rope(p);
  TRY(p->status);
  TRY(op_rope(r.dev_q, r.dev_k, r.dev_positions, r.dev_freq, D, 1));
  turn(&r);
  TRY(expect(p, r.dev_q, r.q));
  return expect(p, r.dev_k, r.k);
}

static Status check_rope_keys(Probe *p) {
  enum { WIDTH = KV_HEADS * D };
  RopeProbe r = make_rope(p);
  double *v = draw(p, M * WIDTH, 1), *cache_k = draw(p, 7 * WIDTH, 1), *cache_v = draw(p, 7 * WIDTH, 1);
  Tensor *dev_v = device_f32(p, M, WIDTH, v), *dev_rows = device_i32(p, 1, M, row_numbers);
  Tensor *dev_cache_k = device_f32(p, 7, WIDTH, cache_k), *dev_cache_v = device_f32(p, 7, WIDTH, cache_v);
  TRY(p->status);
  const StoredKeys keys = {dev_cache_k, dev_cache_v, r.dev_k, dev_v, dev_rows};
  TRY(op_rope_keys(r.dev_q, &keys, r.dev_positions, r.dev_freq, D));
  turn(&r);
  for (size_t i = 0; i < M * WIDTH; i++) {
    size_t to = (size_t)row_numbers[i / WIDTH] * WIDTH + i % WIDTH;
    cache_k[to] = r.k[i];
    cache_v[to] = v[i];
  }
  TRY(expect(p, r.dev_q, r.q));
  TRY(expect(p, dev_cache_k, cache_k));
  return expect(p, dev_cache_v, cache_v);
}

// ---- attention ----

/// Two prompts, then an answer to each, in this order; `lengths` are their rows.
typedef struct Packing {
  size_t lengths[4], rows;
  AttentionShape shape;
} Packing;

static const Packing short_rows = {{9, 1, 9, 2}, 21, {6, 2, 40, 0.25f}};
/// Spans over many tiles of keys, as training has them.
static const Packing long_rows = {{120, 17, 41, 26}, 204, {6, 2, 40, 0.25f}};

static void fill_spans(const Packing *packing, int32_t *spans, int32_t *key_spans) {
  int32_t begins[5] = {0};
  for (size_t part = 0; part < 4; part++) begins[part + 1] = begins[part] + (int32_t)packing->lengths[part];
  for (int32_t row = 0, part = 0; row < (int32_t)packing->rows; row++) {
    while (row >= begins[part + 1]) part++;
    bool answer = part >= 2;
    int32_t prompt = answer ? part - 2 : 0, child = answer ? 0 : part + 2;
    const int32_t span[4] = {answer ? begins[prompt] : 0, answer ? begins[prompt + 1] : 0, begins[part],
                             row + 1};
    const int32_t key[4] = {row, begins[part + 1], answer ? 0 : begins[child],
                            answer ? 0 : begins[child + 1]};
    for (int32_t i = 0; i < 4; i++) {
      spans[4 * row + i] = span[i];
      key_spans[4 * row + i] = key[i];
    }
  }
}

/// Operands on the device, and the twin's. q, k and v are views of one tensor, in which they lie side by side
/// as one product would leave them.
typedef struct AttentionProbe {
  size_t queries, keys; // elements of q, and of k or v
  Tensor q, k, v;
  int32_t *span_rows; // [2 · rows, 4] spans, then key spans; owned
  RefAttention twin;
  Attention operands;
} AttentionProbe;

/// Writes the twin's q, k and v side by side into one tensor on the device, and makes the three views.
static void place_side_by_side(Probe *p, AttentionProbe *a) {
  const RefAttention *twin = &a->twin;
  size_t rows = twin->M, width = twin->heads * twin->D, kv_width = twin->kv_heads * twin->D;
  size_t whole = width + 2 * kv_width;
  double *all = draw(p, rows * whole, 0);
  for (size_t r = 0; r < rows && p->status == STATUS_OK; r++) {
    double *row = all + r * whole;
    memcpy(row, twin->q + r * width, width * sizeof *row);
    memcpy(row + width, twin->k + r * kv_width, kv_width * sizeof *row);
    memcpy(row + width + kv_width, twin->v + r * kv_width, kv_width * sizeof *row);
  }
  const Tensor *qkv = device_f32(p, rows, whole, all);
  a->q = tensor_columns(qkv, 0, width);
  a->k = tensor_columns(qkv, width, kv_width);
  a->v = tensor_columns(qkv, width + kv_width, kv_width);
}

/// Draws the inputs and runs the twin's forward. The caller frees a->span_rows, also after a failure.
static Status make_attention(Probe *p, const Packing *packing, AttentionProbe *a) {
  const AttentionShape *shape = &packing->shape;
  size_t rows = packing->rows;
  *a = (AttentionProbe){.queries = rows * shape->heads * shape->head_dim,
                        .keys = rows * shape->kv_heads * shape->head_dim};
  TRY(mem_array(&a->span_rows, 8 * rows, "selftest"));
  fill_spans(packing, a->span_rows, a->span_rows + 4 * rows);
  a->twin = (RefAttention){.M = rows,
                           .key_rows = rows,
                           .heads = shape->heads,
                           .kv_heads = shape->kv_heads,
                           .D = shape->head_dim,
                           .scale = (double)shape->scale,
                           .q = draw(p, a->queries, 2),
                           .k = draw(p, a->keys, 2),
                           .v = draw(p, a->keys, 1),
                           .spans = a->span_rows,
                           .out = draw(p, a->queries, 0),
                           .lse = draw(p, rows * shape->heads, 0)};
  place_side_by_side(p, a);
  a->operands = (Attention){
      .shape = *shape, .q = &a->q, .k = &a->k, .v = &a->v, .spans = device_i32(p, rows, 4, a->span_rows)};
  TRY(p->status);
  ref_attention(&a->twin);
  return STATUS_OK;
}

static Status run_forward(Probe *p, const Packing *packing, AttentionProbe *a) {
  TRY(make_attention(p, packing, a));
  Attention *operands = &a->operands;
  operands->out = device_f32(p, packing->rows, packing->shape.heads * packing->shape.head_dim, NULL);
  operands->lse = device_f32(p, packing->rows, packing->shape.heads, NULL);
  TRY(p->status);
  TRY(op_attention(operands));
  TRY(expect(p, operands->lse, a->twin.lse));
  return expect(p, operands->out, a->twin.out);
}

static Status run_backward(Probe *p, const Packing *packing, AttentionProbe *a) {
  TRY(make_attention(p, packing, a));
  RefAttention *twin = &a->twin;
  Attention *operands = &a->operands;
  size_t rows = packing->rows, heads = packing->shape.heads, width = heads * packing->shape.head_dim,
         kv_width = packing->shape.kv_heads * packing->shape.head_dim;
  double *dout = draw(p, a->queries, 1);
  twin->dout = dout;
  twin->dq = draw(p, a->queries, 0);
  twin->dk = draw(p, a->keys, 0);
  twin->dv = draw(p, a->keys, 0);
  TRY(p->status);
  ref_attention_backward(twin);
  operands->out = device_f32(p, rows, width, twin->out);
  operands->lse = device_f32(p, rows, heads, twin->lse);
  operands->dq = device_f32(p, rows, width, NULL);
  operands->dk = device_f32(p, rows, kv_width, NULL);
  operands->dv = device_f32(p, rows, kv_width, NULL);
  operands->delta = device_f32(p, rows, heads, NULL);
  operands->dout = device_f32(p, rows, width, dout);
  operands->key_spans = device_i32(p, rows, 4, a->span_rows + 4 * rows);
  TRY(p->status);
  TRY(op_attention_backward(operands));
  TRY(expect(p, operands->dq, twin->dq));
  TRY(expect(p, operands->dk, twin->dk));
  return expect(p, operands->dv, twin->dv);
}

static Status attention_forward_on(Probe *p, const Packing *packing) {
  AttentionProbe a = {0};
  Status status = run_forward(p, packing, &a);
  free(a.span_rows);
  return status;
}

static Status attention_backward_on(Probe *p, const Packing *packing) {
  AttentionProbe a = {0};
  Status status = run_backward(p, packing, &a);
  free(a.span_rows);
  return status;
}

static Status check_attention(Probe *p) {
  return attention_forward_on(p, &short_rows);
}
static Status check_attention_backward(Probe *p) {
  return attention_backward_on(p, &short_rows);
}
static Status check_long_attention(Probe *p) {
  return attention_forward_on(p, &long_rows);
}
static Status check_long_attention_backward(Probe *p) {
  return attention_backward_on(p, &long_rows);
}

// ---- elementwise ----

static Status check_add(Probe *p) {
  double *a = draw(p, M * N, 1), *b = draw(p, M * N, 1);
  Tensor *dev_a = device_f32(p, M, N, a), *dev_b = device_f32(p, M, N, b), *out = device_f32(p, M, N, NULL);
  TRY(p->status);
  TRY(op_add(out, dev_a, dev_b));
  for (size_t i = 0; i < M * N; i++) a[i] += b[i];
  return expect(p, out, a);
}

static Status check_swiglu(Probe *p) {
  double *gate = draw(p, M * N, 6), *up = draw(p, M * N, 1), *out = draw(p, M * N, 0);
  Tensor *dev_gate = device_f32(p, M, N, gate), *dev_up = device_f32(p, M, N, up),
         *dev_out = device_f32(p, M, N, NULL);
  TRY(p->status);
  TRY(op_swiglu(dev_out, dev_gate, dev_up));
  ref_swiglu(out, gate, up, M * N);
  return expect(p, dev_out, out);
}

static Status check_swiglu_backward(Probe *p) {
  double *gate = draw(p, M * N, 6), *up = draw(p, M * N, 1), *dout = draw(p, M * N, 1);
  double *dgate = draw(p, M * N, 0), *dup = draw(p, M * N, 0);
  Tensor *dev_gate = device_f32(p, M, N, gate), *dev_up = device_f32(p, M, N, up),
         *dev_dout = device_f32(p, M, N, dout);
  TRY(p->status);
  TRY(op_swiglu_backward(dev_gate, dev_up, dev_dout, dev_gate, dev_up));
  ref_swiglu_backward(dgate, dup, dout, gate, up, M * N);
  TRY(expect(p, dev_gate, dgate));
  return expect(p, dev_up, dup);
}

static Status check_dropout(Probe *p) {
  double *x = draw(p, M * N, 1), *out = draw(p, M * N, 0);
  Tensor *dev_x = device_f32(p, M, N, x), *dev_out = device_f32(p, M, N, NULL);
  Tensor *dev_ids = device_i32(p, 1, M, row_numbers);
  TRY(p->status);
  TRY(op_dropout(dev_out, dev_x, dev_ids, 0.25f, UINT64_C(0x123456789abcdef0), 7));
  ref_dropout(out, x, row_numbers, M, N, 0.25, UINT64_C(0x123456789abcdef0), 7);
  return expect(p, dev_out, out);
}

const SelfCheck layer_checks[] = {
    {"embed", check_embed, 0, CHECK_ALWAYS},
    {"embed_backward", check_embed_backward, 1e-6, CHECK_ALWAYS},
    {"gather_rows", check_gather_rows, 0, CHECK_ALWAYS},
    {"store_rows", check_store_rows, 0, CHECK_ALWAYS},
    {"scatter_add_rows", check_scatter_add_rows, 1e-6, CHECK_ALWAYS},
    {"rmsnorm", check_rmsnorm, 1e-6, CHECK_ALWAYS},
    {"add_rmsnorm", check_add_rmsnorm, 1e-6, CHECK_ALWAYS},
    {"rmsnorm_backward", check_rmsnorm_backward, 1e-5, CHECK_ALWAYS},
    {"rope", check_rope, 1e-5, CHECK_ALWAYS},
    {"rope_keys", check_rope_keys, 1e-5, CHECK_ALWAYS},
    {"attention", check_attention, 1e-5, CHECK_ALWAYS},
    {"attention_backward", check_attention_backward, 1e-5, CHECK_ALWAYS},
    {"attention, long spans", check_long_attention, 1e-5, CHECK_DEEP},
    {"attention_backward, long spans", check_long_attention_backward, 1e-5, CHECK_DEEP},
    {"add", check_add, 1e-6, CHECK_ALWAYS},
    {"swiglu", check_swiglu, 1e-6, CHECK_ALWAYS},
    {"swiglu_backward", check_swiglu_backward, 1e-6, CHECK_ALWAYS},
    {"dropout", check_dropout, 1e-6, CHECK_ALWAYS},
    {0},
};
