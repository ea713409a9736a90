// The parts of a table. Private to this room:
//
//   table.c           opening, columns, groups of rows
//   table_unpack.c    files packed as a whole
//   table_kind.c      the file's kind
//   table_cells.c     typed access to cells
//   table_chat.c      chats in JSON
//   table_lines.c     plain text, and where the rows of JSON begin and end
//   table_json.c      a JSON object as the cells of a row
//   table_csv.c       CSV and TSV
//   table_parquet.c   Parquet: finding columns in the schema, and a row group as cells
//   table_parquet_parts.c   chats in Parquet whose contents are lists of parts
#pragma once

#include "io/file.h"
#include "io/table.h"
#include "parquet.h"
#include "util/str.h"
#include <cjson/cJSON.h>

#define TABLE_GROUP_ROWS  ((size_t)4096)
#define TABLE_GROUP_BYTES ((size_t)1 << 20)
#define TABLE_ROW_BYTES   ((size_t)64 << 20)
#define TABLE_COLUMNS     ((size_t)1 << 16)
// What a packed file may unpack to.
#define TABLE_UNPACKED_BYTES ((size_t)1 << 30)
#define TABLE_PATH_BYTES     1024 // of the names of the objects and structs around a column

/// Memory for what the cells of a group point to, freed as a whole.
typedef struct Arena {
  uint8_t **blocks;
  size_t block_count, block_capacity;
  size_t used, size; // of the last block
} Arena;

/// *out = `count` zeroed elements of `size` bytes; `out` is a pointer to a pointer of any type.
STATUS_CHECKED Status arena_alloc(Arena *arena, size_t count, size_t size, void *out);
STATUS_CHECKED Status arena_copy(Arena *arena, const char *bytes, size_t size, TableText *out);

/// The nodes of a column in a Parquet schema.
typedef struct ParquetPlace {
  const ParquetNode *leaf;      // the values; of a chat, the contents or the texts of their parts
  const ParquetNode *role;      // of a chat, the roles; else NULL
  const ParquetNode *repeated;  // the repeated node of a list or chat, the leaf itself or above it
  const ParquetNode *part_type; // of a chat with parts, their types; else NULL
  const ParquetNode *parts;     // the repeated node of the parts
} ParquetPlace;

/// A kind of table.
typedef struct TableFormat {
  const char *row_name; // what messages call a row: "line"
  bool is_typed;        // false: all cells are text, and are converted to numbers on request
  /// Reads what comes before the rows and adds the columns that the file declares.
  Status (*open)(Table *table);
  /// Finds selected column `column` by its name and sets its type and what it holds. NULL in JSON.
  Status (*select)(Table *table, size_t column);
  /// Adds the rows of one group; none at the end.
  Status (*next)(Table *table);
} TableFormat;

extern const TableFormat table_parquet, table_json_lines, table_json_list, table_csv, table_tsv,
    table_text_lines;

struct Table {
  MappedFile map;    // owned; without bytes if the caller has them
  uint8_t *unpacked; // owned; NULL if the file is not packed
  MappedFile file;   // the path, and the bytes to read: of one of these, or the caller's
  TableKind kind;
  bool is_bare;    // JSON: rows are texts or lists and not objects
  char separator;  // CSV, TSV
  bool is_unnamed; // CSV, TSV: no row names the columns
  const TableFormat *format;
  TableColumn *columns;
  size_t column_count, column_capacity;

  TableColumn *selected;
  size_t selected_count;
  size_t *source;       // CSV, TSV: the index of each selected column in the file
  ParquetPlace *places; // Parquet: of each selected column

  // What is still to be read (all but Parquet).
  const char *text;
  size_t text_size;
  size_t number;   // of the next line, from 1; of the next entry or row, from 0
  bool list_ended; // JSON list: the closing bracket was read

  // The current group: row-major cells, and the number of each row in the file.
  Cell *cells;
  size_t *numbers;
  size_t rows, cell_capacity, number_capacity;
  Arena arena;

  Str where; // JSON: "file: line 3", reused

  ParquetMeta meta;
  size_t row_group;       // the next one
  ParquetColumn *decoded; // leaves of the current one, which cells point into
  size_t decoded_count, decoded_capacity;
};

/// If the file is packed, unpacks it and lets `file` show what was in it.
STATUS_CHECKED Status table_unpack(Table *table);
/// Sets the kind, `is_bare`, `separator`, and the text that is still to be read.
STATUS_CHECKED Status table_find_kind(Table *table, const char *column);

/// Frees the cells of the current group.
void table_drop_group(Table *table);
/// Appends a declared column with copies of its name and of what it holds.
STATUS_CHECKED Status table_add_column(Table *table, const char *name, size_t name_size, CellType type,
                                       const char *holds);
/// Makes room for `count` more rows and sets `rows`, all cells null.
STATUS_CHECKED Status table_add_rows(Table *table, size_t count);
/// Adds one row of that number; *cells = its cells, one for each selected column.
STATUS_CHECKED Status table_add_row(Table *table, size_t number, Cell **cells);
/// The `select` of formats that declare their columns by name alone.
STATUS_CHECKED Status table_select_declared(Table *table, size_t column);
/// STATUS_INPUT: there is no column `name`; lists those there are.
Status table_fail_missing(const Table *table, const char *name);
/// STATUS_INPUT if a row has more than TABLE_ROW_BYTES.
STATUS_CHECKED Status table_check_row(const Table *table, size_t number, size_t size);
/// Moves past the next `size` bytes.
void table_advance(Table *table, size_t size);
/// True if another row may join the group, which began when `start` bytes were left.
bool table_has_room(const Table *table, size_t start);

/// Adds a JSON value as a row: an object, or anything in a bare table.
STATUS_CHECKED Status table_add_json(Table *table, size_t number, TableText text);
/// Adds a column for each member of a JSON object, or the column "text" of a bare table, with the type found
/// there.
STATUS_CHECKED Status table_add_json_columns(Table *table, size_t number, TableText text);
/// *is_row = whether the JSON object has a value for `column`, or a chat; *is_columns = whether that value is
/// a list without objects, and not empty, so that its items may be rows.
STATUS_CHECKED Status table_json_is_row(const Table *table, TableText object, const char *column,
                                        bool *is_row, bool *is_columns);
/// The size of the object, list or string at the front of text[size], by its brackets and quotes alone; 0 if
/// it is not closed.
size_t table_measure_json(const char *text, size_t size);
/// The size of the value at the front of text[size], up to the comma or bracket after it; `size` if neither
/// comes.
size_t table_measure_entry(const char *text, size_t size);
/// *row = the next row of a JSON file, without taking it, and *number = its number; *row is empty at the end.
STATUS_CHECKED Status table_first_json(const Table *table, TableText *row, size_t *number);

/// *has = whether a cell of the first row is `column` if `separator` separates the cells. The row is not
/// taken.
STATUS_CHECKED Status table_csv_has(const Table *table, char separator, const char *column, bool *has);

/// Whether every item of a JSON list that is not null is a message: an object with "role" or "from". False
/// for a list without objects.
bool json_is_chat(const cJSON *list);
/// *out = the messages of a JSON list, copied into `arena`. `name` begins the messages of failures.
STATUS_CHECKED Status json_chat(Arena *arena, const cJSON *list, const char *name, TableChat *out);

/// STATUS_INPUT, with the type's name, if a part of that type is not text.
STATUS_CHECKED Status table_check_part(TableText type);

/// STATUS_INPUT if the text has a NUL byte or is not UTF-8.
STATUS_CHECKED Status table_check_text(TableText text);

/// "an integer", "text".
const char *cell_type_name(CellType type);
/// Converts the cell to `wanted`; false, and unchanged, if that cannot be done without loss.
bool cell_convert(Cell *cell, CellType wanted, bool is_typed);
typedef enum NumberForm { NUMBER_NONE, NUMBER_WHOLE, NUMBER_DECIMAL } NumberForm;
/// What text[size] spells: an optional sign and digits, the same with a point or an exponent, or no number.
NumberForm number_form(const char *text, size_t size);
/// The number text[size] of form NUMBER_WHOLE; false if it does not fit into 64 bits.
bool number_integer(const char *text, size_t size, int64_t *out);
