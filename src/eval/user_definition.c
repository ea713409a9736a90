// A user's task file. Rule: every member is known and has its place; whatever else stands there is refused by
// name, so that a task never measures something else than its author thinks.
#include "user_definition.h"

#include "io/file.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

/// Members of both kinds, and then those of one.
static const char *const COMMON[] = {"name",    "kind",         "description", "limits",
                                     "data",    "context",      "delimiter",   "cluster_column",
                                     "metrics", "part_columns", NULL};
static const char *const OF_KIND[][5] = {
    [USER_CHOICE] = {"choices", "choices_column", "answer_index_column", "answer_text_column", NULL},
    [USER_PAIR] = {"first", "second", NULL}};
static const char *const KINDS[] = {[USER_CHOICE] = "choice", [USER_PAIR] = "pair"};
static const char *const METRICS[][USER_METRICS + 1] = {
    [USER_CHOICE] = {"acc", "acc_norm", NULL}, [USER_PAIR] = {"share_first", "mean_difference", NULL}};

/// Members of a row that are no columns.
static const char *const RESERVED[] = {"task",   "index",  "loglikelihoods", "context",     "choices",
                                       "answer", "choice", "correct",        "choice_norm", "correct_norm",
                                       "first",  "second", "prefers",        "delimiter",   NULL};

static bool is_among(const char *word, const char *const *list) {
  for (size_t i = 0; list[i] != NULL; i++)
    if (strcmp(word, list[i]) == 0) return true;
  return false;
}

static bool has(const UserTask *task, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(task->json, key) != NULL;
}

// ---- members ----

/// *out = a text that is not empty.
static Status read_text(const UserTask *task, const char *key, const char **out) {
  if (!has(task, key)) return status_fail(STATUS_INPUT, "%s: there is no \"%s\"", task->path, key);
  TRY(json_get_string(task->json, key, task->path, out));
  if (**out != '\0') return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" is empty", task->path, key);
}

/// *out = a text that is printed.
static Status read_line(const UserTask *task, const char *key, const char **out) {
  TRY(read_text(task, key, out));
  if (!utf8_has_control(*out)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" must be a line without control characters", task->path, key);
}

static Status read_kind(UserTask *task) {
  const char *kind = NULL;
  TRY(read_text(task, "kind", &kind));
  for (task->kind = USER_CHOICE; task->kind <= USER_PAIR; task->kind++)
    if (strcmp(kind, KINDS[task->kind]) == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"kind\" must be choice or pair, not \"%.40s\"", task->path, kind);
}

static Status check_members(const UserTask *task) {
  const char *const *own = OF_KIND[task->kind];
  const char *const *other = OF_KIND[task->kind == USER_CHOICE ? USER_PAIR : USER_CHOICE];
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, task->json) {
    const char *name = member->string;
    if (is_among(name, COMMON) || is_among(name, own)) continue;
    if (is_among(name, other))
      return status_fail(STATUS_INPUT, "%s: a %s task has no \"%s\"", task->path, KINDS[task->kind], name);
    const char *nearest = str_nearest(name, own);
    if (nearest == NULL) nearest = str_nearest(name, COMMON);
    if (nearest == NULL) return status_fail(STATUS_INPUT, "%s: unknown member \"%.80s\"", task->path, name);
    return status_fail(STATUS_INPUT, "%s: unknown member \"%.80s\"; did you mean \"%s\"?", task->path, name,
                       nearest);
  }
  return STATUS_OK;
}

static bool is_name(const char *text) {
  return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(text) &&
         strlen(text) <= 64;
}

static Status check_name(const UserTask *task) {
  const char *name = task->type.name;
  if (!is_name(name))
    return status_fail(STATUS_INPUT, "%s: \"name\" must be up to 64 letters, digits, _ and -, not \"%.80s\"",
                       task->path, name);
  for (size_t t = 0; task_types[t] != NULL; t++)
    if (strcmp(name, task_types[t]->name) == 0)
      return status_fail(STATUS_INPUT, "%s: \"name\": gee-cl has a task %s of its own", task->path, name);
  return STATUS_OK;
}

/// Without "metrics", all have their own names.
static Status read_metrics(UserTask *task) {
  const char *const *known = METRICS[task->kind];
  const cJSON *list = NULL, *member = NULL;
  if (!has(task, "metrics")) {
    for (size_t m = 0; m < USER_METRICS; m++) task->metrics[m] = known[m];
    return STATUS_OK;
  }
  TRY(json_get_object(task->json, "metrics", task->path, &list));
  cJSON_ArrayForEach(member, list) {
    size_t m = 0;
    while (m < USER_METRICS && strcmp(member->string, known[m]) != 0) m++;
    if (m == USER_METRICS)
      return status_fail(STATUS_INPUT, "%s: \"metrics\": a %s task has %s and %s, not \"%.80s\"", task->path,
                         KINDS[task->kind], known[0], known[1], member->string);
    if (!cJSON_IsString(member) || *member->valuestring == '\0' || !is_name(member->valuestring))
      return status_fail(STATUS_INPUT,
                         "%s: \"metrics\": the name of %s must be up to 64 letters, digits, _ and -",
                         task->path, known[m]);
    task->metrics[m] = member->valuestring;
  }
  if (task->metrics[0] == NULL && task->metrics[1] == NULL)
    return status_fail(STATUS_INPUT, "%s: \"metrics\" is empty", task->path);
  if (task->metrics[0] != NULL && task->metrics[1] != NULL && strcmp(task->metrics[0], task->metrics[1]) == 0)
    return status_fail(STATUS_INPUT, "%s: \"metrics\": two have the name %s", task->path, task->metrics[0]);
  return STATUS_OK;
}

// ---- columns ----

size_t user_column(const UserTask *task, const char *name, size_t size) {
  size_t column = 0;
  while (column < task->column_count &&
         (strlen(task->columns[column]) != size || memcmp(task->columns[column], name, size) != 0))
    column++;
  return column;
}

/// *out = the index of a column, which is read from now on.
static Status add_column(UserTask *task, const char *key, const char *name, size_t size, size_t *out) {
  *out = user_column(task, name, size);
  if (*out < task->column_count) return STATUS_OK;
  if (task->column_count == USER_COLUMNS)
    return status_fail(STATUS_INPUT, "%s: there are more than %d columns", task->path, USER_COLUMNS);
  TRY(str_copy(&task->columns[*out], name, size));
  task->column_keys[*out] = key;
  task->column_count++;
  return STATUS_OK;
}

static Status read_column(UserTask *task, const char *key, size_t *out) {
  const char *name = NULL;
  TRY(read_text(task, key, &name));
  return add_column(task, key, name, strlen(name), out);
}

/// A column whose text stands in the rows under its own name.
static Status add_kept_column(UserTask *task, const char *key, const char *name, size_t *out) {
  if (is_among(name, RESERVED))
    return status_fail(STATUS_INPUT, "%s: \"%s\": rows have a member \"%s\" of their own; rename the column",
                       task->path, key, name);
  return add_column(task, key, name, strlen(name), out);
}

/// The names of metrics must differ whatever the columns hold: share_a:b:c is column "a" with b:c, and "a:b"
/// with c.
static Status check_part_names(const UserTask *task, size_t column, const char *metric) {
  const char *const name = task->columns[column];
  Str a = {0}, b = {0};
  Status status = str_append_format(&a, "%s_%s:", metric, name);
  for (size_t p = 0; status == STATUS_OK && p < task->part_count * USER_METRICS; p++) {
    const char *other = task->columns[task->parts[p / USER_METRICS]], *of = task->metrics[p % USER_METRICS];
    if (of == NULL || strcmp(other, name) == 0) continue;
    str_clear(&b);
    status = str_append_format(&b, "%s_%s:", of, other);
    if (status == STATUS_OK && str_starts(str_text(&a), str_text(&b)))
      status = status_fail(STATUS_INPUT,
                           "%s: \"part_columns\": metrics of \"%.80s\" and of \"%.80s\" could have one name; "
                           "rename a column",
                           task->path, other, name);
  }
  str_free(&a);
  str_free(&b);
  return status;
}

static Status check_parts(const UserTask *task) {
  for (size_t p = 0; p < task->part_count; p++) {
    for (size_t other = 0; other < p; other++)
      if (task->parts[p] == task->parts[other])
        return status_fail(STATUS_INPUT, "%s: \"part_columns\" names \"%.80s\" twice", task->path,
                           task->columns[task->parts[p]]);
    for (size_t m = 0; m < USER_METRICS; m++)
      if (task->metrics[m] != NULL) TRY(check_part_names(task, task->parts[p], task->metrics[m]));
  }
  return STATUS_OK;
}

static Status read_parts(UserTask *task) {
  const cJSON *list = NULL, *item = NULL;
  if (!has(task, "part_columns")) return STATUS_OK;
  TRY(json_get_array(task->json, "part_columns", task->path, &list));
  cJSON_ArrayForEach(item, list) {
    if (!cJSON_IsString(item) || *item->valuestring == '\0' || task->part_count == USER_COLUMNS)
      return status_fail(STATUS_INPUT, "%s: \"part_columns\" must be a list of up to %d names of columns",
                         task->path, USER_COLUMNS);
    TRY(add_kept_column(task, "part_columns", item->valuestring, &task->parts[task->part_count++]));
  }
  return check_parts(task);
}

static Status read_cluster(UserTask *task) {
  const char *name = NULL;
  task->has_cluster = has(task, "cluster_column");
  if (!task->has_cluster) return STATUS_OK;
  TRY(read_text(task, "cluster_column", &name));
  return add_kept_column(task, "cluster_column", name, &task->cluster_column);
}

// ---- texts with columns ----

UserPiece user_piece_next(const char **text) {
  const char *at = *text;
  size_t size = strcspn(at, "{}");
  if (size > 0) {
    *text += size;
    return (UserPiece){at, size, false};
  }
  if (at[0] == at[1]) { // a brace written twice
    *text += 2;
    return (UserPiece){at, 1, false};
  }
  size = strcspn(at + 1, "{}");
  *text = at[0] == '{' && size > 0 && at[1 + size] == '}' ? at + size + 2 : NULL;
  return (UserPiece){at + 1, size, true};
}

/// Checks a text, and adds the columns in it.
static Status check_template(UserTask *task, const char *key, const char *text) {
  size_t column = 0;
  for (const char *at = text, *before = text; *at != '\0'; before = at) {
    UserPiece piece = user_piece_next(&at);
    if (at == NULL)
      return status_fail(
          STATUS_INPUT,
          "%s: \"%s\": a column stands in braces, as {question}, and a brace itself is written "
          "twice; found \"%.20s\"",
          task->path, key, before);
    if (piece.is_column) TRY(add_column(task, key, piece.text, piece.size, &column));
  }
  return STATUS_OK;
}

static Status add_template(UserTask *task, const char *key, const char *text) {
  for (size_t t = 0; t < task->text_count; t++)
    if (strcmp(task->texts[t], text) == 0)
      return status_fail(STATUS_INPUT, "%s: \"%s\": the text \"%.80s\" is there twice", task->path, key,
                         text);
  task->texts[task->text_count++] = text;
  return check_template(task, key, text);
}

static Status read_context(UserTask *task) {
  if (has(task, "context")) {
    TRY(read_text(task, "context", &task->context));
    TRY(check_template(task, "context", task->context));
  }
  task->delimiter = " ";
  if (!has(task, "delimiter")) return STATUS_OK;
  if (task->context == NULL)
    return status_fail(STATUS_INPUT, "%s: \"delimiter\" stands behind a \"context\", and there is none",
                       task->path);
  return json_get_string(task->json, "delimiter", task->path, &task->delimiter);
}

static Status read_choices(UserTask *task) {
  const cJSON *list = NULL, *item = NULL;
  if (has(task, "choices") == has(task, "choices_column"))
    return status_fail(STATUS_INPUT, "%s: needs either \"choices\" or \"choices_column\"", task->path);
  if (has(task, "choices_column")) return read_column(task, "choices_column", &task->choices_column);
  TRY(json_get_array(task->json, "choices", task->path, &list));
  cJSON_ArrayForEach(item, list) {
    if (!cJSON_IsString(item) || *item->valuestring == '\0' || task->text_count == USER_TEXTS) break;
    TRY(add_template(task, "choices", item->valuestring));
  }
  if (item == NULL && task->text_count >= 2) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"choices\" must be a list of 2 to %d texts", task->path, USER_TEXTS);
}

static Status read_answer(UserTask *task) {
  task->answer_is_index = has(task, "answer_index_column");
  if (task->answer_is_index == has(task, "answer_text_column"))
    return status_fail(STATUS_INPUT, "%s: needs either \"answer_index_column\" or \"answer_text_column\"",
                       task->path);
  return read_column(task, task->answer_is_index ? "answer_index_column" : "answer_text_column",
                     &task->answer_column);
}

static Status read_pair(UserTask *task) {
  const char *first = NULL, *second = NULL;
  TRY(read_text(task, "first", &first));
  TRY(read_text(task, "second", &second));
  TRY(add_template(task, "first", first));
  return add_template(task, "second", second);
}

// ---- the file ----

static Status parse(const char *path, UserTask *task) {
  MappedFile file = {0};
  TRY(file_map(path, &file));
  Status status = json_parse_unique((const char *)file.bytes, file.size, path, &task->json);
  file_unmap(&file);
  TRY(status);
  if (cJSON_IsObject(task->json)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: must be an object that describes a task", path);
}

/// The task's files are beside its definition, which is the first of them.
static Status set_files(UserTask *task) {
  const char *slash = strrchr(task->path, '/');
  TRY(slash == NULL ? str_copy(&task->folder, ".", 1)
                    : str_copy(&task->folder, task->path, (size_t)(slash - task->path) + 1));
  task->files[0] = slash != NULL ? slash + 1 : task->path;
  TRY(read_text(task, "data", &task->files[1]));
  task->type.files = task->files;
  return STATUS_OK;
}

Status user_definition_read(const char *path, UserTask *task) {
  TRY(str_copy(&task->path, path, strlen(path)));
  TRY(parse(path, task));
  TRY(read_kind(task));
  TRY(check_members(task));
  TRY(read_text(task, "name", &task->type.name));
  TRY(check_name(task));
  TRY(read_line(task, "description", &task->type.help));
  TRY(read_line(task, "limits", &task->type.limits));
  TRY(set_files(task));
  TRY(read_metrics(task));
  TRY(read_context(task));
  if (task->kind == USER_CHOICE) {
    TRY(read_answer(task)); // first: a table is told by a column that holds no list
    TRY(read_choices(task));
  } else {
    TRY(read_pair(task));
  }
  TRY(read_parts(task));
  TRY(read_cluster(task));
  if (task->column_count > 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: its texts name no column, so that all rows would be the same", path);
}
