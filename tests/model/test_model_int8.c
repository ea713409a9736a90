// Whole models whose passes without a gradient multiply in eight bits (COMPUTE_INT8), against float32 on the
// same device: entropies of a tiny model and of SmolLM2, if it is there, decoded or as stored. What needs a
// gradient keeps its bits.
#include "support/model_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOKENS_MAX = 512, SETS = 8 };

static const DropoutDraw no_dropout = {0};

static int open_int8(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  if (ops_use_compute(fixture_ops(), COMPUTE_INT8) == STATUS_OK) return 0;
  (void)fprintf(stderr, "skipped: %s\n", status_message());
  (void)ops_fixture_close(state);
  exit(TEST_SKIPPED);
}

static Pass *inference(Model *model, size_t rows) {
  const PassOptions options = {.kind = PASS_INFERENCE, .max_rows = rows, .head_tile_rows = 64};
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  return pass;
}

/// The entropies of the batch's head rows; ends the pass.
static void measure(Pass *pass, const Batch *batch, Compute compute, float entropy[TOKENS_MAX]) {
  assert_true(batch->head_rows <= TOKENS_MAX);
  assert_ok(ops_use_compute(fixture_ops(), compute));
  assert_ok(pass_forward(pass, batch, no_dropout));
  assert_ok(pass_statistics(pass, batch, 1, entropy, NULL, NULL));
  assert_ok(ops_use_compute(fixture_ops(), COMPUTE_INT8));
  pass_free(pass);
}

/// Fails unless eight bits are near float32, and are not float32. In nats.
static void compare(const char *name, Model *model, const Batch *batch, double most, double mean) {
  float exact[TOKENS_MAX], found[TOKENS_MAX];
  double worst = 0, sum = 0, signed_sum = 0;
  measure(inference(model, batch->rows), batch, COMPUTE_F32, exact);
  measure(inference(model, batch->rows), batch, COMPUTE_INT8, found);
  for (size_t i = 0; i < batch->head_rows; i++) {
    double off = (double)found[i] - (double)exact[i];
    worst = fmax(worst, fabs(off));
    sum += fabs(off);
    signed_sum += off;
  }
  double count = (double)batch->head_rows;
  print_message("%s: %zu entropies within %.1e nats, on average %.1e; their mean changes by %+.1e\n", name,
                batch->head_rows, worst, sum / count, signed_sum / count);
  if (!(worst > 0 && worst <= most)) fail_msg("%s: an entropy differs by %g", name, worst);
  if (!(sum <= mean * count)) fail_msg("%s: entropies differ by more", name);
}

/// Its weights are random and large, and its sums short, so roundings average less than in a real model.
static void a_tiny_model(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  Model *model = fixture_model("llama", DTYPE_F32);
  compare("tiny Llama", model, &batch, 0.2, 4e-2);
  model_free(model);
  batch_free(&batch);
}

static void the_real_one(void **state) {
  (void)state;
  if (test_smollm2() == NULL || test_shared() == NULL) skip();
  const DType types[] = {DTYPE_STORED, DTYPE_F32};
  Batch batch = shared_answers(SETS);
  for (size_t i = 0; i < 2; i++) {
    Model *model = fixture_model(test_smollm2(), types[i]);
    compare(i == 0 ? "SmolLM2 as stored" : "SmolLM2 in float32", model, &batch, 0.6, 8e-2);
    model_free(model);
  }
  batch_free(&batch);
}

/// Passes that need a gradient.
static void training_keeps_its_bits(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  Model *model = fixture_model("llama", DTYPE_F32);
  float before[TOKENS_MAX], after[TOKENS_MAX];
  measure(fixture_training(model, batch.rows, false), &batch, COMPUTE_F32, before);
  measure(fixture_training(model, batch.rows, false), &batch, COMPUTE_INT8, after);
  assert_memory_equal(before, after, batch.head_rows * sizeof *before);
  model_free(model);
  batch_free(&batch);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(a_tiny_model), OPS_TEST(the_real_one),
                                     OPS_TEST(training_keeps_its_bits)};
  return cmocka_run_group_tests(tests, open_int8, ops_fixture_close);
}
