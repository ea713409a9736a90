// The benchmark on a tiny model. Its times are of no interest here, but the work that it counts is known
// exactly, and everything else must follow from the times and the limits that it is given.
#include "run.h"
#include "support/ops_fixture.h"
#include "support/tiny_model.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 200 };

static ModelFiles *files;
static BenchResult results[MOST];
static size_t result_count;

static void keep(void *user, const BenchResult *result) {
  (void)user;
  assert_true(result_count < MOST);
  results[result_count++] = *result;
}

static int open_all(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  const char *folder = test_folder();
  tiny_model_write(folder);
  assert_ok(model_files_open(folder, &files));
  return 0;
}

static int close_all(void **state) {
  model_files_close(files);
  return ops_fixture_close(state);
}

static OpsLimits limits_of(double flops, double bytes) {
  return (OpsLimits){
      .flops = {.maximum = flops}, .read = {.maximum = bytes}, .triad = {.maximum = bytes / 2}};
}

static void run(const OpsLimits *limits, BenchPart part) {
  BenchOptions options = {.dtype = DTYPE_F32, .quick = true};
  options.parts[part] = true;
  result_count = 0;
  assert_ok(bench_run(fixture_ops(), files, &options, limits, keep, NULL));
}

static void check_times(const BenchResult *result) {
  assert_true(result->seconds.minimum > 0);
  assert_true(result->seconds.minimum <= result->seconds.median);
  assert_true(result->seconds.median <= result->seconds.maximum);
  assert_true(result->seconds.count >= LEAST_RUNS);
}

static void products_count_what_they_multiply(void **state) {
  (void)state;
  OpsLimits limits = limits_of(2e9, 1e9);
  run(&limits, BENCH_GEMM);
  size_t shapes = 0;
  BenchMatrix matrices[MOST_MATRICES];
  // q and o are one shape, k and v another, gate and up a third; down, and the head
  shapes = bench_matrices(files, DTYPE_STORED, matrices);
  assert_int_equal(shapes, 5);
  size_t found = 0;
  for (size_t i = 0; i < shapes; i++) {
    assert_int_equal(matrices[i].type, DTYPE_F32);
    found += matrices[i].count;
    if (matrices[i].n == 32 && matrices[i].k == 32) assert_int_equal(matrices[i].count, 4);
  }
  assert_int_equal(found, 7 * 2 + 1);
  assert_int_equal(result_count, 5 * 3 * 2);
  for (size_t i = 0; i < result_count; i++) {
    const BenchResult *r = &results[i];
    double m = (double)r->m, n = (double)r->n, k = (double)r->k;
    check_times(r);
    assert_true(r->work.flops == 2 * m * n * k);
    assert_true(r->work.bytes == 4 * (m * n + m * k + n * k));
    double computing = r->work.flops / 2e9, moving = r->work.bytes / 1e9;
    assert_true(r->limit == (computing > moving ? computing : moving));
  }
}

/// Multiply-adds of a row with all matrices of the layers.
static double layer_products(void) {
  BenchMatrix matrices[MOST_MATRICES];
  double sum = 0;
  for (size_t i = 0, count = bench_matrices(files, DTYPE_F32, matrices); i < count; i++)
    if (!matrices[i].head) sum += (double)(matrices[i].n * matrices[i].k * matrices[i].count);
  return sum;
}

/// Floating-point operations of the layers for so many rows, which see so many keys together, and of so many
/// rows of logits.
static double forward_flops(double rows, double pairs, double logits) {
  const ModelConfig *config = model_files_config(files);
  double head = (double)(config->vocab * config->width), layers = (double)config->layers;
  return 2 * rows * layer_products() + 4 * pairs * layers * (double)(config->heads * config->head_dim) +
         2 * logits * head;
}

static void decoding_counts_every_token(void **state) {
  (void)state;
  OpsLimits limits = limits_of(1e9, 1e9);
  run(&limits, BENCH_DECODE);
  assert_int_equal(result_count, 3);
  for (size_t i = 0; i < 3; i++) {
    double batch = (double)results[i].batch, pairs = 0, tokens = batch * (DECODE_TOKENS - 1);
    for (int t = 1; t < DECODE_TOKENS; t++) pairs += batch * (DECODE_PROMPT + t);
    check_times(&results[i]);
    assert_int_equal(results[i].batch, 1 << (3 * i));
    assert_true(results[i].tokens == tokens);
    assert_true(results[i].work.flops == forward_flops(tokens, pairs, tokens));
  }
}

static void a_prefill_counts_its_prompt(void **state) {
  (void)state;
  OpsLimits limits = limits_of(1e9, 1e9);
  run(&limits, BENCH_PREFILL);
  assert_int_equal(result_count, 1);
  check_times(&results[0]);
  double rows = PREFILL_TOKENS;
  assert_true(results[0].work.flops == forward_flops(rows, rows * (rows + 1) / 2, 1));
}

static void a_gradient_counts_forward_and_backward(void **state) {
  (void)state;
  OpsLimits limits = limits_of(1e9, 1e9);
  run(&limits, BENCH_GRADIENT);
  assert_int_equal(result_count, 1);
  check_times(&results[0]);
  assert_true(results[0].tokens == GRADIENT_PROMPT + GRADIENT_ANSWERS * (GRADIENT_TOKENS - 1));
  // forward, the gradients of the inputs, and the logits again: LoRA comes on top
  double least = 2 * forward_flops(results[0].tokens, 0, GRADIENT_ANSWERS * (GRADIENT_TOKENS - 1));
  assert_true(results[0].work.flops > least);
  assert_true(results[0].work.flops < 3 * least);
}

static void a_step_is_its_parts(void **state) {
  (void)state;
  OpsLimits limits = limits_of(1e9, 1e9);
  run(&limits, BENCH_STEP);
  assert_int_equal(result_count, 3);
  for (size_t i = 0; i < 3; i++) check_times(&results[i]);
  assert_string_equal(results[2].name, "step");
  assert_true(results[2].seconds.minimum >= results[0].seconds.minimum + results[1].seconds.minimum);
  assert_true(results[2].work.flops ==
              results[0].work.flops + results[1].work.flops); // an update multiplies nothing
  assert_true(results[2].work.bytes > results[0].work.bytes + results[1].work.bytes);
  assert_true(results[0].tokens > 0 && results[0].tokens <= STEP_ANSWERS * STEP_TOKENS);
  assert_true(results[1].tokens == 2 * results[0].tokens); // read under the prompts of both groups
}

static void limits_that_are_half_as_high_double_the_share(void **state) {
  (void)state;
  OpsLimits limits = limits_of(1e9, 1e9), half = limits_of(5e8, 5e8);
  run(&limits, BENCH_PREFILL);
  double limit = results[0].limit;
  run(&half, BENCH_PREFILL);
  assert_true(limit > 0);
  assert_true(results[0].limit == 2 * limit);
}

static void an_estimate_grows_with_what_is_asked_for(void **state) {
  (void)state;
  BenchOptions options = {.dtype = DTYPE_F32};
  OpsLimits limits = limits_of(1e9, 1e9);
  double before = 0;
  for (int part = 0; part < BENCH_PARTS; part++) {
    options.parts[part] = true;
    double seconds = bench_estimate(files, &options, &limits);
    assert_true(seconds > before);
    before = seconds;
  }
}

static void a_stop_ends_it(void **state) {
  (void)state;
  atomic_bool stop = true;
  BenchOptions options = {.dtype = DTYPE_F32, .quick = true, .stop = &stop};
  OpsLimits limits = limits_of(1e9, 1e9);
  for (int part = 0; part < BENCH_PARTS; part++) {
    memset(options.parts, 0, sizeof options.parts);
    options.parts[part] = true;
    result_count = 0;
    assert_int_equal(bench_run(fixture_ops(), files, &options, &limits, keep, NULL), STATUS_INTERRUPTED);
    assert_int_equal(result_count, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products_count_what_they_multiply),
      cmocka_unit_test(decoding_counts_every_token),
      cmocka_unit_test(a_prefill_counts_its_prompt),
      cmocka_unit_test(a_gradient_counts_forward_and_backward),
      cmocka_unit_test(a_step_is_its_parts),
      cmocka_unit_test(limits_that_are_half_as_high_double_the_share),
      cmocka_unit_test(an_estimate_grows_with_what_is_asked_for),
      cmocka_unit_test(a_stop_ends_it),
  };
  return cmocka_run_group_tests(tests, open_all, close_all);
}
