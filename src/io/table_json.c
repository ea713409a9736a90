// A JSON value as the cells of a row. Rule: integers are read from the text, not from cJSON's doubles, so
// they are exact. cJSON does not keep the text of a number, so json_read tells where each number stands.
#include "table_parts.h"

#include "json_text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// A row being read.
typedef struct JsonRow {
  Table *table;
  const char *where; // "file: line 3"
  const char *text;
  cJSON *value;
  JsonNumbers numbers; // `valueint` of a cJSON number is an index into it
} JsonRow;

// ---- values as cells ----

static Status number_cell(const JsonRow *row, const cJSON *value, Cell *out) {
  const JsonNumber *number = &row->numbers.list[value->valueint];
  const char *text = row->text + number->offset;
  NumberForm form = number_form(text, number->size);
  *out = (Cell){.type = CELL_INTEGER};
  if (form == NUMBER_WHOLE && number_integer(text, number->size, &out->integer)) return STATUS_OK;
  *out = (Cell){.type = CELL_NUMBER, .number = value->valuedouble};
  if (isfinite(out->number) || form == NUMBER_NONE) return STATUS_OK; // NaN and Infinity have no form
  return status_fail(STATUS_INPUT, "%s: %.*s is too large for a number", row->where,
                     (int)(number->size < 40 ? number->size : 40), text);
}

static Status text_cell(const JsonRow *row, const char *text, TableText *out) {
  return arena_copy(&row->table->arena, text, strlen(text), out);
}

static Status value_cell(const JsonRow *row, const cJSON *value, Cell *out);

static bool has_object(const cJSON *list) {
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, list) {
    if (cJSON_IsObject(item)) return true;
  }
  return false;
}

static Status list_cell(const JsonRow *row, const cJSON *list, Cell *out) {
  Cell *items = NULL;
  const cJSON *item = NULL;
  size_t count = (size_t)cJSON_GetArraySize(list), i = 0;
  if (has_object(list)) { // it must be a chat
    *out = (Cell){.type = CELL_CHAT};
    return json_chat(&row->table->arena, list, row->where, &out->chat);
  }
  TRY(arena_alloc(&row->table->arena, count, sizeof *items, &items));
  cJSON_ArrayForEach(item, list) TRY(value_cell(row, item, &items[i++]));
  *out = (Cell){.type = CELL_LIST, .list = {items, count}};
  return STATUS_OK;
}

static Status value_cell(const JsonRow *row, const cJSON *value, Cell *out) {
  if (cJSON_IsNumber(value)) return number_cell(row, value, out);
  if (cJSON_IsArray(value)) return list_cell(row, value, out);
  if (cJSON_IsString(value)) {
    out->type = CELL_TEXT;
    return text_cell(row, value->valuestring, &out->text);
  }
  if (cJSON_IsBool(value))
    *out = (Cell){.type = CELL_BOOLEAN, .boolean = cJSON_IsTrue(value)};
  else
    out->type = cJSON_IsNull(value) ? CELL_NULL : CELL_OTHER;
  return STATUS_OK;
}

// ---- members ----

/// *found = a value at `path`, member names joined by dots; adds the number of such values to *count. A
/// member whose own name is the path hides those inside other members. A null has every member, and each is
/// null.
static void find_member(const cJSON *object, const char *path, const cJSON **found, size_t *count) {
  const cJSON *member = NULL;
  size_t direct = 0;
  cJSON_ArrayForEach(member, object) {
    if (strcmp(member->string, path) != 0) continue;
    *found = member;
    direct++;
  }
  *count += direct;
  if (direct > 0) return;
  cJSON_ArrayForEach(member, object) {
    size_t size = strlen(member->string);
    if (strncmp(path, member->string, size) != 0 || path[size] != '.') continue;
    if (cJSON_IsNull(member)) {
      *found = member;
      (*count)++;
    } else if (cJSON_IsObject(member)) {
      find_member(member, path + size + 1, found, count);
    }
  }
}

/// True if the members of `member` are columns of their own: an object that is not empty, nor so deep that
/// names have no end.
static bool has_columns(const cJSON *member, const char *prefix) {
  return cJSON_IsObject(member) && member->child != NULL &&
         strlen(prefix) + strlen(member->string) < TABLE_PATH_BYTES;
}

/// Appends the names of the members, those inside objects as "outer.inner", until there are enough for a
/// message.
static Status list_members(const cJSON *object, const char *prefix, Str *names) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, object) {
    bool is_nested = has_columns(member, prefix);
    char *path = NULL;
    if (names->size >= 600) break;
    TRY(str_format(&path, "%s%s%s", prefix, member->string, is_nested ? "." : ""));
    Status status = is_nested ? list_members(member, path, names)
                              : str_append_format(names, "%s%s", names->size > 0 ? ", " : "", path);
    free(path);
    TRY(status);
  }
  return STATUS_OK;
}

static Status fail_missing_member(const JsonRow *row, const char *name) {
  Str names = {0};
  Status status = list_members(row->value, "", &names);
  if (status == STATUS_OK)
    status = status_fail(STATUS_INPUT, "%s: no member \"%s\"; there are: %s", row->where, name,
                         names.size > 0 ? str_text(&names) : "none");
  str_free(&names);
  return status;
}

static Status member_cell(const JsonRow *row, const char *name, Cell *out) {
  const cJSON *value = NULL;
  size_t count = 0;
  if (row->table->is_bare && strcmp(name, "text") == 0) return value_cell(row, row->value, out);
  if (!cJSON_IsObject(row->value)) return status_fail(STATUS_INPUT, "%s: not a JSON object", row->where);
  find_member(row->value, name, &value, &count);
  if (count == 0) return fail_missing_member(row, name);
  if (count > 1)
    return status_fail(STATUS_INPUT, "%s: %zu members have the name \"%s\"", row->where, count, name);
  return value_cell(row, value, out);
}

// ---- rows ----

/// Parses the row. The caller frees it with close_row, also after a failure.
static Status open_row(Table *table, size_t number, TableText text, JsonRow *row) {
  static const JsonRules rules = {.allows_nan = true, .index_values = true};
  *row = (JsonRow){.table = table, .text = text.bytes};
  str_clear(&table->where);
  TRY(str_append_format(&table->where, "%s: %s %zu", table->file.path, table->format->row_name, number));
  row->where = str_text(&table->where);
  return json_read(text.bytes, text.size, row->where, &rules, &row->numbers, &row->value);
}

static void close_row(JsonRow *row) {
  cJSON_Delete(row->value);
  free(row->numbers.list);
}

Status table_add_json(Table *table, size_t number, TableText text) {
  JsonRow row;
  Cell *cells = NULL;
  Status status = open_row(table, number, text, &row);
  if (status == STATUS_OK) status = table_add_row(table, number, &cells);
  for (size_t i = 0; status == STATUS_OK && i < table->selected_count; i++)
    status = member_cell(&row, table->selected[i].name, &cells[i]);
  close_row(&row);
  return status;
}

static bool has_chat(const cJSON *object) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, object) {
    if (json_is_chat(member)) return true;
  }
  return false;
}

Status table_json_is_row(const Table *table, TableText object, const char *column, bool *is_row,
                         bool *is_columns) {
  static const JsonRules rules = {.allows_nan = true};
  const cJSON *value = NULL;
  cJSON *parsed = NULL;
  JsonNumbers numbers = {0};
  size_t count = 0;
  Status status = json_read(object.bytes, object.size, table->file.path, &rules, &numbers, &parsed);
  if (status == STATUS_OK) find_member(parsed, column, &value, &count);
  *is_row = count > 0 || has_chat(parsed);
  *is_columns = value != NULL && cJSON_IsArray(value) && value->child != NULL && !has_object(value);
  cJSON_Delete(parsed);
  free(numbers.list);
  return status;
}

/// Declares the member `value` as a column named `path`.
static Status add_column(const JsonRow *row, const char *path, const cJSON *value) {
  static const char *const holds[] = {"null",     "text",  "integers", "numbers",
                                      "booleans", "lists", "chats",    "objects"};
  Cell cell = {.type = CELL_OTHER};
  if (!cJSON_IsArray(value) || !has_object(value) || json_is_chat(value)) TRY(value_cell(row, value, &cell));
  return table_add_column(row->table, path, strlen(path), cell.type, holds[cell.type]);
}

static Status add_columns(const JsonRow *row, const cJSON *object, const char *prefix) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, object) {
    bool is_nested = has_columns(member, prefix);
    char *path = NULL;
    TRY(str_format(&path, "%s%s%s", prefix, member->string, is_nested ? "." : ""));
    Status status = is_nested ? add_columns(row, member, path) : add_column(row, path, member);
    free(path);
    TRY(status);
  }
  return STATUS_OK;
}

Status table_add_json_columns(Table *table, size_t number, TableText text) {
  JsonRow row;
  Status status = open_row(table, number, text, &row);
  if (status == STATUS_OK)
    status = table->is_bare ? add_column(&row, "text", row.value) : add_columns(&row, row.value, "");
  close_row(&row);
  return status;
}
