// Typed access to cells. Rule: a cell is converted to the type asked for only if its value stays the same.
#include "table_parts.h"

#include "util/memory.h"
#include "util/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double EXACT_LIMIT = 9007199254740992.0; // 2^53: beyond it doubles skip integers

// ---- numbers in text ----

static size_t count_digits(const char *text, size_t size, size_t at) {
  size_t start = at;
  while (at < size && text[at] >= '0' && text[at] <= '9') at++;
  return at - start;
}

NumberForm number_form(const char *text, size_t size) {
  size_t at = size > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  size_t digits = count_digits(text, size, at);
  NumberForm form = NUMBER_WHOLE;
  at += digits;
  if (at < size && text[at] == '.') {
    size_t decimals = count_digits(text, size, at + 1);
    at += 1 + decimals;
    digits += decimals;
    form = NUMBER_DECIMAL;
  }
  if (digits == 0) return NUMBER_NONE;
  if (at < size && (text[at] == 'e' || text[at] == 'E')) {
    at++;
    if (at < size && (text[at] == '-' || text[at] == '+')) at++;
    size_t exponent = count_digits(text, size, at);
    if (exponent == 0) return NUMBER_NONE;
    at += exponent;
    form = NUMBER_DECIMAL;
  }
  return at == size ? form : NUMBER_NONE;
}

bool number_integer(const char *text, size_t size, int64_t *out) {
  bool negative = size > 0 && text[0] == '-';
  uint64_t value = 0, limit = (uint64_t)INT64_MAX + negative;
  for (size_t i = size > 0 && (negative || text[0] == '+') ? 1 : 0; i < size; i++) {
    uint64_t digit = (uint64_t)(text[i] - '0');
    if (value > (limit - digit) / 10) return false; // so value * 10 + digit <= limit
    value = value * 10 + digit;
  }
  *out = (int64_t)(negative ? 0 - value : value);
  return true;
}

/// The number that text[size] spells; false if it is too large for a double or has hundreds of digits.
static bool number_double(const char *text, size_t size, double *out) {
  char copy[400];
  if (size >= sizeof copy) return false;
  memcpy(copy, text, size);
  copy[size] = '\0';
  *out = strtod(copy, NULL);
  return isfinite(*out);
}

static bool convert_text(Cell *cell, CellType wanted) {
  const char *text = cell->text.bytes;
  size_t size = cell->text.size;
  while (size > 0 && (text[0] == ' ' || text[0] == '\t')) {
    text++;
    size--;
  }
  while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) size--;
  NumberForm form = number_form(text, size);
  Cell number = {.type = wanted};
  bool is_read =
      (wanted == CELL_INTEGER && form == NUMBER_WHOLE && number_integer(text, size, &number.integer)) ||
      (wanted == CELL_NUMBER && form != NUMBER_NONE && number_double(text, size, &number.number));
  if (is_read) *cell = number;
  return is_read;
}

/// True if a list is empty or has only nulls. It may be a chat without messages.
static bool is_empty_list(const CellList *list) {
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i].type != CELL_NULL) return false;
  return true;
}

bool cell_convert(Cell *cell, CellType wanted, bool is_typed) {
  if (cell->type == wanted) return true;
  if (cell->type == CELL_LIST && wanted == CELL_CHAT && is_empty_list(&cell->list)) {
    *cell = (Cell){.type = CELL_CHAT};
    return true;
  }
  if (cell->type == CELL_TEXT && !is_typed) return convert_text(cell, wanted);
  if (cell->type == CELL_INTEGER && wanted == CELL_NUMBER) {
    double number = (double)cell->integer;
    // Integers close to 2^63 round up to it, which int64_t cannot hold.
    if (number >= 9223372036854775808.0 || (int64_t)number != cell->integer) return false;
    *cell = (Cell){.type = CELL_NUMBER, .number = number};
    return true;
  }
  if (cell->type == CELL_NUMBER && wanted == CELL_INTEGER) {
    double number = cell->number;
    if (!(fabs(number) <= EXACT_LIMIT) || floor(number) != number) return false;
    *cell = (Cell){.type = CELL_INTEGER, .integer = (int64_t)number};
    return true;
  }
  return false;
}

// ---- messages ----

const char *cell_type_name(CellType type) {
  static const char *const names[] = {"null",      "text",   "an integer", "a number",
                                      "a boolean", "a list", "a chat",     "an object"};
  return names[type];
}

/// Appends the cell in words: "text \"abc\"", "an integer (7)".
static Status describe_cell(const Cell *cell, Str *out) {
  enum { SHOWN = 40 };
  const char *name = cell_type_name(cell->type);
  size_t size = cell->text.size;
  switch (cell->type) {
  case CELL_TEXT:
    return str_append_format(out, "%s \"%.*s\"%s", name, (int)(size < SHOWN ? size : SHOWN), cell->text.bytes,
                             size > SHOWN ? "..." : "");
  case CELL_INTEGER:
    return str_append_format(out, "%s (%lld)", name, (long long)cell->integer);
  case CELL_NUMBER:
    return str_append_format(out, "%s (%.17g)", name, cell->number);
  default:
    return str_append_text(out, name);
  }
}

/// Fails with what `cell` is and what it must be. `item` is "", or names the item if `cell` is one of a list.
static Status fail_cell_type(const Table *table, size_t row, size_t column, const Cell *cell,
                             const char *item, CellType wanted) {
  Str found = {0};
  Status status = describe_cell(cell, &found);
  if (status == STATUS_OK) {
    status = status_fail(STATUS_INPUT, "column \"%s\"%s is %s, but must be %s", table->selected[column].name,
                         item, str_text(&found), cell_type_name(wanted));
  }
  str_free(&found);
  return table_context(status, table, row);
}

// ---- access ----

const Cell *table_cell(const Table *table, size_t row, size_t column) {
  return &table->cells[row * table->selected_count + column];
}

bool table_is_null(const Table *table, size_t row, size_t column) {
  return table_cell(table, row, column)->type == CELL_NULL;
}

static Status get_cell(const Table *table, size_t row, size_t column, CellType wanted, Cell *out) {
  *out = *table_cell(table, row, column);
  if (cell_convert(out, wanted, table->format->is_typed)) return STATUS_OK;
  return fail_cell_type(table, row, column, out, "", wanted);
}

Status table_text(const Table *table, size_t row, size_t column, TableText *out) {
  Cell cell;
  TRY(get_cell(table, row, column, CELL_TEXT, &cell));
  *out = cell.text;
  return STATUS_OK;
}

Status table_check_text(TableText text) {
  size_t valid = utf8_valid_prefix(text.bytes, text.size);
  if (memchr(text.bytes, '\0', text.size) != NULL)
    return status_fail(STATUS_INPUT, "contains a NUL byte, so it is not text");
  if (valid == text.size) return STATUS_OK;
  return status_fail(
      STATUS_INPUT, "not UTF-8: byte %zu of the text is 0x%02X; save the file as UTF-8 (in Excel: CSV UTF-8)",
      valid, (unsigned char)text.bytes[valid]);
}

Status table_string(const Table *table, size_t row, size_t column, char **out) {
  TableText text;
  *out = NULL;
  TRY(table_text(table, row, column, &text));
  Status status = status_context(table_check_text(text), "column \"%s\"", table->selected[column].name);
  TRY(table_context(status, table, row));
  return str_copy(out, text.bytes, text.size);
}

Status table_integer(const Table *table, size_t row, size_t column, int64_t *out) {
  Cell cell;
  TRY(get_cell(table, row, column, CELL_INTEGER, &cell));
  *out = cell.integer;
  return STATUS_OK;
}

Status table_number(const Table *table, size_t row, size_t column, double *out) {
  Cell cell;
  TRY(get_cell(table, row, column, CELL_NUMBER, &cell));
  *out = cell.number;
  return STATUS_OK;
}

Status table_boolean(const Table *table, size_t row, size_t column, bool *out) {
  Cell cell;
  TRY(get_cell(table, row, column, CELL_BOOLEAN, &cell));
  *out = cell.boolean;
  return STATUS_OK;
}

Status table_chat(const Table *table, size_t row, size_t column, TableChat *out) {
  Cell cell;
  TRY(get_cell(table, row, column, CELL_CHAT, &cell));
  *out = cell.chat;
  return STATUS_OK;
}

Status table_list(Table *table, size_t row, size_t column, CellType items, CellList *out) {
  Cell cell, *copies = NULL;
  *out = (CellList){0};
  TRY(get_cell(table, row, column, CELL_LIST, &cell));
  size_t count = cell.list.count;
  TRY(arena_alloc(&table->arena, count, sizeof *copies, &copies));
  for (size_t i = 0; i < count; i++) {
    char item[40];
    copies[i] = cell.list.items[i];
    if (cell_convert(&copies[i], items, table->format->is_typed)) continue;
    (void)snprintf(item, sizeof item, ", item %zu,", i);
    return fail_cell_type(table, row, column, &copies[i], item, items);
  }
  *out = (CellList){copies, count};
  return STATUS_OK;
}

Status table_strings(Table *table, size_t row, size_t column, char ***out, size_t *count) {
  CellList list;
  Status status = STATUS_OK;
  *out = NULL;
  *count = 0;
  TRY(table_list(table, row, column, CELL_TEXT, &list));
  TRY(mem_array(out, list.count + 1, "texts of a list"));
  for (; *count < list.count && status == STATUS_OK; ++*count) {
    TableText text = list.items[*count].text;
    status = status_context(table_check_text(text), "column \"%s\", item %zu", table->selected[column].name,
                            *count);
    status = table_context(status, table, row);
    if (status == STATUS_OK) status = str_copy(&(*out)[*count], text.bytes, text.size);
  }
  if (status == STATUS_OK) return STATUS_OK;
  table_strings_free(*out);
  *out = NULL;
  return status;
}

void table_strings_free(char **texts) {
  for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) free(texts[i]);
  free(texts);
}
