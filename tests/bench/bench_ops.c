// Times the operations at SmolLM2-135M's sizes (9 heads, 3 key/value heads of width 64, width 576,
// feed-forward 1,536, vocabulary 49,152) on the device that $GEE_TEST_DEVICE names. Not a test.
//
//   bench_ops [rows]      default 2,048 rows: 32 prompts of 32 rows, and answers that share them
//
// Each line has the best and the median time of several runs, and the rate in bytes per second, from the
// fewest bytes that the operation can move. While decoding, a row reads a prompt of 32 rows and 16 rows of
// its own.
#include "device/device.h"
#include "ops/ops.h"
#include "util/clock.h"
#include "util/memory.h"
#include "util/rng.h"
#include <stdio.h>
#include <stdlib.h>

enum {
  HEADS = 9,
  KV_HEADS = 3,
  HEAD_DIM = 64,
  WIDTH = 576,
  FFN = 1536,
  VOCAB = 49152,
  PROMPTS = 32,
  PROMPT_ROWS = 32,
  RUNS = 9
};
enum { HEAD_ROWS = 256, DECODE_ROWS = 64, PARAMETERS = 4 << 20 };

typedef struct Bench {
  Ops *ops;
  size_t rows;
  AttentionShape shape;
  Tensor x, y, w, rstd, q, k, v, out, dq, dk, dv, lse, delta, gate, up, hidden, logits, stats, weights;
  Tensor other, gradient, kl, pair_weights, head_rows;
  Tensor spans, key_spans, decode_spans, positions, inv_freq, tokens, seen, uniforms, values, m, v2, grads;
} Bench;

static Status fill(Tensor *tensor, uint64_t seed) {
  size_t count = tensor->rows * tensor->cols;
  float *values = NULL;
  TRY(mem_array(&values, count, "values"));
  for (size_t i = 0; i < count; i++) values[i] = 4 * rng_uniform(seed, RNG_DATA, (uint32_t)i, 0, 0) - 2;
  Status status = tensor_write(tensor, 0, count, values);
  free(values);
  return status;
}

/// Logits like a model's: bell-shaped with standard deviation 2.5, and one in each row is 12 higher.
static Status fill_logits(Tensor *tensor) {
  float *row = NULL;
  Status status = STATUS_OK;
  TRY(mem_array(&row, tensor->cols, "logits"));
  for (size_t r = 0; r < tensor->rows; r++) {
    for (size_t i = 0; i < tensor->cols; i++) {
      float sum = -2;
      for (uint32_t k = 0; k < 4; k++) sum += rng_uniform(r, RNG_DATA, (uint32_t)i, k, 1);
      row[i] = 4.33f * sum + (i == r ? 12 : 0);
    }
    TRY_CLEAN(tensor_write(tensor, r * tensor->cols, tensor->cols, row));
  }
cleanup:
  free(row);
  return status;
}

static Status make(Bench *bench, Tensor *tensor, size_t rows, size_t cols) {
  TRY(tensor_create(bench->ops, "bench", MEMORY_ACTIVATIONS, DTYPE_F32, rows, cols, tensor));
  return fill(tensor, rows * 31 + cols);
}

static Status make_ints(Bench *bench, Tensor *tensor, size_t rows, size_t cols, const int32_t *values) {
  TRY(tensor_create(bench->ops, "bench", MEMORY_ACTIVATIONS, DTYPE_I32, rows, cols, tensor));
  return tensor_write(tensor, 0, rows * cols, values);
}

/// The prompts first, then an answer to each; the answers share the remaining rows equally.
static Status make_spans(Bench *bench) {
  int32_t *spans = NULL, *key_spans = NULL, *positions = NULL, decode[4 * DECODE_ROWS];
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&spans, bench->rows * 4, "spans"));
  TRY_CLEAN(mem_array(&key_spans, bench->rows * 4, "spans"));
  TRY_CLEAN(mem_array(&positions, bench->rows, "positions"));
  int32_t share = (int32_t)(bench->rows / PROMPTS) - PROMPT_ROWS, answers = PROMPTS * PROMPT_ROWS;
  for (int32_t r = 0; r < (int32_t)bench->rows; r++) {
    bool in_prompt = r < answers;
    int32_t p = in_prompt ? r / PROMPT_ROWS : (r - answers) / share;
    int32_t prompt = p * PROMPT_ROWS, prompt_end = prompt + PROMPT_ROWS, own = answers + p * share;
    int32_t span[4] = {in_prompt ? 0 : prompt, in_prompt ? 0 : prompt_end, in_prompt ? prompt : own, r + 1};
    int32_t key[4] = {r, in_prompt ? prompt_end : own + share, in_prompt ? own : 0,
                      in_prompt ? own + share : 0};
    for (int i = 0; i < 4; i++) {
      spans[4 * r + i] = span[i];
      key_spans[4 * r + i] = key[i];
    }
    positions[r] = in_prompt ? r - prompt : PROMPT_ROWS + r - own;
  }
  for (int32_t r = 0; r < DECODE_ROWS; r++) { // two answers per prompt, each with its own cache rows
    int32_t prompt = r / 2 * PROMPT_ROWS, own = answers + r * (share / 2);
    int32_t span[4] = {prompt, prompt + PROMPT_ROWS, own, own + share / 2};
    for (int i = 0; i < 4; i++) decode[4 * r + i] = span[i];
  }
  TRY_CLEAN(make_ints(bench, &bench->spans, bench->rows, 4, spans));
  TRY_CLEAN(make_ints(bench, &bench->decode_spans, DECODE_ROWS, 4, decode));
  TRY_CLEAN(make_ints(bench, &bench->key_spans, bench->rows, 4, key_spans));
  TRY_CLEAN(make_ints(bench, &bench->positions, 1, bench->rows, positions));
cleanup:
  free(spans);
  free(key_spans);
  free(positions);
  return status;
}

/// What a divergence needs besides the logits: other logits, of which a row belongs to each of theirs.
static Status make_pairs(Bench *bench) {
  int32_t rows[HEAD_ROWS];
  for (int32_t r = 0; r < HEAD_ROWS; r++) rows[r] = r;
  TRY(make(bench, &bench->other, HEAD_ROWS, VOCAB));
  TRY(fill_logits(&bench->other));
  TRY(make(bench, &bench->gradient, HEAD_ROWS, VOCAB));
  TRY(make(bench, &bench->kl, 1, HEAD_ROWS));
  TRY(make(bench, &bench->pair_weights, HEAD_ROWS, 2));
  return make_ints(bench, &bench->head_rows, 1, HEAD_ROWS, rows);
}

static Status make_all(Bench *bench) {
  size_t M = bench->rows;
  TRY(make(bench, &bench->x, M, WIDTH));
  TRY(make(bench, &bench->y, M, WIDTH));
  TRY(make(bench, &bench->w, 1, WIDTH));
  TRY(make(bench, &bench->rstd, 1, M));
  TRY(make(bench, &bench->q, M, HEADS * HEAD_DIM));
  TRY(make(bench, &bench->out, M, HEADS * HEAD_DIM));
  TRY(make(bench, &bench->dq, M, HEADS * HEAD_DIM));
  TRY(make(bench, &bench->k, M, KV_HEADS * HEAD_DIM));
  TRY(make(bench, &bench->v, M, KV_HEADS * HEAD_DIM));
  TRY(make(bench, &bench->dk, M, KV_HEADS * HEAD_DIM));
  TRY(make(bench, &bench->dv, M, KV_HEADS * HEAD_DIM));
  TRY(make(bench, &bench->lse, M, HEADS));
  TRY(make(bench, &bench->delta, M, HEADS));
  TRY(make(bench, &bench->gate, M, FFN));
  TRY(make(bench, &bench->up, M, FFN));
  TRY(make(bench, &bench->hidden, M, FFN));
  TRY(make(bench, &bench->logits, HEAD_ROWS, VOCAB));
  TRY(fill_logits(&bench->logits));
  TRY(make(bench, &bench->stats, HEAD_ROWS, 2));
  TRY(make(bench, &bench->weights, 1, HEAD_ROWS));
  TRY(make_pairs(bench));
  TRY(make(bench, &bench->inv_freq, 1, HEAD_DIM / 2));
  TRY(make(bench, &bench->values, 1, PARAMETERS));
  TRY(make(bench, &bench->m, 1, PARAMETERS));
  TRY(make(bench, &bench->v2, 1, PARAMETERS));
  TRY(make(bench, &bench->grads, 1, PARAMETERS));
  TRY(tensor_zero(&bench->v2));
  TRY(make(bench, &bench->uniforms, 1, DECODE_ROWS));
  TRY(tensor_zero(&bench->uniforms));
  TRY(tensor_create(bench->ops, "tokens", MEMORY_ACTIVATIONS, DTYPE_I32, 1, DECODE_ROWS, &bench->tokens));
  TRY(tensor_create(bench->ops, "seen", MEMORY_ACTIVATIONS, DTYPE_I32, DECODE_ROWS, VOCAB / 32,
                    &bench->seen));
  return make_spans(bench);
}

static void free_all(Bench *bench) {
  Tensor *all[] = {&bench->x,
                   &bench->y,
                   &bench->w,
                   &bench->rstd,
                   &bench->q,
                   &bench->k,
                   &bench->v,
                   &bench->out,
                   &bench->dq,
                   &bench->dk,
                   &bench->dv,
                   &bench->lse,
                   &bench->delta,
                   &bench->gate,
                   &bench->up,
                   &bench->hidden,
                   &bench->logits,
                   &bench->stats,
                   &bench->spans,
                   &bench->key_spans,
                   &bench->positions,
                   &bench->weights,
                   &bench->inv_freq,
                   &bench->decode_spans,
                   &bench->tokens,
                   &bench->seen,
                   &bench->uniforms,
                   &bench->values,
                   &bench->m,
                   &bench->v2,
                   &bench->grads,
                   &bench->other,
                   &bench->gradient,
                   &bench->kl,
                   &bench->pair_weights,
                   &bench->head_rows};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) tensor_free(all[i]);
}

typedef Status (*Case)(Bench *bench);

static Status run_rmsnorm(Bench *b) {
  return op_rmsnorm(&b->y, &b->rstd, &b->x, &b->w, 1e-5f);
}
static Status run_rmsnorm_backward(Bench *b) {
  return op_rmsnorm_backward(&b->dq, NULL, &b->y, &b->x, &b->w, &b->rstd);
}
static Status run_rope(Bench *b) {
  return op_rope(&b->q, &b->k, &b->positions, &b->inv_freq, HEAD_DIM, 1);
}
static Attention operands(Bench *b) {
  return (Attention){.shape = b->shape,
                     .q = &b->q,
                     .k = &b->k,
                     .v = &b->v,
                     .spans = &b->spans,
                     .out = &b->out,
                     .lse = &b->lse,
                     .dq = &b->dq,
                     .dk = &b->dk,
                     .dv = &b->dv,
                     .delta = &b->delta,
                     .dout = &b->y,
                     .key_spans = &b->key_spans};
}
static Status run_attention(Bench *b) {
  Attention attention = operands(b);
  return op_attention(&attention);
}
static Status run_attention_backward(Bench *b) {
  Attention attention = operands(b);
  return op_attention_backward(&attention);
}
static Status run_attention_decode(Bench *b) {
  Tensor q = tensor_rows(&b->q, 0, DECODE_ROWS), out = tensor_rows(&b->out, 0, DECODE_ROWS);
  Attention attention = operands(b);
  attention.q = &q;
  attention.spans = &b->decode_spans;
  attention.out = &out;
  attention.lse = NULL;
  return op_attention(&attention);
}
static Status run_sample(Bench *b) {
  Tensor logits = tensor_rows(&b->logits, 0, DECODE_ROWS);
  return op_sample(&b->tokens, &b->seen, &logits, &b->uniforms, (SampleShape){0.5f, 0.95f, 0, 1.15f});
}
static Status run_adamw(Bench *b) {
  return op_adamw(&b->values, &b->m, &b->v2, &b->grads, (AdamWShape){1e-5, 0.9, 0.999, 1e-8, 0.01, 10, 1});
}
static Status run_swiglu(Bench *b) {
  return op_swiglu(&b->hidden, &b->gate, &b->up);
}
static Status run_swiglu_backward(Bench *b) {
  return op_swiglu_backward(&b->gate, &b->up, &b->hidden, &b->gate, &b->up);
}
static Status run_add(Bench *b) {
  return op_add(&b->y, &b->y, &b->x);
}
static Status run_entropy(Bench *b) {
  return op_entropy(&b->stats, &b->logits, 1.0f);
}
static Divergence pairs_of(const Bench *b) {
  return (Divergence){&b->logits, &b->stats, &b->head_rows, &b->other, &b->stats, 1.0f};
}
static Status run_divergence(Bench *b) {
  Divergence pairs = pairs_of(b);
  return op_divergence(&b->kl, &pairs);
}
static Status run_divergence_backward(Bench *b) {
  Divergence pairs = pairs_of(b);
  return op_divergence_backward(&b->gradient, &b->kl, &b->pair_weights, &pairs);
}
static Status run_entropy_backward(Bench *b) {
  return op_entropy_backward(&b->logits, &b->stats, &b->weights, 1.0f);
}

static int by_time(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static Status time_case(Bench *bench, const char *name, Case run, double bytes) {
  double seconds[RUNS];
  for (int i = -1; i < RUNS; i++) { // the first run warms up
    TRY(ops_finish(bench->ops));
    double start = clock_seconds();
    TRY(run(bench));
    TRY(ops_finish(bench->ops));
    if (i >= 0) seconds[i] = clock_seconds() - start;
  }
  qsort(seconds, RUNS, sizeof *seconds, by_time);
  (void)printf("%-24s %9.3f ms %9.3f ms %8.1f GB/s\n", name, 1e3 * seconds[0], 1e3 * seconds[RUNS / 2],
               1e-9 * bytes / seconds[0]);
  return STATUS_OK;
}

static Status bench_all(Bench *bench) {
  double M = (double)bench->rows, row = 4.0 * WIDTH, wide = 4.0 * FFN, head = 4.0 * VOCAB * HEAD_ROWS;
  double heads = 4.0 * M * HEADS * HEAD_DIM, kv = 4.0 * M * KV_HEADS * HEAD_DIM;
  TRY(make_all(bench));
  (void)printf("%zu rows, entropy over %d rows\n%-24s %12s %12s\n", bench->rows, HEAD_ROWS, "", "best",
               "median");
  TRY(time_case(bench, "rmsnorm", run_rmsnorm, 2 * M * row));
  TRY(time_case(bench, "rmsnorm backward", run_rmsnorm_backward, 4 * M * row));
  TRY(time_case(bench, "rope", run_rope, 2 * heads));
  TRY(time_case(bench, "attention", run_attention, 2 * heads + 2 * kv));
  TRY(time_case(bench, "attention backward", run_attention_backward, 4 * heads + 4 * kv));
  TRY(time_case(bench, "attention, 64 decoding", run_attention_decode,
                2 * 4.0 * KV_HEADS * HEAD_DIM * DECODE_ROWS * 48));
  TRY(time_case(bench, "sample 64", run_sample, head * DECODE_ROWS / HEAD_ROWS));
  TRY(time_case(bench, "adamw, 4 Mi", run_adamw, 7 * 4.0 * PARAMETERS));
  TRY(time_case(bench, "add", run_add, 3 * M * row));
  TRY(time_case(bench, "swiglu", run_swiglu, 3 * M * wide));
  TRY(time_case(bench, "swiglu backward", run_swiglu_backward, 5 * M * wide));
  TRY(time_case(bench, "entropy", run_entropy, head));
  TRY(time_case(bench, "divergence", run_divergence, 2 * head));
  TRY(time_case(bench, "divergence backward", run_divergence_backward, 4 * head));
  return time_case(bench, "entropy backward", run_entropy_backward, 2 * head);
}

int main(int argc, char **argv) {
  Bench bench = {.rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 2048,
                 .shape = {HEADS, KV_HEADS, HEAD_DIM, 0.125f}};
  DeviceOptions options = {.name = getenv("GEE_TEST_DEVICE")};
  Device *device = NULL;
  if (bench.rows < PROMPTS * (PROMPT_ROWS + 1)) {
    (void)fprintf(stderr, "needs at least %d rows\n", PROMPTS * (PROMPT_ROWS + 1));
    return 2;
  }
  Status status = device_open(&options, &device);
  if (status == STATUS_OK) {
    (void)printf("%s, %s\n", device_info(device)->platform, device_info(device)->name);
    status = ops_create(device, "auto", &bench.ops);
  }
  if (status == STATUS_OK) status = bench_all(&bench);
  if (status != STATUS_OK) (void)fprintf(stderr, "%s\n", status_message());
  free_all(&bench);
  ops_free(bench.ops);
  device_close(device);
  return (int)status;
}
