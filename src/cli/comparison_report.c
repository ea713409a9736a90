// The forms of a comparison. Rule: tables are rounded for people; CSV and JSON have every digit.
#include "comparison_report.h"

#include "columns.h"
#include "io/json_write.h"
#include "stacked.h"
#include "terminal.h"
#include "util/memory.h"
#include "visible.h"
#include "wrap.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char EXPLANATION[] =
    "In brackets: 95 % interval of the change, from 10,000 paired bootstrap samples. p: that the models "
    "differ, by random exchanges of their answers, with Holm's correction over all metrics. *: better than "
    "all "
    "others, with an interval that excludes zero.";

// ---- a grid of texts ----

typedef struct Grid {
  Str *cells; // [rows][columns]
  size_t rows, columns;
} Grid;

static void grid_free(Grid *grid) {
  for (size_t i = 0; grid->cells != NULL && i < grid->rows * grid->columns; i++) str_free(&grid->cells[i]);
  free(grid->cells);
}

static Str *cell(const Grid *grid, size_t row, size_t column) {
  return &grid->cells[row * grid->columns + column];
}

/// The columns of model m > 0: value, change, p. The first model has the value alone.
static size_t column_of(size_t model) {
  return model == 0 ? 2 : 3 * model;
}

/// Appends a name, which stands on one line of a screen.
static Status append_name(const ComparisonReport *report, const char *name, size_t columns, Str *out) {
  return report->screen != NULL ? visible_append_name(report->screen, out, name, columns)
                                : str_append_text(out, name);
}

static Status fill_head(const ComparisonReport *report, Grid *grid) {
  TRY(str_append_text(cell(grid, 0, 0), "metric"));
  TRY(str_append_text(cell(grid, 0, 1), "n"));
  for (size_t m = 0; m < report->comparison->models; m++) {
    TRY(append_name(report, report->names[m], SIZE_MAX, cell(grid, 0, column_of(m))));
    if (m == 0) continue;
    TRY(str_append_text(cell(grid, 0, column_of(m) + 1), "change"));
    TRY(str_append_text(cell(grid, 0, column_of(m) + 2), "p"));
  }
  return STATUS_OK;
}

static Status fill_change(const ComparedValue *value, Str *change, Str *p) {
  if (isfinite(value->change.value)) TRY(str_append_format(change, "%+.4f", value->change.value));
  if (value->unchanged) TRY(str_append_text(change, " (no item changed)"));
  if (isfinite(value->change.low))
    TRY(str_append_format(change, " [%+.4f, %+.4f]", value->change.low, value->change.high));
  if (!isfinite(value->p_holm)) return STATUS_OK;
  return value->p_holm < 0.001 ? str_append_text(p, "<0.001") : str_append_format(p, "%.3f", value->p_holm);
}

static bool is_shown(const ComparisonReport *report, const ComparedMetric *metric) {
  return report->all_metrics || task_is_headline(metric->type, metric->name);
}

static Status fill_row(const ComparisonReport *report, const ComparedMetric *metric, size_t row, Grid *grid) {
  TRY(str_append_format(cell(grid, row, 0), "%s/", metric->type->name));
  TRY(append_name(report, metric->name, SIZE_MAX, cell(grid, row, 0)));
  TRY(str_append_format(cell(grid, row, 1), "%zu", metric->n));
  for (size_t m = 0; m < report->comparison->models; m++) {
    const ComparedValue *value = &metric->values[m];
    size_t column = column_of(m);
    if (isfinite(value->value))
      TRY(str_append_format(cell(grid, row, column), "%.4f%s", value->value, value->best ? "*" : ""));
    if (m > 0) TRY(fill_change(value, cell(grid, row, column + 1), cell(grid, row, column + 2)));
  }
  return STATUS_OK;
}

static Status fill_grid(const ComparisonReport *report, Grid *grid) {
  const Comparison *comparison = report->comparison;
  size_t row = 1;
  grid->rows = 1;
  grid->columns = column_of(comparison->models);
  for (size_t i = 0; i < comparison->count; i++) grid->rows += is_shown(report, &comparison->list[i]);
  TRY(mem_array(&grid->cells, grid->rows * grid->columns, "the table"));
  TRY(fill_head(report, grid));
  for (size_t i = 0; i < comparison->count; i++)
    if (is_shown(report, &comparison->list[i])) TRY(fill_row(report, &comparison->list[i], row++, grid));
  return STATUS_OK;
}

/// Appends a paragraph, in lines on a screen.
static Status append_paragraph(const ComparisonReport *report, const char *text, Str *out) {
  TRY(report->screen != NULL ? wrap_append(out, text, 0, "", message_width(report->screen))
                             : str_append_text(out, text));
  return str_append_text(out, "\n");
}

/// Says what the table leaves out.
static Status write_ending(const ComparisonReport *report, const Grid *grid, Str *out) {
  size_t hidden = report->comparison->count - (grid->rows - 1);
  char text[128];
  TRY(str_append_text(out, "\n"));
  TRY(append_paragraph(report, EXPLANATION, out));
  if (hidden == 0) return STATUS_OK;
  (void)snprintf(text, sizeof text, "%zu more metric%s: --all-metrics, or --format json or csv.", hidden,
                 hidden == 1 ? "" : "s");
  return append_paragraph(report, text, out);
}

// ---- a table for a terminal ----

static Status write_models(const ComparisonReport *report, Str *out) {
  for (size_t m = 0; m < report->comparison->models; m++) {
    const cJSON *json = report->results[m].json;
    const char *model = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "model_path"));
    const char *adapter = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "adapter_path"));
    TRY(append_name(report, report->names[m], SIZE_MAX, out));
    TRY(str_append_text(out, ": "));
    TRY(append_name(report, model != NULL ? model : "?", SIZE_MAX, out));
    if (adapter != NULL) TRY(str_append_text(out, " + "));
    if (adapter != NULL) TRY(append_name(report, adapter, SIZE_MAX, out));
    TRY(str_append_text(out, "\n"));
  }
  return str_append_text(out, "\n");
}

static size_t width_of(const Grid *grid, size_t column) {
  size_t widest = 0;
  for (size_t row = 0; row < grid->rows; row++) {
    const Str *text = cell(grid, row, column);
    size_t width = text_columns(str_text(text), text->size);
    if (width > widest) widest = width;
  }
  return widest;
}

enum { LEAST_NAME = 40 }; // columns that a name is not cut below

/// The columns beside the names.
static size_t other_columns(const Grid *grid) {
  size_t others = 0;
  for (size_t column = 1; column < grid->columns; column++) others += 2 + width_of(grid, column);
  return others;
}

/// Cuts long names of metrics on a screen, so that a row stays on one line.
static Status fit_names(const ComparisonReport *report, const Grid *grid, size_t room) {
  size_t others = other_columns(grid);
  for (size_t row = 0; row < grid->rows; row++) {
    Str *name = cell(grid, row, 0), fitted = {0};
    Status status =
        append_name(report, str_text(name), room > others + LEAST_NAME ? room - others : LEAST_NAME, &fitted);
    str_free(name);
    *name = fitted;
    TRY(status);
  }
  return STATUS_OK;
}

/// The rows of a screen that is too narrow for columns: each cell behind its column's head.
static Status write_stacked(const Grid *grid, size_t room, Str *out) {
  Str *texts = NULL;
  const char **parts = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&texts, grid->columns, "a row"));
  TRY_CLEAN(mem_array(&parts, grid->columns, "a row"));
  for (size_t row = 1; row < grid->rows; row++) {
    for (size_t column = 1; column < grid->columns; column++) {
      const Str *text = cell(grid, row, column);
      str_clear(&texts[column]);
      if (text->size > 0)
        TRY_CLEAN(
            str_append_format(&texts[column], "%s %s", str_text(cell(grid, 0, column)), str_text(text)));
      parts[column] = str_text(&texts[column]);
    }
    TRY_CLEAN(stacked_append(out, str_text(cell(grid, row, 0)), parts + 1, grid->columns - 1, room));
  }
cleanup:
  for (size_t i = 0; texts != NULL && i < grid->columns; i++) str_free(&texts[i]);
  free(texts);
  free(parts);
  return status;
}

static Status write_columns(const Grid *grid, Str *out) {
  for (size_t row = 0; row < grid->rows; row++) {
    for (size_t column = 0; column < grid->columns; column++) {
      const char *text = str_text(cell(grid, row, column));
      int width = field_width(text, width_of(grid, column));
      TRY(str_append_format(out, column == 0 ? "%-*s" : "  %*s", width, text));
    }
    TRY(str_append_text(out, "\n"));
  }
  return STATUS_OK;
}

static Status write_table(const ComparisonReport *report, const Grid *grid, Str *out) {
  bool terminal = report->screen != NULL && terminal_of(report->screen).redraws;
  size_t room = terminal ? terminal_width(report->screen) : SIZE_MAX;
  size_t names = size_min(width_of(grid, 0), LEAST_NAME);
  TRY(write_models(report, out));
  if (room < other_columns(grid) + names) {
    TRY(write_stacked(grid, room, out));
  } else {
    TRY(fit_names(report, grid, room));
    TRY(write_columns(grid, out));
  }
  return write_ending(report, grid, out);
}

// ---- Markdown ----

static Status write_markdown_cell(const Str *text, Str *out) {
  TRY(str_append_text(out, " "));
  for (const char *c = str_text(text); *c != '\0'; c++) {
    if (strchr("\\|*_<`[]", *c) != NULL) TRY(str_append_text(out, "\\"));
    TRY(str_append(out, *c == '\n' ? " " : c, 1));
  }
  return str_append_text(out, " |");
}

static Status write_markdown(const ComparisonReport *report, const Grid *grid, Str *out) {
  for (size_t row = 0; row < grid->rows; row++) {
    TRY(str_append_text(out, "|"));
    for (size_t column = 0; column < grid->columns; column++)
      TRY(write_markdown_cell(cell(grid, row, column), out));
    TRY(str_append_text(out, "\n"));
    if (row > 0) continue;
    TRY(str_append_text(out, "|---|"));
    for (size_t column = 1; column < grid->columns; column++) TRY(str_append_text(out, "---:|"));
    TRY(str_append_text(out, "\n"));
  }
  return write_ending(report, grid, out);
}

// ---- CSV ----

static Status write_csv_text(const char *text, Str *out) {
  if (strpbrk(text, ",\"\r\n") == NULL) return str_append_format(out, "%s,", text);
  TRY(str_append_text(out, "\""));
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"') TRY(str_append_text(out, "\""));
    TRY(str_append(out, c, 1));
  }
  return str_append_text(out, "\",");
}

/// What is not a number is an empty cell.
static Status write_csv_number(double value, Str *out) {
  char text[JSON_NUMBER_SIZE] = "";
  if (isfinite(value)) (void)snprintf(text, sizeof text, "%.17g", value);
  return str_append_format(out, "%s,", text);
}

static Status write_csv_row(const ComparisonReport *report, const ComparedMetric *metric, size_t model,
                            Str *out) {
  const ComparedValue *value = &metric->values[model];
  TRY(write_csv_text(metric->type->name, out));
  TRY(write_csv_text(metric->name, out));
  TRY(str_append_format(out, "%zu,%zu,", metric->n, metric->units));
  TRY(write_csv_text(report->names[model], out));
  TRY(write_csv_number(value->value, out));
  TRY(write_csv_number(value->change.value, out));
  TRY(write_csv_number(value->change.low, out));
  TRY(write_csv_number(value->change.high, out));
  TRY(write_csv_number(value->p, out));
  TRY(write_csv_number(value->p_holm, out));
  return str_append_format(out, "%d\n", value->best);
}

/// A row for each metric and model.
static Status write_csv(const ComparisonReport *report, Str *out) {
  TRY(str_append_text(out, "task,metric,n,units,result,value,change,low,high,p,p_holm,best\n"));
  for (size_t i = 0; i < report->comparison->count; i++)
    for (size_t m = 0; m < report->comparison->models; m++)
      TRY(write_csv_row(report, &report->comparison->list[i], m, out));
  return STATUS_OK;
}

// ---- JSON ----

static void write_value(const ComparisonReport *report, const ComparedMetric *metric, size_t model,
                        JsonWriter *json) {
  const ComparedValue *value = &metric->values[model];
  json_object_begin(json, report->names[model]);
  json_exact(json, "value", value->value);
  if (model > 0) {
    json_exact(json, "change", value->change.value);
    json_exact(json, "low", value->change.low);
    json_exact(json, "high", value->change.high);
    json_exact(json, "p", value->p);
    json_exact(json, "p_holm", value->p_holm);
  }
  json_bool(json, "best", value->best);
  json_object_end(json);
}

static void write_files(const ComparisonReport *report, JsonWriter *json) {
  json_object_begin(json, "results");
  for (size_t m = 0; m < report->comparison->models; m++) {
    json_object_begin(json, report->names[m]);
    json_string(json, "path", report->results[m].path);
    json_string(json, "items", report->results[m].items_path);
    json_object_end(json);
  }
  json_object_end(json);
}

static Status write_json(const ComparisonReport *report, Str *out) {
  JsonWriter json = {.layout = JSON_PRETTY};
  const char *task = "";
  json_object_begin(&json, NULL);
  json_string(&json, "format", "gee-cl comparison 1");
  write_files(report, &json);
  json_object_begin(&json, "tasks");
  for (size_t i = 0; i < report->comparison->count; i++) {
    const ComparedMetric *metric = &report->comparison->list[i];
    if (strcmp(task, metric->type->name) != 0) {
      if (i > 0) json_object_end(&json);
      json_object_begin(&json, task = metric->type->name);
    }
    json_object_begin(&json, metric->name);
    json_integer(&json, "n", (int64_t)metric->n);
    json_integer(&json, "units", (int64_t)metric->units);
    for (size_t m = 0; m < report->comparison->models; m++) write_value(report, metric, m, &json);
    json_object_end(&json);
  }
  if (report->comparison->count > 0) json_object_end(&json);
  json_object_end(&json);
  json_object_end(&json);
  TRY(json_finish(&json, "the comparison", out));
  return str_append_text(out, "\n");
}

Status comparison_write(const ComparisonReport *report, ComparisonFormat format, Str *out) {
  Grid grid = {0};
  if (format == COMPARISON_CSV) return write_csv(report, out);
  if (format == COMPARISON_JSON) return write_json(report, out);
  Status status = fill_grid(report, &grid);
  if (status == STATUS_OK)
    status =
        format == COMPARISON_TABLE ? write_table(report, &grid, out) : write_markdown(report, &grid, out);
  grid_free(&grid);
  return status;
}
