// The gap as an Evaluation: turns what was measured into metrics, and metrics into JSON and a line for
// people.
#include "eval/gap.h"

#include "gap_measure.h"
#include "io/json_write.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>

enum { DRAWS = 10000 };

typedef struct GapEvaluation {
  Evaluation evaluation;
  const Dataset *dataset;
  GapOptions options;
  GapReport last, base; // empty: nothing was measured
} GapEvaluation;

static Status plan_gap(Evaluation *evaluation, Model *model) {
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  GapReport report = {0};
  Status status = gap_measure(&(EvaluationRun){.model = model}, gap->dataset, &gap->options, &report);
  gap_report_free(&report);
  return status;
}

// ---- metrics ----

static GapTable total_table(const GapReport *report) {
  return (GapTable){report->total, report->sets, report->groups};
}

static GapTable paired_table(const GapReport *report) {
  return (GapTable){report->paired, report->sets, report->groups};
}

static Interval interval_of(const GapMean *mean) {
  return (Interval){mean->value, mean->low, mean->high};
}

static void add_estimate(MetricList *metrics, const char *kind, const GapEstimate *estimate,
                         const GroupFile *groups) {
  metrics_add_interval(metrics, interval_of(&estimate->gap), "%s_gap", kind);
  metrics_add(metrics, estimate->gap.standard_error, "%s_standard_error", kind);
  metrics_add(metrics, estimate->p, "%s_p", kind);
  for (size_t g = 0; g < groups_count(groups); g++)
    metrics_add(metrics, estimate->H[g], "%s_H_%s", kind, groups_name(groups, g));
  if (estimate->pair_count < 2) return;
  metrics_add(metrics, estimate->spread, "%s_spread", kind);
  for (size_t p = 0; p < estimate->pair_count; p++) {
    const GapPair *pair = &estimate->pairs[p];
    metrics_add_interval(metrics, interval_of(&pair->mean), "%s_gap_%s_minus_%s", kind,
                         groups_name(groups, pair->of), groups_name(groups, pair->minus));
  }
}

static Status add_gap(MetricList *metrics, const char *kind, const GapTable *table,
                      const GapEvaluation *gap) {
  GapEstimate estimate;
  GapResampling resampling = {gap->options.seed, DRAWS};
  TRY(gap_estimate(table, &resampling, &estimate));
  add_estimate(metrics, kind, &estimate, gap->dataset->groups);
  return STATUS_OK;
}

static Status add_change(MetricList *metrics, const char *kind, const GapTable *before, const GapTable *after,
                         const GapEvaluation *gap) {
  GapEstimate change;
  GapSize size = GAP_UNCLEAR;
  GapResampling resampling = {gap->options.seed, DRAWS};
  TRY(gap_change(before, after, &resampling, &change, &size));
  add_estimate(metrics, kind, &change, gap->dataset->groups);
  metrics_add(metrics, (double)size, "%s_size", kind);
  return STATUS_OK;
}

static Status add_changes(MetricList *metrics, const GapEvaluation *gap) {
  GapTable total[] = {total_table(&gap->base), total_table(&gap->last)};
  GapTable paired[] = {paired_table(&gap->base), paired_table(&gap->last)};
  GapMean mean;
  TRY(add_change(metrics, "change_total", &total[0], &total[1], gap));
  TRY(add_change(metrics, "change_paired", &paired[0], &paired[1], gap));
  TRY(gap_change_of_mean(&total[0], &total[1], &mean));
  double moved = gap->last.H_bar - gap->base.H_bar;
  double relative = moved < 0 || moved > 0 ? moved / gap->base.H_bar : 0; // a base of 0 has no share
  bool drifted = gap->options.max_drift > 0 && !(fabs(relative) <= (double)gap->options.max_drift);
  metrics_add_interval(metrics, interval_of(&mean), "change_H_bar");
  metrics_add(metrics, relative, "change_H_bar_relative");
  metrics_add(metrics, !drifted ? 0 : relative < 0 ? -1 : 1, "change_drift");
  return STATUS_OK;
}

static Status run_gap(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics) {
  GapEvaluation *gap = (GapEvaluation *)evaluation;
  GapReport *report = &gap->last;
  gap_report_free(report);
  TRY(gap_measure(run, gap->dataset, &gap->options, report));
  GapTable total = total_table(report), paired = paired_table(report);
  TRY(add_gap(metrics, "total", &total, gap));
  TRY(add_gap(metrics, "paired", &paired, gap));
  metrics_add(metrics, report->H_bar, "H_bar");
  metrics_add(metrics, (double)report->sets, "sets");
  metrics_add(metrics, (double)report->distinct_sets, "distinct_sets");
  metrics_add(metrics, (double)report->answers, "answers");
  metrics_add(metrics, (double)report->tokens, "tokens");
  return gap->base.sets > 0 ? add_changes(metrics, gap) : STATUS_OK;
}

// ---- a line for people ----

/// Short enough for a line of a run on a narrow screen: the paired gap, which has far less noise than the
/// total.
static Status summarize_gap(const Evaluation *evaluation, const MetricList *metrics, Str *out) {
  (void)evaluation;
  Interval gap = metrics_get(metrics, "paired_gap");
  TRY(str_append_format(out, "held out: gap %+.4f ", gap.value));
  if (isnan(gap.low))
    TRY(str_append_text(out, "(one set: no interval)"));
  else
    TRY(str_append_format(out, "[%+.4f, %+.4f]", gap.low, gap.high));
  return str_append_format(out, "  H %.3f", metrics_get(metrics, "H_bar").value);
}

// ---- JSON ----

static void write_interval(JsonWriter *json, const char *key, Interval interval) {
  json_number(json, key, interval.value);
  json_number(json, "low", interval.low);
  json_number(json, "high", interval.high);
}

static void write_pairs(const MetricList *metrics, const char *kind, const GroupFile *groups,
                        JsonWriter *json) {
  json_array_begin(json, "pairs");
  for (size_t of = 1; of < groups_count(groups); of++) {
    for (size_t minus = 0; minus < of; minus++) {
      const char *names[] = {groups_name(groups, of), groups_name(groups, minus)};
      json_object_begin(json, NULL);
      json_string(json, "of", names[0]);
      json_string(json, "minus", names[1]);
      write_interval(json, "gap", metrics_get(metrics, "%s_gap_%s_minus_%s", kind, names[0], names[1]));
      json_object_end(json);
    }
  }
  json_array_end(json);
}

/// Adds the members of an estimate to an open object.
static void write_estimate(const MetricList *metrics, const char *kind, const GroupFile *groups,
                           JsonWriter *json) {
  write_interval(json, "gap", metrics_get(metrics, "%s_gap", kind));
  json_number(json, "standard_error", metrics_get(metrics, "%s_standard_error", kind).value);
  json_number(json, "p", metrics_get(metrics, "%s_p", kind).value);
  json_object_begin(json, "H");
  for (size_t g = 0; g < groups_count(groups); g++) {
    const char *group = groups_name(groups, g);
    json_number(json, group, metrics_get(metrics, "%s_H_%s", kind, group).value);
  }
  json_object_end(json);
  if (groups_count(groups) == 2) return;
  json_number(json, "spread", metrics_get(metrics, "%s_spread", kind).value);
  write_pairs(metrics, kind, groups, json);
}

/// `words` stand for −1, 0 and 1.
static void write_word(const MetricList *metrics, const char *name, const char *key,
                       const char *const words[3], JsonWriter *json) {
  double value = metrics_get(metrics, "%s", name).value;
  json_string(json, key, words[value < 0 ? 0 : value > 0 ? 2 : 1]);
}

static void write_changes(const MetricList *metrics, const GroupFile *groups, JsonWriter *json) {
  static const char *const sizes[] = {"smaller", "unclear", "larger"};
  static const char *const drifts[] = {"collapsed", "none", "blown up"};
  json_object_begin(json, "change");
  json_object_begin(json, "total");
  write_estimate(metrics, "change_total", groups, json);
  write_word(metrics, "change_total_size", "size", sizes, json);
  json_object_end(json);
  json_object_begin(json, "paired");
  write_estimate(metrics, "change_paired", groups, json);
  write_word(metrics, "change_paired_size", "size", sizes, json);
  json_object_end(json);
  json_object_begin(json, "H_bar");
  write_interval(json, "change", metrics_get(metrics, "change_H_bar"));
  json_number(json, "relative", metrics_get(metrics, "change_H_bar_relative").value);
  json_object_end(json);
  write_word(metrics, "change_drift", "drift", drifts, json);
  json_object_end(json);
}

static Status write_gap_json(const Evaluation *evaluation, const MetricList *metrics, JsonWriter *json) {
  static const char *const kinds[] = {"total", "paired"};
  static const char *const totals[] = {"H_bar", "sets", "distinct_sets", "answers", "tokens"};
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  for (size_t k = 0; k < 2; k++) {
    json_object_begin(json, kinds[k]);
    write_estimate(metrics, kinds[k], gap->dataset->groups, json);
    json_object_end(json);
  }
  for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
    json_number(json, totals[i], metrics_get(metrics, "%s", totals[i]).value);
  bool compared = !isnan(metrics_get(metrics, "change_H_bar").value);
  if (compared) write_changes(metrics, gap->dataset->groups, json);
  return STATUS_OK;
}

// ---- the evaluation ----

static void free_gap(Evaluation *evaluation) {
  GapEvaluation *gap = (GapEvaluation *)evaluation;
  gap_report_free(&gap->last);
  gap_report_free(&gap->base);
  free(gap);
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

Status gap_evaluation_keep_base(Evaluation *evaluation) {
  GapEvaluation *gap = (GapEvaluation *)evaluation;
  if (gap->last.sets == 0)
    return status_fail(STATUS_FAILED, "%s: no base model was measured", evaluation->name);
  gap_report_free(&gap->base);
  gap->base = gap->last;
  gap->last = (GapReport){0};
  return STATUS_OK;
}
