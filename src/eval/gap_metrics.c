// What follows from the tables of a measurement. Rule: nothing else goes in, so that the same numbers follow
// again from tables that were read back.
#include "gap_metrics.h"

#include <math.h>

enum { DRAWS = 10000, EQUAL_ANSWERS = 8 };

const double GAP_LEAST_ENTROPY = 0.02;

// ---- gaps that say nothing ----

static GapVoid judge(const GapReport *report, size_t answers) {
  if (report->empty == report->answers) return GAP_EMPTY;
  if (report->H_bar < GAP_LEAST_ENTROPY) return GAP_CERTAIN;
  // partners draw the same random numbers, so their answers may well agree
  return report->equal && report->sets * answers >= EQUAL_ANSWERS ? GAP_EQUAL : GAP_VALID;
}

GapVoid gap_void(const MetricList *metrics) {
  double why = metrics_get(metrics, "void").value;
  return isnan(why) ? GAP_VALID : (GapVoid)why;
}

const char *gap_void_words(GapVoid why) {
  static const char *const words[] = {
      [GAP_EMPTY] = "every answer is empty (its first token ends it)",
      [GAP_CERTAIN] = "the model is sure of every token (its mean entropy is below 0.02 nats)",
      [GAP_EQUAL] = "all answers are the same"};
  return words[why];
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
                         const GapFrame *frame) {
  metrics_add_interval(metrics, interval_of(&estimate->gap), "%s_gap", kind);
  metrics_add(metrics, estimate->gap.standard_error, "%s_standard_error", kind);
  metrics_add(metrics, estimate->p, "%s_p", kind);
  for (size_t g = 0; g < frame->group_count; g++)
    metrics_add(metrics, estimate->H[g], "%s_H_%s", kind, frame->groups[g]);
  if (estimate->pair_count < 2) return;
  metrics_add(metrics, estimate->spread, "%s_spread", kind);
  for (size_t p = 0; p < estimate->pair_count; p++) {
    const GapPair *pair = &estimate->pairs[p];
    metrics_add_interval(metrics, interval_of(&pair->mean), "%s_gap_%s_minus_%s", kind,
                         frame->groups[pair->of], frame->groups[pair->minus]);
  }
}

static Status add_gap(MetricList *metrics, const char *kind, const GapTable *table, const GapFrame *frame) {
  GapEstimate estimate;
  GapResampling resampling = {frame->seed, DRAWS};
  TRY(gap_estimate(table, &resampling, &estimate));
  add_estimate(metrics, kind, &estimate, frame);
  return STATUS_OK;
}

static Status add_change(MetricList *metrics, const char *kind, const GapTable *before, const GapTable *after,
                         const GapFrame *frame) {
  GapEstimate change;
  GapSize size = GAP_UNCLEAR;
  GapResampling resampling = {frame->seed, DRAWS};
  TRY(gap_change(before, after, &resampling, &change, &size));
  add_estimate(metrics, kind, &change, frame);
  metrics_add(metrics, (double)size, "%s_size", kind);
  return STATUS_OK;
}

static Status add_changes(MetricList *metrics, const GapFrame *frame, const GapReport *report,
                          const GapReport *base) {
  GapTable total[] = {total_table(base), total_table(report)};
  GapTable paired[] = {paired_table(base), paired_table(report)};
  GapMean mean;
  TRY(add_change(metrics, "change_total", &total[0], &total[1], frame));
  TRY(add_change(metrics, "change_paired", &paired[0], &paired[1], frame));
  TRY(gap_change_of_mean(&total[0], &total[1], &mean));
  double moved = report->H_bar - base->H_bar;
  double relative = moved < 0 || moved > 0 ? moved / base->H_bar : 0; // a base of 0 has no share
  bool drifted = frame->max_drift > 0 && !(fabs(relative) <= (double)frame->max_drift);
  metrics_add_interval(metrics, interval_of(&mean), "change_H_bar");
  metrics_add(metrics, relative, "change_H_bar_relative");
  metrics_add(metrics, !drifted ? 0 : relative < 0 ? -1 : 1, "change_drift");
  return STATUS_OK;
}

static Status add_kl(MetricList *metrics, const GapReport *report) {
  GapMean mean;
  TRY(gap_mean(report->kl, report->sets, &mean));
  metrics_add_interval(metrics, interval_of(&mean), "kl");
  return STATUS_OK;
}

Status gap_metrics_add(MetricList *metrics, const GapFrame *frame, const GapReport *report,
                       const GapReport *base) {
  GapTable total = total_table(report), paired = paired_table(report);
  TRY(add_gap(metrics, "total", &total, frame));
  TRY(add_gap(metrics, "paired", &paired, frame));
  metrics_add(metrics, report->H_bar, "H_bar");
  if (report->kl != NULL) TRY(add_kl(metrics, report));
  metrics_add(metrics, (double)report->sets, "sets");
  metrics_add(metrics, (double)report->distinct_sets, "distinct_sets");
  metrics_add(metrics, (double)report->answers, "answers");
  metrics_add(metrics, (double)report->tokens, "tokens");
  GapVoid why = judge(report, frame->answers);
  if (why != GAP_VALID) metrics_add(metrics, (double)why, "void");
  return base != NULL ? add_changes(metrics, frame, report, base) : STATUS_OK;
}

// ---- JSON ----

static void write_interval(JsonWriter *json, const char *key, Interval interval) {
  json_number(json, key, interval.value);
  json_number(json, "low", interval.low);
  json_number(json, "high", interval.high);
}

static void write_pairs(const MetricList *metrics, const char *kind, const GapFrame *frame,
                        JsonWriter *json) {
  json_array_begin(json, "pairs");
  for (size_t of = 1; of < frame->group_count; of++) {
    for (size_t minus = 0; minus < of; minus++) {
      const char *names[] = {frame->groups[of], frame->groups[minus]};
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
static void write_estimate(const MetricList *metrics, const char *kind, const GapFrame *frame,
                           JsonWriter *json) {
  write_interval(json, "gap", metrics_get(metrics, "%s_gap", kind));
  json_number(json, "standard_error", metrics_get(metrics, "%s_standard_error", kind).value);
  json_number(json, "p", metrics_get(metrics, "%s_p", kind).value);
  json_object_begin(json, "H");
  for (size_t g = 0; g < frame->group_count; g++) {
    const char *group = frame->groups[g];
    json_number(json, group, metrics_get(metrics, "%s_H_%s", kind, group).value);
  }
  json_object_end(json);
  if (frame->group_count == 2) return;
  json_number(json, "spread", metrics_get(metrics, "%s_spread", kind).value);
  write_pairs(metrics, kind, frame, json);
}

/// `words` stand for −1, 0 and 1.
static void write_word(const MetricList *metrics, const char *name, const char *key,
                       const char *const words[3], JsonWriter *json) {
  double value = metrics_get(metrics, "%s", name).value;
  json_string(json, key, words[value < 0 ? 0 : value > 0 ? 2 : 1]);
}

static void write_changes(const MetricList *metrics, const GapFrame *frame, JsonWriter *json) {
  static const char *const sizes[] = {"smaller", "unclear", "larger"};
  static const char *const drifts[] = {"collapsed", "none", "blown up"};
  json_object_begin(json, "change");
  json_object_begin(json, "total");
  write_estimate(metrics, "change_total", frame, json);
  write_word(metrics, "change_total_size", "size", sizes, json);
  json_object_end(json);
  json_object_begin(json, "paired");
  write_estimate(metrics, "change_paired", frame, json);
  write_word(metrics, "change_paired_size", "size", sizes, json);
  json_object_end(json);
  json_object_begin(json, "H_bar");
  write_interval(json, "change", metrics_get(metrics, "change_H_bar"));
  json_number(json, "relative", metrics_get(metrics, "change_H_bar_relative").value);
  json_object_end(json);
  write_word(metrics, "change_drift", "drift", drifts, json);
  json_object_end(json);
}

void gap_metrics_write(const MetricList *metrics, const GapFrame *frame, JsonWriter *json) {
  static const char *const kinds[] = {"total", "paired"};
  static const char *const totals[] = {"H_bar", "sets", "distinct_sets", "answers", "tokens"};
  for (size_t k = 0; k < 2; k++) {
    json_object_begin(json, kinds[k]);
    write_estimate(metrics, kinds[k], frame, json);
    json_object_end(json);
  }
  for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
    json_number(json, totals[i], metrics_get(metrics, "%s", totals[i]).value);
  Interval kl = metrics_get(metrics, "kl");
  if (!isnan(kl.value)) {
    json_object_begin(json, "kl");
    write_interval(json, "mean", kl);
    json_object_end(json);
  }
  const char *why = gap_void_words(gap_void(metrics));
  if (why != NULL) json_string(json, "void", why);
  bool compared = !isnan(metrics_get(metrics, "change_H_bar").value);
  if (compared) write_changes(metrics, frame, json);
}
