// Known answers: every operation at small odd sizes on the device, against its double-precision twin. Runs in a moment, so
// that it can run before real work: a driver that miscompiles a kernel is found here and not in a ruined training run.
#include "ops/ops.h"
#include "ref/ref.h"
#include "util/half.h"
#include "util/memory.h"
#include "util/rng.h"
#include <math.h>
#include <stdlib.h>

enum { POOL = 1 << 16, MAX_TENSORS = 16 };

/// What one operation's check uses; emptied before the next. A failure while making tensors is kept in `status`.
typedef struct Probe {
  Ops *ops;
  Status status;
  double *pool;  // [POOL]
  float *floats; // [POOL] on the way to and from the device
  size_t used;
  Tensor tensors[MAX_TENSORS];
  size_t tensor_count;
  double error; // largest relative error found
} Probe;

/// `count` random numbers in [−scale, scale) that float32 holds exactly.
static double *draw(Probe *probe, size_t count, double scale) {
  if (probe->used + count > POOL) {
    probe->status = status_fail(STATUS_FAILED, "selftest: the pool of numbers is too small");
    return probe->pool;
  }
  double *numbers = probe->pool + probe->used;
  for (size_t i = 0; i < count; i++) {
    float uniform = rng_uniform(probe->used, RNG_DATA, (uint32_t)i, 1, 2);
    numbers[i] = (double)(float)(scale * (2 * (double)uniform - 1));
  }
  probe->used += count;
  return numbers;
}

static Tensor *create(Probe *probe, DType type, size_t rows, size_t cols, const void *values) {
  Tensor *tensor = &probe->tensors[probe->tensor_count % MAX_TENSORS];
  if (probe->status != STATUS_OK) return tensor;
  probe->status = tensor_create(probe->ops, "selftest", MEMORY_ACTIVATIONS, type, rows, cols, tensor);
  if (probe->status != STATUS_OK) return tensor;
  probe->tensor_count++;
  probe->status = tensor_write(tensor, 0, rows * cols, values);
  return tensor;
}

/// A float32 tensor of these numbers; of NaN where `values` is NULL, so that an output not written is seen.
static Tensor *device_f32(Probe *probe, size_t rows, size_t cols, const double *values) {
  for (size_t i = 0; i < rows * cols; i++) probe->floats[i] = values != NULL ? (float)values[i] : NAN;
  return create(probe, DTYPE_F32, rows, cols, probe->floats);
}

static Tensor *device_i32(Probe *probe, size_t rows, size_t cols, const int32_t *values) {
  return create(probe, DTYPE_I32, rows, cols, values);
}

/// Rounds `values` to 16 bits, in place too, and puts them on the device.
static Tensor *device_16(Probe *probe, DType type, size_t rows, size_t cols, double *values) {
  uint16_t *bits = (uint16_t *)probe->floats;
  for (size_t i = 0; i < rows * cols; i++) {
    bits[i] = type == DTYPE_F16 ? half_from_float((float)values[i]) : bfloat_from_float((float)values[i]);
    values[i] = (double)(type == DTYPE_F16 ? half_to_float(bits[i]) : bfloat_to_float(bits[i]));
  }
  return create(probe, type, rows, cols, bits);
}

/// Reads the tensor and keeps its relative L2 error if that is the largest (or not a number).
static Status expect(Probe *probe, const Tensor *tensor, const double *expected) {
  size_t count = tensor->rows * tensor->cols;
  double difference = 0, norm = 0;
  TRY(tensor_read(tensor, 0, count, probe->floats));
  for (size_t i = 0; i < count; i++) {
    double off = (double)probe->floats[i] - expected[i];
    difference += off * off;
    norm += expected[i] * expected[i];
  }
  double error = sqrt(difference / (norm > 0 ? norm : 1));
  if (!(error <= probe->error)) probe->error = error;
  return STATUS_OK;
}

// ---- linear: M, N, K odd ----

enum { M = 5, N = 33, K = 67 };

static Status check_linear(Probe *p) {
  double *x = draw(p, M * K, 1), *w = draw(p, N * K, 1), *out = draw(p, M * N, 1);
  for (int type = DTYPE_F32; type <= DTYPE_BF16; type++) {
    Tensor *dev_w = type == DTYPE_F32 ? device_f32(p, N, K, w) : device_16(p, (DType)type, N, K, w);
    Tensor *dev_out = device_f32(p, M, N, out), *dev_x = device_f32(p, M, K, x);
    TRY(p->status);
    TRY(op_linear(dev_out, dev_x, dev_w, 0.5f, 2.0f));
    ref_linear(out, x, w, M, N, K, 0.5, 2);
    TRY(expect(p, dev_out, out));
  }
  return STATUS_OK;
}

static Status check_linear_dx(Probe *p) {
  double *dout = draw(p, M * N, 1), *w = draw(p, N * K, 1), *dx = draw(p, M * K, 1);
  Tensor *dev_dx = device_f32(p, M, K, dx), *dev_dout = device_f32(p, M, N, dout),
         *dev_w = device_f32(p, N, K, w);
  TRY(p->status);
  TRY(op_linear_dx(dev_dx, dev_dout, dev_w, 0.5f, 2.0f));
  ref_linear_dx(dx, dout, w, M, N, K, 0.5, 2);
  return expect(p, dev_dx, dx);
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

// ---- rows ----

static const int32_t row_numbers[M] = {3, 0, 6, 1, 5};

static Status check_embed(Probe *p) {
  static const int32_t ids[M] = {2, 0, 2, 6, 2};
  double *table = draw(p, 7 * N, 1), *out = draw(p, M * N, 0);
  Tensor *dev_ids = device_i32(p, 1, M, ids);
  for (int type = DTYPE_F32; type <= DTYPE_BF16; type++) {
    Tensor *dev_table =
        type == DTYPE_F32 ? device_f32(p, 7, N, table) : device_16(p, (DType)type, 7, N, table);
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

/// Rows stored (add = false) or added.
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

// ---- norm, rotary embedding, attention ----

enum { C = 257 };

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

static Status check_rope(Probe *p) {
  enum { HEADS = 3, D = 38 };
  static const int32_t positions[M] = {0, 1, 2, 30, 77};
  double *x = draw(p, M * HEADS * D, 1), *inv_freq = draw(p, D / 2, 0);
  for (size_t i = 0; i < D / 2; i++) inv_freq[i] = (double)(float)pow(10000, -2.0 * (double)i / D);
  Tensor *dev_x = device_f32(p, M, HEADS * D, x), *dev_positions = device_i32(p, 1, M, positions);
  Tensor *dev_freq = device_f32(p, 1, D / 2, inv_freq);
  TRY(p->status);
  TRY(op_rope(dev_x, dev_positions, dev_freq, D, 1));
  ref_rope(x, positions, inv_freq, M, HEADS, D, 1);
  return expect(p, dev_x, x);
}

// Two prompts of 9 and 1 rows, an answer of 9 rows to the first and of 2 to the second.
enum { ROWS = 21, HEADS = 6, KV_HEADS = 2, D = 40 };
static const RefAttention attention_ref = {ROWS, ROWS, HEADS, KV_HEADS, D, 0.25};
static const AttentionShape attention_shape = {HEADS, KV_HEADS, D, 0.25f};

static void fill_spans(int32_t *spans, int32_t *key_spans) {
  static const int32_t begins[4] = {0, 9, 10, 19}, ends[4] = {9, 10, 19, 21};
  for (int32_t row = 0; row < ROWS; row++) {
    int part = row < 9 ? 0 : row < 10 ? 1 : row < 19 ? 2 : 3;
    bool answer = part >= 2;
    const int32_t span[4] = {answer ? begins[part - 2] : 0, answer ? ends[part - 2] : 0, begins[part],
                             row + 1};
    const int32_t key[4] = {row, ends[part], answer ? 0 : begins[part + 2], answer ? 0 : ends[part + 2]};
    for (int i = 0; i < 4; i++) {
      spans[4 * row + i] = span[i];
      key_spans[4 * row + i] = key[i];
    }
  }
}

static Status check_attention(Probe *p) {
  int32_t spans[4 * ROWS], key_spans[4 * ROWS];
  fill_spans(spans, key_spans);
  double *q = draw(p, ROWS * HEADS * D, 2), *k = draw(p, ROWS * KV_HEADS * D, 2),
         *v = draw(p, ROWS * KV_HEADS * D, 1);
  double *out = draw(p, ROWS * HEADS * D, 0), *lse = draw(p, ROWS * HEADS, 0);
  Tensor *dev_out = device_f32(p, ROWS, HEADS * D, NULL), *dev_lse = device_f32(p, ROWS, HEADS, NULL);
  Tensor *dev_q = device_f32(p, ROWS, HEADS * D, q), *dev_k = device_f32(p, ROWS, KV_HEADS * D, k);
  Tensor *dev_v = device_f32(p, ROWS, KV_HEADS * D, v), *dev_spans = device_i32(p, ROWS, 4, spans);
  TRY(p->status);
  TRY(op_attention(dev_out, dev_lse, dev_q, dev_k, dev_v, dev_spans, attention_shape));
  ref_attention(out, lse, q, k, v, spans, attention_ref);
  TRY(expect(p, dev_lse, lse));
  return expect(p, dev_out, out);
}

static Status check_attention_backward(Probe *p) {
  int32_t spans[4 * ROWS], key_spans[4 * ROWS];
  fill_spans(spans, key_spans);
  enum { Q = ROWS * HEADS * D, KV = ROWS * KV_HEADS * D };
  double *q = draw(p, Q, 2), *k = draw(p, KV, 2), *v = draw(p, KV, 1), *dout = draw(p, Q, 1);
  double *out = draw(p, Q, 0), *lse = draw(p, ROWS * HEADS, 0), *dq = draw(p, Q, 0), *dk = draw(p, KV, 0),
         *dv = draw(p, KV, 0);
  ref_attention(out, lse, q, k, v, spans, attention_ref);
  ref_attention_backward(dq, dk, dv, dout, q, k, v, out, lse, spans, attention_ref);
  Tensor *dev_q = device_f32(p, ROWS, HEADS * D, q), *dev_k = device_f32(p, ROWS, KV_HEADS * D, k);
  Tensor *dev_v = device_f32(p, ROWS, KV_HEADS * D, v), *dev_dout = device_f32(p, ROWS, HEADS * D, dout);
  Tensor *dev_out = device_f32(p, ROWS, HEADS * D, out), *dev_lse = device_f32(p, ROWS, HEADS, lse);
  Tensor *dev_dq = device_f32(p, ROWS, HEADS * D, NULL), *dev_dk = device_f32(p, ROWS, KV_HEADS * D, NULL);
  Tensor *dev_dv = device_f32(p, ROWS, KV_HEADS * D, NULL), *delta = device_f32(p, ROWS, HEADS, NULL);
  Tensor *dev_spans = device_i32(p, ROWS, 4, spans), *dev_key_spans = device_i32(p, ROWS, 4, key_spans);
  TRY(p->status);
  TRY(op_attention_backward(dev_dq, dev_dk, dev_dv, delta, dev_dout, dev_q, dev_k, dev_v, dev_out, dev_lse,
                            dev_spans, dev_key_spans, attention_shape));
  TRY(expect(p, dev_dq, dq));
  TRY(expect(p, dev_dk, dk));
  return expect(p, dev_dv, dv);
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

// ---- head ----

enum { V = 1031 };

static Status check_entropy(Probe *p) {
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0);
  Tensor *dev_logits = device_f32(p, M, V, logits), *dev_stats = device_f32(p, M, 2, NULL);
  TRY(p->status);
  TRY(op_entropy(dev_stats, dev_logits, 0.5f));
  ref_entropy(stats, logits, M, V, 0.5);
  return expect(p, dev_stats, stats);
}

static Status check_entropy_backward(Probe *p) {
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0), *weights = draw(p, M, 1),
         *gradient = draw(p, M * V, 0);
  ref_entropy(stats, logits, M, V, 1);
  Tensor *dev_logits = device_f32(p, M, V, logits), *dev_stats = device_f32(p, M, 2, stats);
  Tensor *dev_weights = device_f32(p, 1, M, weights);
  TRY(p->status);
  TRY(op_entropy_backward(dev_logits, dev_stats, dev_weights, 1.0f));
  ref_entropy_backward(gradient, logits, weights, M, V, 1);
  return expect(p, dev_logits, gradient);
}

static Status check_pick_logprob(Probe *p) {
  static const int32_t rows[3] = {0, 4, 2}, targets[3] = {V - 1, 0, 500};
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0), *expected = draw(p, 3, 0);
  ref_entropy(stats, logits, M, V, 0.5);
  Tensor *dev_logits = device_f32(p, M, V, logits), *dev_stats = device_f32(p, M, 2, stats);
  Tensor *dev_rows = device_i32(p, 1, 3, rows), *dev_targets = device_i32(p, 1, 3, targets),
         *out = device_f32(p, 1, 3, NULL);
  TRY(p->status);
  TRY(op_pick_logprob(out, dev_logits, dev_stats, dev_rows, dev_targets, 0.5f));
  for (size_t i = 0; i < 3; i++) expected[i] = logits[rows[i] * V + targets[i]] / 0.5 - stats[2 * rows[i]];
  return expect(p, out, expected);
}

/// uniforms[2 · i] and [2 · i + 1] = just inside both ends of a kept token's share, tokens[…] = that token: a token kept or
/// removed by mistake moves the ends.
static void sample_at_ends(double *uniforms, int32_t *tokens, const double *scores, size_t draws) {
  const double margin = 1e-5;
  double mass = 0;
  for (size_t i = 0; i < V; i++) mass += exp(scores[i]);
  for (size_t i = 0; i < draws / 2; i++) {
    size_t token = ref_draw(scores, V, (double)(2 * i + 1) / (double)draws);
    double before = 0, share = exp(scores[token]) / mass;
    for (size_t k = 0; k < token; k++) before += exp(scores[k]) / mass;
    uniforms[2 * i] = before + (share > 4 * margin ? margin : share / 2);
    uniforms[2 * i + 1] = before + share - (share > 4 * margin ? margin : share / 2);
    tokens[2 * i] = tokens[2 * i + 1] = (int32_t)token;
  }
}

static Status check_sample(Probe *p) {
  enum { WORDS = (V + 31) / 32, DRAWS = 8 };
  static const SampleShape shapes[] = {{0.5f, 0.95f, 0, 1.15f}, {1.0f, 0.8f, 20, 1.0f}, {0, 1.0f, 0, 100.0f}};
  double *logits = draw(p, DRAWS * V, 8), *scores = draw(p, V, 0), *uniforms = draw(p, DRAWS, 1);
  int32_t seen[DRAWS * WORDS], found[DRAWS], expected[DRAWS];
  for (size_t i = V; i < DRAWS * V; i++) logits[i] = logits[i - V];
  for (size_t i = 0; i < DRAWS * WORDS; i++) seen[i] = 0x7f7f7f7f;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    RefSample ref = {(double)shapes[s].temperature, (double)shapes[s].top_p,
                     (double)shapes[s].repetition_penalty, shapes[s].top_k};
    TRY(ref_warp(scores, logits, (const uint32_t *)seen, V, ref));
    sample_at_ends(uniforms, expected, scores, DRAWS);
    Tensor *dev_seen = device_i32(p, DRAWS, WORDS, seen), *dev_logits = device_f32(p, DRAWS, V, logits);
    Tensor *dev_uniforms = device_f32(p, 1, DRAWS, uniforms), *dev_tokens = device_i32(p, 1, DRAWS, expected);
    TRY(p->status);
    TRY(op_sample(dev_tokens, dev_seen, dev_logits, dev_uniforms, shapes[s]));
    TRY(tensor_read(dev_tokens, 0, DRAWS, found));
    for (size_t i = 0; i < DRAWS; i++) {
      if (found[i] != expected[i]) p->error = 1;
    }
  }
  return STATUS_OK;
}

// ---- optimiser ----

static Status check_adamw(Probe *p) {
  double *values = draw(p, N, 1), *m = draw(p, N, 0.1), *v = draw(p, N, 0), *grads = draw(p, N, 1);
  for (size_t i = 0; i < N; i++) v[i] = (double)(float)(m[i] * m[i]);
  Tensor *dev_values = device_f32(p, 1, N, values), *dev_m = device_f32(p, 1, N, m),
         *dev_v = device_f32(p, 1, N, v);
  Tensor *dev_grads = device_f32(p, 1, N, grads);
  TRY(p->status);
  TRY(op_adamw(dev_values, dev_m, dev_v, dev_grads, (AdamWShape){0.5, 0.9, 0.999, 0.1, 0.1, 3, 0.5}));
  ref_adamw(values, m, v, grads, N, (RefAdamW){0.5, 0.9, 0.999, 0.1, 0.1, 0.5, 3});
  TRY(expect(p, dev_values, values));
  TRY(expect(p, dev_m, m));
  return expect(p, dev_v, v);
}

static Status check_sum_squares(Probe *p) {
  enum { COUNT = 20011 };
  double *x = draw(p, COUNT, 1), expected = 0, found;
  Tensor *dev_x = device_f32(p, 1, COUNT, x);
  TRY(p->status);
  TRY(op_sum_squares(&found, dev_x));
  for (size_t i = 0; i < COUNT; i++) expected += x[i] * x[i];
  p->error = fabs(found - expected) / expected;
  return STATUS_OK;
}

static Status check_convert(Probe *p) {
  double *x = draw(p, N, 3);
  Tensor *dev_x = device_f32(p, 1, N, x), *back = device_f32(p, 1, N, NULL);
  for (int type = DTYPE_F16; type <= DTYPE_BF16; type++) {
    double *rounded = draw(p, N, 0), *zeros = draw(p, N, 0);
    for (size_t i = 0; i < N; i++) rounded[i] = x[i];
    Tensor *narrow = device_16(p, (DType)type, 1, N, zeros);
    (void)device_16(p, (DType)type, 1, N, rounded);
    TRY(p->status);
    TRY(op_convert(narrow, dev_x));
    TRY(op_convert(back, narrow));
    TRY(expect(p, back, rounded));
  }
  return STATUS_OK;
}

typedef struct Check {
  const char *operation;
  Status (*run)(Probe *probe);
  double tolerance;
} Check;

static const Check checks[] = {
    {"linear", check_linear, 1e-5},
    {"linear_dx", check_linear_dx, 1e-5},
    {"linear_dw", check_linear_dw, 1e-5},
    {"bias", check_bias, 1e-6},
    {"bias_backward", check_bias_backward, 1e-6},
    {"embed", check_embed, 0},
    {"embed_backward", check_embed_backward, 1e-6},
    {"rmsnorm", check_rmsnorm, 1e-6},
    {"rmsnorm_backward", check_rmsnorm_backward, 1e-5},
    {"rope", check_rope, 1e-5},
    {"attention", check_attention, 1e-5},
    {"attention_backward", check_attention_backward, 1e-5},
    {"add", check_add, 1e-6},
    {"swiglu", check_swiglu, 1e-6},
    {"swiglu_backward", check_swiglu_backward, 1e-6},
    {"gather_rows", check_gather_rows, 0},
    {"store_rows", check_store_rows, 0},
    {"scatter_add_rows", check_scatter_add_rows, 1e-6},
    {"dropout", check_dropout, 1e-6},
    {"entropy", check_entropy, 1e-5},
    {"entropy_backward", check_entropy_backward, 1e-4},
    {"pick_logprob", check_pick_logprob, 1e-6},
    {"sample", check_sample, 0},
    {"adamw", check_adamw, 1e-6},
    {"sum_squares", check_sum_squares, 1e-6},
    {"convert", check_convert, 0},
};

/// Runs one check and reports it; *failed = its operation where that is the first to be wrong.
static Status run_check(Probe *probe, const Check *check, SelftestReport report, void *user,
                        const char **failed) {
  probe->used = 0;
  probe->error = 0;
  probe->status = STATUS_OK;
  Status status = check->run(probe);
  while (probe->tensor_count > 0) tensor_free(&probe->tensors[--probe->tensor_count]);
  if (status != STATUS_OK) return status_context(status, "selftest of %s", check->operation);
  bool passed = probe->error <= check->tolerance;
  if (report != NULL) report(user, check->operation, probe->error, check->tolerance, passed);
  if (!passed && *failed == NULL) *failed = check->operation;
  return STATUS_OK;
}

Status ops_selftest(Ops *ops, SelftestReport report, void *user) {
  Probe probe = {.ops = ops};
  const char *failed = NULL;
  Status status = STATUS_OK;
  if (ops_is_plan(ops)) return STATUS_OK;
  TRY_CLEAN(mem_array(&probe.pool, POOL, "selftest"));
  TRY_CLEAN(mem_array(&probe.floats, POOL, "selftest"));
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
    TRY_CLEAN(run_check(&probe, &checks[i], report, user, &failed));
  }
  if (failed != NULL) {
    status = status_fail(STATUS_FAILED,
                         "selftest: %s gives wrong numbers on this device; run gee-cl selftest for all, "
                         "and try another device or driver",
                         failed);
  }
cleanup:
  free(probe.pool);
  free(probe.floats);
  return status;
}
