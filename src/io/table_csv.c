// CSV and TSV after RFC 4180. Rule: every row has as many cells as there are columns, a quote that opens a
// cell is closed, and anything else is refused with its line. Python's csv module and pandas differ from the
// RFC in the same way, and this reader does as they do: it skips blank lines, a carriage return alone ends a
// row, and a quote inside a cell that does not begin with one is text.
#include "table_parts.h"

#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

/// A cell as it is in the file, without its outer quotes.
typedef struct CsvCell {
  const char *bytes;
  size_t size;
  size_t doubled; // pairs of quotes, each of which stands for one
  bool is_last;   // of its row
} CsvCell;

/// Takes a line end of any form if one comes next.
static bool take_line_end(Table *table) {
  if (table->text_size == 0 || (table->text[0] != '\r' && table->text[0] != '\n')) return false;
  bool pair = table->text[0] == '\r' && table->text_size > 1 && table->text[1] == '\n';
  table_advance(table, pair ? 2 : 1);
  table->number++;
  return true;
}

/// Line ends of any form.
static size_t count_lines(const char *text, size_t size) {
  size_t lines = 0;
  for (size_t i = 0; i < size; i++)
    lines += text[i] == '\n' || (text[i] == '\r' && (i + 1 == size || text[i + 1] != '\n'));
  return lines;
}

/// Takes a quoted cell with its quotes.
static Status take_quoted(Table *table, CsvCell *cell) {
  table_advance(table, 1);
  *cell = (CsvCell){.bytes = table->text};
  size_t at = 0;
  for (;;) {
    const char *quote = at < table->text_size ? memchr(table->text + at, '"', table->text_size - at) : NULL;
    if (quote == NULL)
      return status_fail(STATUS_INPUT, "%s: line %zu: a quote opens a cell and is never closed",
                         table->file.path, table->number);
    at = (size_t)(quote - table->text) + 1;
    if (at == table->text_size || table->text[at] != '"') break;
    cell->doubled++;
    at++;
  }
  cell->size = at - 1;
  table->number += count_lines(table->text, cell->size);
  table_advance(table, at);
  return STATUS_OK;
}

static void take_plain(Table *table, char separator, CsvCell *cell) {
  size_t size = 0;
  while (size < table->text_size && table->text[size] != separator && table->text[size] != '\n' &&
         table->text[size] != '\r')
    size++;
  *cell = (CsvCell){.bytes = table->text, .size = size};
  table_advance(table, size);
}

/// Takes the next cell and the separator or line end after it.
static Status take_cell(Table *table, CsvCell *cell) {
  char separator = table->separator;
  if (table->text_size > 0 && table->text[0] == '"')
    TRY(take_quoted(table, cell));
  else
    take_plain(table, separator, cell);
  if (table->text_size > 0 && table->text[0] == separator) {
    table_advance(table, 1);
    return STATUS_OK;
  }
  cell->is_last = true;
  if (table->text_size == 0 || take_line_end(table)) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s: line %zu: text follows the quote that closes a cell; a quote inside a quoted cell is "
      "written twice",
      table->file.path, table->number);
}

/// The text of a cell: in the file, or in memory of the group if it has doubled quotes.
static Status cell_text(Table *table, const CsvCell *cell, TableText *out) {
  *out = (TableText){cell->bytes, cell->size};
  if (cell->doubled == 0) return STATUS_OK;
  char *text = NULL;
  TRY(arena_alloc(&table->arena, cell->size - cell->doubled, 1, &text));
  *out = (TableText){text, cell->size - cell->doubled};
  for (size_t i = 0; i < cell->size; i++) {
    *text++ = cell->bytes[i];
    if (cell->bytes[i] == '"') i++;
  }
  return STATUS_OK;
}

/// Skips blank lines; false at the end of the file.
static bool find_row(Table *table) {
  while (take_line_end(table)) {
  }
  return table->text_size > 0;
}

Status table_csv_has(const Table *table, char separator, const char *column, bool *has) {
  Table ahead = *table; // the copy moves, the table does not
  CsvCell cell = {0};
  size_t size = strlen(column);
  *has = false;
  ahead.separator = separator;
  if (!find_row(&ahead)) return STATUS_OK;
  while (!cell.is_last && !*has) {
    Status status = take_cell(&ahead, &cell);
    if (status == STATUS_INPUT) return STATUS_OK; // reading the row will say why
    TRY(status);
    *has = cell.doubled == 0 && cell.size == size && memcmp(cell.bytes, column, size) == 0;
  }
  return STATUS_OK;
}

static Status open_csv(Table *table) {
  CsvCell cell = {0};
  table->number = 1;
  if (table->is_unnamed) return STATUS_OK;
  if (!find_row(table))
    return status_fail(STATUS_INPUT, "%s: is empty; the first row of a %s file names its columns",
                       table->file.path, table->kind == TABLE_TSV ? "TSV" : "CSV");
  while (!cell.is_last) {
    TableText name;
    TRY(take_cell(table, &cell));
    TRY(cell_text(table, &cell, &name));
    TRY(table_add_column(table, name.bytes, name.size, CELL_TEXT, "text"));
  }
  return STATUS_OK;
}

/// Takes a row and keeps the selected cells. columns[column_count] is overwritten with all cells of the row.
static Status add_row(Table *table, CsvCell *columns) {
  const char *start = table->text;
  size_t number = table->number, count = 0;
  CsvCell cell = {0};
  for (; !cell.is_last; count++) {
    TRY(take_cell(table, &cell));
    if (count < table->column_count) columns[count] = cell;
  }
  if (count != table->column_count) {
    return status_fail(STATUS_INPUT, "%s: line %zu has %zu cell%s, but %s %zu column%s", table->file.path,
                       number, count, str_plural(count),
                       table->is_unnamed ? "the file must have" : "the first row names", table->column_count,
                       str_plural(table->column_count));
  }
  TRY(table_check_row(table, number, (size_t)(table->text - start)));
  Cell *cells = NULL;
  TRY(table_add_row(table, number, &cells));
  for (size_t i = 0; i < table->selected_count; i++) {
    cells[i].type = CELL_TEXT;
    TRY(cell_text(table, &columns[table->source[i]], &cells[i].text));
  }
  return STATUS_OK;
}

static Status next_csv(Table *table) {
  CsvCell *columns = NULL;
  Status status = STATUS_OK;
  TRY(mem_array(&columns, table->column_count, "cells of a row"));
  size_t start = table->text_size;
  while (status == STATUS_OK && table_has_room(table, start) && find_row(table))
    status = add_row(table, columns);
  free(columns);
  return status;
}

const TableFormat table_csv = {.row_name = "line",
                               .is_typed = false,
                               .open = open_csv,
                               .select = table_select_declared,
                               .next = next_csv};
const TableFormat table_tsv = {.row_name = "line",
                               .is_typed = false,
                               .open = open_csv,
                               .select = table_select_declared,
                               .next = next_csv};
