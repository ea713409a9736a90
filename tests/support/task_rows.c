#include "support/task_rows.h"

#include <math.h>
#include <string.h>

enum { MOST_ROWS = 16 };

MetricList metrics_of(const TaskType *type, const char *const *rows, size_t count) {
  TaskItem items[MOST_ROWS];
  cJSON *parsed[MOST_ROWS];
  MetricList metrics = {0};
  assert_true(count <= MOST_ROWS);
  for (size_t i = 0; i < count; i++) {
    assert_ok(json_parse(rows[i], strlen(rows[i]), "a row", &parsed[i]));
    items[i] = (TaskItem){"a row", parsed[i]};
  }
  assert_ok(type->measure(&(TaskItems){type, items, count}, &metrics));
  assert_ok(metrics_check(&metrics));
  for (size_t i = 0; i < count; i++) cJSON_Delete(parsed[i]);
  return metrics;
}

void assert_metric(const MetricList *metrics, const char *name, double value) {
  double found = metrics_get(metrics, "%s", name).value;
  if (!(fabs(found - value) < 1e-12)) fail_msg("%s is %.17g, not %.17g", name, found, value);
}
