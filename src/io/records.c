// Prompt files as records: which reader a file needs, and the two line formats. Rule: a row holds text or is left
// out; text never holds a NUL byte, since rows are C strings.
#include "io/records.h"

#include "io/file.h"
#include "io/json.h"
#include "parquet.h"
#include "record_list.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

// ---- the list under construction ----

static bool is_blank(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (strchr(" \t\r\n\v\f", text[i]) == NULL || text[i] == '\0') return false;
  }
  return true;
}

Status record_add(RecordList *list, const char *role, size_t role_size, const char *content,
                  size_t content_size) {
  if (role == NULL && is_blank(content, content_size)) return STATUS_OK;
  if (memchr(content, '\0', content_size) != NULL || (role != NULL && memchr(role, '\0', role_size) != NULL))
    return status_fail(STATUS_INPUT, "holds a NUL byte: this is no text");
  if (role_size > RECORDS_TEXT_LIMIT || content_size > RECORDS_TEXT_LIMIT - role_size ||
      list->text > RECORDS_TEXT_LIMIT - role_size - content_size)
    return status_fail(STATUS_INPUT, "more than %zu MiB of text; take fewer rows", RECORDS_TEXT_LIMIT >> 20);
  TRY(mem_reserve(&list->row.messages, &list->message_capacity, list->row.count + 1, "messages"));
  RecordMessage *message = &list->row.messages[list->row.count++];
  *message = (RecordMessage){0}; // the slot may have served a row before
  if (role != NULL) TRY(str_copy(&message->role, role, role_size));
  list->text += role_size + content_size;
  return str_copy(&message->content, content, content_size);
}

Status record_end(RecordList *list) {
  if (list->row.count == 0) return STATUS_OK;
  Records *records = &list->records;
  if (records->count == RECORDS_ROW_LIMIT)
    return status_fail(STATUS_INPUT, "more than %zu rows; take fewer", RECORDS_ROW_LIMIT);
  TRY(mem_reserve(&records->rows, &list->row_capacity, records->count + 1, "rows"));
  RecordMessage *messages = NULL;
  TRY(mem_array(&messages, list->row.count, "messages"));
  memcpy(messages, list->row.messages, list->row.count * sizeof *messages);
  records->rows[records->count++] = (Record){messages, list->row.count};
  list->row.count = 0;
  return STATUS_OK;
}

static void free_messages(const Record *row) {
  for (size_t i = 0; i < row->count; i++) {
    free(row->messages[i].role);
    free(row->messages[i].content);
  }
  free(row->messages);
}

void records_free(Records *records) {
  if (records == NULL) return;
  for (size_t i = 0; i < records->count; i++) free_messages(&records->rows[i]);
  free(records->rows);
  *records = (Records){0};
}

void record_list_free(RecordList *list) {
  free_messages(&list->row);
  records_free(&list->records);
  *list = (RecordList){0};
}

// ---- lines ----

/// Takes the next line without its end; false at the end of the text.
static bool next_line(const char **text, size_t *size, const char **line, size_t *line_size) {
  if (*size == 0) return false;
  const char *end = memchr(*text, '\n', *size);
  size_t length = end != NULL ? (size_t)(end - *text) : *size;
  size_t step = end != NULL ? length + 1 : length;
  *line = *text;
  *line_size = length > 0 && (*text)[length - 1] == '\r' ? length - 1 : length;
  *text += step;
  *size -= step;
  return true;
}

static Status read_text(const char *path, const char *text, size_t size, RecordList *list) {
  const char *line = NULL;
  size_t line_size = 0;
  for (size_t number = 1; next_line(&text, &size, &line, &line_size); number++) {
    TRY(status_context(record_add(list, NULL, 0, line, line_size), "%s: line %zu", path, number));
    TRY(status_context(record_end(list), "%s", path));
  }
  return STATUS_OK;
}

// ---- JSON ----

static Status fail_missing(const cJSON *object, const char *column, const char *where) {
  Str names = {0};
  Status status = STATUS_OK;
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, object) {
    if (status == STATUS_OK && names.size < 600)
      status = str_append_format(&names, "%s%s", names.size > 0 ? ", " : "", member->string);
  }
  if (status == STATUS_OK) {
    status = status_fail(STATUS_INPUT, "%s: no member \"%s\"; there are: %s", where, column,
                         names.size > 0 ? str_text(&names) : "none");
  }
  str_free(&names);
  return status;
}

static Status add_chat(const cJSON *chat, const char *where, RecordList *list) {
  const cJSON *message = NULL;
  cJSON_ArrayForEach(message, chat) {
    const char *role = NULL, *content = NULL;
    if (cJSON_IsNull(message)) continue;
    TRY(json_get_string(message, "role", where, &role));
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(message, "content"))) continue;
    TRY(json_get_string(message, "content", where, &content));
    TRY(status_context(record_add(list, role, strlen(role), content, strlen(content)), "%s", where));
  }
  return STATUS_OK;
}

/// Appends the row that `object` holds; `where` names it for messages.
static Status add_object(const cJSON *object, const char *column, const char *where, RecordList *list) {
  if (!cJSON_IsObject(object)) return status_fail(STATUS_INPUT, "%s: not a JSON object", where);
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, column);
  if (value == NULL) return fail_missing(object, column, where);
  if (cJSON_IsString(value)) {
    TRY(status_context(record_add(list, NULL, 0, value->valuestring, strlen(value->valuestring)), "%s",
                       where));
  } else if (cJSON_IsArray(value)) {
    TRY(add_chat(value, where, list));
  } else if (!cJSON_IsNull(value)) {
    return status_fail(STATUS_INPUT, "%s: \"%s\" must be a string, or a list of {\"role\", \"content\"}",
                       where, column);
  }
  return status_context(record_end(list), "%s", where);
}

static Status read_json_line(const char *path, size_t number, const char *line, size_t size,
                             const char *column, RecordList *list) {
  if (is_blank(line, size)) return STATUS_OK;
  char *where = NULL;
  cJSON *object = NULL;
  TRY(str_format(&where, "%s: line %zu", path, number));
  Status status = json_parse(line, size, where, &object);
  if (status == STATUS_OK) status = add_object(object, column, where, list);
  cJSON_Delete(object);
  free(where);
  return status;
}

static Status read_json_lines(const char *path, const char *text, size_t size, const char *column,
                              RecordList *list) {
  const char *line = NULL;
  size_t line_size = 0;
  for (size_t number = 1; next_line(&text, &size, &line, &line_size); number++)
    TRY(read_json_line(path, number, line, line_size, column, list));
  return STATUS_OK;
}

/// A .json file that is one list of objects rather than lines.
static Status read_json_list(const char *path, const char *text, size_t size, const char *column,
                             RecordList *list) {
  cJSON *rows = NULL;
  const cJSON *row = NULL;
  size_t number = 0;
  TRY(json_parse(text, size, path, &rows));
  Status status = STATUS_OK;
  cJSON_ArrayForEach(row, rows) {
    char *where = NULL;
    status = str_format(&where, "%s: entry %zu", path, number++);
    if (status == STATUS_OK) status = add_object(row, column, where, list);
    free(where);
    if (status != STATUS_OK) break;
  }
  cJSON_Delete(rows);
  return status;
}

static bool starts_with_list(const char *text, size_t size) {
  size_t at = 0;
  while (at < size && strchr(" \t\r\n", text[at]) != NULL && text[at] != '\0') at++;
  return at < size && text[at] == '[';
}

// ---- dispatch ----

static Status read_by_kind(const MappedFile *file, const char *column, RecordList *list) {
  const char *path = file->path, *text = (const char *)file->bytes;
  size_t size = file->size;
  if ((size >= 4 && memcmp(text, "PAR1", 4) == 0) || str_ends(path, ".parquet"))
    return parquet_read(file, column, list);
  if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { // a byte order mark says nothing in UTF-8
    text += 3;
    size -= 3;
  }
  if (str_ends(path, ".json") && starts_with_list(text, size))
    return read_json_list(path, text, size, column, list);
  if (str_ends(path, ".jsonl") || str_ends(path, ".ndjson") || str_ends(path, ".json"))
    return read_json_lines(path, text, size, column, list);
  return read_text(path, text, size, list);
}

Status records_read(const char *path, const char *column, Records *out) {
  *out = (Records){0};
  MappedFile file;
  RecordList list = {0};
  TRY(file_map(path, &file));
  Status status = read_by_kind(&file, column, &list);
  file_unmap(&file);
  if (status == STATUS_OK) {
    *out = list.records;
    list.records = (Records){0};
  }
  record_list_free(&list);
  return status;
}
