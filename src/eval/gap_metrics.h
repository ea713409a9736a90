// From what was measured to metrics, and from metrics to JSON (eval/gap.h has the list of both).
#pragma once

#include "gap_measure.h"
#include "io/json_write.h"

/// What the metrics depend on besides what was measured.
typedef struct GapFrame {
  const char *groups[DATA_MAX_GROUPS]; // names; borrowed
  size_t group_count;
  size_t answers; // per prompt
  uint64_t seed;
  float max_drift; // as in GapOptions
} GapFrame;

/// Appends the metrics of a report, and what changed since `base` unless that is NULL.
STATUS_CHECKED Status gap_metrics_add(MetricList *metrics, const GapFrame *frame, const GapReport *report,
                                      const GapReport *base);
/// Adds the metrics to an open object, as members.
void gap_metrics_write(const MetricList *metrics, const GapFrame *frame, JsonWriter *json);
