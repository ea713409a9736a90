// The gap as an Evaluation: turns its report into metrics, and metrics into JSON and a line for people.
#include "eval/gap.h"

#include "gap_measure.h"
#include "io/json_write.h"
#include "util/memory.h"
#include <stdlib.h>

typedef struct GapEvaluation {
  Evaluation evaluation;
  const Dataset *dataset;
  GapOptions options;
} GapEvaluation;

static Status plan_gap(Evaluation *evaluation, Model *model) {
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  GapReport report;
  return gap_measure(&(EvaluationRun){.model = model}, gap->dataset, &gap->options, &report);
}

static void add_estimate(MetricList *metrics, const char *kind, const GapEstimate *estimate,
                         const GroupFile *groups) {
  metrics_add_interval(metrics, (Interval){estimate->gap, estimate->low, estimate->high}, "%s_gap", kind);
  metrics_add(metrics, estimate->standard_error, "%s_standard_error", kind);
  for (size_t g = 0; g < groups_count(groups); g++)
    metrics_add(metrics, estimate->H[g], "%s_H_%s", kind, groups_name(groups, g));
}

static Status run_gap(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics) {
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  GapReport report;
  TRY(gap_measure(run, gap->dataset, &gap->options, &report));
  add_estimate(metrics, "total", &report.total, gap->dataset->groups);
  add_estimate(metrics, "paired", &report.paired, gap->dataset->groups);
  metrics_add(metrics, report.H_bar, "H_bar");
  metrics_add(metrics, (double)report.sets, "sets");
  metrics_add(metrics, (double)report.answers, "answers");
  metrics_add(metrics, (double)report.tokens, "tokens");
  return STATUS_OK;
}

static Status summarize_gap(const Evaluation *evaluation, const MetricList *metrics, Str *out) {
  (void)evaluation;
  Interval paired = metrics_get(metrics, "paired_gap"), total = metrics_get(metrics, "total_gap");
  return str_append_format(
      out, "held out: paired gap %+.4f [%+.4f, %+.4f]   total gap %+.4f [%+.4f, %+.4f]   mean entropy %.4f",
      paired.value, paired.low, paired.high, total.value, total.low, total.high,
      metrics_get(metrics, "H_bar").value);
}

static void write_estimate(const MetricList *metrics, const char *kind, const GroupFile *groups,
                           JsonWriter *json) {
  Interval gap = metrics_get(metrics, "%s_gap", kind);
  json_object_begin(json, kind);
  json_number(json, "gap", gap.value);
  json_number(json, "low", gap.low);
  json_number(json, "high", gap.high);
  json_number(json, "standard_error", metrics_get(metrics, "%s_standard_error", kind).value);
  json_object_begin(json, "H");
  for (size_t g = 0; g < groups_count(groups); g++) {
    const char *group = groups_name(groups, g);
    json_number(json, group, metrics_get(metrics, "%s_H_%s", kind, group).value);
  }
  json_object_end(json);
  json_object_end(json);
}

static Status write_gap_json(const Evaluation *evaluation, const MetricList *metrics, JsonWriter *json) {
  static const char *const totals[] = {"H_bar", "sets", "answers", "tokens"};
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  write_estimate(metrics, "total", gap->dataset->groups, json);
  write_estimate(metrics, "paired", gap->dataset->groups, json);
  for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
    json_number(json, totals[i], metrics_get(metrics, "%s", totals[i]).value);
  return STATUS_OK;
}

static void free_gap(Evaluation *evaluation) {
  free(evaluation);
}

Status gap_evaluation_create(const char *name, const Dataset *dataset, const GapOptions *options,
                             Evaluation **out) {
  static const EvaluationType type = {plan_gap, run_gap, summarize_gap, write_gap_json, free_gap};
  GapEvaluation *gap = NULL;
  *out = NULL;
  TRY(gap_check(dataset, options));
  TRY(mem_array(&gap, 1, "the gap"));
  *gap = (GapEvaluation){.evaluation = {&type, name}, .dataset = dataset, .options = *options};
  *out = &gap->evaluation;
  return STATUS_OK;
}
