#include "support/benchmarks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *model, *folder;
static char data[600];
static bool run_all;

bool benchmarks_open(bool *whole) {
  model = test_smollm2();
  if (model == NULL || test_shared() == NULL) {
    (void)fprintf(stderr, "skipped: no SmolLM2 GGUF (GEE_SMOLLM2) or no shared golden folder (GEE_SHARED)\n");
    return false;
  }
  *whole = run_all = getenv("GEE_WHOLE_BENCHMARKS") != NULL;
  folder = test_folder();
  (void)snprintf(data, sizeof data, "%s/data", test_shared());
  return true;
}

cJSON *read_shared(const char *name) {
  char path[700];
  cJSON *json = NULL;
  (void)snprintf(path, sizeof path, "%s/golden/%s", test_shared(), name);
  assert_ok(json_parse_file(path, &json));
  return json;
}

double number(const cJSON *list, size_t index) {
  const cJSON *item = cJSON_GetArrayItem(list, (int)index);
  assert_true(cJSON_IsNumber(item));
  return item->valuedouble;
}

Measured measure_first(const char *task, const char *limit) {
  Measured m = {0};
  cJSON *results = NULL;
  char output[700], items[700];
  (void)snprintf(output, sizeof output, "%s/results.json", folder);
  (void)snprintf(items, sizeof items, "%s/items.jsonl", folder);
  assert_code(GEE("eval", "--model", model, "--tasks", task, "--data-dir", data, "--output", output,
                  "--items", items, "--limit", limit),
              0);
  assert_ok(json_parse_file(output, &results));
  const cJSON *tasks = cJSON_GetObjectItem(results, "tasks");
  assert_int_equal(cJSON_GetArraySize(tasks), 1);
  cJSON *of_task = tasks->child;
  m.metrics = cJSON_DetachItemFromObject(of_task, "metrics");
  assert_non_null(m.metrics);
  cJSON_Delete(results);
  char *text = read_file(items, NULL), *rest = NULL;
  for (const char *c = text; *c != '\0'; c++) m.count += *c == '\n';
  m.rows = calloc(m.count, sizeof *m.rows);
  assert_non_null(m.rows);
  m.count = 0;
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
    assert_non_null(m.rows[m.count++] = cJSON_Parse(line));
  free(text);
  return m;
}

Measured measure(const char *task, const char *limit) {
  return measure_first(task, run_all ? "0" : limit);
}

void measured_free(Measured *m) {
  for (size_t i = 0; i < m->count; i++) cJSON_Delete(m->rows[i]);
  free(m->rows);
  cJSON_Delete(m->metrics);
}

double metric(const Measured *m, const char *name) {
  const cJSON *value = cJSON_GetObjectItem(cJSON_GetObjectItemCaseSensitive(m->metrics, name), "value");
  if (!cJSON_IsNumber(value)) fail_msg("there is no metric %s", name);
  return value->valuedouble;
}
