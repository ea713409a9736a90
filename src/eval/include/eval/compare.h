// Models that were evaluated on the same items: the differences of their metrics, with paired intervals.
//
//   unit      what is drawn as one: a row, or the rows of a task that belong together (TaskType.unit)
//   parts     a metric as a mean over units, sum of s_u / sum of c_u. Of most metrics measure() on a unit
//             alone gives c_u = n and s_u = n · value, and these add up to the metric of all rows, which is
//             checked. Of others (a correlation, a perplexity) s_u is the jackknife's pseudo-value
//             G·θ − (G − 1)·θ_(−u), and c_u = 1 (Tukey, 1958; Efron and Stein, Ann. Statist. 9, 1981); of
//             more than 300 units, a part is a bundle of them
//   interval  expanded percentiles (Hesterberg, 2015) of the difference over 10,000 bootstrap samples of
//             units; all models and metrics of a task have the same samples. Below 8 units that the metric is
//             computed from, there is none, nor where all units changed alike: every sample would be the same
//   p         of the test that it makes no difference which model gave which answers: the share of 10,000
//             random exchanges of the models, unit by unit, after which the difference is as large,
//             (b + 1) / (draws + 1). With few units it cannot be small, as a bootstrap's would be
//   Holm      p with Holm's correction (Scand. J. Statist. 6, 1979) over all metrics of a model
//   best      the value is nearer to the metric's aim (TaskType.aims) than that of every other model, and the
//             interval of each of these differences in distance excludes zero
#pragma once

#include "eval/task.h"

/// A model's value of a metric.
typedef struct ComparedValue {
  double value;
  Interval change; // less the first model's
  double p, p_holm;
  bool best;
  bool unchanged; // every unit gives the metric what it gives of the first model
} ComparedValue;

typedef struct ComparedMetric {
  const TaskType *type;
  char *name;
  size_t n, units;       // of the first model; units that it is computed from
  ComparedValue *values; // [models] the first's change and p are NaN
} ComparedMetric;

/// Zero-initialise and set `models`; free with comparison_free.
typedef struct Comparison {
  size_t models;
  ComparedMetric *list;
  size_t count, capacity;
} Comparison;

/// A model's rows of a task, and their metrics.
typedef struct ComparedRows {
  TaskItems items;
  const MetricList *metrics;
} ComparedRows;

/// Appends the metrics of a task. rows[comparison->models] are of the same items, in the same order.
/// STATUS_INPUT if they are not.
STATUS_CHECKED Status comparison_add(Comparison *comparison, const ComparedRows *rows);
/// Sets every p_holm, once all tasks are there.
STATUS_CHECKED Status comparison_finish(Comparison *comparison);
/// Safe on a zeroed struct and twice.
void comparison_free(Comparison *comparison);
