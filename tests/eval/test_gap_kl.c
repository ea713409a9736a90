// The KL divergence that the gap's measurement has of a model with adapters: against whole logits, one answer
// at a time. It changes nothing of the gap.
#include "support/gap_fixture.h"
#include "support/model_fixture.h"

#include "ref/ref.h"
#include <math.h>
#include <string.h>

static double value_of(const MetricList *metrics, const char *name) {
  return metrics_get(metrics, "%s", name).value;
}

/// The logits of an answer's predictions after its prompt, in double; in memory of the fixture.
static double *logits_of(Pass *pass, const Batch *batch, bool base) {
  const Tensor *logits = NULL;
  size_t vocab = model_config(pass_model(pass))->vocab;
  float *found = (float *)fixture_ints(GAP_NEW_TOKENS * vocab);
  double *values = fixture_zeros(GAP_NEW_TOKENS * vocab);
  assert_ok(base ? pass_forward_base(pass, batch) : pass_forward(pass, batch, (DropoutDraw){0}));
  assert_ok(pass_logits(pass, batch->head_row, batch->head_rows, &logits));
  assert_ok(tensor_read(logits, 0, batch->head_rows * vocab, found));
  for (size_t i = 0; i < batch->head_rows * vocab; i++) values[i] = (double)found[i];
  return values;
}

/// The mean KL of an answer's tokens, from whole logits.
static double diverge_one(Pass *pass, const Prompt *prompt, const Answer *answer, double tau) {
  TokenSpan span = gap_span(prompt);
  BatchAnswer one = {.tokens = {answer->tokens, answer->count}};
  Batch batch;
  double kl[GAP_NEW_TOKENS], sum = 0;
  assert_ok(batch_build(&span, 1, &one, 1, true, &batch));
  const double *base = logits_of(pass, &batch, true), *trained = logits_of(pass, &batch, false);
  ref_divergence(kl, trained, base, batch.head_rows, model_config(pass_model(pass))->vocab, tau);
  for (size_t t = 0; t < answer->count; t++) sum += kl[t];
  batch_free(&batch);
  return sum / (double)answer->count;
}

/// What is heard of the readings of a measurement: the sum of the divergences, measured anew.
typedef struct Heard {
  Pass *pass;
  double tau, sum;
} Heard;

static Status hear(void *user, const GapReading *reading) {
  Heard *heard = user;
  if (reading->own == reading->under)
    heard->sum += diverge_one(heard->pass, reading->own, reading->answer, heard->tau);
  return STATUS_OK;
}

/// A model whose adapters have the golden values, which move it far from its base.
static Model *adapted_model(void) {
  Golden golden = golden_open("llama/golden.safetensors");
  Model *model = fixture_model("llama", DTYPE_F32);
  fixture_lora(model, 0);
  fixture_set_params(model, &golden, "lora.start.");
  golden_close(&golden);
  return model;
}

/// For every chunk size the mean over all own answers, and the gap has the bits that it has without.
static void test_kl(void **state) {
  (void)state;
  static const uint64_t memories[] = {0, 1, 8192};
  Model *model = adapted_model();
  Dataset data = gap_dataset("gender");
  PassOptions options = {.kind = PASS_INFERENCE, .max_rows = 32, .head_tile_rows = 8};
  GapOptions measured = gap_options;
  measured.entropy_tau = 0.5f;
  for (size_t m = 0; m < 3; m++) {
    Heard heard = {.tau = 0.5};
    Evaluation *gap = NULL;
    MetricList without = {0}, found = {0};
    measured.memory = memories[m];
    assert_ok(pass_create(model, &options, &heard.pass));
    assert_ok(gap_evaluation_create("gap", &data, &measured, &gap));
    assert_ok(evaluation_run(gap, &(EvaluationRun){.model = model}, &without));
    gap_evaluation_measure_kl(gap);
    gap_evaluation_listen(gap, hear, &heard);
    assert_ok(evaluation_run(gap, &(EvaluationRun){.model = model}, &found));
    Interval kl = metrics_get(&found, "kl");
    double expected = heard.sum / value_of(&found, "answers");
    if (!(fabs(kl.value - expected) <= 1e-5 * expected)) fail_msg("%.9g is not %.9g", kl.value, expected);
    assert_true(kl.low < kl.value && kl.value < kl.high && kl.value > 0.1);
    for (size_t i = 0; i < without.count; i++) {
      double again = value_of(&found, without.items[i].name);
      assert_memory_equal(&again, &without.items[i].value, sizeof again);
    }
    assert_true(isnan(metrics_get(&without, "kl").value));
    metrics_free(&without);
    metrics_free(&found);
    evaluation_free(gap);
    pass_free(heard.pass);
    ops_fixture_clean(NULL);
  }
  dataset_free(&data);
  model_free(model);
}

/// 0 for fresh adapters, to the bit; nothing for a model without any, and for one whose base is gone.
static void test_kl_of_no_change(void **state) {
  (void)state;
  Dataset data = gap_dataset("gender");
  Model *models[] = {fixture_model("llama", DTYPE_F32), fixture_model("llama", DTYPE_F32),
                     fixture_model("llama", DTYPE_F32)};
  Evaluation *gap = NULL;
  fixture_lora(models[0], 0.25f); // dropout is for training
  assert_ok(model_train_full(models[2]));
  assert_ok(gap_evaluation_create("gap", &data, &gap_options, &gap));
  gap_evaluation_measure_kl(gap);
  for (size_t m = 0; m < 3; m++) {
    MetricList found = {0};
    assert_ok(evaluation_run(gap, &(EvaluationRun){.model = models[m]}, &found));
    Interval kl = metrics_get(&found, "kl");
    assert_true(m == 0 ? kl.value == 0 && kl.low == 0 && kl.high == 0 : isnan(kl.value));
    metrics_free(&found);
  }
  evaluation_free(gap);
  for (size_t m = 0; m < 3; m++) model_free(models[m]);
  dataset_free(&data);
}

// ---- a signal while the model is compared with its base ----

typedef struct Stopper {
  Progress progress;
  atomic_bool *stop;
} Stopper;

static void on_phase(Progress *progress, const char *phase) {
  if (strcmp(phase, "comparing with the base model") == 0) *((Stopper *)progress)->stop = true;
}
static void on_begin(Progress *progress, const char *label, const char *unit, uint64_t done, uint64_t total) {
  (void)progress, (void)label, (void)unit, (void)done, (void)total;
}
static void on_update(Progress *progress, uint64_t done) {
  (void)progress, (void)done;
}
static void on_line(Progress *progress, uint64_t done, const char *text, bool is_result) {
  (void)progress, (void)done, (void)text, (void)is_result;
}
static void on_end(Progress *progress) {
  (void)progress;
}

static void test_stop(void **state) {
  (void)state;
  static atomic_bool stop;
  static const ProgressType type = {on_begin, on_update, on_line, on_phase, on_end};
  Stopper stopper = {.progress = {&type}, .stop = &stop};
  Model *model = adapted_model();
  Dataset data = gap_dataset("gender");
  Evaluation *gap = NULL;
  MetricList found = {0};
  assert_ok(gap_evaluation_create("gap", &data, &gap_options, &gap));
  gap_evaluation_measure_kl(gap);
  EvaluationRun run = {.model = model, .progress = &stopper.progress, .stop = &stop};
  assert_fails(evaluation_run(gap, &run, &found), STATUS_INTERRUPTED, "stopped while scoring answers");
  assert_int_equal(found.count, 0);
  evaluation_free(gap);
  dataset_free(&data);
  model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(test_kl), OPS_TEST(test_kl_of_no_change), OPS_TEST(test_stop)};
  return RUN_OPS_TESTS(tests);
}
