// Tasks of a user's own: of choices and of pairs, scored by the same rules of tokens as the built-in ones.
// Rule: a row holds the texts as they were asked, so that it can be read without the definition.
//
//   choice   acc               share of rows whose likeliest choice, the first of several, is the answer
//            acc_norm          the same with log p a character of the choice
//   pair     share_first       share of rows whose first text is likelier than the second; a tie is none
//            mean_difference   mean of log p(first) − log p(second), nats
#include "estimate.h"
#include "task_data.h"
#include "user_definition.h"
#include "util/memory.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const UserTask *task_of(const TaskType *type) {
  return (const UserTask *)type;
}

// ---- data ----

/// *out = what a cell holds, as text.
static Status cell_text(const Table *table, size_t row, size_t column, char **out) {
  int64_t value = 0;
  if (table_cell(table, row, column)->type != CELL_INTEGER) return table_string(table, row, column, out);
  TRY(table_integer(table, row, column, &value));
  return str_format(out, "%" PRId64, value);
}

/// Appends a text, with the row's cells in place of its columns.
static Status fill_in(const UserTask *task, const char *text, const Table *table, size_t row, Str *out) {
  while (*text != '\0') {
    UserPiece piece = user_piece_next(&text);
    char *cell = NULL;
    if (!piece.is_column) {
      TRY(str_append(out, piece.text, piece.size));
      continue;
    }
    TRY(cell_text(table, row, user_column(task, piece.text, piece.size), &cell));
    Status status = str_append_text(out, cell);
    free(cell);
    TRY(status);
  }
  return STATUS_OK;
}

/// The texts of a row, filled in.
typedef struct Texts {
  char **list; // ends with NULL
  size_t count;
} Texts;

static Status fill_texts(const UserTask *task, Table *table, size_t row, Texts *out) {
  if (task->text_count == 0) return table_strings(table, row, task->choices_column, &out->list, &out->count);
  TRY(mem_array(&out->list, task->text_count + 1, "texts of a row"));
  for (; out->count < task->text_count; out->count++) {
    Str text = {0};
    Status status = fill_in(task, task->texts[out->count], table, row, &text);
    if (status == STATUS_OK) status = str_copy(&out->list[out->count], str_text(&text), text.size);
    str_free(&text);
    TRY(status);
  }
  return STATUS_OK;
}

static Status check_texts(const Texts *texts) {
  if (texts->count < 2 || texts->count > USER_TEXTS)
    return status_fail(STATUS_INPUT, "there are %zu choices, not 2 to %d", texts->count, USER_TEXTS);
  for (size_t i = 0; i < texts->count; i++) {
    if (*texts->list[i] == '\0') return status_fail(STATUS_INPUT, "text %zu is empty", i);
    for (size_t other = 0; other < i; other++)
      if (strcmp(texts->list[i], texts->list[other]) == 0)
        return status_fail(STATUS_INPUT, "texts %zu and %zu are both \"%.40s\"", other, i, texts->list[i]);
  }
  return STATUS_OK;
}

static Status find_answer(const UserTask *task, const Table *table, size_t row, const Texts *choices,
                          int64_t *answer) {
  char *text = NULL;
  if (task->answer_is_index) {
    TRY(table_integer(table, row, task->answer_column, answer));
    if (*answer >= 0 && (uint64_t)*answer < choices->count) return STATUS_OK;
    return table_context(
        status_fail(STATUS_INPUT, "the answer is %" PRId64 ", not 0 to %zu", *answer, choices->count - 1),
        table, row);
  }
  TRY(cell_text(table, row, task->answer_column, &text));
  Status status = STATUS_OK;
  for (*answer = 0; (size_t)*answer < choices->count; ++*answer)
    if (strcmp(text, choices->list[*answer]) == 0) break;
  if ((size_t)*answer == choices->count)
    status = table_context(status_fail(STATUS_INPUT, "the answer \"%.60s\" is none of the choices", text),
                           table, row);
  free(text);
  return status;
}

/// Adds the members that name parts and clusters.
static Status add_kept(const UserTask *task, const Table *table, size_t row, JsonWriter *json) {
  for (size_t column = 0; column < task->column_count; column++) {
    bool kept = task->has_cluster && column == task->cluster_column;
    for (size_t p = 0; p < task->part_count; p++) kept = kept || column == task->parts[p];
    char *text = NULL;
    if (!kept) continue;
    TRY(cell_text(table, row, column, &text));
    json_string(json, task->columns[column], text);
    free(text);
  }
  return STATUS_OK;
}

static Status add_context(const UserTask *task, const Table *table, size_t row, JsonWriter *json) {
  Str text = {0};
  if (task->context == NULL) return STATUS_OK;
  Status status = fill_in(task, task->context, table, row, &text);
  if (status == STATUS_OK) {
    json_string(json, "context", str_text(&text));
    json_string(json, "delimiter", task->delimiter);
  }
  str_free(&text);
  return status;
}

static void add_texts(const UserTask *task, const Texts *texts, int64_t answer, JsonWriter *json) {
  if (task->kind == USER_PAIR) {
    json_string(json, "first", texts->list[0]);
    json_string(json, "second", texts->list[1]);
    return;
  }
  json_array_begin(json, "choices");
  for (size_t i = 0; i < texts->count; i++) json_string(json, NULL, texts->list[i]);
  json_array_end(json);
  json_integer(json, "answer", answer);
}

static Status add_row(TaskData *data, Table *table, size_t row, size_t index) {
  const UserTask *task = task_of(data->type);
  JsonWriter json = {0};
  Texts texts = {0};
  int64_t answer = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(fill_texts(task, table, row, &texts));
  TRY_CLEAN(table_context(check_texts(&texts), table, row));
  if (task->kind == USER_CHOICE) TRY_CLEAN(find_answer(task, table, row, &texts, &answer));
  task_item_begin(data, index, &json);
  TRY_CLEAN(add_kept(task, table, row, &json));
  TRY_CLEAN(add_context(task, table, row, &json));
  add_texts(task, &texts, answer, &json);
  status = task_item_end(data, &json);
cleanup:
  table_strings_free(texts.list);
  json_free(&json);
  return status;
}

/// *key = the member of the task that names a column which the table lacks; NULL if there is none. Asked
/// before the rows are read, as a table that failed can only be closed.
static Status find_lacking(const UserTask *task, Table *table, const char **key) {
  const TableColumn *columns = NULL;
  size_t count = 0;
  *key = NULL;
  TRY(table_columns(table, &columns, &count));
  for (size_t c = 0; c < task->column_count && *key == NULL; c++) {
    size_t i = 0;
    while (i < count && strcmp(columns[i].name, task->columns[c]) != 0) i++;
    if (i == count) *key = task->column_keys[c];
  }
  return STATUS_OK;
}

/// Adds the rows of a file. What it lacks is said with the member that asks for it.
static Status add_file(TaskData *data, const char *path, size_t *index) {
  const UserTask *task = task_of(data->type);
  const char *const *columns = (const char *const *)task->columns, *key = NULL;
  Table *table = NULL;
  TRY(table_open(path, columns[0], &table));
  Status status = find_lacking(task, table, &key);
  if (status == STATUS_OK) status = table_select(table, columns, task->column_count);
  if (status == STATUS_OK) status = task_add_rows(data, table, add_row, index);
  table_close(table);
  return key != NULL ? status_context(status, "%s: \"%s\"", task->path, key) : status;
}

static Status open_rows(TaskData *data) {
  size_t index = 0;
  for (size_t i = 1; i < task_path_count(data); i++) // the first is the definition
    TRY(add_file(data, task_path(data, i), &index));
  return STATUS_OK;
}

// ---- asking ----

/// The texts behind the context, or alone.
static Status ask_texts(const TaskItem *item, const char *const *texts, size_t count,
                        TaskRequests *requests) {
  const char *context = NULL, *delimiter = NULL, *list[USER_TEXTS];
  Str whole[USER_TEXTS] = {{0}};
  Status status = STATUS_OK;
  if (!json_has(item->row, "context")) {
    for (size_t i = 0; i < count; i++) TRY(request_text(requests, texts[i]));
    return STATUS_OK;
  }
  TRY(json_get_string(item->row, "context", item->name, &context));
  TRY(json_get_string(item->row, "delimiter", item->name, &delimiter));
  for (size_t i = 0; i < count; i++) {
    TRY_CLEAN(str_append_format(&whole[i], "%s%s", delimiter, texts[i]));
    list[i] = str_text(&whole[i]);
  }
  status = request_continuations(requests, context, list, count);
cleanup:
  for (size_t i = 0; i < count; i++) str_free(&whole[i]);
  return status;
}

/// texts[*count] = the choices of a row.
static Status read_choices(const TaskItem *item, const char *texts[USER_TEXTS], size_t *count) {
  const cJSON *list = NULL;
  TRY(json_get_array(item->row, "choices", item->name, &list));
  int size = cJSON_GetArraySize(list);
  if (size < 1 || size > USER_TEXTS)
    return status_fail(STATUS_INPUT, "%s: %d choices, not 1 to %d", item->name, size, USER_TEXTS);
  *count = (size_t)size;
  return item_texts(item, "choices", texts, *count);
}

static Status ask_choice(const TaskItem *item, TaskRequests *requests) {
  const char *texts[USER_TEXTS];
  size_t count = 0;
  TRY(read_choices(item, texts, &count));
  return ask_texts(item, texts, count, requests);
}

static Status ask_pair(const TaskItem *item, TaskRequests *requests) {
  const char *texts[2];
  TRY(json_get_string(item->row, "first", item->name, &texts[0]));
  TRY(json_get_string(item->row, "second", item->name, &texts[1]));
  return ask_texts(item, texts, 2, requests);
}

// ---- deciding ----

/// Characters of UTF-8.
static double count_characters(const char *text) {
  double count = 0;
  for (; *text != '\0'; text++) count += ((unsigned char)*text & 0xC0) != 0x80;
  return count;
}

static Status decide_choice(const TaskItem *item, const TaskAnswers *answers, JsonWriter *row) {
  const char *texts[USER_TEXTS];
  const double *ll = answers->loglikelihoods;
  size_t count = 0, norm = 0;
  int64_t answer = 0;
  TRY(read_choices(item, texts, &count));
  TRY(json_get_integer(item->row, "answer", item->name, 0, (int64_t)count - 1, &answer));
  size_t choice = row_add_choice(row, ll, count);
  for (size_t i = 1; i < count; i++)
    if (ll[i] / count_characters(texts[i]) > ll[norm] / count_characters(texts[norm])) norm = i;
  json_bool(row, "correct", choice == (size_t)answer);
  json_integer(row, "choice_norm", (int64_t)norm);
  json_bool(row, "correct_norm", norm == (size_t)answer);
  return STATUS_OK;
}

static Status decide_pair(const TaskItem *item, const TaskAnswers *answers, JsonWriter *row) {
  const double *ll = answers->loglikelihoods;
  (void)item;
  row_add_loglikelihoods(row, ll, answers->count);
  json_string(row, "prefers", ll[0] > ll[1] ? "first" : ll[0] < ll[1] ? "second" : "neither");
  return STATUS_OK;
}

// ---- metrics ----

/// *value = what a row adds to metric `m` of its kind, whose mean the metric is.
static Status value_of(const UserTask *task, const TaskItem *item, size_t m, double *value) {
  double ll[2];
  bool correct = false;
  if (task->kind == USER_CHOICE) {
    TRY(item_boolean(item, m == 0 ? "correct" : "correct_norm", &correct));
    *value = correct;
    return STATUS_OK;
  }
  TRY(item_numbers(item, "loglikelihoods", ll, 2));
  *value = m == 0 ? ll[0] > ll[1] : ll[0] - ll[1];
  return STATUS_OK;
}

/// Sums over clusters.
typedef struct Clusters {
  const char **names;
  double *sums, *rows;
  size_t count;
} Clusters;

static double mean_of_clusters(const void *user, const uint32_t *times) {
  const Clusters *clusters = user;
  double sum = 0, rows = 0;
  for (size_t c = 0; c < clusters->count; c++) {
    sum += times[c] * clusters->sums[c];
    rows += times[c] * clusters->rows[c];
  }
  return sum / rows;
}

static Status add_to_cluster(const TaskItem *item, const char *key, double value, Clusters *clusters) {
  const char *name = NULL;
  size_t c = 0;
  TRY(json_get_string(item->row, key, item->name, &name));
  while (c < clusters->count && strcmp(clusters->names[c], name) != 0) c++;
  if (c == clusters->count) clusters->names[clusters->count++] = name;
  clusters->sums[c] += value;
  clusters->rows[c]++;
  return STATUS_OK;
}

static Status estimate_clusters(const TaskItems *items, const char *key, const double *values,
                                Interval *out) {
  Clusters clusters = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&clusters.names, items->count, "clusters"));
  TRY_CLEAN(mem_array(&clusters.sums, items->count, "clusters"));
  TRY_CLEAN(mem_array(&clusters.rows, items->count, "clusters"));
  for (size_t i = 0; i < items->count; i++)
    TRY_CLEAN(add_to_cluster(&items->list[i], key, values[i], &clusters));
  status = estimate_statistic(mean_of_clusters, &clusters, clusters.count, out);
cleanup:
  free(clusters.names);
  free(clusters.sums);
  free(clusters.rows);
  return status;
}

static Status estimate_metric(const TaskItems *items, size_t m, const double *values, Interval *out) {
  const UserTask *task = task_of(items->type);
  size_t hits = 0;
  if (task->has_cluster) return estimate_clusters(items, task->columns[task->cluster_column], values, out);
  for (size_t i = 0; i < items->count; i++) hits += values[i] == 1;
  bool is_share = task->kind == USER_CHOICE || m == 0;
  *out = is_share ? estimate_share(hits, items->count) : estimate_mean(values, items->count);
  return STATUS_OK;
}

static Status measure_rows(const TaskItems *items, const char *suffix, MetricList *metrics) {
  const UserTask *task = task_of(items->type);
  double *values = NULL;
  Interval interval = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&values, items->count, "values of rows"));
  for (size_t m = 0; m < USER_METRICS; m++) {
    if (task->metrics[m] == NULL) continue;
    for (size_t i = 0; i < items->count; i++) TRY_CLEAN(value_of(task, &items->list[i], m, &values[i]));
    TRY_CLEAN(estimate_metric(items, m, values, &interval));
    metrics_add_estimate(metrics, interval, items->count, "%s%s", task->metrics[m], suffix);
  }
cleanup:
  free(values);
  return status;
}

/// "acc_language:French", so that two columns with the same values do not meet.
static Status measure_part(const TaskItems *items, const char *column, MetricList *metrics) {
  char *mark = NULL;
  TRY(str_format(&mark, "_%s:", column));
  Status status = measure_by(items, column, mark, measure_rows, metrics);
  free(mark);
  return status;
}

static Status measure(const TaskItems *items, MetricList *metrics) {
  const UserTask *task = task_of(items->type);
  TRY(measure_rows(items, "", metrics));
  for (size_t p = 0; p < task->part_count; p++)
    TRY(measure_part(items, task->columns[task->parts[p]], metrics));
  return STATUS_OK;
}

// ---- the task ----

/// Accuracies are better where they are higher; of two texts none is the better one. The headlines are the
/// metrics of all rows.
static void set_metrics(UserTask *task) {
  size_t count = 0;
  for (size_t m = 0; m < USER_METRICS; m++)
    if (task->metrics[m] != NULL) task->headlines[count++] = task->metrics[m];
  for (size_t m = 0; m < count && task->kind == USER_CHOICE; m++)
    task->aims[m] = (TaskAim){task->headlines[m], INFINITY};
  task->type.headlines = task->headlines;
  task->type.aims = task->aims;
  if (task->has_cluster) task->type.unit = task->columns[task->cluster_column];
}

bool user_task_is_path(const char *name) {
  size_t size = strcspn(name, ":");
  for (size_t t = 0; task_types[t] != NULL && name[size] == ':'; t++)
    if (strlen(task_types[t]->name) == size && strncmp(name, task_types[t]->name, size) == 0) return false;
  return str_ends(name, ".json");
}

Status user_task_load(const char *path, UserTask **out) {
  UserTask *task = NULL;
  *out = NULL;
  TRY(mem_array(&task, 1, "a task"));
  Status status = user_definition_read(path, task);
  task->type.open = open_rows;
  task->type.ask = task->kind == USER_PAIR ? ask_pair : ask_choice;
  task->type.decide = task->kind == USER_PAIR ? decide_pair : decide_choice;
  task->type.measure = measure;
  set_metrics(task);
  if (status == STATUS_OK)
    *out = task;
  else
    user_task_free(task);
  return status;
}

void user_task_free(UserTask *task) {
  if (task == NULL) return;
  for (size_t c = 0; c < task->column_count; c++) free(task->columns[c]);
  cJSON_Delete(task->json);
  free(task->path);
  free(task->folder);
  free(task);
}

const TaskType *user_task_type(const UserTask *task) {
  return &task->type;
}

const char *user_task_folder(const UserTask *task) {
  return task->folder;
}
