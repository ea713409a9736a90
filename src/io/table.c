// Tables: opening, columns, groups of rows. Rule: memory is that of one group, and nothing is decoded that
// was not selected.
#include "io/table.h"

#include "table_parts.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

// ---- memory of a group ----

enum { BLOCK_BYTES = 64 << 10, ALIGNMENT = 16 };

Status arena_alloc(Arena *arena, size_t count, size_t size, void *out) {
  size_t bytes = 0;
  TRY(mem_product(count, size, &bytes, "cells of a table"));
  // Rounds up to more than `bytes`, so that allocations of size 0 also differ.
  TRY(mem_product(bytes / ALIGNMENT + 1, ALIGNMENT, &bytes, "cells of a table"));
  if (arena->block_count == 0 || bytes > arena->size - arena->used) {
    size_t block = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    TRY(mem_reserve(&arena->blocks, &arena->block_capacity, arena->block_count + 1, "cells of a table"));
    TRY(mem_array(&arena->blocks[arena->block_count], block, "cells of a table"));
    arena->block_count++;
    arena->used = 0;
    arena->size = block;
  }
  void *memory = arena->blocks[arena->block_count - 1] + arena->used;
  arena->used += bytes;
  memcpy(out, &memory, sizeof memory);
  return STATUS_OK;
}

Status arena_copy(Arena *arena, const char *bytes, size_t size, TableText *out) {
  char *copy = NULL;
  TRY(arena_alloc(arena, size, 1, &copy));
  if (size > 0) memcpy(copy, bytes, size);
  *out = (TableText){copy, size};
  return STATUS_OK;
}

static void arena_free(Arena *arena) {
  for (size_t i = 0; i < arena->block_count; i++) free(arena->blocks[i]);
  free(arena->blocks);
  *arena = (Arena){0};
}

void table_drop_group(Table *table) {
  for (size_t i = 0; i < table->decoded_count; i++) parquet_column_free(&table->decoded[i]);
  table->decoded_count = 0;
  arena_free(&table->arena);
  free(table->cells);
  free(table->numbers);
  table->cells = NULL;
  table->numbers = NULL;
  table->rows = table->cell_capacity = table->number_capacity = 0;
}

// ---- opening ----

static const TableFormat *const FORMATS[] = {[TABLE_PARQUET] = &table_parquet,
                                             [TABLE_JSON_LINES] = &table_json_lines,
                                             [TABLE_JSON_LIST] = &table_json_list,
                                             [TABLE_CSV] = &table_csv,
                                             [TABLE_TSV] = &table_tsv,
                                             [TABLE_TEXT] = &table_text_lines};

/// Reads what comes before the rows, if `status` says that the bytes are there. *out = the table; frees it on
/// failure.
static Status open_rows(Status status, Table *table, const char *column, Table **out) {
  if (status == STATUS_OK) status = table_unpack(table);
  if (status == STATUS_OK) status = table_find_kind(table, column);
  if (status == STATUS_OK && table->is_unnamed && table->separator == '\0')
    status = status_fail(STATUS_INPUT, "%s: must be a .csv or .tsv file", table->file.path);
  if (status == STATUS_OK) {
    table->format = FORMATS[table->kind];
    status = table->format->open(table);
  }
  if (status == STATUS_OK)
    *out = table;
  else
    table_close(table);
  return status;
}

Status table_open(const char *path, const char *column, Table **out) {
  Table *table = NULL;
  *out = NULL;
  TRY(mem_array(&table, 1, "a table"));
  Status status = file_map(path, &table->map);
  table->file = table->map;
  return open_rows(status, table, column, out);
}

Status table_open_bytes(const char *name, const void *bytes, size_t size, const char *column, Table **out) {
  Table *table = NULL;
  *out = NULL;
  TRY(mem_array(&table, 1, "a table"));
  Status status = str_copy(&table->map.path, name, strlen(name));
  table->file = (MappedFile){table->map.path, bytes != NULL ? bytes : (const uint8_t *)"", size};
  return open_rows(status, table, column, out);
}

Status table_open_unnamed(const char *path, const char *const *columns, size_t count, Table **out) {
  Table *table = NULL;
  *out = NULL;
  TRY(mem_array(&table, 1, "a table"));
  table->is_unnamed = true;
  Status status = file_map(path, &table->map);
  table->file = table->map;
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = table_add_column(table, columns[i], strlen(columns[i]), CELL_TEXT, "text");
  return open_rows(status, table, NULL, out);
}

static void free_columns(TableColumn *columns, size_t count) {
  for (size_t i = 0; i < count; i++) {
    free(columns[i].name);
    free(columns[i].holds);
  }
  free(columns);
}

void table_close(Table *table) {
  if (table == NULL) return;
  table_drop_group(table);
  free(table->decoded);
  free_columns(table->columns, table->column_count);
  free_columns(table->selected, table->selected_count);
  free(table->source);
  free(table->places);
  str_free(&table->where);
  parquet_meta_free(&table->meta);
  free(table->unpacked);
  file_unmap(&table->map);
  free(table);
}

const char *table_path(const Table *table) {
  return table->file.path;
}

TableKind table_kind(const Table *table) {
  return table->kind;
}

bool table_is_bare(const Table *table) {
  return table->is_bare || table->kind == TABLE_TEXT;
}

// ---- columns ----

Status table_add_column(Table *table, const char *name, size_t name_size, CellType type, const char *holds) {
  if (table->column_count == TABLE_COLUMNS)
    return status_fail(STATUS_INPUT, "%s: has more than %zu columns", table->file.path, TABLE_COLUMNS);
  TRY(mem_reserve(&table->columns, &table->column_capacity, table->column_count + 1, "columns of a table"));
  TableColumn *column = &table->columns[table->column_count++];
  column->type = type;
  TRY(str_copy(&column->name, name, name_size));
  return str_copy(&column->holds, holds, strlen(holds));
}

static bool is_json(const Table *table) {
  return table->kind == TABLE_JSON_LINES || table->kind == TABLE_JSON_LIST;
}

Status table_columns(Table *table, const TableColumn **columns, size_t *count) {
  if (is_json(table) && table->column_count == 0) {
    TableText row;
    size_t number = 0;
    TRY(table_first_json(table, &row, &number));
    if (row.size > 0) TRY(table_add_json_columns(table, number, row));
  }
  *columns = table->columns;
  *count = table->column_count;
  return STATUS_OK;
}

const TableColumn *table_selected(const Table *table, size_t column) {
  return &table->selected[column];
}

Status table_fail_missing(const Table *table, const char *name) {
  Str names = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; status == STATUS_OK && i < table->column_count && names.size < 600; i++)
    status = str_append_format(&names, "%s%s", i > 0 ? ", " : "", table->columns[i].name);
  if (status == STATUS_OK)
    status = status_fail(STATUS_INPUT, "%s: no column \"%s\"; there are: %s", table->file.path, name,
                         names.size > 0 ? str_text(&names) : "none");
  str_free(&names);
  return status;
}

Status table_select_declared(Table *table, size_t column) {
  TableColumn *selected = &table->selected[column];
  size_t found = 0;
  for (size_t i = 0; i < table->column_count; i++) {
    if (strcmp(table->columns[i].name, selected->name) != 0) continue;
    table->source[column] = i;
    found++;
  }
  if (found == 0) return table_fail_missing(table, selected->name);
  if (found > 1)
    return status_fail(STATUS_INPUT, "%s: %zu columns have the name \"%s\"; rename all but one",
                       table->file.path, found, selected->name);
  selected->type = table->columns[table->source[column]].type;
  const char *holds = table->columns[table->source[column]].holds;
  return str_copy(&selected->holds, holds, strlen(holds));
}

Status table_select(Table *table, const char *const *names, size_t count) {
  table_drop_group(table); // its cells belong to the old selection
  free_columns(table->selected, table->selected_count);
  table->selected = NULL;
  table->selected_count = 0;
  free(table->source);
  free(table->places);
  table->source = NULL;
  table->places = NULL;
  TRY(mem_array(&table->selected, count, "columns of a table"));
  TRY(mem_array(&table->source, count, "columns of a table"));
  TRY(mem_array(&table->places, count, "columns of a table"));
  table->selected_count = count;
  for (size_t i = 0; i < count; i++) {
    TRY(str_copy(&table->selected[i].name, names[i], strlen(names[i])));
    if (table->format->select != NULL) TRY(table->format->select(table, i));
  }
  return STATUS_OK;
}

// ---- groups ----

Status table_add_rows(Table *table, size_t count) {
  size_t rows = table->rows + count, cells = 0;
  TRY(mem_product(rows, table->selected_count, &cells, "cells of a table"));
  TRY(mem_reserve(&table->cells, &table->cell_capacity, cells, "cells of a table"));
  TRY(mem_reserve(&table->numbers, &table->number_capacity, rows, "rows of a table"));
  table->rows = rows;
  return STATUS_OK;
}

Status table_add_row(Table *table, size_t number, Cell **cells) {
  TRY(table_add_rows(table, 1));
  table->numbers[table->rows - 1] = number;
  *cells = &table->cells[(table->rows - 1) * table->selected_count];
  return STATUS_OK;
}

Status table_check_row(const Table *table, size_t number, size_t size) {
  if (size <= TABLE_ROW_BYTES) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: %s %zu has more than %zu MiB", table->file.path,
                     table->format->row_name, number, TABLE_ROW_BYTES >> 20);
}

void table_advance(Table *table, size_t size) {
  table->text += size;
  table->text_size -= size;
}

bool table_has_room(const Table *table, size_t start) {
  return table->rows < TABLE_GROUP_ROWS && start - table->text_size < TABLE_GROUP_BYTES;
}

Status table_next_group(Table *table, size_t *rows) {
  *rows = 0;
  table_drop_group(table);
  if (table->selected_count == 0)
    return status_fail(STATUS_FAILED, "%s: no column was selected to be read", table->file.path);
  TRY(table->format->next(table));
  *rows = table->rows;
  return STATUS_OK;
}

Status table_context(Status status, const Table *table, size_t row) {
  return status_context(status, "%s: %s %zu", table->file.path, table->format->row_name, table->numbers[row]);
}
