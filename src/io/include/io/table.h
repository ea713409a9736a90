// Tables: rows of named columns from Parquet, JSON Lines, CSV, TSV and plain text. A table is read one group
// of rows at a time and keeps only the cells of that group, so memory is bounded by the group, not by the
// file.
//
//   Table *table = NULL;
//   size_t rows = 0;
//   TRY(table_open(path, "question", &table));
//   TRY_CLEAN(table_select(table, (const char *const[]){"question", "label"}, 2));
//   do {
//     TRY_CLEAN(table_next_group(table, &rows));
//     for (size_t i = 0; i < rows; i++) {
//       TRY_CLEAN(table_text(table, i, 0, &question));   column 0 of the selection
//       TRY_CLEAN(table_integer(table, i, 1, &label));
//     }
//   } while (rows > 0);
//
// Unless said otherwise, a failure is STATUS_INPUT and names the file, the place in it (line, row or entry),
// the column and what was found. After a failure the table can only be closed.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum TableKind {
  TABLE_PARQUET,
  TABLE_JSON_LINES, // objects, each on lines of its own; blank lines are skipped
  TABLE_JSON_LIST,  // one list of objects
  TABLE_CSV,        // RFC 4180, with commas or semicolons; the first row names the columns
  TABLE_TSV,        // CSV with tabs
  TABLE_TEXT,       // one row per line, blank lines too; the only column is "text"
} TableKind;

/// What a cell holds. CSV, TSV and text files have only text, which is read as a number if a number is asked
/// for.
typedef enum CellType {
  CELL_NULL,
  CELL_TEXT,    // bytes as they are in the file: not terminated, not checked to be UTF-8
  CELL_INTEGER, // exact, 64 bits
  CELL_NUMBER,  // a double; in Parquet it may be NaN or infinite
  CELL_BOOLEAN,
  CELL_LIST,  // of cells
  CELL_CHAT,  // a list of {"role", "content"} or {"from", "value"}
  CELL_OTHER, // an object, whose members are columns of their own ("outer.inner"), or an unsupported type
} CellType;

typedef struct TableText {
  const char *bytes;
  size_t size;
} TableText;

/// A role is as the file spells it ("user", "human"). Content that is a list of text parts is joined.
typedef struct TableMessage {
  TableText role, content;
} TableMessage;

typedef struct TableChat {
  const TableMessage *messages;
  size_t count;
  size_t left_out; // messages without content, which are not among `messages`
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

/// `holds` describes the values for messages: "64-bit integers".
typedef struct TableColumn {
  char *name;
  char *holds;
  CellType type;
} TableColumn;

typedef struct Table Table;

/// Opens a file, which may be packed with gzip or zstd. The kind is told by the content: "PAR1" is Parquet;
/// what begins with an object that ends its line, or with a list of objects, lists or texts, is JSON. Else by
/// the name, in any case: .parquet, .jsonl, .jsonlines, .ndjson, .json, .csv, .tsv, .tab; .txt (also before
/// another ending) and .text for text. `column` is the one that the caller wants most, or NULL: a file
/// that may be read in two ways is read in the one that has it. So a text whose first row names it is CSV or
/// TSV, a file of one object without it is the list of objects in it, and semicolons may separate the cells.
/// Anything else is refused: other names, binary data, other archives, Arrow, Excel, UTF-16.
STATUS_CHECKED Status table_open(const char *path, const char *column, Table **out);
/// The same for `bytes`, which must outlive the table. `name` stands for the path: in messages, and its
/// ending tells the kind.
STATUS_CHECKED Status table_open_bytes(const char *name, const void *bytes, size_t size, const char *column,
                                       Table **out);
/// Opens a CSV or TSV file whose first row is data already: `columns` are the names of its columns.
STATUS_CHECKED Status table_open_unnamed(const char *path, const char *const *columns, size_t count,
                                         Table **out);
/// Safe on NULL.
void table_close(Table *table);

const char *table_path(const Table *table);
TableKind table_kind(const Table *table);
/// True if the rows have no named parts: text files, and JSON whose rows are texts or lists. Their only
/// column is "text".
bool table_is_bare(const Table *table);

/// The columns in the file's order; members of structs and objects as "outer.inner". JSON declares no
/// columns: they are those of the next row, with the types found there. The list belongs to the table.
STATUS_CHECKED Status table_columns(Table *table, const TableColumn **columns, size_t *count);

/// Chooses the columns to read from the next group on; nothing else is decoded. The cell functions take an
/// index into `names`. A name that is missing, or that several columns or members have, fails: here, or in
/// JSON when that row is read. If it is missing, the message lists the columns there are.
STATUS_CHECKED Status table_select(Table *table, const char *const *names, size_t count);
/// A selected column as the file declares it. In JSON, where each cell has its own type, `type` is CELL_NULL
/// and `holds` is NULL.
const TableColumn *table_selected(const Table *table, size_t column);

/// Replaces the current group by the next; *rows = 0 at the end. A group is a row group in Parquet, and
/// elsewhere at most 4,096 rows that begin within 1 MiB. Refuses a row of more than 64 MiB; in Parquet
/// instead a column of more than 2^24 entries, or of more than 1 GiB unpacked in one row group.
STATUS_CHECKED Status table_next_group(Table *table, size_t *rows);

// ---- cells of the current group; they and what they point to are valid until the next group is read ----

const Cell *table_cell(const Table *table, size_t row, size_t column);
bool table_is_null(const Table *table, size_t row, size_t column);

/// Each fails if the cell is null or has another type. An integer is also a number if a double holds it
/// exactly, and a whole number up to 2^53 is also an integer. Text of CSV, TSV and text files is read in
/// decimal, ignoring spaces around it; text in JSON and Parquet is never a number.
STATUS_CHECKED Status table_text(const Table *table, size_t row, size_t column, TableText *out);
STATUS_CHECKED Status table_integer(const Table *table, size_t row, size_t column, int64_t *out);
STATUS_CHECKED Status table_number(const Table *table, size_t row, size_t column, double *out);
STATUS_CHECKED Status table_boolean(const Table *table, size_t row, size_t column, bool *out);
STATUS_CHECKED Status table_chat(const Table *table, size_t row, size_t column, TableChat *out);
/// For a cell that is text: *found = whether it is a chat written as JSON, which is then in *out. A chat as
/// Python prints it is refused.
STATUS_CHECKED Status table_chat_in_text(Table *table, size_t row, size_t column, bool *found,
                                         TableChat *out);
/// A copy of a text that ends with NUL, which the caller frees. Fails also if the text has a NUL or is not
/// UTF-8.
STATUS_CHECKED Status table_string(const Table *table, size_t row, size_t column, char **out);
/// A list whose items all have type `items`, converted as above if need be.
STATUS_CHECKED Status table_list(Table *table, size_t row, size_t column, CellType items, CellList *out);

/// *out = the texts of a list, in the same way, and NULL at the end. Free with table_strings_free.
STATUS_CHECKED Status table_strings(Table *table, size_t row, size_t column, char ***out, size_t *count);
/// Safe on NULL.
void table_strings_free(char **texts);

/// Puts "file: line 3: " (or row, or entry) in front of the current message; does nothing on STATUS_OK. Lines
/// count from 1, rows of Parquet and entries of a JSON list from 0.
STATUS_CHECKED Status table_context(Status status, const Table *table, size_t row);
