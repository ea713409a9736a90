// results.json and the table of gee-cl eval. Rule: the file says what its numbers depend on, with hashes, so
// that a comparison can refuse what does not belong together.
#include "eval_report.h"
#include "columns.h"
#include "eval/results.h"
#include "io/file.h"
#include "stacked.h"
#include "visible.h"
#include "wrap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- what rows belong to ----

Status eval_owner(const EvalRun *run, const UsedAdapter *adapter, char **out) {
  JsonWriter json = {.layout = JSON_SPACED};
  Str text = {0};
  Status status = STATUS_OK;
  const DeviceInfo *device = device_info(run->runtime->device);
  json_object_begin(&json, NULL);
  json_string(&json, "program", provenance_program());
  provenance_write_hashes(run->config, run->runtime, adapter, &json);
  json_string(&json, "model_constants", run->runtime->identity.constants);
  json_string(&json, "device", device->name);
  json_string(&json, "driver", device->driver);
  json_string(&json, "gemm", run->config->gemm);
  TRY_CLEAN(provenance_write_products(run->runtime->device, run->config->gemm, &json));
  json_string(&json, "tasks", run->config->benchmarks.tasks);
  if (run->gap != NULL) provenance_write_sampling(run->gap, &json);
  json_integer(&json, "limit", (int64_t)run->config->benchmarks.limit);
  for (size_t t = 0; t < run->task_count; t++)
    json_string(&json, benchmark_type(run->tasks[t])->name, benchmark_sha256(run->tasks[t]));
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, "the run", &text));
  *out = text.data;
cleanup:
  json_free(&json);
  return status;
}

// ---- results.json ----

static void write_metrics(const MetricList *metrics, JsonWriter *json) {
  json_object_begin(json, "metrics");
  for (size_t i = 0; i < metrics->count; i++) {
    const Metric *metric = &metrics->items[i];
    json_object_begin(json, metric->name);
    json_exact(json, "value", metric->value);
    json_exact(json, "low", metric->low);
    json_exact(json, "high", metric->high);
    json_integer(json, "n", (int64_t)metric->n);
    json_object_end(json);
  }
  json_object_end(json);
}

static void write_task(const Evaluation *task, const MetricList *metrics, JsonWriter *json) {
  const TaskType *type = benchmark_type(task);
  size_t count = 0;
  const BenchmarkFile *files = benchmark_files(task, &count);
  json_object_begin(json, type->name);
  write_metrics(metrics, json);
  if (benchmark_argument(task) != NULL) json_string(json, "argument", benchmark_argument(task));
  json_integer(json, "items", (int64_t)benchmark_items(task));
  json_string(json, "items_sha256", benchmark_sha256(task));
  json_array_begin(json, "data");
  for (size_t i = 0; i < count; i++) {
    json_object_begin(json, NULL);
    json_string(json, "path", files[i].path);
    json_string(json, "sha256", files[i].sha256);
    json_object_end(json);
  }
  json_array_end(json);
  json_string(json, "limits", type->limits);
  json_object_end(json);
}

static Status write_provenance(const EvalRun *run, const EvalModel *model, JsonWriter *json) {
  TRY(provenance_write(run->config, run->runtime, &model->adapter, json));
  json_integer(json, "limit", (int64_t)run->config->benchmarks.limit);
  if (run->gap != NULL) {
    TRY(provenance_write_data(run->config, json));
    json_object_begin(json, "sampling");
    provenance_write_sampling(run->gap, json);
    json_object_end(json);
  }
  provenance_write_time("finished", json);
  json_number(json, "seconds", model->seconds);
  return STATUS_OK;
}

static Status write_items(const EvalModel *model, JsonWriter *json) {
  char sha256[SHA256_TEXT];
  TRY(item_file_sha256(model->rows, sha256));
  provenance_write_items(model->items, sha256, json);
  return STATUS_OK;
}

Status eval_write(const EvalRun *run, const EvalModel *model) {
  JsonWriter json = {.layout = JSON_PRETTY};
  Str text = {0};
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  json_string(&json, "format", RESULTS_FORMAT);
  json_object_begin(&json, "tasks");
  for (size_t t = 0; t < run->task_count; t++) write_task(run->tasks[t], &model->metrics[t], &json);
  json_object_end(&json);
  if (model->items != NULL) TRY_CLEAN(write_items(model, &json));
  TRY_CLEAN(write_provenance(run, model, &json));
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, model->output, &text));
  TRY_CLEAN(str_append_text(&text, "\n"));
  TRY_CLEAN(args_write_output(model->output, str_text(&text), text.size));
cleanup:
  json_free(&json);
  str_free(&text);
  return status;
}

// ---- the table ----

enum {
  NAME_COLUMNS = 24,  // at least
  OTHER_COLUMNS = 45, // of a row: blanks, the value, its interval, n
};

/// Columns that a name may take.
static size_t most_columns(void) {
  size_t width = terminal_width(stdout);
  return width > NAME_COLUMNS + OTHER_COLUMNS ? width - OTHER_COLUMNS : NAME_COLUMNS;
}

static bool is_shown(const EvalRun *run, const TaskType *type, const char *metric) {
  return run->all_metrics || task_is_headline(type, metric);
}

/// Whether a metric would be shown and has no value: no item counts for it, or a correlation has too few.
static bool is_absent(const EvalRun *run, const TaskType *type, const Metric *metric) {
  return is_shown(run, type, metric->name) && isnan(metric->value);
}

/// The columns of the names that are shown, of all tasks.
static Status name_columns(const EvalRun *run, const EvalModel *model, size_t *out) {
  Str name = {0};
  Status status = STATUS_OK;
  *out = NAME_COLUMNS;
  for (size_t t = 0; t < run->task_count; t++) {
    for (size_t i = 0; i < model->metrics[t].count; i++) {
      const char *metric = model->metrics[t].items[i].name;
      if (!is_shown(run, benchmark_type(run->tasks[t]), metric)) continue;
      str_clear(&name);
      TRY_CLEAN(visible_append_name(stdout, &name, metric, most_columns()));
      size_t columns = text_columns(str_text(&name), name.size);
      if (columns > *out) *out = columns;
    }
  }
cleanup:
  str_free(&name);
  return status;
}

/// Whether the screen is too narrow for the least of rows.
static bool is_narrow(void) {
  return terminal_width(stdout) < NAME_COLUMNS + OTHER_COLUMNS;
}

static Status print_stacked(const Metric *metric, const char *interval) {
  char value[64], n[32];
  Str name = {0}, row = {0};
  (void)snprintf(value, sizeof value, "%.4f", metric->value);
  (void)snprintf(n, sizeof n, "n %zu", metric->n);
  Status status = visible_append_name(stdout, &name, metric->name, SIZE_MAX);
  if (status == STATUS_OK)
    status = stacked_append(&row, str_text(&name), (const char *const[]){value, interval, n}, 3,
                            terminal_width(stdout));
  if (status == STATUS_OK) printf("%s", str_text(&row));
  str_free(&name);
  str_free(&row);
  return status;
}

/// Names may hold what stood in a data file, such as a bias type.
static Status print_metric(const Metric *metric, size_t columns) {
  char interval[64] = "";
  Str name = {0};
  if (isfinite(metric->low))
    (void)snprintf(interval, sizeof interval, "[%.4f, %.4f]", metric->low, metric->high);
  if (is_narrow()) return print_stacked(metric, interval);
  Status status = visible_append_name(stdout, &name, metric->name, most_columns());
  if (status == STATUS_OK)
    printf("  %-*s %10.4f  %-22s %6zu\n", field_width(str_text(&name), columns), str_text(&name),
           metric->value, interval, metric->n);
  str_free(&name);
  return status;
}

static Status print_paragraph(const char *text) {
  Str shown = {0}, wrapped = {0};
  Status status = visible_append_for(stdout, &shown, text, strlen(text));
  if (status == STATUS_OK) status = wrap_append(&wrapped, str_text(&shown), 2, "  ", text_width(stdout));
  if (status == STATUS_OK) printf("  %s\n", str_text(&wrapped));
  str_free(&shown);
  str_free(&wrapped);
  return status;
}

/// Says where the metrics are that are not shown.
static Status print_rest(size_t count, const char *output) {
  char *text = NULL;
  if (count == 0) return STATUS_OK;
  TRY(str_format(&text, "%zu more metric%s in %s; --all-metrics shows them.", count,
                 count == 1 ? " is" : "s are", output));
  Status status = print_paragraph(text);
  free(text);
  return status;
}

/// Names the metrics that are to be shown and have no value.
static Status print_absent(const EvalRun *run, const TaskType *type, const MetricList *metrics) {
  Str text = {0};
  size_t count = 0, index = 0;
  Status status = STATUS_OK;
  for (size_t i = 0; i < metrics->count; i++) count += is_absent(run, type, &metrics->items[i]);
  if (count == 0) return STATUS_OK;
  TRY_CLEAN(str_append_text(&text, "No value, as too few items count for it: "));
  for (size_t i = 0; i < metrics->count; i++)
    if (is_absent(run, type, &metrics->items[i]))
      TRY_CLEAN(str_append_item(&text, metrics->items[i].name, index++, count, " and "));
  TRY_CLEAN(str_append_text(&text, "."));
  status = print_paragraph(str_text(&text));
cleanup:
  str_free(&text);
  return status;
}

static void print_head(const TaskType *type, size_t columns) {
  printf("\n%s%-*s%s", style(stdout, STYLE_BOLD), is_narrow() ? 0 : field_width(type->name, columns + 2),
         type->name, style(stdout, STYLE_PLAIN));
  if (!is_narrow()) printf(" %10s  %-22s %6s", "value", "95 % interval", "n");
  printf("\n");
}

static Status print_task(const EvalRun *run, const EvalModel *model, size_t index, size_t columns) {
  const TaskType *type = benchmark_type(run->tasks[index]);
  const MetricList *metrics = &model->metrics[index];
  size_t hidden = 0;
  print_head(type, columns);
  for (size_t i = 0; i < metrics->count; i++) {
    const Metric *metric = &metrics->items[i];
    hidden += !is_shown(run, type, metric->name);
    if (is_shown(run, type, metric->name) && !isnan(metric->value)) TRY(print_metric(metric, columns));
  }
  TRY(print_absent(run, type, metrics));
  TRY(print_rest(hidden, model->output));
  return print_paragraph(type->limits);
}

Status eval_print(const EvalRun *run, const EvalModel *model) {
  size_t columns = 0;
  TRY(name_columns(run, model, &columns));
  TRY(visible_print_name(stdout, run->config->model.path));
  if (model->adapter.path != NULL) {
    printf(" + ");
    TRY(visible_print_name(stdout, model->adapter.path));
  }
  printf("\n");
  for (size_t t = 0; t < run->task_count; t++) TRY(print_task(run, model, t, columns));
  printf("\n");
  return STATUS_OK;
}
