// Measurements as one list for all sinks: names, values, and intervals where there are any. Rule: a list
// remembers its first failure, so callers check only metrics_check; the tracker refuses an incomplete list:
//
//   MetricList metrics = {0};
//   metrics_add(&metrics, loss, "loss");
//   metrics_add_interval(&metrics, (Interval){gap, low, high}, "paired_gap");
//   metrics_add(&metrics, H, "H_%s", group);
//   Status status = metrics_check(&metrics);
//   metrics_free(&metrics);
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

struct JsonWriter; // io/json_write.h

/// A measured value and the interval it lies in. NaN stands for what could not be measured (an interval from
/// one observation).
typedef struct Interval {
  double value, low, high;
} Interval;

typedef struct Metric {
  char *name; // owned by the list
  double value;
  bool has_interval;
  double low, high; // NaN unless has_interval
  size_t n;         // observations that it was computed from; 0: not said
} Metric;

/// Zero-initialise; free with metrics_free.
typedef struct MetricList {
  Metric *items;
  size_t count, capacity;
  bool failed; // memory ran out: something is missing
} MetricList;

/// Appends a metric. The name is formatted as printf does, and may be any text.
void metrics_add(MetricList *list, double value, const char *name, ...) __attribute__((format(printf, 3, 4)));
void metrics_add_interval(MetricList *list, Interval interval, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
/// The same, of `n` observations.
void metrics_add_estimate(MetricList *list, Interval interval, size_t n, const char *name, ...)
    __attribute__((format(printf, 4, 5)));
/// STATUS_FAILED if an addition failed.
STATUS_CHECKED Status metrics_check(const MetricList *list);
/// Frees the list and empties it; safe on NULL and twice.
void metrics_free(MetricList *list);

/// The first metric of that name (formatted as printf does); all NaN if there is none.
Interval metrics_get(const MetricList *list, const char *name, ...) __attribute__((format(printf, 2, 3)));

/// Appends each metric to `out` as a plain one, in order, as every sink names them: "name", and for an
/// interval also "name_low" and "name_high"; behind "source/" unless `source` is NULL. Ill-formed UTF-8 in a
/// name becomes U+FFFD. Check `out` with metrics_check.
void metrics_flatten(const MetricList *list, const char *source, MetricList *out);
/// Adds the flattened list to an open object. NaN becomes null.
STATUS_CHECKED Status metrics_write_json(const MetricList *list, struct JsonWriter *json);
