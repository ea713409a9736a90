// The list of metrics. Rule: metrics are only appended, so every sink sees them in the order in which they
// were added. The members of metrics.jsonl have that order too.
#include "track/metrics.h"

#include "io/json_write.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Status format_name(char **out, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  Status status = length < 0 ? status_fail(STATUS_FAILED, "a metric's name could not be formatted")
                             : mem_array(out, (size_t)length + 1, "metrics");
  if (status == STATUS_OK) (void)vsnprintf(*out, (size_t)length + 1, format, again);
  va_end(again);
  return status;
}

static void append(MetricList *list, Metric metric, const char *format, va_list args) {
  Status status = mem_reserve(&list->items, &list->capacity, list->count + 1, "metrics");
  if (status == STATUS_OK) status = format_name(&metric.name, format, args);
  if (status == STATUS_OK) list->items[list->count++] = metric;
  if (status != STATUS_OK) list->failed = true;
}

void metrics_add(MetricList *list, double value, const char *name, ...) {
  va_list args;
  va_start(args, name);
  append(list, (Metric){.value = value, .low = NAN, .high = NAN}, name, args);
  va_end(args);
}

void metrics_add_interval(MetricList *list, Interval interval, const char *name, ...) {
  va_list args;
  Metric metric = {.value = interval.value, .has_interval = true, .low = interval.low, .high = interval.high};
  va_start(args, name);
  append(list, metric, name, args);
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
