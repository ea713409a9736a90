// Calls through an Evaluation. Rule: checks that every kind needs are made here, once.
#include "eval/evaluation.h"

#include <math.h>

Status evaluation_plan(Evaluation *evaluation, Model *model) {
  if (!ops_is_plan(model_ops(model)))
    return status_fail(STATUS_FAILED, "%s: planning needs a plan", evaluation->name);
  return evaluation->type->plan(evaluation, model);
}

Status evaluation_run(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics) {
  if (ops_is_plan(model_ops(run->model)))
    return status_fail(STATUS_FAILED, "%s: a plan measures nothing", evaluation->name);
  TRY(evaluation->type->run(evaluation, run, metrics));
  return metrics_check(metrics);
}

Status evaluation_summarize(const Evaluation *evaluation, const MetricList *metrics, Str *out) {
  if (evaluation->type->summarize != NULL) return evaluation->type->summarize(evaluation, metrics, out);
  TRY(str_append_format(out, "%s:", evaluation->name));
  for (size_t i = 0; i < metrics->count; i++) {
    const Metric *metric = &metrics->items[i];
    if (isnan(metric->value)) continue; // nothing that it counts was there
    TRY(str_append_format(out, "  %s %.4f", metric->name, metric->value));
    if (metric->has_interval && isfinite(metric->low))
      TRY(str_append_format(out, " [%.4f, %.4f]", metric->low, metric->high));
  }
  return STATUS_OK;
}

Status evaluation_write_json(const Evaluation *evaluation, const MetricList *metrics,
                             struct JsonWriter *json) {
  if (evaluation->type->write_json == NULL) return metrics_write_json(metrics, json);
  return evaluation->type->write_json(evaluation, metrics, json);
}

void evaluation_free(Evaluation *evaluation) {
  if (evaluation != NULL) evaluation->type->free(evaluation);
}
