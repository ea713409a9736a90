// Prompt files as records: one column of a table. Rule: a row without text is left out and counted, and text
// that is not UTF-8 or has a NUL byte is refused: rows are C strings, and the tokenizer would replace bytes.
#include "io/records.h"

#include "table_parts.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
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

// ---- messages ----

/// *out = the role as chat templates call it.
static Status find_role(TableText role, const char **out) {
  static const struct {
    const char *name, *role;
  } known[] = {{"system", "system"},       {"user", "user"},        {"human", "user"},
               {"assistant", "assistant"}, {"gpt", "assistant"},    {"model", "assistant"},
               {"chatgpt", "assistant"},   {"bard", "assistant"},   {"bing", "assistant"},
               {"ai", "assistant"},        {"chatbot", "assistant"}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    *out = known[i].role;
    if (strlen(known[i].name) == role.size && memcmp(known[i].name, role.bytes, role.size) == 0)
      return STATUS_OK;
  }
  return status_fail(STATUS_INPUT,
                     "a message of the role \"%.*s\", which is not known; use system, user (or human) and "
                     "assistant (or gpt)",
                     (int)size_min(role.size, 64), role.bytes);
}

/// Appends a message to the row being built; role NULL for a plain string. Skips a blank plain string.
static Status add_message(RecordList *list, const char *role, TableText content) {
  if (role == NULL && is_blank(content)) return STATUS_OK;
  TRY(table_check_text(content));
  if (content.size > RECORDS_TEXT_LIMIT || list->text > RECORDS_TEXT_LIMIT - content.size)
    return status_fail(STATUS_INPUT, "more than %zu MiB of text; take fewer rows", RECORDS_TEXT_LIMIT >> 20);
  TRY(mem_reserve(&list->row.messages, &list->message_capacity, list->row.count + 1, "messages"));
  RecordMessage *message = &list->row.messages[list->row.count++];
  *message = (RecordMessage){0}; // the slot may hold pointers that an earlier row owns
  if (role != NULL) TRY(str_copy(&message->role, role, strlen(role)));
  list->text += content.size;
  return str_copy(&message->content, content.bytes, content.size);
}

static Status add_chat(RecordList *list, const TableChat *chat) {
  for (size_t i = 0; i < chat->count; i++) {
    const char *role = NULL;
    TRY(find_role(chat->messages[i].role, &role));
    TRY(add_message(list, role, chat->messages[i].content));
  }
  list->row.without_content = chat->left_out;
  list->records.counts.without_content += chat->left_out;
  return STATUS_OK;
}

/// A list of texts: the user begins, and the assistant answers.
static Status add_turns(RecordList *list, const CellList *texts) {
  for (size_t i = 0; i < texts->count; i++)
    TRY(add_message(list, i % 2 == 0 ? "user" : "assistant", texts->items[i].text));
  list->records.counts.turns += texts->count > 1;
  return STATUS_OK;
}

// ---- rows ----

/// Adds the row that was built, unless it has no messages.
static Status end_row(RecordList *list) {
  Records *records = &list->records;
  list->row.without_content *= list->row.count > 0;
  if (list->row.count == 0) return STATUS_OK;
  if (records->count == RECORDS_ROW_LIMIT)
    return status_fail(STATUS_INPUT, "more than %zu rows; take fewer", RECORDS_ROW_LIMIT);
  TRY(mem_reserve(&records->rows, &list->row_capacity, records->count + 1, "rows"));
  RecordMessage *messages = NULL;
  TRY(mem_array(&messages, list->row.count, "messages"));
  memcpy(messages, list->row.messages, list->row.count * sizeof *messages);
  Record *added = &records->rows[records->count++];
  *added = list->row;
  added->messages = messages;
  added->row = records->counts.rows;
  list->row = (Record){.messages = list->row.messages}; // its slots serve the next row
  return STATUS_OK;
}

static void free_row(const Record *row) {
  for (size_t i = 0; i < row->count; i++) {
    free(row->messages[i].role);
    free(row->messages[i].content);
  }
  free(row->messages);
  free(row->answer);
}

void records_free(Records *records) {
  if (records == NULL) return;
  for (size_t i = 0; i < records->count; i++) free_row(&records->rows[i]);
  free(records->rows);
  *records = (Records){0};
}

static Status add_text(Table *table, size_t row, RecordList *list) {
  TableChat chat = {0};
  bool is_chat = false;
  TRY(table_chat_in_text(table, row, 0, &is_chat, &chat));
  return is_chat ? add_chat(list, &chat) : add_message(list, NULL, table_cell(table, row, 0)->text);
}

/// Adds the messages of a cell to the row being built.
static Status add_cell(Table *table, size_t row, RecordList *list) {
  const Cell *cell = table_cell(table, row, 0);
  TableChat chat = {0};
  CellList texts = {0};
  if (cell->type == CELL_TEXT) return add_text(table, row, list);
  if (cell->type == CELL_CHAT) return add_chat(list, &cell->chat);
  if (cell->type == CELL_NULL || (cell->type == CELL_NUMBER && isnan(cell->number))) return STATUS_OK;
  Status status = table_list(table, row, 0, CELL_TEXT, &texts);
  if (status == STATUS_OK) return add_turns(list, &texts);
  if (status == STATUS_INPUT) status = table_chat(table, row, 0, &chat); // without messages
  if (status != STATUS_INPUT) return status;
  return status_fail(STATUS_INPUT,
                     "\"%s\" must be a string, a list of strings, or a list of {\"role\", \"content\"}",
                     table_selected(table, 0)->name);
}

/// Reads the answer to the row being built.
static Status add_answer(const Table *table, size_t row, RecordList *list) {
  const Cell *cell = table_cell(table, row, 1);
  const char *name = table_selected(table, 1)->name;
  if (cell->type == CELL_NULL || (cell->type == CELL_TEXT && is_blank(cell->text)))
    return status_fail(STATUS_INPUT, "the answer in \"%s\" is empty: fill it in, or leave the row out", name);
  if (cell->type != CELL_TEXT) return status_fail(STATUS_INPUT, "the answer in \"%s\" is not a text", name);
  return table_string(table, row, 1, &list->row.answer);
}

static Status add_row(Table *table, size_t row, const RecordSource *source, RecordList *list) {
  RecordCounts *counts = &list->records.counts;
  TRY(add_cell(table, row, list));
  if (source->answer != NULL && list->row.count > 0) TRY(add_answer(table, row, list));
  bool is_blank_line = list->row.count == 0 && table_kind(table) == TABLE_TEXT;
  counts->rows += !is_blank_line;
  counts->empty += list->row.count == 0 && !is_blank_line;
  return end_row(list);
}

// ---- files ----

static bool is_set(const char *text) {
  return text != NULL && text[0] != '\0';
}

/// The column that the source asks for, or that it means if it asks for none.
static const char *wanted_column(const RecordSource *source) {
  if (is_set(source->column)) return source->column;
  return is_set(source->fallback) ? source->fallback : "prompt";
}

/// Selects the column, and checks its type if the file declares one.
static Status select_prompts(Table *table, const RecordSource *source) {
  bool is_bare = table_is_bare(table);
  const char *name = is_bare ? "text" : wanted_column(source);
  if (is_bare && is_set(source->column) && strcmp(source->column, name) != 0) {
    return status_fail(STATUS_INPUT,
                       "%s: has no columns, so no column \"%s\": its %s; leave the column out, or name the "
                       "columns in the first line",
                       source->path, source->column,
                       table_kind(table) == TABLE_TEXT ? "lines are the prompts" : "rows are texts or lists");
  }
  if (is_bare && source->answer != NULL)
    return status_fail(STATUS_INPUT, "%s: has no columns, so no column \"%s\" with answers", source->path,
                       source->answer);
  const char *names[] = {name, source->answer};
  TRY(table_select(table, names, source->answer != NULL ? 2 : 1));
  const TableColumn *selected = table_selected(table, 0);
  if (selected->type == CELL_NULL || selected->type == CELL_TEXT || selected->type == CELL_CHAT ||
      selected->type == CELL_LIST)
    return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s: column \"%s\" holds %s, but must hold strings, or lists of structs with role and content",
      source->path, name, selected->holds);
}

static Status add_rows(Table *table, const RecordSource *source, RecordList *list) {
  size_t rows = 0;
  TRY(select_prompts(table, source));
  do {
    TRY(table_next_group(table, &rows));
    for (size_t i = 0; i < rows; i++) TRY(table_context(add_row(table, i, source, list), table, i));
  } while (rows > 0);
  return STATUS_OK;
}

Status records_read(const RecordSource *source, Records *out) {
  Table *table = NULL;
  RecordList list = {0};
  const char *column = wanted_column(source);
  *out = (Records){0};
  Status status = source->bytes == NULL
                      ? table_open(source->path, column, &table)
                      : table_open_bytes(source->path, source->bytes, source->size, column, &table);
  if (status == STATUS_OK) status = add_rows(table, source, &list);
  table_close(table);
  if (status == STATUS_OK) {
    *out = list.records;
    list.records = (Records){0};
  }
  free_row(&list.row);
  records_free(&list.records);
  return status;
}
