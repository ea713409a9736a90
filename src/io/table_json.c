// A JSON object as the cells of a row. Rule: integers are read from the text, not from cJSON's doubles, so
// they are exact; and what cJSON would silently misread (a NUL that cuts a string off, a number such as 007)
// is refused.
//
// cJSON does not keep the text of a number. So the text is scanned for numbers, and the i-th number of the
// text is the i-th of the tree, walked in order.
#include "table_parts.h"

#include "io/json.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// A row being read.
typedef struct JsonRow {
  Table *table;
  const char *where; // "file: line 3"
  cJSON *object;
  TableText *numbers; // in the order of the text; `valueint` of a cJSON number is an index into it
  size_t count, capacity;
} JsonRow;

// ---- what cJSON does not keep of the text ----

static bool is_number_char(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/// JSON is stricter than number_form: no leading zero or plus, and digits on both sides of a point.
static bool is_json_number(TableText number) {
  const char *text = number.bytes;
  size_t size = number.size, first = size > 0 && text[0] == '-' ? 1 : 0;
  const char *point = memchr(text, '.', size);
  if (number_form(text, size) == NUMBER_NONE || text[first] < '0' || text[first] > '9') return false;
  if (text[first] == '0' && first + 1 < size && text[first + 1] >= '0' && text[first + 1] <= '9')
    return false;
  return point == NULL || (point + 1 < text + size && point[1] >= '0' && point[1] <= '9');
}

static Status add_number(JsonRow *row, TableText rest, size_t *size) {
  TableText number = {rest.bytes, 0};
  while (number.size < rest.size && is_number_char(rest.bytes[number.size])) number.size++;
  *size = number.size;
  if (!is_json_number(number))
    return status_fail(STATUS_INPUT, "%s: not valid JSON: %.*s is not a number", row->where,
                       (int)(number.size < 40 ? number.size : 40), number.bytes);
  TRY(mem_reserve(&row->numbers, &row->capacity, row->count + 1, "numbers in JSON"));
  row->numbers[row->count++] = number;
  return STATUS_OK;
}

/// Checks the escape that `rest` begins with.
static Status check_escape(const JsonRow *row, TableText rest) {
  if (rest.size < 2 || rest.bytes[1] != 'u') return STATUS_OK; // cJSON checks the others
  bool is_zero = rest.size >= 6;
  for (size_t i = 2; i < 6; i++) {
    if (i >= rest.size || strchr("0123456789abcdefABCDEF", rest.bytes[i]) == NULL || rest.bytes[i] == '\0')
      return status_fail(STATUS_INPUT, "%s: not valid JSON: \\u without four hexadecimal digits", row->where);
    is_zero = is_zero && rest.bytes[i] == '0';
  }
  if (!is_zero) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: contains a NUL byte, as \\u0000, so it is not text", row->where);
}

/// Finds the numbers outside strings and checks the escapes inside them. cJSON has accepted the text.
static Status scan_text(JsonRow *row, TableText text) {
  bool in_string = false;
  for (size_t at = 0; at < text.size; at++) {
    char c = text.bytes[at];
    TableText rest = {text.bytes + at, text.size - at};
    if (c == '"') {
      in_string = !in_string;
    } else if (in_string && c == '\\') {
      TRY(check_escape(row, rest));
      at++;
    } else if (!in_string && (c == '-' || (c >= '0' && c <= '9'))) {
      size_t size = 0;
      TRY(add_number(row, rest, &size));
      at += size - 1;
    }
  }
  return STATUS_OK;
}

/// Gives every number in `value` its index, in order from *next. cJSON's nesting limit bounds the recursion.
static void number_values(cJSON *value, size_t *next) {
  if (cJSON_IsNumber(value))
    value->valueint = (int)(*next)++; // cannot overflow: a row has fewer bytes than INT_MAX
  for (cJSON *child = value->child; child != NULL; child = child->next) number_values(child, next);
}

// ---- values as cells ----

static Status number_cell(const JsonRow *row, const cJSON *value, Cell *out) {
  TableText text = row->numbers[value->valueint];
  *out = (Cell){.type = CELL_INTEGER};
  if (number_form(text.bytes, text.size) == NUMBER_WHOLE &&
      number_integer(text.bytes, text.size, &out->integer))
    return STATUS_OK;
  *out = (Cell){.type = CELL_NUMBER, .number = value->valuedouble};
  if (isfinite(out->number)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: %.*s is too large for a number", row->where,
                     (int)(text.size < 40 ? text.size : 40), text.bytes);
}

static Status text_cell(const JsonRow *row, const char *text, TableText *out) {
  return arena_copy(&row->table->arena, text, strlen(text), out);
}

/// A list that contains an object: it must be a chat.
static Status chat_cell(const JsonRow *row, const cJSON *list, Cell *out) {
  TableMessage *messages = NULL;
  const cJSON *item = NULL;
  TRY(arena_alloc(&row->table->arena, (size_t)cJSON_GetArraySize(list), sizeof *messages, &messages));
  *out = (Cell){.type = CELL_CHAT, .chat = {.messages = messages}};
  cJSON_ArrayForEach(item, list) {
    const char *role = NULL, *content = NULL;
    if (cJSON_IsNull(item)) continue;
    TRY(json_get_string(item, "role", row->where, &role));
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(item, "content"))) continue;
    TRY(json_get_string(item, "content", row->where, &content));
    TableMessage *message = &messages[out->chat.count++];
    TRY(text_cell(row, role, &message->role));
    TRY(text_cell(row, content, &message->content));
  }
  return STATUS_OK;
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
  if (has_object(list)) return chat_cell(row, list, out);
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
  Status status = list_members(row->object, "", &names);
  if (status == STATUS_OK)
    status = status_fail(STATUS_INPUT, "%s: no member \"%s\"; there are: %s", row->where, name,
                         names.size > 0 ? str_text(&names) : "none");
  str_free(&names);
  return status;
}

static Status member_cell(const JsonRow *row, const char *name, Cell *out) {
  const cJSON *value = NULL;
  size_t count = 0;
  find_member(row->object, name, &value, &count);
  if (count == 0) return fail_missing_member(row, name);
  if (count > 1)
    return status_fail(STATUS_INPUT, "%s: %zu members have the name \"%s\"", row->where, count, name);
  return value_cell(row, value, out);
}

// ---- rows ----

/// Parses the row. The caller frees it with close_row, also after a failure.
static Status open_row(Table *table, size_t number, TableText object, JsonRow *row) {
  size_t next = 0;
  *row = (JsonRow){.table = table};
  str_clear(&table->where);
  TRY(str_append_format(&table->where, "%s: %s %zu", table->file.path, table->format->row_name, number));
  row->where = str_text(&table->where);
  TRY(json_parse(object.bytes, object.size, row->where, &row->object));
  if (!cJSON_IsObject(row->object)) return status_fail(STATUS_INPUT, "%s: not a JSON object", row->where);
  TRY(scan_text(row, object));
  number_values(row->object, &next);
  if (next == row->count) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: %zu numbers in the text, but %zu parsed", row->where, row->count,
                     next);
}

static void close_row(JsonRow *row) {
  cJSON_Delete(row->object);
  free(row->numbers);
}

Status table_add_json(Table *table, size_t number, TableText object) {
  JsonRow row;
  Cell *cells = NULL;
  Status status = open_row(table, number, object, &row);
  if (status == STATUS_OK) status = table_add_row(table, number, &cells);
  for (size_t i = 0; status == STATUS_OK && i < table->selected_count; i++)
    status = member_cell(&row, table->selected[i].name, &cells[i]);
  close_row(&row);
  return status;
}

/// Whether all items that are not null have a role. The list has an object.
static bool is_chat(const cJSON *list) {
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, list) {
    if (!cJSON_IsNull(item) && !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(item, "role"))) return false;
  }
  return true;
}

/// Declares the member `value` as a column named `path`.
static Status add_column(const JsonRow *row, const char *path, const cJSON *value) {
  static const char *const holds[] = {"null",     "text",  "integers", "numbers",
                                      "booleans", "lists", "chats",    "objects"};
  Cell cell = {.type = CELL_OTHER};
  if (!cJSON_IsArray(value) || !has_object(value) || is_chat(value)) TRY(value_cell(row, value, &cell));
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

Status table_add_json_columns(Table *table, size_t number, TableText object) {
  JsonRow row;
  Status status = open_row(table, number, object, &row);
  if (status == STATUS_OK) status = add_columns(&row, row.object, "");
  close_row(&row);
  return status;
}
