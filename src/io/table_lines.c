// Rows that are lines of text, and where the rows of JSON begin and end. Rule: a line ends with \n, \r\n or
// \r; only blank lines between JSON values and the spaces that JSON allows are skipped; each row is parsed by
// itself, so only one row is in memory.
#include "table_parts.h"

#include "io/json.h"
#include <string.h>

static void skip_space(Table *table) {
  table_advance(table, json_space(table->text, table->text_size));
}

static bool is_line_end(char c) {
  return c == '\n' || c == '\r';
}

/// Bytes up to the next line end of any form.
static size_t line_size(const char *text, size_t size) {
  size_t at = 0;
  while (at < size && !is_line_end(text[at])) at++;
  return at;
}

/// Takes the next `size` bytes and the line end after them, if there is one.
static void take_lines(Table *table, size_t size) {
  for (size_t at = 0; at < size; at++) {
    bool pair = table->text[at] == '\r' && at + 1 < table->text_size && table->text[at + 1] == '\n';
    table->number += is_line_end(table->text[at]) && !pair;
  }
  table_advance(table, size);
  if (table->text_size == 0) return;
  bool pair = table->text[0] == '\r' && table->text_size > 1 && table->text[1] == '\n';
  table_advance(table, pair ? 2 : 1);
  table->number++;
}

// ---- where a value ends: only its nesting is counted, and the parser finds brackets that do not match ----

size_t table_measure_json(const char *text, size_t size) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t at = 0; at < size; at++) {
    char c = text[at];
    bool closes = in_string ? c == '"' : c == ']' || c == '}';
    if (in_string && c == '\\')
      at++;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '[' || c == '{'))
      depth++;
    else if (!in_string && closes && depth > 0)
      depth--;
    if (closes && depth == 0) return at + 1;
  }
  return 0;
}

size_t table_measure_entry(const char *text, size_t size) {
  for (size_t at = 0; at < size;) {
    char c = text[at];
    if (c == ',' || c == ']' || c == '}') return at;
    bool is_nested = c == '"' || c == '[' || c == '{';
    size_t taken = is_nested ? table_measure_json(text + at, size - at) : 1;
    if (taken == 0) return size;
    at += taken;
  }
  return size;
}

// ---- text ----

static Status open_text(Table *table) {
  table->number = 1;
  return table_add_column(table, "text", 4, CELL_TEXT, "text");
}

static Status next_text(Table *table) {
  size_t start = table->text_size;
  while (table_has_room(table, start) && table->text_size > 0) {
    Cell *cells = NULL;
    TableText line = {table->text, line_size(table->text, table->text_size)};
    TRY(table_check_row(table, table->number, line.size));
    TRY(table_add_row(table, table->number, &cells));
    for (size_t i = 0; i < table->selected_count; i++) cells[i] = (Cell){.type = CELL_TEXT, .text = line};
    take_lines(table, line.size);
  }
  return STATUS_OK;
}

const TableFormat table_text_lines = {.row_name = "line",
                                      .is_typed = false,
                                      .open = open_text,
                                      .select = table_select_declared,
                                      .next = next_text};

// ---- JSON Lines ----

static Status open_json_lines(Table *table) {
  table->number = 1;
  return STATUS_OK;
}

/// Takes the lines of the next value: those that an object or list reaches over, else one. What follows it
/// on its last line belongs to the row, and the parser refuses it. False at the end of the file.
static bool take_json_value(Table *table, TableText *row, size_t *number) {
  while (table->text_size > 0 && memchr(" \t\r\n\v\f", table->text[0], 6) != NULL) {
    if (is_line_end(table->text[0]))
      take_lines(table, 0);
    else
      table_advance(table, 1);
  }
  if (table->text_size == 0) return false;
  bool is_nested = table->text[0] == '{' || table->text[0] == '[';
  size_t size = is_nested ? table_measure_json(table->text, table->text_size) : 0;
  size += line_size(table->text + size, table->text_size - size);
  *row = (TableText){table->text, size};
  *number = table->number;
  take_lines(table, size);
  return true;
}

static Status next_json_lines(Table *table) {
  size_t start = table->text_size, number = 0;
  TableText row;
  while (table_has_room(table, start) && take_json_value(table, &row, &number)) {
    TRY(table_check_row(table, number, row.size));
    TRY(table_add_json(table, number, row));
  }
  return STATUS_OK;
}

const TableFormat table_json_lines = {
    .row_name = "line", .is_typed = true, .open = open_json_lines, .next = next_json_lines};

// ---- one list ----

static Status fail_list(const Table *table, const char *what) {
  return status_fail(STATUS_INPUT, "%s: entry %zu: not valid JSON: %s", table->file.path, table->number,
                     what);
}

static Status open_json_list(Table *table) {
  skip_space(table);
  table_advance(table, 1); // the opening bracket
  return STATUS_OK;
}

/// Takes the next entry and the comma or bracket after it. *entry is empty at the end of the list, after
/// which only white space may follow.
static Status take_entry(Table *table, TableText *entry) {
  *entry = (TableText){0};
  if (table->list_ended) return STATUS_OK;
  skip_space(table);
  size_t size = table_measure_entry(table->text, table->text_size);
  if (size == table->text_size) return fail_list(table, "the list is not closed");
  *entry = (TableText){table->text, size};
  char after = table->text[size];
  if (after == '}') return fail_list(table, "} closes nothing");
  if (size == 0 && (after == ',' || table->number > 0)) return fail_list(table, "a value is missing");
  table_advance(table, size + 1);
  if (after == ',') return STATUS_OK;
  table->list_ended = true;
  skip_space(table);
  return table->text_size == 0 ? STATUS_OK : fail_list(table, "text follows the end of the list");
}

static Status next_json_list(Table *table) {
  size_t start = table->text_size;
  TableText entry;
  while (table_has_room(table, start)) {
    TRY(take_entry(table, &entry));
    if (entry.size == 0) break;
    TRY(table_check_row(table, table->number, entry.size));
    TRY(table_add_json(table, table->number, entry));
    table->number++;
  }
  return STATUS_OK;
}

const TableFormat table_json_list = {
    .row_name = "entry", .is_typed = true, .open = open_json_list, .next = next_json_list};

// ---- looking ahead ----

Status table_first_json(const Table *table, TableText *row, size_t *number) {
  Table ahead = *table; // the copy moves, the table does not
  *row = (TableText){0};
  if (table->kind == TABLE_JSON_LIST) {
    TRY(take_entry(&ahead, row));
    *number = table->number;
  } else {
    (void)take_json_value(&ahead, row, number);
  }
  return table_check_row(table, *number, row->size);
}
