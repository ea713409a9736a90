// Reading every column of a table, for the targets of tables.
#pragma once

#include "fuzz.h"
#include "io/table.h"

/// Reads a cell as each type; what it gives must be readable to its last byte.
static inline uint64_t fuzz_read_cell(Table *table, size_t row) {
  TableText text = {0};
  TableChat chat = {0};
  CellList list = {0};
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  uint64_t sum = 0;
  (void)fuzz_accepted(table_integer(table, row, 0, &integer));
  (void)fuzz_accepted(table_number(table, row, 0, &number));
  (void)fuzz_accepted(table_boolean(table, row, 0, &boolean));
  if (fuzz_accepted(table_text(table, row, 0, &text)))
    for (size_t i = 0; i < text.size; i++) sum += (uint8_t)text.bytes[i];
  if (fuzz_accepted(table_chat(table, row, 0, &chat)) && chat.count > 0)
    sum += chat.messages[chat.count - 1].role.size + chat.messages[chat.count - 1].content.size;
  if (fuzz_accepted(table_list(table, row, 0, CELL_TEXT, &list)))
    for (size_t i = 0; i < list.count; i++) FUZZ_CHECK(list.items[i].type == CELL_TEXT);
  return sum;
}

/// Reads each column that `name`, whose ending tells the kind, says there is: 16 at most, for speed.
static inline void fuzz_read_table(const char *name, const uint8_t *bytes, size_t size) {
  static volatile uint64_t sink; // so that the reads stay
  size_t count = 1;
  for (size_t c = 0; c < count && c < 16; c++) {
    const TableColumn *columns = NULL;
    Table *table = NULL;
    size_t rows = 0;
    bool is_open = fuzz_accepted(table_open_bytes(name, bytes, size, &table));
    if (!is_open || !fuzz_accepted(table_columns(table, &columns, &count))) count = 0;
    bool is_read = c < count && fuzz_accepted(table_select(table, (const char *const *)&columns[c].name, 1));
    while (is_read && fuzz_accepted(table_next_group(table, &rows)) && rows > 0)
      for (size_t i = 0; i < rows && i < 100; i++) sink = fuzz_read_cell(table, i);
    table_close(table);
  }
}
