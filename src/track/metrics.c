// The list of metrics. Rule: it is only ever appended to, so a sink sees the metrics in the order in which they
// were added, and that order is the order of members in metrics.jsonl.
#include "track/metrics.h"

#include "io/json_write.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Status append(MetricList *list, Interval interval, bool has_interval, const char *format,
                     va_list args) {
  char *name = NULL;
  TRY(mem_reserve(&list->items, &list->capacity, list->count + 1, "metrics"));
  if (vasprintf(&name, format, args) < 0) return status_fail(STATUS_FAILED, "out of memory for metrics");
  list->items[list->count++] = (Metric){.name = name,
                                        .value = interval.value,
                                        .has_interval = has_interval,
                                        .low = interval.low,
                                        .high = interval.high};
  return STATUS_OK;
}

void metrics_add(MetricList *list, double value, const char *name, ...) {
  va_list args;
  va_start(args, name);
  if (append(list, (Interval){value, NAN, NAN}, false, name, args) != STATUS_OK) list->failed = true;
  va_end(args);
}

void metrics_add_interval(MetricList *list, Interval interval, const char *name, ...) {
  va_list args;
  va_start(args, name);
  if (append(list, interval, true, name, args) != STATUS_OK) list->failed = true;
  va_end(args);
}

Status metrics_check(const MetricList *list) {
  return list->failed ? status_fail(STATUS_FAILED, "out of memory for metrics") : STATUS_OK;
}

void metrics_free(MetricList *list) {
  if (list == NULL) return;
  for (size_t i = 0; i < list->count; i++) free(list->items[i].name);
  free(list->items);
  *list = (MetricList){0};
}

Interval metrics_get(const MetricList *list, const char *name, ...) {
  char wanted[512];
  va_list args;
  va_start(args, name);
  (void)vsnprintf(wanted, sizeof wanted, name, args);
  va_end(args);
  for (size_t i = 0; i < list->count; i++) {
    const Metric *metric = &list->items[i];
    if (strcmp(metric->name, wanted) == 0) return (Interval){metric->value, metric->low, metric->high};
  }
  return (Interval){NAN, NAN, NAN};
}

static Status write_bound(JsonWriter *json, const char *name, const char *end, double value) {
  char *key = NULL;
  TRY(str_format(&key, "%s_%s", name, end));
  json_number(json, key, value);
  free(key);
  return STATUS_OK;
}

Status metrics_write_json(const MetricList *list, JsonWriter *json) {
  for (size_t i = 0; i < list->count; i++) {
    const Metric *metric = &list->items[i];
    json_number(json, metric->name, metric->value);
    if (!metric->has_interval) continue;
    TRY(write_bound(json, metric->name, "low", metric->low));
    TRY(write_bound(json, metric->name, "high", metric->high));
  }
  return STATUS_OK;
}
