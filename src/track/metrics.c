// The list of metrics. Rule: metrics are only appended, so every sink sees them in the order in which they
// were added. The members of metrics.jsonl have that order too.
#include "track/metrics.h"

#include "io/json_write.h"
#include "util/memory.h"
#include "util/str.h"
#include "util/utf8.h"
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

void metrics_add_estimate(MetricList *list, Interval interval, size_t n, const char *name, ...) {
  va_list args;
  Metric metric = {NULL, interval.value, true, interval.low, interval.high, n};
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

void metrics_flatten(const MetricList *list, const char *source, MetricList *out) {
  const char *prefix = source != NULL ? source : "", *slash = source != NULL ? "/" : "";
  for (size_t i = 0; i < list->count; i++) {
    const Metric *metric = &list->items[i];
    Str name = {0};
    if (utf8_append_lossy(&name, metric->name, strlen(metric->name)) != STATUS_OK) out->failed = true;
    metrics_add(out, metric->value, "%s%s%s", prefix, slash, str_text(&name));
    if (metric->has_interval) {
      metrics_add(out, metric->low, "%s%s%s_low", prefix, slash, str_text(&name));
      metrics_add(out, metric->high, "%s%s%s_high", prefix, slash, str_text(&name));
    }
    str_free(&name);
  }
}

Status metrics_write_json(const MetricList *list, JsonWriter *json) {
  MetricList flat = {0};
  metrics_flatten(list, NULL, &flat);
  Status status = metrics_check(&flat);
  for (size_t i = 0; i < flat.count; i++) json_number(json, flat.items[i].name, flat.items[i].value);
  metrics_free(&flat);
  return status;
}
