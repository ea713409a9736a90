// Prompt files as records: one column of a table. Rule: a row without text is skipped, and text with a NUL
// byte is refused, because rows are C strings.
#include "io/records.h"

#include "io/table.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

/// Limits on a file of prompts: in a few bytes a compressed file can claim any number of equal rows.
#define RECORDS_ROW_LIMIT  ((size_t)1 << 24)
#define RECORDS_TEXT_LIMIT ((size_t)1 << 30)

/// The list under construction. A row is built message by message; end_row adds it.
typedef struct RecordList {
  Records records;
  size_t row_capacity, message_capacity;
  size_t text; // bytes so far, at most RECORDS_TEXT_LIMIT
  Record row;  // being built
} RecordList;

static bool is_blank(TableText text) {
  for (size_t i = 0; i < text.size; i++) {
    if (strchr(" \t\r\n\v\f", text.bytes[i]) == NULL || text.bytes[i] == '\0') return false;
  }
  return true;
}

/// Appends a message to the row being built; role NULL for a plain string. Skips a blank plain string.
static Status add_message(RecordList *list, const TableText *role, TableText content) {
  size_t role_size = role != NULL ? role->size : 0;
  if (role == NULL && is_blank(content)) return STATUS_OK;
  if (memchr(content.bytes, '\0', content.size) != NULL ||
      (role != NULL && memchr(role->bytes, '\0', role_size) != NULL))
    return status_fail(STATUS_INPUT, "contains a NUL byte, so it is not text");
  if (role_size > RECORDS_TEXT_LIMIT || content.size > RECORDS_TEXT_LIMIT - role_size ||
      list->text > RECORDS_TEXT_LIMIT - role_size - content.size)
    return status_fail(STATUS_INPUT, "more than %zu MiB of text; take fewer rows", RECORDS_TEXT_LIMIT >> 20);
  TRY(mem_reserve(&list->row.messages, &list->message_capacity, list->row.count + 1, "messages"));
  RecordMessage *message = &list->row.messages[list->row.count++];
  *message = (RecordMessage){0}; // the slot may hold pointers that an earlier row owns
  if (role != NULL) TRY(str_copy(&message->role, role->bytes, role_size));
  list->text += role_size + content.size;
  return str_copy(&message->content, content.bytes, content.size);
}

/// Adds the row that was built, unless it has no messages.
static Status end_row(RecordList *list) {
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

static Status add_cell(const Table *table, size_t row, const char *column, RecordList *list) {
  const Cell *cell = table_cell(table, row, 0);
  TableChat chat = {0};
  Status status = STATUS_OK;
  if (cell->type == CELL_TEXT)
    TRY(add_message(list, NULL, cell->text));
  else if (cell->type != CELL_NULL)
    status = table_chat(table, row, 0, &chat);
  if (status == STATUS_INPUT)
    return status_fail(STATUS_INPUT, "\"%s\" must be a string, or a list of {\"role\", \"content\"}", column);
  TRY(status);
  for (size_t i = 0; i < chat.count; i++)
    TRY(add_message(list, &chat.messages[i].role, chat.messages[i].content));
  return end_row(list);
}

/// Selects the column, and checks its type if the file declares one.
static Status select_prompts(Table *table, const char *path, const char *column) {
  const char *name = table_kind(table) == TABLE_TEXT ? "text" : column;
  TRY(table_select(table, &name, 1));
  const TableColumn *selected = table_selected(table, 0);
  if (selected->type == CELL_NULL || selected->type == CELL_TEXT || selected->type == CELL_CHAT)
    return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s: column \"%s\" holds %s, but must hold strings, or lists of structs with role and content", path,
      column, selected->holds);
}

static Status add_rows(Table *table, const char *path, const char *column, RecordList *list) {
  size_t rows = 0;
  TRY(select_prompts(table, path, column));
  do {
    TRY(table_next_group(table, &rows));
    for (size_t i = 0; i < rows; i++) TRY(table_context(add_cell(table, i, column, list), table, i));
  } while (rows > 0);
  return STATUS_OK;
}

/// Reads `table` and closes it, also if it fails.
static Status read_table(Table *table, const char *path, const char *column, Records *out) {
  RecordList list = {0};
  Status status = add_rows(table, path, column, &list);
  table_close(table);
  if (status == STATUS_OK) {
    *out = list.records;
    list.records = (Records){0};
  }
  free_messages(&list.row);
  records_free(&list.records);
  return status;
}

Status records_read(const char *path, const char *column, Records *out) {
  Table *table = NULL;
  *out = (Records){0};
  TRY(table_open(path, &table));
  return read_table(table, path, column, out);
}

Status records_read_bytes(const char *name, const void *bytes, size_t size, const char *column,
                          Records *out) {
  Table *table = NULL;
  *out = (Records){0};
  TRY(table_open_bytes(name, bytes, size, &table));
  return read_table(table, name, column, out);
}
