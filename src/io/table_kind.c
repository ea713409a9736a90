// What kind of table a file is. Rule: the content tells it as far as it can, the name decides the rest, and a
// file that neither tells is refused. Nothing becomes plain text but a file whose name says so.
#include "table_parts.h"

#include "io/json.h"
#include <string.h>
#include <strings.h>

/// True if name[size] ends with `ending`, in any case.
static bool ends_with(const char *name, size_t size, const char *ending) {
  size_t end = strlen(ending);
  return size >= end && strncasecmp(name + size - end, ending, end) == 0;
}

// ---- by name ----

/// Bytes of the file's name without the ending of what it was packed with.
static size_t name_size(const Table *table) {
  static const char *const endings[] = {".gz", ".gzip", ".zst", ".zstd"};
  size_t size = strlen(table->file.path);
  for (size_t i = 0; table->unpacked != NULL && i < sizeof endings / sizeof endings[0]; i++)
    if (ends_with(table->file.path, size, endings[i])) return size - strlen(endings[i]);
  return size;
}

/// True for names such as "prompts.txt.dev", where the name of a split follows the ending.
static bool has_text_ending_inside(const char *name, size_t size) {
  for (size_t i = 0; i + 5 <= size; i++)
    if (strncasecmp(name + i, ".txt.", 5) == 0) return true;
  return false;
}

/// The kind by the file's name; false if it tells none.
static bool kind_of_name(const Table *table, TableKind *out) {
  static const struct {
    const char *ending;
    TableKind kind;
  } endings[] = {{".parquet", TABLE_PARQUET},   {".jsonl", TABLE_JSON_LINES},
                 {".ndjson", TABLE_JSON_LINES}, {".jsonlines", TABLE_JSON_LINES},
                 {".json", TABLE_JSON_LINES},   {".csv", TABLE_CSV},
                 {".tsv", TABLE_TSV},           {".tab", TABLE_TSV},
                 {".txt", TABLE_TEXT},          {".text", TABLE_TEXT}};
  size_t size = name_size(table);
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
    *out = endings[i].kind;
    if (ends_with(table->file.path, size, endings[i].ending)) return true;
  }
  const char *slash = strrchr(table->file.path, '/'), *base = slash != NULL ? slash + 1 : table->file.path;
  *out = TABLE_TEXT;
  return has_text_ending_inside(base, size - (size_t)(base - table->file.path));
}

// ---- by content ----

/// Refuses files whose first bytes show that they are no table, whatever the name says.
static Status refuse_other_kinds(const MappedFile *file) {
  static const char save[] = "save the sheet as .csv (in Excel: CSV UTF-8)";
  static const char convert[] = "write it as .parquet, .jsonl or .csv";
  static const char unpack[] = "unpack it first, or pack it with gzip or zstd";
  static const char utf8[] = "save it as UTF-8 (in Excel: CSV UTF-8)";
  static const struct {
    const char *start;
    size_t size;
    const char *what, *remedy;
  } kinds[] = {
      {"\x1f\x8b", 2, "packed with gzip twice", "unpack it first"},
      {"\x28\xb5\x2f\xfd", 4, "packed with zstd twice", "unpack it first"},
      {"BZh", 3, "compressed with bzip2", unpack},
      {"\xfd\x37zXZ", 5, "compressed with xz", unpack},
      {"\x04\x22\x4d\x18", 4, "compressed with LZ4", unpack},
      {"PK\3\4", 4, "an Excel sheet (.xlsx) or a zip archive", save},
      {"\xd0\xcf\x11\xe0", 4, "an old Excel sheet (.xls) or another Office file", save},
      {"ARROW1", 6, "an Arrow or Feather file", convert},
      {"FEA1", 4, "a Feather file", convert},
      {"\xff\xff\xff\xff", 4, "an Arrow stream, as datasets' save_to_disk writes it", convert},
      {"Obj\1", 4, "an Avro file", convert},
      {"SQLite format 3", 15, "an SQLite database", convert},
      {"\x89HDF", 4, "an HDF5 file", convert},
      {"\x93NUMPY", 6, "a NumPy array", convert},
      {"version https://git-lfs", 23, "a pointer of Git LFS and not the file itself", "run git lfs pull"},
      {"<!DOCTYPE", 9, "a web page", "download the file itself"},
      {"<!doctype", 9, "a web page", "download the file itself"},
      {"<html", 5, "a web page", "download the file itself"},
      {"\xff\xfe", 2, "UTF-16", utf8},
      {"\xfe\xff", 2, "UTF-16", utf8},
      {"\0\0\xfe\xff", 4, "UTF-32", utf8}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (file->size >= kinds[i].size && memcmp(file->bytes, kinds[i].start, kinds[i].size) == 0)
      return status_fail(STATUS_INPUT, "%s: is %s; %s", file->path, kinds[i].what, kinds[i].remedy);
  }
  return STATUS_OK;
}

static const char *skip_blank(const char *text, const char *end) {
  return text + json_space(text, (size_t)(end - text));
}

/// Whether a JSON object begins here: a brace, then a key and a colon, or the other brace.
static bool begins_object(const char *text, const char *end) {
  if (text == end || *text != '{') return false;
  const char *key = skip_blank(text + 1, end);
  if (key == end || *key != '"') return key < end && *key == '}';
  size_t size = table_measure_json(key, (size_t)(end - key));
  const char *colon = skip_blank(key + size, end);
  return size > 0 && colon < end && *colon == ':';
}

/// What comes after the closed list or object at `start`: nothing, a list on another line, or something else.
typedef enum JsonNext { NEXT_NOTHING, NEXT_LIST, NEXT_OTHER } JsonNext;

static JsonNext next_json(const char *start, const char *end) {
  size_t size = table_measure_json(start, (size_t)(end - start));
  const char *next = skip_blank(start + size, end);
  if (size == 0) return NEXT_OTHER; // it is not closed
  if (next == end) return NEXT_NOTHING;
  bool on_next_line = memchr(start + size, '\n', (size_t)(next - start) - size) != NULL;
  return *next == '[' && on_next_line ? NEXT_LIST : NEXT_OTHER;
}

/// Whether a text begins as JSON does that holds rows: with an object, a list of objects, or a list of lists
/// or texts after which nothing comes, or the next list on another line. The reader checks the rest: what
/// begins in this way and is not JSON is refused, not taken for text.
static bool begins_json(const char *text, const char *end) {
  const char *start = skip_blank(text, end);
  if (start == end || *start != '[') return begins_object(start, end);
  const char *first = skip_blank(start + 1, end);
  if (begins_object(first, end)) return true;
  return first < end && (*first == '[' || *first == '"') && next_json(start, end) != NEXT_OTHER;
}

/// Finds the lists of objects, and empty lists, that lie in objects alone: *count of them, and the text of
/// the last.
static void find_lists(TableText object, TableText *list, size_t *count) {
  const char *end = object.bytes + object.size;
  *count = 0;
  for (const char *at = object.bytes; at < end;) {
    size_t size = *at == '"' || *at == '[' ? table_measure_json(at, (size_t)(end - at)) : 1;
    const char *first = *at == '[' ? skip_blank(at + 1, end) : end;
    if (first < end && (*first == '{' || *first == ']')) {
      *list = (TableText){at, size};
      ++*count;
    }
    at += size > 0 ? size : 1;
  }
}

/// A text that is one object alone: its rows are those of the only list of objects in it, unless the object
/// itself has the column. {"version": 1, "data": [{...}, ...]} is such a text.
static Status take_inner_list(Table *table, TableText object, const char *column) {
  TableText list = {0};
  size_t lists = 0;
  bool is_row = false, is_columns = false;
  if (column == NULL || object.size > TABLE_ROW_BYTES) return STATUS_OK;
  Status status = table_json_is_row(table, object, column, &is_row, &is_columns);
  if (status == STATUS_INPUT) return STATUS_OK; // reading the row will say why
  TRY(status);
  if (is_columns)
    return status_fail(STATUS_INPUT,
                       "%s: is one object whose \"%s\" is a list of values: a row each, or the turns of one "
                       "chat? write an object for each row, or the list alone",
                       table->file.path, column);
  find_lists(object, &list, &lists);
  if (is_row || lists != 1) return STATUS_OK;
  table->kind = TABLE_JSON_LIST;
  table->text = list.bytes;
  table->text_size = list.size;
  return STATUS_OK;
}

/// JSON Lines, or one list.
static Status set_json_kind(Table *table, const char *column) {
  const char *end = table->text + table->text_size, *start = skip_blank(table->text, end), *first = start;
  table->kind = TABLE_JSON_LINES;
  if (start == end) return STATUS_OK;
  if (*start == '{' && next_json(start, end) == NEXT_NOTHING)
    return take_inner_list(table, (TableText){start, (size_t)(end - start)}, column);
  if (*start == '[' && next_json(start, end) != NEXT_LIST) {
    table->kind = TABLE_JSON_LIST;
    first = skip_blank(start + 1, end);
  }
  table->is_bare = first < end && (*first == '"' || *first == '[');
  return STATUS_OK;
}

/// Sets the separator of the first of ',', '\t' and ';' by which the first row names the column; leaves it if
/// none does.
static Status find_separator(Table *table, const char *column) {
  static const char separators[] = {',', '\t', ';'};
  bool found = false;
  if (column == NULL) return STATUS_OK;
  if (table->separator != '\0') TRY(table_csv_has(table, table->separator, column, &found));
  for (size_t i = 0; !found && i < sizeof separators; i++) {
    TRY(table_csv_has(table, separators[i], column, &found));
    if (found) table->separator = separators[i];
  }
  return STATUS_OK;
}

static TableKind kind_of_separator(char separator) {
  return separator == '\0' ? TABLE_TEXT : separator == '\t' ? TABLE_TSV : TABLE_CSV;
}

/// Text, or what a name that tells nothing stands for: a table if its first row names the column.
static Status set_text_kind(Table *table, const char *column, bool is_named) {
  size_t sample = table->text_size < TABLE_GROUP_BYTES ? table->text_size : TABLE_GROUP_BYTES;
  TRY(find_separator(table, column));
  table->kind = kind_of_separator(table->separator);
  if (is_named || table->kind != TABLE_TEXT) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "%s: is %s; give a .parquet, .jsonl, .json, .csv or .tsv file, or a .txt file with one "
                     "prompt per line",
                     table->file.path,
                     memchr(table->text, '\0', sample) != NULL ? "binary data of an unknown kind"
                                                               : "of a kind that is not recognised");
}

Status table_find_kind(Table *table, const char *column) {
  const MappedFile *file = &table->file;
  bool is_named = kind_of_name(table, &table->kind);
  table->text = (const char *)file->bytes;
  table->text_size = file->size;
  if (file->size >= 4 && memcmp(file->bytes, "PAR1", 4) == 0) {
    table->kind = TABLE_PARQUET;
    return STATUS_OK;
  }
  TRY(refuse_other_kinds(file));
  if (file->size >= 3 && memcmp(file->bytes, "\xef\xbb\xbf", 3) == 0) // UTF-8's byte order mark
    table_advance(table, 3);
  if ((is_named && table->kind == TABLE_JSON_LINES) ||
      begins_json(table->text, table->text + table->text_size))
    return set_json_kind(table, column);
  if (!is_named || table->kind == TABLE_TEXT) return set_text_kind(table, column, is_named);
  if (table->kind == TABLE_PARQUET) return STATUS_OK; // its reader says what is wrong
  table->separator = table->kind == TABLE_TSV ? '\t' : ',';
  TRY(find_separator(table, column));
  table->kind = kind_of_separator(table->separator);
  return STATUS_OK;
}
