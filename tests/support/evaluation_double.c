#include "support/evaluation_double.h"

#include "eval/gap.h"

static Status take_memory(const EvaluationDouble *self, Model *model) {
  Tensor tensor = {0};
  if (self->cache_rows == 0) return STATUS_OK;
  TRY(tensor_create(model_ops(model), "evaluation", MEMORY_CACHE, DTYPE_F32, self->cache_rows, 1000,
                    &tensor));
  tensor_free(&tensor);
  return STATUS_OK;
}

static Status plan(Evaluation *evaluation, Model *model) {
  EvaluationDouble *self = (EvaluationDouble *)evaluation;
  self->planned++;
  return take_memory(self, model);
}

static Status sum_trained(Model *model, double *sum) {
  enum { FIRST = 64 };
  float values[FIRST];
  TRY(tensor_read(&model_params(model)->values[0], 0, FIRST, values));
  *sum = 0;
  for (size_t i = 0; i < FIRST; i++) *sum += (double)values[i];
  return STATUS_OK;
}

static Status run_double(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics) {
  EvaluationDouble *self = (EvaluationDouble *)evaluation;
  double sum = 0, number = (double)++self->runs;
  TRY(take_memory(self, run->model));
  progress_begin(run->progress, self->evaluation.name, "part", 0, 1);
  progress_end(run->progress);
  if (self->runs == self->stop_at) {
    *self->stop = true;
    if (self->give_up) return status_fail(STATUS_INTERRUPTED, "stopped while measuring");
  }
  if (self->runs == self->fail_at) return status_fail(STATUS_FAILED, "the double was told to fail");
  TRY(sum_trained(run->model, &sum));
  metrics_add_interval(metrics, (Interval){number, number - 0.5, number + 0.5}, "score");
  metrics_add(metrics, sum, "sum");
  size_t last = self->gap_count < self->runs ? self->gap_count : self->runs;
  if (self->gaps != NULL) metrics_add_interval(metrics, self->gaps[last - 1], "paired_gap");
  if (self->runs <= self->void_until) metrics_add(metrics, GAP_EMPTY, "void");
  return STATUS_OK;
}

static void free_double(Evaluation *evaluation) {
  (void)evaluation;
}

EvaluationDouble evaluation_double(const char *name) {
  static const EvaluationType type = {.plan = plan, .run = run_double, .free = free_double};
  return (EvaluationDouble){.evaluation = {&type, name}};
}
