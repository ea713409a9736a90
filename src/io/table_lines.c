// Rows that are lines of text, and where the rows of JSON begin and end. Rule: only blank lines between JSON
// objects and the spaces that JSON allows are skipped; each row is parsed by itself, so only one row is in
// memory.
#include "table_parts.h"

#include "io/json.h"
#include <string.h>

static void skip_space(Table *table) {
  table_advance(table, json_space(table->text, table->text_size));
}

/// Takes the next line without its end; false at the end of the file.
static bool take_line(Table *table, TableText *line) {
  if (table->text_size == 0) return false;
  const char *end = memchr(table->text, '\n', table->text_size);
  size_t size = end != NULL ? (size_t)(end - table->text) : table->text_size;
  *line = (TableText){table->text, size};
  if (size > 0 && table->text[size - 1] == '\r') line->size--;
  table_advance(table, end != NULL ? size + 1 : size);
  table->number++;
  return true;
}

// ---- text ----

static Status open_text(Table *table) {
  table->number = 1;
  return table_add_column(table, "text", 4, CELL_TEXT, "text");
}

static Status next_text(Table *table) {
  size_t start = table->text_size;
  TableText line;
  while (table_has_room(table, start) && take_line(table, &line)) {
    Cell *cells = NULL;
    TRY(table_check_row(table, table->number - 1, line.size));
    TRY(table_add_row(table, table->number - 1, &cells));
    for (size_t i = 0; i < table->selected_count; i++) cells[i] = (Cell){.type = CELL_TEXT, .text = line};
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

/// Takes the next line that is not blank.
static bool take_json_line(Table *table, TableText *line) {
  while (take_line(table, line)) {
    for (size_t i = 0; i < line->size; i++)
      if (line->bytes[i] == '\0' || strchr(" \t\r\n\v\f", line->bytes[i]) == NULL) return true;
  }
  return false;
}

static Status next_json_lines(Table *table) {
  size_t start = table->text_size;
  TableText line;
  while (table_has_room(table, start) && take_json_line(table, &line)) {
    size_t number = table->number - 1;
    TRY(table_check_row(table, number, line.size));
    TRY(table_add_json(table, number, line));
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

/// The size of the value at the front of text[size], up to the comma or bracket after it; `size` if neither
/// comes. Only counts the nesting: the parser will find brackets that do not match.
static size_t measure_entry(const char *text, size_t size) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t at = 0; at < size; at++) {
    char c = text[at];
    if (in_string) {
      if (c == '\\')
        at++;
      else
        in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      depth++;
    } else if (depth == 0 && (c == ',' || c == ']' || c == '}')) {
      return at;
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return size;
}

/// Takes the next entry and the comma or bracket after it. *entry is empty at the end of the list, after
/// which only white space may follow.
static Status take_entry(Table *table, TableText *entry) {
  *entry = (TableText){0};
  if (table->list_ended) return STATUS_OK;
  skip_space(table);
  size_t size = measure_entry(table->text, table->text_size);
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
  } else if (take_json_line(&ahead, row)) {
    *number = ahead.number - 1;
  }
  return table_check_row(table, *number, row->size);
}
