// Memory that runs out while the gap is measured, its metrics are listed, and they are told and written.
#include "support/alloc_faults.h"
#include "support/model_fixture.h"
#include "support/train_fixture.h"
// (cmocka's prerequisites stand in test.h)
#include "eval/gap.h"
#include "io/json_write.h"

typedef struct Job {
  Model *model;
  const Dataset *dataset;
} Job;

static const GapOptions options = {
    .sampling = {.max_new_tokens = 2, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
    .entropy_tau = 1,
    .answers = 1,
    .sets = 2,
    .seed = 15};

static Status write(const Evaluation *gap, const MetricList *metrics) {
  JsonWriter json = {0};
  Str text = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(evaluation_summarize(gap, metrics, &text));
  str_free(&text);
  json_object_begin(&json, NULL);
  TRY_CLEAN(evaluation_write_json(gap, metrics, &json));
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, "gap", &text));
cleanup:
  json_free(&json);
  str_free(&text);
  return status;
}

static Status measure(void *user) {
  const Job *job = user;
  Evaluation *gap = NULL;
  MetricList metrics = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(gap_evaluation_create("gap", job->dataset, &options, &gap));
  TRY_CLEAN(evaluation_run(gap, &(EvaluationRun){.model = job->model}, &metrics));
  TRY_CLEAN(write(gap, &metrics));
cleanup:
  metrics_free(&metrics);
  evaluation_free(gap);
  return status;
}

static void measures(void **state) {
  (void)state;
  TrainFixture fixture;
  train_fixture_open(&fixture, "llama", fixture_ops());
  Job job = {fixture_model("llama", DTYPE_F32), &fixture.dataset};
  FaultSweep sweep = {.name = "measuring the gap", .run = measure, .user = &job};
  faults_sweep(&sweep);
  model_free(job.model);
  train_fixture_close(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(measures)};
  return RUN_OPS_TESTS(tests);
}
