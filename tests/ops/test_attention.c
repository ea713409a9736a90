// Attention over spans against its twin: shared prompts, unshared text, a cache with one span per row, the
// model families' head shapes and odd ones. A row's result must not depend on the rows beside it.
#include "support/ops_fixture.h"

#include "attention.h"
#include "context.h"
#include "ref/ref.h"
#include <math.h>
#include <string.h>

static const double tolerance = 2e-6;
/// The kernel family under test. Every test runs with the GPU family, and on a CPU device with both families.
static const KernelFamily *family;

/// Spans and key spans as the batches of `model` make them.
typedef struct Layout {
  size_t rows;
  int32_t *spans, *key_spans;
} Layout;

static void set_row(int32_t *row, size_t a, size_t b, size_t c, size_t d) {
  row[0] = (int32_t)a;
  row[1] = (int32_t)b;
  row[2] = (int32_t)c;
  row[3] = (int32_t)d;
}

/// Prompts of these lengths, then `answers` answers to each.
static Layout make_layout(size_t prompts, const size_t *prompt_length, size_t answers,
                          const size_t *answer_length) {
  Layout layout = {0};
  for (size_t p = 0; p < prompts; p++) layout.rows += prompt_length[p];
  for (size_t a = 0; a < prompts * answers; a++) layout.rows += answer_length[a % answers];
  layout.spans = fixture_ints(4 * layout.rows);
  layout.key_spans = fixture_ints(4 * layout.rows);
  size_t begin = 0, child = 0;
  for (size_t p = 0; p < prompts; p++) child += prompt_length[p];
  for (size_t p = 0; p < prompts; p++) {
    size_t end = begin + prompt_length[p], first_child = child;
    for (size_t a = 0; a < answers; a++) {
      size_t stop = child + answer_length[a];
      for (size_t r = child; r < stop; r++) {
        set_row(layout.spans + 4 * r, begin, end, child, r + 1);
        set_row(layout.key_spans + 4 * r, r, stop, 0, 0);
      }
      child = stop;
    }
    for (size_t r = begin; r < end; r++) {
      set_row(layout.spans + 4 * r, 0, 0, begin, r + 1);
      set_row(layout.key_spans + 4 * r, r, end, first_child, child);
    }
    begin = end;
  }
  return layout;
}

static void check_layout(Layout layout, size_t heads, size_t kv_heads, size_t D) {
  size_t M = layout.rows, n = M * heads * D, kn = M * kv_heads * D;
  AttentionShape shape = {heads, kv_heads, D, (float)(1 / sqrt((double)D))};
  double *q = fixture_random(n, 2), *k = fixture_random(kn, 2), *v = fixture_random(kn, 1),
         *dout = fixture_random(n, 1);
  double *out = fixture_zeros(n), *lse = fixture_zeros(M * heads), *dq = fixture_zeros(n),
         *dk = fixture_zeros(kn);
  double *dv = fixture_zeros(kn);
  Tensor *dev_q = fixture_f32(M, heads * D, q), *dev_k = fixture_f32(M, kv_heads * D, k);
  Tensor *dev_v = fixture_f32(M, kv_heads * D, v), *dev_out = fixture_f32(M, heads * D, NULL);
  Tensor *dev_lse = fixture_f32(M, heads, NULL), *dev_spans = fixture_i32(M, 4, layout.spans);
  RefAttention ref = {M,   M,  heads, kv_heads, D,   1 / sqrt((double)D), q, k, v, layout.spans, out,
                      lse, dq, dk,    dv,       dout};
  ref_attention(&ref);
  Attention operands = {
      .shape = shape, .q = dev_q, .k = dev_k, .v = dev_v, .spans = dev_spans, .out = dev_out};
  assert_ok(attention_forward(family, &operands));
  fixture_compare("attention without lse", dev_out, out, tolerance);
  operands.lse = dev_lse;
  assert_ok(attention_forward(family, &operands));
  fixture_compare("attention", dev_out, out, tolerance);
  fixture_compare("attention lse", dev_lse, lse, tolerance);

  Tensor *dev_dq = fixture_f32(M, heads * D, NULL), *dev_dk = fixture_f32(M, kv_heads * D, NULL);
  Tensor *dev_dv = fixture_f32(M, kv_heads * D, NULL), *dev_delta = fixture_f32(M, heads, NULL);
  ref_attention_backward(&ref);
  operands.dq = dev_dq;
  operands.dk = dev_dk;
  operands.dv = dev_dv;
  operands.delta = dev_delta;
  operands.dout = fixture_f32(M, heads * D, dout);
  operands.key_spans = fixture_i32(M, 4, layout.key_spans);
  assert_ok(attention_backward(family, &operands));
  fixture_compare("attention_backward dq", dev_dq, dq, 4 * tolerance);
  fixture_compare("attention_backward dk", dev_dk, dk, 4 * tolerance);
  fixture_compare("attention_backward dv", dev_dv, dv, 4 * tolerance);
  ops_fixture_clean(NULL);
}

/// The head width D, or at most 9 on a simulated device.
static size_t width(size_t D) {
  return fixture_small() && D > 9 ? 9 : D;
}

static void shared_prompts(void **state) {
  (void)state;
  const size_t large[2][3] = {{5, 1, 19}, {7, 1, 18}}, small[2][3] = {{3, 1, 5}, {2, 1, 6}};
  const size_t *prompts = fixture_small() ? small[0] : large[0],
               *answers = fixture_small() ? small[1] : large[1];
  check_layout(make_layout(3, prompts, 3, answers), 3, 1, width(64));
  check_layout(make_layout(3, prompts, 1, answers), 9, 3, width(64));
  check_layout(make_layout(2, prompts, 2, answers), 14, 2, width(64));
  check_layout(make_layout(1, prompts, 3, answers), 4, 4, width(128));
}

static void odd_heads(void **state) {
  (void)state;
  const size_t prompts[] = {fixture_small() ? 5 : 33}, answers[] = {3};
  check_layout(make_layout(1, prompts, 1, answers), 1, 1, 1);
  check_layout(make_layout(1, prompts, 1, answers), 2, 1, width(31));
  check_layout(make_layout(1, prompts, 1, answers), 6, 2, width(256));
  check_layout(make_layout(1, prompts, 1, answers), 17, 1, 9); // more heads than lanes
}

/// Unshared text of odd lengths, up to one of many tiles.
static void causal_lengths(void **state) {
  (void)state;
  for (const size_t *length = fixture_sizes; *length != 0; length++) {
    if (fixture_small() && *length > 40) continue;
    check_layout(make_layout(1, length, 0, NULL), 2, 1, width(32));
  }
}

/// While sampling, rows see spans of a cache. One row is the first token of a sequence.
static void cached(void **state) {
  (void)state;
  enum { M = 21, HEADS = 6, KV = 2, CACHE = 300 };
  size_t D = width(64);
  int32_t *spans = fixture_ints(4 * M);
  for (size_t m = 0; m < M; m++) {
    size_t prompt = m < 9 ? 0 : 50, own = 100 + 9 * m;
    set_row(spans + 4 * m, prompt, prompt + (m == 20 ? 0 : 41), own, own + 1 + m % 9);
  }
  double *q = fixture_random(M * HEADS * D, 2), *k = fixture_random(CACHE * KV * D, 2);
  double *v = fixture_random(CACHE * KV * D, 1), *out = fixture_zeros(M * HEADS * D),
         *lse = fixture_zeros(M * HEADS);
  Tensor *dev_out = fixture_f32(M, HEADS * D, NULL);
  AttentionShape shape = {HEADS, KV, D, 0.125f};
  RefAttention ref = {.M = M, .key_rows = CACHE, .heads = HEADS, .kv_heads = KV, .D = D, .scale = 0.125};
  ref.q = q;
  ref.k = k;
  ref.v = v;
  ref.spans = spans;
  ref.out = out;
  ref.lse = lse;
  ref_attention(&ref);
  assert_ok(attention_forward(family, &(Attention){.shape = shape,
                                                   .q = fixture_f32(M, HEADS * D, q),
                                                   .k = fixture_f32(CACHE, KV * D, k),
                                                   .v = fixture_f32(CACHE, KV * D, v),
                                                   .spans = fixture_i32(M, 4, spans),
                                                   .out = dev_out}));
  fixture_compare("attention in a cache", dev_out, out, tolerance);
}

/// A row computed alone has the same bits as among the others.
static void rows_stand_alone(void **state) {
  (void)state;
  enum { HEADS = 3, D = 64 };
  const size_t prompts[] = {11, 6}, answers[] = {5, 9};
  Layout layout = make_layout(fixture_small() ? 1 : 2, prompts, 2, answers);
  size_t M = layout.rows;
  AttentionShape shape = {HEADS, 1, D, 0.125f};
  double *q = fixture_random(M * HEADS * D, 2);
  Tensor *dev_q = fixture_f32(M, HEADS * D, q), *k = fixture_f32(M, D, fixture_random(M * D, 2));
  Tensor *v = fixture_f32(M, D, fixture_random(M * D, 1)), *out = fixture_f32(M, HEADS * D, NULL);
  Tensor *one = fixture_f32(1, HEADS * D, NULL);
  Attention all = {.shape = shape, .q = dev_q, .k = k, .v = v, .out = out};
  all.spans = fixture_i32(M, 4, layout.spans);
  assert_ok(attention_forward(family, &all));
  for (size_t m = 0; m < M; m += fixture_small() ? 7 : 1) {
    float together[HEADS * D], alone[HEADS * D];
    Attention single = {.shape = shape, .k = k, .v = v, .out = one};
    single.q = fixture_f32(1, HEADS * D, q + m * HEADS * D);
    single.spans = fixture_i32(1, 4, layout.spans + 4 * m);
    assert_ok(attention_forward(family, &single));
    assert_ok(tensor_read(out, m * HEADS * D, HEADS * D, together));
    assert_ok(tensor_read(one, 0, HEADS * D, alone));
    assert_memory_equal(together, alone, sizeof alone);
  }
}

static bool compiles_both;

/// The GPU family's kernels compile on every device, so they are tested first.
static int open_groups(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  family = &gpu_family;
  compiles_both = fixture_ops()->family->cpu_files;
  return 0;
}

static int open_lanes(void **state) {
  family = &cpu_family;
  return ops_fixture_open(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(shared_prompts), OPS_TEST(odd_heads),        OPS_TEST(causal_lengths),
      OPS_TEST(cached),         OPS_TEST(rows_stand_alone),
  };
  int failed = cmocka_run_group_tests_name("work groups", tests, open_groups, ops_fixture_close);
  if (compiles_both) failed += cmocka_run_group_tests_name("lanes", tests, open_lanes, ops_fixture_close);
  return failed;
}
