// Results of benchmarks, read back. Rule: nothing that the file says is believed that the items can show.
#include "eval/results.h"

#include "io/file.h"
#include "item_reader.h"
#include "task_data.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- the results file ----

/// *own = the task of a user's own that was measured: its definition is the first file of the data. NULL if
/// that is not there.
static Status find_own(const Results *results, const cJSON *task, UserTask **own) {
  const cJSON *file = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(task, "data"), 0);
  const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "path"));
  const char *sha256 = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "sha256"));
  char now[SHA256_TEXT];
  *own = NULL;
  if (path == NULL || sha256 == NULL || !user_task_is_path(path) || !file_exists(path)) return STATUS_OK;
  TRY(file_sha256(path, now));
  if (strcmp(now, sha256) != 0)
    return status_fail(STATUS_INPUT, "%s: the task %.60s was measured with another %.200s than is there now",
                       results->path, task->string, path);
  TRY(user_task_load(path, own));
  if (strcmp(user_task_type(*own)->name, task->string) == 0) return STATUS_OK;
  user_task_free(*own);
  *own = NULL;
  return status_fail(STATUS_INPUT, "%s: %.200s describes another task than %.60s", results->path, path,
                     task->string);
}

static Status open_tasks(Results *results) {
  const cJSON *tasks = NULL, *task = NULL;
  TRY(json_get_object(results->json, "tasks", results->path, &tasks));
  TRY(mem_array(&results->tasks, (size_t)cJSON_GetArraySize(tasks), "tasks"));
  cJSON_ArrayForEach(task, tasks) {
    ResultTask *out = &results->tasks[results->task_count];
    const char *argument = NULL;
    if (task_find(task->string, &out->type, &argument) != STATUS_OK) {
      TRY(find_own(results, task, &out->own));
      out->type = out->own != NULL ? user_task_type(out->own) : NULL;
    }
    if (out->type == NULL) {
      log_say(LOG_NOTE, "%s: %.60s is left out, as it is no task of this program", results->path,
              task->string);
      continue;
    }
    if (argument != NULL || !cJSON_IsObject(task))
      return status_fail(STATUS_INPUT, "%s: \"%.60s\" is no task with its results", results->path,
                         task->string);
    out->json = task;
    results->task_count++;
  }
  if (results->task_count > 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s has no tasks of this program", results->path);
}

Status results_parse(const char *path, cJSON **out) {
  const char *format = NULL;
  MappedFile file = {0};
  TRY(file_map(path, &file));
  Status status = json_parse_unique((const char *)file.bytes, file.size, path, out);
  file_unmap(&file);
  TRY(status);
  TRY(json_get_string(*out, "format", path, &format));
  if (strcmp(format, RESULTS_FORMAT) == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s is \"%.60s\"; what gee-cl eval --output writes is \"%s\"", path,
                     format, RESULTS_FORMAT);
}

static Status open_file(const char *path, Results *out) {
  TRY(str_copy(&out->path, path, strlen(path)));
  TRY(results_parse(path, &out->json));
  return open_tasks(out);
}

// ---- the items file ----

/// Whether the results have a task that is left out.
static bool is_left_out(const Results *results, const char *name) {
  const cJSON *tasks = cJSON_GetObjectItemCaseSensitive(results->json, "tasks");
  return results_task(results, name) == NULL && cJSON_GetObjectItemCaseSensitive(tasks, name) != NULL;
}

/// Gives the row, and its place in the file, to its task.
static Status take_row(Results *results, cJSON *row, char *place, size_t *task) {
  const char *name = NULL;
  TRY(json_get_string(row, "task", place, &name));
  if (is_left_out(results, name)) {
    cJSON_Delete(row);
    free(place);
    return STATUS_OK;
  }
  while (*task < results->task_count && strcmp(results->tasks[*task].type->name, name) != 0) (*task)++;
  if (*task == results->task_count)
    return status_fail(STATUS_INPUT, "%s: the task \"%.60s\" does not come next in %s", place, name,
                       results->path);
  ResultTask *out = &results->tasks[*task];
  int64_t items = 0;
  TRY(json_get_integer(out->json, "items", results->path, 1, INT32_MAX, &items));
  if (out->count == (size_t)items)
    return status_fail(STATUS_INPUT, "%s: %s has more than the %zu items that %s says", place, name,
                       out->count, results->path);
  TRY(mem_reserve(&out->rows, &out->row_capacity, out->count + 1, "rows"));
  TRY(mem_reserve(&out->items, &out->item_capacity, out->count + 1, "rows"));
  out->rows[out->count] = (ResultRow){place, row};
  out->items[out->count++] = (TaskItem){place, row};
  return STATUS_OK;
}

/// What read_row keeps from line to line.
typedef struct RowReader {
  Results *results;
  size_t task; // of the last row
} RowReader;

static Status read_row(void *user, const char *line, size_t size, size_t number) {
  RowReader *reader = user;
  char *place = NULL;
  cJSON *row = NULL;
  TRY(str_format(&place, "%s:%zu", reader->results->items_path, number));
  Status status = json_parse_with_nul(line, size, place, &row);
  if (status == STATUS_OK) status = take_row(reader->results, row, place, &reader->task);
  if (status == STATUS_OK) return STATUS_OK;
  cJSON_Delete(row);
  free(place);
  return status;
}

static Status measure_task(const Results *results, ResultTask *task) {
  int64_t items = 0;
  TRY(json_get_integer(task->json, "items", results->path, 1, INT32_MAX, &items));
  if (task->count != (size_t)items)
    return status_fail(STATUS_INPUT, "%s has %zu items of %s; %s was computed from %zu", results->items_path,
                       task->count, task->type->name, results->path, (size_t)items);
  TRY(status_context(task->type->measure(&(TaskItems){task->type, task->items, task->count}, &task->metrics),
                     "%s", results->items_path));
  return metrics_check(&task->metrics);
}

Status results_open(const char *path, const char *items, Results *out) {
  TRY(open_file(path, out));
  TRY(items_find(out->json, path, items, &out->items_path, &out->bound));
  TRY(file_lines(out->items_path, read_row, &(RowReader){.results = out}));
  for (size_t t = 0; t < out->task_count; t++) TRY(measure_task(out, &out->tasks[t]));
  return STATUS_OK;
}

void results_free(Results *results) {
  for (size_t t = 0; t < results->task_count; t++) {
    ResultTask *task = &results->tasks[t];
    for (size_t i = 0; i < task->count; i++) {
      cJSON_Delete(task->rows[i].json);
      free(task->rows[i].place);
    }
    free(task->rows);
    free(task->items);
    metrics_free(&task->metrics);
    user_task_free(task->own);
  }
  free(results->tasks);
  cJSON_Delete(results->json);
  free(results->path);
  free(results->items_path);
  *results = (Results){0};
}

const ResultTask *results_task(const Results *results, const char *name) {
  for (size_t t = 0; t < results->task_count; t++)
    if (strcmp(results->tasks[t].type->name, name) == 0) return &results->tasks[t];
  return NULL;
}

// ---- figures ----

static Status compare_number(const cJSON *printed, const char *metric, const char *key, double computed,
                             Str *out) {
  char *name = NULL;
  TRY(str_format(&name, "%s: %s", metric, key));
  Status status = figure_compare(cJSON_GetObjectItemCaseSensitive(printed, key), name, computed, out);
  free(name);
  return status;
}

Status results_differences(const ResultTask *task, Str *out) {
  const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(task->json, "metrics"), *printed = NULL;
  for (size_t i = 0; i < task->metrics.count; i++) {
    const Metric *metric = &task->metrics.items[i];
    printed = cJSON_GetObjectItemCaseSensitive(metrics, metric->name);
    if (printed == NULL) {
      TRY(str_append_format(out, "%s: it is not there\n", metric->name));
      continue;
    }
    TRY(compare_number(printed, metric->name, "value", metric->value, out));
    TRY(compare_number(printed, metric->name, "low", metric->low, out));
    TRY(compare_number(printed, metric->name, "high", metric->high, out));
    TRY(compare_number(printed, metric->name, "n", (double)metric->n, out));
  }
  cJSON_ArrayForEach(printed, metrics) {
    size_t i = 0;
    while (i < task->metrics.count && strcmp(task->metrics.items[i].name, printed->string) != 0) i++;
    if (i == task->metrics.count)
      TRY(str_append_format(out, "%s: the items give no such metric\n", printed->string));
  }
  return STATUS_OK;
}

// ---- are they the items of the data? ----

/// Numbers are the same as figures are, as a decision may hold an exp or a log.
static bool is_same(const cJSON *said, const cJSON *made) {
  return cJSON_IsNumber(made) ? figure_is(said, made->valuedouble) : cJSON_Compare(said, made, true);
}

/// Appends a line for the first member of the row that is not as `made` has it, or that only one has. `whose`
/// says what gives `made`.
static Status compare_row(const ResultRow *row, const cJSON *made, const char *whose, Str *out) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, made) {
    const cJSON *said = cJSON_GetObjectItemCaseSensitive(row->json, member->string);
    if (said == NULL || !is_same(said, member))
      return str_append_format(out, "%s: \"%s\" is not what %s\n", row->place, member->string, whose);
  }
  return STATUS_OK;
}

static Status name_unknown_members(const ResultRow *row, const cJSON *made, Str *out) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, row->json) {
    if (!json_has(made, member->string))
      return str_append_format(out, "%s: \"%.100s\" is no member of such an item\n", row->place,
                               member->string);
  }
  return STATUS_OK;
}

/// The same of what the task decides on the answers in the row, and of members that no such row has.
static Status compare_decision(const ResultTask *task, size_t item, const Evaluation *benchmark, Str *out) {
  ParsedRow made = {0};
  Str text = {0};
  const size_t before = out->size;
  Status status = benchmark_decide_again(benchmark, item, &task->items[item], &text);
  if (status == STATUS_INPUT) {
    status = str_append_format(out, "%s\n", status_message());
    goto cleanup;
  }
  TRY_CLEAN(status);
  TRY_CLEAN(parsed_row_read(task->type, item, &text, &made));
  TRY_CLEAN(compare_row(&task->rows[item], made.json, "the task decides on its answers", out));
  if (out->size == before) TRY_CLEAN(name_unknown_members(&task->rows[item], made.json, out));
cleanup:
  parsed_row_free(&made);
  str_free(&text);
  return status;
}

/// Appends a line for the first member of the item that its row has otherwise.
static Status compare_item(const ResultTask *task, size_t item, const Evaluation *benchmark, Str *out) {
  ParsedRow inputs = {0};
  const size_t before = out->size;
  Status status = parsed_row_read(task->type, item, benchmark_inputs(benchmark, item), &inputs);
  if (status == STATUS_OK) status = compare_row(&task->rows[item], inputs.json, "the data say", out);
  parsed_row_free(&inputs);
  return status == STATUS_OK && out->size == before ? compare_decision(task, item, benchmark, out) : status;
}

Status results_compare_items(const ResultTask *task, const Evaluation *benchmark, Str *out) {
  const char *hash = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(task->json, "items_sha256"));
  const size_t expected = benchmark_items(benchmark), before = out->size;
  if (task->count != expected)
    TRY(str_append_format(out, "there are %zu items, and the data give %zu\n", task->count, expected));
  for (size_t i = 0; i < task->count && i < expected && out->size == before; i++)
    TRY(compare_item(task, i, benchmark, out));
  if (hash == NULL || strcmp(hash, benchmark_sha256(benchmark)) == 0) return STATUS_OK;
  return str_append_text(out, "items_sha256 is not that of the items\n");
}

// ---- were the same things asked? ----

static bool same_member(const cJSON *a, const cJSON *b, const char *key) {
  const cJSON *left = cJSON_GetObjectItemCaseSensitive(a, key),
              *right = cJSON_GetObjectItemCaseSensitive(b, key);
  return left == NULL || right == NULL ? left == right : cJSON_Compare(left, right, true);
}

/// The first data file whose hash differs, or NULL.
static const char *other_file(const cJSON *a, const cJSON *b) {
  const cJSON *left = cJSON_GetObjectItemCaseSensitive(a, "data"),
              *right = cJSON_GetObjectItemCaseSensitive(b, "data");
  for (int i = 0; i < cJSON_GetArraySize(left); i++) {
    const cJSON *file = cJSON_GetArrayItem(left, i);
    if (!same_member(file, cJSON_GetArrayItem(right, i), "sha256"))
      return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "path"));
  }
  return NULL;
}

static Status refuse(const Results *a, const Results *b, const char *task, const char *what) {
  return status_fail(STATUS_INPUT, "%s and %s cannot be compared: %s differs for %s", a->path, b->path, what,
                     task);
}

/// The items are not the same: says why, as far as the files tell.
static Status refuse_items(const Results *a, const Results *b, const cJSON *left, const cJSON *right,
                           const char *task) {
  const char *file = other_file(left, right);
  char what[256];
  if (!same_member(a->json, b->json, "limit")) return refuse(a, b, task, "the limit on items (--limit)");
  if (!same_member(left, right, "argument")) return refuse(a, b, task, "what stands behind the task's name");
  if (file == NULL) return refuse(a, b, task, "what was asked (items_sha256)");
  (void)snprintf(what, sizeof what, "the data file %.200s", file);
  return refuse(a, b, task, what);
}

static Status check_sampling(const Results *a, const Results *b, const char *task) {
  const cJSON *left = cJSON_GetObjectItemCaseSensitive(a->json, "sampling"),
              *right = cJSON_GetObjectItemCaseSensitive(b->json, "sampling"), *member = NULL;
  char what[128];
  cJSON_ArrayForEach(member, left) {
    if (same_member(left, right, member->string)) continue;
    (void)snprintf(what, sizeof what, "sampling's %.80s", member->string);
    return refuse(a, b, task, what);
  }
  return cJSON_Compare(left, right, true) || (left == NULL && right == NULL)
             ? STATUS_OK
             : refuse(a, b, task, "how answers are sampled");
}

Status results_check_same(const Results *a, const Results *b, const TaskType *type) {
  const cJSON *left = results_task(a, type->name)->json, *right = results_task(b, type->name)->json;
  const char *hash = NULL;
  if (type->by_token && !same_member(cJSON_GetObjectItemCaseSensitive(a->json, "sha256"),
                                     cJSON_GetObjectItemCaseSensitive(b->json, "sha256"), "tokenizer"))
    return refuse(a, b, type->name, "the tokenizer, which its metrics depend on,");
  TRY(json_get_string(left, "items_sha256", a->path, &hash));
  TRY(json_get_string(right, "items_sha256", b->path, &hash));
  if (!same_member(left, right, "items_sha256")) return refuse_items(a, b, left, right, type->name);
  return type->prompts ? check_sampling(a, b, type->name) : STATUS_OK;
}
