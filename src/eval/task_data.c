// What tasks share: the list of them, their files, and rows. Rule: a file that is not there is named together
// with the place where it is published.
#include "task_data.h"

#include "io/file.h"
#include "task_list.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

const TaskType *const task_types[] = {
#define TASK(name) &task_##name,
    TASK_LIST(TASK)
#undef TASK
        NULL};

static Status fail_unknown(const char *text, size_t size) {
  const char *names[sizeof task_types / sizeof *task_types] = {NULL};
  char *name = NULL;
  Str list = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(str_copy(&name, text, size));
  for (size_t i = 0; task_types[i] != NULL; i++) {
    names[i] = task_types[i]->name;
    TRY_CLEAN(str_append_format(&list, "%s%s", i > 0 ? ", " : "", names[i]));
  }
  const char *nearest = str_nearest(name, names);
  status =
      nearest != NULL
          ? status_fail(STATUS_INPUT, "there is no task \"%.100s\"; did you mean %s?", name, nearest)
          : status_fail(STATUS_INPUT, "there is no task \"%.100s\"; the tasks are %s", name, str_text(&list));
cleanup:
  free(name);
  str_free(&list);
  return status;
}

Status task_find(const char *text, const TaskType **out, const char **argument) {
  size_t size = strcspn(text, ":"), i = 0;
  *argument = text[size] == ':' ? text + size + 1 : NULL;
  while (task_types[i] != NULL &&
         (strlen(task_types[i]->name) != size || strncmp(text, task_types[i]->name, size) != 0))
    i++;
  *out = task_types[i];
  if (*out == NULL) return fail_unknown(text, size);
  if (*argument == NULL || ((*out)->argument != NULL && **argument != '\0')) return STATUS_OK;
  if ((*out)->argument != NULL)
    return status_fail(STATUS_INPUT, "%s: nothing stands behind the colon; give %s:%s", text, (*out)->name,
                       (*out)->argument);
  return status_fail(STATUS_INPUT, "%.200s: the task %s takes nothing behind its name", text, (*out)->name);
}

bool task_is_headline(const TaskType *type, const char *metric) {
  if (type->headlines == NULL) return true;
  for (size_t i = 0; type->headlines[i] != NULL; i++)
    if (strcmp(type->headlines[i], metric) == 0) return true;
  return false;
}

// ---- files ----

/// Takes over a path.
static Status add_path(TaskData *data, char *path) {
  Status status = mem_reserve(&data->paths, &data->path_capacity, data->path_count + 1, "data files");
  if (status == STATUS_OK)
    data->paths[data->path_count++] = path;
  else
    free(path);
  return status;
}

/// Adds the files of a folder whose names end with `ending`.
static Status add_folder(TaskData *data, const char *folder, const char *ending) {
  char **names = NULL, *path = NULL;
  size_t count = 0;
  Status status = STATUS_OK;
  if (!file_is_directory(folder)) return STATUS_OK;
  TRY(directory_list(folder, &names, &count));
  for (size_t i = 0; i < count; i++) {
    if (names[i][0] == '.' || !str_ends(names[i], ending)) continue;
    TRY_CLEAN(path_join(&path, folder, names[i]));
    TRY_CLEAN(add_path(data, path));
  }
cleanup:
  directory_free_list(names);
  return status;
}

/// *out = the path of the alternative that `text` begins with.
static Status alternative_path(char **out, const char *folder, const char *text) {
  char *name = NULL;
  TRY(str_copy(&name, text, strcspn(text, "|")));
  Status status = path_from(out, folder, name);
  free(name);
  return status;
}

/// Adds what one alternative of an entry of `files` names; nothing if it is not there.
static Status add_alternative(TaskData *data, char *path) {
  char *star = strstr(path, "/*");
  if (star == NULL && file_exists(path)) return add_path(data, path);
  Status status = STATUS_OK;
  if (star != NULL) {
    *star = '\0';
    status = add_folder(data, path, star + 2);
  }
  free(path);
  return status;
}

static Status fail_no_file(const TaskType *type, const char *folder, const char *entry) {
  const char *published = type->published;
  char *path = NULL;
  TRY(alternative_path(&path, folder, entry));
  Status status =
      status_fail(STATUS_INPUT, "%s: there is no such file%s%s%s%s", path, published != NULL ? "; " : "",
                  published != NULL ? type->name : "", published != NULL ? " is published at " : "",
                  published != NULL ? published : "");
  free(path);
  return status;
}

static Status add_entry(TaskData *data, const char *folder, const char *entry) {
  size_t before = data->path_count;
  if (folder == NULL)
    return status_fail(STATUS_INPUT, "--data-dir is needed, or eval.data_dir in a config: %s reads files",
                       data->type->name);
  for (const char *at = entry; at != NULL && data->path_count == before; at = strchr(at, '|')) {
    if (*at == '|') at++;
    char *path = NULL;
    TRY(alternative_path(&path, folder, at));
    TRY(add_alternative(data, path));
  }
  return data->path_count > before ? STATUS_OK : fail_no_file(data->type, folder, entry);
}

/// The file that stands behind the task's name.
static Status add_own(TaskData *data) {
  char *path = NULL;
  if (!file_exists(data->argument))
    return status_fail(STATUS_INPUT, "%s: there is no such file", data->argument);
  TRY(str_copy(&path, data->argument, strlen(data->argument)));
  return add_path(data, path);
}

static Status find_files(TaskData *data, const char *folder) {
  const TaskType *type = data->type;
  bool own = data->argument != NULL && strcmp(type->argument, "FILE") == 0;
  for (size_t i = 0; type->files[i] != NULL; i++)
    TRY(i == 0 && own ? add_own(data) : add_entry(data, folder, type->files[i]));
  return STATUS_OK;
}

Status task_data_open(TaskData *out, const char *folder) {
  TRY(find_files(out, folder));
  TRY(out->type->open(out));
  if (out->count > 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: there are no items of %s in it",
                     out->path_count > 0 ? out->paths[0] : folder, out->type->name);
}

void task_data_free(TaskData *data) {
  for (size_t i = 0; i < data->path_count; i++) free(data->paths[i]);
  free(data->paths);
  for (size_t i = 0; i < data->count; i++) str_free(&data->rows[i]);
  free(data->rows);
  *data = (TaskData){0};
}

size_t task_path_count(const TaskData *data) {
  return data->path_count;
}

const char *task_path(const TaskData *data, size_t index) {
  return data->paths[index];
}

const char *task_argument(const TaskData *data) {
  return data->argument;
}

Status task_table(const TaskData *data, size_t index, const char *const *columns, size_t count, Table **out) {
  TRY(table_open(data->paths[index], columns[0], out));
  Status status = table_select(*out, columns, count);
  if (status == STATUS_OK) return STATUS_OK;
  table_close(*out);
  *out = NULL;
  return status;
}

Status task_add_rows(TaskData *data, Table *table, AddRow add, size_t *index) {
  size_t rows = 0;
  do {
    TRY(table_next_group(table, &rows));
    for (size_t i = 0; i < rows; i++) TRY(add(data, table, i, (*index)++));
  } while (rows > 0);
  return STATUS_OK;
}

Status task_text(const Table *table, size_t row, size_t column, char **out) {
  TRY(table_string(table, row, column, out));
  if (**out != '\0') return STATUS_OK;
  free(*out);
  *out = NULL;
  return table_context(
      status_fail(STATUS_INPUT, "column \"%s\" is empty", table_selected(table, column)->name), table, row);
}

// ---- rows ----

void task_item_begin(const TaskData *data, size_t index, JsonWriter *row) {
  *row = (JsonWriter){.layout = JSON_SPACED};
  json_object_begin(row, NULL);
  json_string(row, "task", data->type->name);
  json_integer(row, "index", (int64_t)index);
}

Status task_item_end(TaskData *data, JsonWriter *row) {
  Str text = {0};
  json_object_end(row);
  TRY(json_finish(row, data->type->name, &text));
  Status status = STATUS_OK;
  if (data->limit == 0 || data->count < data->limit)
    status = mem_reserve(&data->rows, &data->capacity, data->count + 1, "items");
  if (status == STATUS_OK && (data->limit == 0 || data->count < data->limit))
    data->rows[data->count++] = text;
  else
    str_free(&text);
  return status;
}

/// A row, and what its text is from a member on.
typedef struct Twin {
  const char *text;
  size_t row;
} Twin;

static int by_text(const void *a, const void *b) {
  const Twin *left = a, *right = b;
  int order = strcmp(left->text, right->text);
  return order != 0 ? order : (left->row > right->row) - (left->row < right->row);
}

Status task_refuse_twins(const TaskData *data, const char *key) {
  char *mark = NULL;
  Twin *twins = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(str_format(&mark, "\"%s\": ", key));
  TRY_CLEAN(mem_array(&twins, data->count, "rows"));
  for (size_t i = 0; i < data->count; i++) {
    const char *text = str_text(&data->rows[i]), *at = strstr(text, mark);
    twins[i] = (Twin){at != NULL ? at : text, i};
  }
  qsort(twins, data->count, sizeof *twins, by_text);
  for (size_t i = 1; i < data->count && status == STATUS_OK; i++)
    if (strcmp(twins[i - 1].text, twins[i].text) == 0)
      status =
          status_fail(STATUS_INPUT, "%s: rows %zu and %zu of %s are the same; each must stand there once",
                      data->paths[0], twins[i - 1].row, twins[i].row, data->type->name);
cleanup:
  free(mark);
  free(twins);
  return status;
}

Status parsed_row_read(const TaskType *type, size_t number, const Str *text, ParsedRow *out) {
  TRY(str_format(&out->name, "item %zu of %s", number, type->name));
  TRY(json_parse_with_nul(str_text(text), text->size, out->name, &out->json));
  out->item = (TaskItem){out->name, out->json};
  return STATUS_OK;
}

void parsed_row_free(ParsedRow *row) {
  cJSON_Delete(row->json);
  free(row->name);
  *row = (ParsedRow){0};
}

void row_add_loglikelihoods(JsonWriter *row, const double *values, size_t count) {
  json_array_begin(row, "loglikelihoods");
  for (size_t i = 0; i < count; i++) json_exact(row, NULL, values[i]);
  json_array_end(row);
}

size_t row_add_choice(JsonWriter *row, const double *values, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++)
    if (values[i] > values[best]) best = i;
  row_add_loglikelihoods(row, values, count);
  json_integer(row, "choice", (int64_t)best);
  return best;
}

Status item_numbers(const TaskItem *item, const char *key, double *out, size_t count) {
  const cJSON *list = NULL, *value = NULL;
  size_t i = 0;
  TRY(json_get_array(item->row, key, item->name, &list));
  cJSON_ArrayForEach(value, list) {
    if (i == count || !cJSON_IsNumber(value)) break;
    out[i++] = value->valuedouble;
  }
  if (i == count && value == NULL) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" must be a list of %zu number%s", item->name, key, count,
                     str_plural(count));
}

Status item_texts(const TaskItem *item, const char *key, const char **out, size_t count) {
  const cJSON *list = NULL, *value = NULL;
  size_t i = 0;
  TRY(json_get_array(item->row, key, item->name, &list));
  cJSON_ArrayForEach(value, list) {
    if (i == count || !cJSON_IsString(value)) break;
    out[i++] = value->valuestring;
  }
  if (i == count && value == NULL) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" must be a list of %zu text%s", item->name, key, count,
                     str_plural(count));
}

Status item_boolean(const TaskItem *item, const char *key, bool *out) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(item->row, key);
  *out = cJSON_IsTrue(value);
  if (cJSON_IsBool(value)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" must be true or false", item->name, key);
}

/// *out = the values of the texts `key`, each once, in the order in which they first come; they belong to the
/// items.
static Status list_values(const TaskItems *items, const char *key, const char ***out, size_t *count) {
  size_t capacity = 0;
  for (size_t i = 0; i < items->count; i++) {
    const char *value = NULL;
    size_t known = 0;
    TRY(json_get_string(items->list[i].row, key, items->list[i].name, &value));
    while (known < *count && strcmp((*out)[known], value) != 0) known++;
    if (known < *count) continue;
    TRY(mem_reserve(out, &capacity, *count + 1, "values"));
    (*out)[(*count)++] = value;
  }
  return STATUS_OK;
}

Status measure_by(const TaskItems *items, const char *key, const char *mark, MeasurePart part,
                  MetricList *metrics) {
  const char **values = NULL;
  TaskItem *list = NULL;
  Str suffix = {0};
  size_t count = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(list_values(items, key, &values, &count));
  TRY_CLEAN(mem_array(&list, items->count, "items"));
  for (size_t v = 0; v < count; v++) {
    TaskItems some = {items->type, list, 0};
    for (size_t i = 0; i < items->count; i++) {
      const cJSON *value = cJSON_GetObjectItemCaseSensitive(items->list[i].row, key);
      if (strcmp(value->valuestring, values[v]) == 0) list[some.count++] = items->list[i];
    }
    str_clear(&suffix);
    TRY_CLEAN(str_append_format(&suffix, "%s%s", mark, values[v]));
    TRY_CLEAN(part(&some, str_text(&suffix), metrics));
  }
cleanup:
  free(values);
  free(list);
  str_free(&suffix);
  return status;
}
