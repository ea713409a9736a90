// Tables: rows of named columns from Parquet, JSON Lines, CSV, TSV and plain text. A table is read a group of
// rows at a time and keeps the cells of that group alone, so memory is bounded by a group, not by the file.
//
//   Table *table = NULL;
//   size_t rows = 0;
//   TRY(table_open(path, &table));
//   TRY_CLEAN(table_select(table, (const char *const[]){"question", "label"}, 2));
//   do {
//     TRY_CLEAN(table_next_group(table, &rows));
//     for (size_t i = 0; i < rows; i++) {
//       TRY_CLEAN(table_text(table, i, 0, &question));   column 0 of the selection
//       TRY_CLEAN(table_integer(table, i, 1, &label));
//     }
//   } while (rows > 0);
//
// Unless said otherwise a failure is STATUS_INPUT and names the file, the place in it (line, row or entry),
// the column and what was found. After one the table can only be closed.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum TableKind {
  TABLE_PARQUET,
  TABLE_JSON_LINES, // an object a line; blank lines are passed over
  TABLE_JSON_LIST,  // one list of objects
  TABLE_CSV,        // RFC 4180; the first row names the columns
  TABLE_TSV,        // CSV with tabs for commas
  TABLE_TEXT,       // a row a line, blank ones too, in the one column "text"
} TableKind;

/// What a cell holds. CSV, TSV and text files know text alone; it is read as a number when a number is asked
/// for.
typedef enum CellType {
  CELL_NULL,
  CELL_TEXT,    // bytes as they are in the file: neither terminated nor checked to be UTF-8
  CELL_INTEGER, // exact, of 64 bits
  CELL_NUMBER,  // a double; in Parquet it may be NaN or infinite
  CELL_BOOLEAN,
  CELL_LIST,  // of cells
  CELL_CHAT,  // a list of {"role", "content"}; messages that are null or have no content are left out
  CELL_OTHER, // an object, whose members are columns of their own ("outer.inner"), or a type that is not read
} CellType;

typedef struct TableText {
  const char *bytes;
  size_t size;
} TableText;

typedef struct TableMessage {
  TableText role, content;
} TableMessage;

typedef struct TableChat {
  const TableMessage *messages;
  size_t count;
} TableChat;

typedef struct Cell Cell;

typedef struct CellList {
  const Cell *items;
  size_t count;
} CellList;

struct Cell {
  CellType type;
  union {
    TableText text;
    int64_t integer;
    double number;
    bool boolean;
    CellList list;
    TableChat chat;
  };
};

/// `holds` says what is in the column in words, "64-bit integers".
typedef struct TableColumn {
  char *name;
  char *holds;
  CellType type;
} TableColumn;

typedef struct Table Table;

/// Opens a file, whose kind is told by what is in it ("PAR1"; a list where JSON begins with "["), then by its
/// name: .parquet, .jsonl, .ndjson, .json, .csv, .tsv, .txt in any case. A file of another name is JSON Lines
/// where its first line is an object, and text where it holds lines of text; binary data, compressed files
/// and UTF-16 are refused.
STATUS_CHECKED Status table_open(const char *path, Table **out);
/// The same of `bytes`, which must outlive the table; `name` stands in messages and tells the kind as a path
/// does.
STATUS_CHECKED Status table_open_bytes(const char *name, const void *bytes, size_t size, Table **out);
/// Safe on NULL.
void table_close(Table *table);

TableKind table_kind(const Table *table);

/// The columns there are, in the file's order; members of structs and objects as "outer.inner". JSON declares
/// none: they are those of the next row, with the types found there. The list belongs to the table.
STATUS_CHECKED Status table_columns(Table *table, const TableColumn **columns, size_t *count);

/// Chooses what to read of the groups to come; cells are then asked for by index into `names`. Nothing else
/// is decoded. A column that is not there fails with the list of those that are: here, or where JSON rows
/// differ from each other, in the row that lacks it. So does a name that two columns or members have.
STATUS_CHECKED Status table_select(Table *table, const char *const *names, size_t count);
/// A selected column as the file declares it; type CELL_NULL and `holds` NULL in JSON, where each cell has
/// its own type.
const TableColumn *table_selected(const Table *table, size_t column);

/// Reads the next rows in place of those before; *rows = 0 at the end. In Parquet these are a row group;
/// elsewhere at most 4,096 rows that begin within 1 MiB. A row of more than 64 MiB is refused, except in
/// Parquet, where a row group unpacks to 1 GiB a column at most, and a column has at most 2^24 entries in
/// all.
STATUS_CHECKED Status table_next_group(Table *table, size_t *rows);

// ---- cells of the current group; what they point to lives until the next one ----

const Cell *table_cell(const Table *table, size_t row, size_t column);
bool table_is_null(const Table *table, size_t row, size_t column);

/// Each fails where the cell is null or of another type. Integers are numbers where a double holds them
/// exactly, and whole numbers up to 2^53 are integers. Text of CSV, TSV and text files is read in decimal,
/// spaces around it ignored; text in JSON and Parquet is never a number.
STATUS_CHECKED Status table_text(const Table *table, size_t row, size_t column, TableText *out);
STATUS_CHECKED Status table_integer(const Table *table, size_t row, size_t column, int64_t *out);
STATUS_CHECKED Status table_number(const Table *table, size_t row, size_t column, double *out);
STATUS_CHECKED Status table_boolean(const Table *table, size_t row, size_t column, bool *out);
STATUS_CHECKED Status table_chat(const Table *table, size_t row, size_t column, TableChat *out);
/// A list whose items all have the type `items`; numbers are converted as above.
STATUS_CHECKED Status table_list(Table *table, size_t row, size_t column, CellType items, CellList *out);

/// Puts "file: line 3: " (or row, or entry) in front of the current message; does nothing on STATUS_OK. Lines
/// count from 1; rows of Parquet and entries of a JSON list from 0.
STATUS_CHECKED Status table_context(Status status, const Table *table, size_t row);
