// Memory that runs out while the gap is measured and told: a clear message, and nothing left on host or
// device.
#include "support/alloc_faults.h"
#include "support/train_fixture.h"
// (cmocka's prerequisites stand in test.h)
#include "eval/gap.h"
#include "io/json_write.h"
#include "support/model_fixture.h"

typedef struct Measured {
  const Dataset *dataset;
  Model *model;
  uint64_t held; // bytes on the device before the operation
} Measured;

static Status tell(const Evaluation *gap, const MetricList *metrics) {
  JsonWriter json = {0};
  Str line = {0}, text = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(evaluation_summarize(gap, metrics, &line));
  json_object_begin(&json, NULL);
  TRY_CLEAN(evaluation_write_json(gap, metrics, &json));
  TRY_CLEAN(metrics_write_json(metrics, &json));
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, "the gap", &text));
cleanup:
  json_free(&json);
  str_free(&line);
  str_free(&text);
  return status;
}

static Status measure(void *user) {
  const Measured *m = user;
  GapOptions options = {
      .sampling = {.max_new_tokens = 2, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
      .entropy_tau = 1,
      .answers = 2,
      .seed = 15};
  Evaluation *gap = NULL;
  MetricList metrics = {0};
  GapPlan plan;
  Status status = STATUS_OK;
  TRY_CLEAN(gap_evaluation_create("gap", m->dataset, &options, &gap));
  gap_evaluation_measure_kl(gap);
  TRY_CLEAN(gap_evaluation_keep_answers(gap));
  TRY_CLEAN(evaluation_run(gap, &(EvaluationRun){.model = m->model}, &metrics));
  metrics_free(&metrics);
  TRY_CLEAN(gap_evaluation_keep_base(gap));
  TRY_CLEAN(evaluation_run(gap, &(EvaluationRun){.model = m->model}, &metrics));
  TRY_CLEAN(tell(gap, &metrics));
  TRY_CLEAN(gap_evaluation_plan(gap, 0.1, &plan));
  TRY_CLEAN(gap_evaluation_plan_change(gap, 0.1, &plan));
cleanup:
  metrics_free(&metrics);
  evaluation_free(gap);
  return status;
}

static void check_device(void *user, bool failed, FaultMode mode) {
  const Measured *m = user;
  (void)failed;
  (void)mode;
  assert_int_equal(ops_memory(fixture_ops())->now_total, m->held);
}

static void measures_the_gap(void **state) {
  (void)state;
  TrainFixture fixture;
  train_fixture_open(&fixture, "llama", fixture_ops());
  Measured measured = {.dataset = &fixture.dataset, .model = fixture_model("llama", DTYPE_F32)};
  fixture_lora(measured.model, 0);
  assert_ok(measure(&measured)); // passes keep the work space that their first use takes
  measured.held = ops_memory(fixture_ops())->now_total;
  FaultSweep sweep = {.name = "measuring the gap", .run = measure, .check = check_device, .user = &measured};
  faults_sweep(&sweep);
  model_free(measured.model);
  train_fixture_close(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(measures_the_gap)};
  return RUN_OPS_TESTS(tests);
}
