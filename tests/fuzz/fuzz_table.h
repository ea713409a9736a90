// Reading a table as its callers do, for the targets of tables.
#pragma once

#include "fuzz.h"
#include "io/table.h"

/// Asks for a cell as each type; most of these are refused.
static inline void fuzz_ask(Table *table, size_t row, size_t column) {
  TableText text = {0};
  TableChat chat = {0};
  CellList list = {0};
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  (void)fuzz_accepted(table_text(table, row, column, &text));
  (void)fuzz_accepted(table_integer(table, row, column, &integer));
  (void)fuzz_accepted(table_number(table, row, column, &number));
  (void)fuzz_accepted(table_boolean(table, row, column, &boolean));
  (void)fuzz_accepted(table_chat(table, row, column, &chat));
  (void)fuzz_accepted(table_list(table, row, column, CELL_NUMBER, &list));
}

static inline uint64_t fuzz_sum_text(TableText text) {
  uint64_t sum = 0;
  for (size_t i = 0; i < text.size; i++) sum += (uint8_t)text.bytes[i];
  return sum;
}

/// Reads every byte of a cell.
static inline uint64_t fuzz_sum(const Cell *cell) {
  uint64_t sum = (uint64_t)cell->type;
  if (cell->type == CELL_TEXT) sum += fuzz_sum_text(cell->text);
  for (size_t i = 0; cell->type == CELL_LIST && i < cell->list.count; i++)
    sum += fuzz_sum(&cell->list.items[i]);
  for (size_t i = 0; cell->type == CELL_CHAT && i < cell->chat.count; i++)
    sum += fuzz_sum_text(cell->chat.messages[i].role) + fuzz_sum_text(cell->chat.messages[i].content);
  return sum;
}

/// Reads at most 32 columns of supported types. The ending of `name` tells the kind of table.
static inline void fuzz_read_table(const char *name, const uint8_t *bytes, size_t size) {
  enum { COLUMNS = 32 };
  const TableColumn *columns = NULL;
  const char *names[COLUMNS];
  Table *table = NULL;
  size_t count = 0, used = 0, rows = 0;
  uint64_t sum = 0;
  bool is_read = fuzz_accepted(table_open_bytes(name, bytes, size, "text", &table)) &&
                 fuzz_accepted(table_columns(table, &columns, &count));
  for (size_t i = 0; i < count && used < COLUMNS; i++)
    if (columns[i].type != CELL_OTHER) names[used++] = columns[i].name;
  is_read = is_read && used > 0 && fuzz_accepted(table_select(table, names, used));
  while (is_read && fuzz_accepted(table_next_group(table, &rows)) && rows > 0) {
    for (size_t i = 0; i < rows * used; i++) sum += fuzz_sum(table_cell(table, i / used, i % used));
    for (size_t c = 0; c < used; c++) fuzz_ask(table, rows - 1, c);
  }
  FUZZ_CHECK(sum < UINT64_MAX); // uses the sum, so that the bytes are really read
  table_close(table);
}
