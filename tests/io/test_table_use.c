// Tables as their callers use them: the kind of a file, typed access, groups whose memory does not grow with
// the file, and the benchmark files compared with Python.
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "io/records.h"
#include "io/table.h"
#include "util/hash.h"
#include "util/str.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); // GCC's package lacks the header
#endif

#define DATA GEE_SOURCE_DIR "/tests/io/data/table/"

static Status select_one(Table *table, const char *column) {
  return table_select(table, &column, 1);
}

/// Opens `text` as a file called `name` and reads the first group of one column.
static Status read_one(const char *name, const char *text, const char *column, Table **table, size_t *rows) {
  TRY(table_open_bytes(name, text, strlen(text), column, table));
  TRY(select_one(*table, column));
  return table_next_group(*table, rows);
}

// ---- kinds ----

static void tells_the_kind_by_content_then_name(void **state) {
  (void)state;
  static const struct {
    const char *name, *text;
    TableKind kind;
  } cases[] = {{"a.csv", "x\n", TABLE_CSV},
               {"A.CSV", "x\n", TABLE_CSV},
               {"a.b.Tsv", "x\n", TABLE_TSV},
               {"a.JSONL", "{}", TABLE_JSON_LINES},
               {"a.ndjson", "", TABLE_JSON_LINES},
               {"a.json", "{}", TABLE_JSON_LINES},
               {"a.json", "\xef\xbb\xbf\n [", TABLE_JSON_LIST},
               {"a.jsonl", "[{}]", TABLE_JSON_LIST},
               {"a.txt", "{\"p\": 1}", TABLE_JSON_LINES},
               {"a.txt", "{p: 1}", TABLE_TEXT},
               {"a.txt", "[\"Stop!\"] she said", TABLE_TEXT},
               {"a.txt", "[\"a\", \"b\"]\n", TABLE_JSON_LIST},
               {"a.txt", "[\"a\"]\nshe said\n", TABLE_TEXT},
               {"a.jsonl", "[\"a\"]\n[\"b\"]\n", TABLE_JSON_LINES},
               {"a.txt", "label\tp\n1\tx\n", TABLE_TSV},
               {"a.txt", "Well, p, who are you?\n", TABLE_TEXT},
               {"a.csv", "label\tp\n1\tx\n", TABLE_TSV},
               {"a.tsv", "label;p\n1;x\n", TABLE_CSV},
               {"a.csv", "{\"p\": 1}\n", TABLE_JSON_LINES},
               {"a.json", "{\"version\": 1, \"rows\": [{\"p\": 1}]}", TABLE_JSON_LIST},
               {"a.json", "{\"p\": [{\"role\": 1}]}", TABLE_JSON_LINES},
               {"a.json", "{\"m\": [{\"role\": \"user\", \"content\": \"x\"}]}", TABLE_JSON_LINES},
               {"a.json", "{\"x\": [{\"p\": 1}]}\n{\"x\": []}", TABLE_JSON_LINES},
               {"a.text", "one\ntwo\n", TABLE_TEXT},
               {"prompts", "p,label\nx,1\n", TABLE_CSV},
               {"winobias.txt.dev", "1 [The developer] argued", TABLE_TEXT},
               {"prompts.txt", "{not JSON}\n", TABLE_TEXT},
               {"prompts.txt", "[not JSON]\n", TABLE_TEXT},
               {"data", "\n{\"p\": 1}\n{\"p\": 2}\n", TABLE_JSON_LINES},
               {"data", "\n[{\"p\": 1}]\n", TABLE_JSON_LIST}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Table *table = NULL;
    assert_ok(table_open_bytes(cases[i].name, cases[i].text, strlen(cases[i].text), "p", &table));
    if (table_kind(table) != cases[i].kind)
      fail_msg("%s with \"%s\" is of kind %d", cases[i].name, cases[i].text, (int)table_kind(table));
    table_close(table);
  }
}

static void refuses_other_kinds(void **state) {
  (void)state;
  static const struct {
    const char *name, *bytes;
    size_t size;
    const char *part;
  } cases[] = {
      {"a.csv", "\x1f\x8b\x08\0", 4, "a.csv: is packed with gzip and damaged or cut off"},
      {"a.xlsx", "PK\3\4\0", 5, "an Excel sheet (.xlsx) or a zip archive; save the sheet as .csv"},
      {"a.zst", "\x28\xb5\x2f\xfd", 4, "packed with zstd and damaged or cut off"},
      {"a.bz2", "BZh9", 4, "compressed with bzip2; unpack it first"},
      {"a.lz4", "\x04\x22\x4d\x18", 4, "compressed with LZ4"},
      {"a.xz", "\xfd\x37zXZ", 5, "compressed with xz"},
      {"a.xls", "\xd0\xcf\x11\xe0", 4, "an old Excel sheet (.xls)"},
      {"a.feather", "FEA1", 4, "a Feather file"},
      {"a.avro", "Obj\1", 4, "an Avro file; write it as .parquet"},
      {"a.db", "SQLite format 3", 15, "an SQLite database"},
      {"a.h5", "\x89HDF", 4, "an HDF5 file"},
      {"a.npy", "\x93NUMPY", 6, "a NumPy array"},
      {"b.txt", "\xfe\xff\0a", 4, "is UTF-16; save it as UTF-8"},
      {"c.txt", "\0\0\xfe\xff", 4, "is UTF-32"},
      {"a.arrow", "\xff\xff\xff\xff", 4, "an Arrow stream, as datasets' save_to_disk writes it; write"},
      {"a.feather", "ARROW1\0\0", 8, "an Arrow or Feather file; write it as .parquet"},
      {"prompts", "one\ntwo\n", 8, "prompts: is of a kind that is not recognised; give a .parquet"},
      {"csv", "a,b\n", 4, "not recognised"},
      {"prompts.py", "p = ['x']", 9, "not recognised"},
      {"", "", 0, "not recognised"},
      {"a.txt",
       "\xff\xfe"
       "a\0",
       4, "is UTF-16; save it as UTF-8"},
      {"model.gguf", "GGUF\3\0\0\0", 8, "model.gguf: is binary data of an unknown kind"},
      {"data", "text\nwith\0a NUL", 15, "binary data"},
      {"a.parquet", "PAR2 and more text", 18, "PAR1"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Table *table = NULL;
    assert_fails(table_open_bytes(cases[i].name, cases[i].bytes, cases[i].size, "p", &table), STATUS_INPUT,
                 cases[i].part);
    assert_null(table);
  }
  Table *table = NULL;
  assert_fails(table_open(DATA "missing.csv", NULL, &table), STATUS_INPUT, "missing.csv: cannot open");
  assert_null(table);
  table_close(NULL);
}

// ---- typed access ----

static void reads_csv_without_names(void **state) {
  (void)state;
  static const char *const names[] = {"first", "second"};
  char path[600];
  Table *table = NULL;
  char *text = NULL;
  size_t rows = 0;
  (void)snprintf(path, sizeof path, "%s/unnamed.csv", test_folder());
  const char text_of_rows[] = "a,\"b\nc\"\n\nd,e\n", broken[] = "a,\"b\nc\"\n\nd,e\nf\n";
  assert_ok(file_write_atomic(path, broken, sizeof broken - 1));
  assert_ok(table_open_unnamed(path, names, 2, &table));
  assert_ok(select_one(table, "second"));
  assert_fails(table_next_group(table, &rows), STATUS_INPUT,
               "unnamed.csv: line 5 has 1 cell, but the file must have 2 columns");
  table_close(table);
  assert_ok(file_write_atomic(path, text_of_rows, sizeof text_of_rows - 1));
  assert_ok(table_open_unnamed(path, names, 2, &table));
  assert_fails(select_one(table, "third"), STATUS_INPUT, "no column \"third\"; there are: first, second");
  table_close(table);
  assert_ok(table_open_unnamed(path, names, 2, &table));
  assert_ok(select_one(table, "second"));
  assert_ok(table_next_group(table, &rows));
  assert_int_equal(rows, 2);
  assert_ok(table_string(table, 0, 0, &text));
  assert_string_equal(text, "b\nc");
  free(text);
  assert_ok(table_next_group(table, &rows));
  assert_int_equal(rows, 0);
  table_close(table);
  (void)snprintf(path, sizeof path, "%s/unnamed.jsonl", test_folder());
  assert_ok(file_write_atomic(path, "{}", 2));
  assert_fails(table_open_unnamed(path, names, 2, &table), STATUS_INPUT, "must be a .csv or .tsv file");
  assert_null(table);
}

static void converts_untyped_cells(void **state) {
  (void)state;
  Table *table = NULL;
  size_t rows = 0;
  TableText text;
  int64_t integer = 0;
  double number = 0;
  CellList list;
  static const char csv[] = "n\n 42\t\n-1.5e3\n9223372036854775807\n9223372036854775808\n1e999\nabc\n\"\"\n";
  assert_ok(read_one("x.csv", csv, "n", &table, &rows));
  assert_int_equal(rows, 7);
  assert_ok(table_integer(table, 0, 0, &integer));
  assert_int_equal(integer, 42);
  assert_ok(table_number(table, 0, 0, &number));
  assert_true(number == 42);
  assert_ok(table_number(table, 1, 0, &number));
  assert_true(number == -1500);
  assert_fails(table_integer(table, 1, 0, &integer), STATUS_INPUT,
               "x.csv: line 3: column \"n\" is text \"-1.5e3\", but must be an integer");
  assert_ok(table_integer(table, 2, 0, &integer));
  assert_true(integer == INT64_MAX);
  assert_fails(table_integer(table, 3, 0, &integer), STATUS_INPUT, "text \"9223372036854775808\"");
  assert_fails(table_number(table, 4, 0, &number), STATUS_INPUT, "must be a number");
  assert_fails(table_number(table, 5, 0, &number), STATUS_INPUT, "line 7: column \"n\" is text \"abc\"");
  assert_fails(table_integer(table, 6, 0, &integer), STATUS_INPUT, "text \"\"");
  assert_ok(table_text(table, 6, 0, &text));
  assert_int_equal(text.size, 0);
  assert_false(table_is_null(table, 6, 0));
  assert_fails(table_list(table, 5, 0, CELL_TEXT, &list), STATUS_INPUT, "must be a list");
  table_close(table);
}

static void keeps_typed_cells(void **state) {
  (void)state;
  Table *table = NULL;
  size_t rows = 0;
  TableText text;
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  CellList list;
  TableChat chat;
  static const char json[] =
      "{\"v\": \"5\"}\n{\"v\": 2.0}\n{\"v\": 9007199254740993}\n{\"v\": true}\n{\"v\": null}\n"
      "{\"v\": [1, 2.5]}\n{\"v\": [null, null]}\n{\"v\": {\"x\": 1}}\n{\"v\": [\"a\", 7]}\n";
  assert_ok(read_one("x.jsonl", json, "v", &table, &rows));
  assert_int_equal(rows, 9);
  assert_fails(table_integer(table, 0, 0, &integer), STATUS_INPUT, "line 1: column \"v\" is text \"5\"");
  assert_ok(table_integer(table, 1, 0, &integer));
  assert_int_equal(integer, 2);
  assert_ok(table_integer(table, 2, 0, &integer));
  assert_true(integer == 9007199254740993);
  assert_fails(table_number(table, 2, 0, &number), STATUS_INPUT, "is an integer (9007199254740993)");
  assert_ok(table_boolean(table, 3, 0, &boolean));
  assert_true(boolean);
  assert_fails(table_integer(table, 3, 0, &integer), STATUS_INPUT, "is a boolean, but must be an integer");
  assert_fails(table_text(table, 4, 0, &text), STATUS_INPUT,
               "line 5: column \"v\" is null, but must be text");
  assert_fails(table_list(table, 5, 0, CELL_INTEGER, &list), STATUS_INPUT,
               "\"v\", item 1, is a number (2.5)");
  assert_ok(table_list(table, 5, 0, CELL_NUMBER, &list));
  assert_int_equal(list.count, 2);
  assert_true(list.items[0].number == 1 && list.items[1].number == 2.5);
  assert_ok(table_chat(table, 6, 0, &chat));
  assert_int_equal(chat.count, 0);
  assert_fails(table_chat(table, 5, 0, &chat), STATUS_INPUT, "is a list, but must be a chat");
  assert_fails(table_text(table, 7, 0, &text), STATUS_INPUT, "is an object, but must be text");
  assert_fails(table_list(table, 8, 0, CELL_TEXT, &list), STATUS_INPUT,
               "item 1, is an integer (7), but must be text");
  assert_fails(table_context(status_fail(STATUS_INPUT, "odd"), table, 8), STATUS_INPUT,
               "x.jsonl: line 9: odd");
  table_close(table);
}

static void selects_before_it_reads(void **state) {
  (void)state;
  Table *table = NULL;
  size_t rows = 0;
  static const char csv[] = "a,b\n1,2\n";
  assert_ok(table_open_bytes("x.csv", csv, sizeof csv - 1, NULL, &table));
  assert_fails(table_next_group(table, &rows), STATUS_FAILED, "no column was selected");
  assert_fails(select_one(table, "c"), STATUS_INPUT, "x.csv: no column \"c\"; there are: a, b");
  static const char *const names[] = {"b", "a", "b"};
  assert_ok(table_select(table, names, 3));
  assert_ok(table_next_group(table, &rows));
  assert_int_equal(table_cell(table, 0, 0)->text.bytes[0], '2');
  assert_int_equal(table_cell(table, 0, 1)->text.bytes[0], '1');
  assert_int_equal(table_cell(table, 0, 2)->text.bytes[0], '2');
  assert_ok(table_next_group(table, &rows));
  assert_int_equal(rows, 0);
  assert_ok(table_next_group(table, &rows)); // still the end
  assert_int_equal(rows, 0);
  table_close(table);
}

// ---- memory ----

/// Bytes that the whole program has allocated and not freed.
static size_t allocated(void) {
#ifdef __SANITIZE_ADDRESS__
  return __sanitizer_get_current_allocated_bytes();
#else
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

/// Reads column `column` to its end; *most = the largest number of bytes allocated after a group.
static void read_through(Table *table, const char *column, size_t *rows, size_t *groups, size_t *most) {
  size_t before = allocated(), count = 0;
  *rows = *groups = *most = 0;
  assert_ok(select_one(table, column));
  for (;;) {
    assert_ok(table_next_group(table, &count));
    if (count == 0) break;
    *rows += count;
    ++*groups;
    size_t held = allocated() - before;
    if (held > *most) *most = held;
  }
}

static void holds_one_parquet_group(void **state) {
  (void)state;
  Table *table = NULL;
  size_t rows = 0, groups = 0, most = 0;
  assert_ok(table_open(DATA "groups.parquet", NULL, &table));
  read_through(table, "text", &rows, &groups, &most);
  assert_int_equal(rows, 100000);
  assert_int_equal(groups, 100);
  assert_in_range(most, 100000, 1 << 20); // a group has 104,000 bytes of text, the file ten million
  table_close(table);
  assert_ok(table_open(DATA "groups.parquet", NULL, &table));
  read_through(table, "id", &rows, &groups, &most);
  assert_in_range(most, 8000, 1 << 17); // the text is not decoded
  table_close(table);
}

/// A file called `name` of 100,000 rows of 200 bytes, whose cells must be copied and cannot point into the
/// file.
static void check_lines(const char *name, const char *head, const char *row, const char *tail) {
  enum { ROWS = 100000 };
  Str text = {0};
  Table *table = NULL;
  size_t rows = 0, groups = 0, most = 0;
  assert_ok(str_append_text(&text, head));
  for (size_t i = 0; i < ROWS; i++) assert_ok(str_append_format(&text, "%s%s", i > 0 ? tail : "", row));
  if (head[0] == '[') assert_ok(str_append_text(&text, "]"));
  assert_ok(table_open_bytes(name, text.data, text.size, NULL, &table));
  read_through(table, "text", &rows, &groups, &most);
  assert_int_equal(rows, ROWS);
  assert_true(groups >= text.size >> 20);
  assert_in_range(most, 1, 3 << 20); // the file has 20 MB
  table_close(table);
  str_free(&text);
}

#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void holds_one_group_of_lines(void **state) {
  (void)state;
  check_lines("x.csv", "text\n", "\"\"\"" HUNDRED HUNDRED "\"", "\n");
  check_lines("x.jsonl", "", "{\"other\": 1, \"text\": \"" HUNDRED HUNDRED "\"}", "\n");
  check_lines("x.json", "[", "{\"text\": \"" HUNDRED HUNDRED "\"}", ", ");
  check_lines("x.txt", "", HUNDRED HUNDRED, "\r\n");
}

// ---- the benchmark files ----

static Status append_cell(const Cell *cell, Str *out) {
  switch (cell->type) {
  case CELL_NULL:
    return str_append_text(out, "null\n");
  case CELL_TEXT:
    TRY(str_append(out, cell->text.bytes, cell->text.size));
    return str_append_text(out, "\n");
  case CELL_INTEGER:
    return str_append_format(out, "%lld\n", (long long)cell->integer);
  case CELL_LIST:
    TRY(str_append_text(out, "["));
    for (size_t i = 0; i < cell->list.count; i++) TRY(append_cell(&cell->list.items[i], out));
    return str_append_text(out, "]");
  default:
    return status_fail(STATUS_FAILED, "a cell of type %d", (int)cell->type);
  }
}

/// Compares the number of rows and a hash of all cells in the columns that `wanted` names.
static void check_benchmark(const cJSON *wanted) {
  char path[1200], hash_text[20];
  const char *names[32], *name = cJSON_GetObjectItem(wanted, "name")->valuestring;
  const cJSON *columns = cJSON_GetObjectItem(wanted, "columns");
  size_t count = (size_t)cJSON_GetArraySize(columns), rows = 0, all = 0;
  uint64_t hash = HASH_START;
  Table *table = NULL;
  Str cells = {0};
  (void)snprintf(path, sizeof path, "%s/data/%s", test_shared(), name);
  if (!file_exists(path)) {
    print_message("%s is not there\n", path);
    return;
  }
  for (size_t i = 0; i < count; i++) names[i] = cJSON_GetArrayItem(columns, (int)i)->valuestring;
  assert_ok(table_open(path, NULL, &table));
  assert_ok(table_select(table, names, count));
  do {
    assert_ok(table_next_group(table, &rows));
    all += rows;
    str_clear(&cells);
    for (size_t i = 0; i < rows; i++)
      for (size_t c = 0; c < count; c++) assert_ok(append_cell(table_cell(table, i, c), &cells));
    hash = hash_bytes(hash, str_text(&cells), cells.size);
  } while (rows > 0);
  (void)snprintf(hash_text, sizeof hash_text, "%016llx", (unsigned long long)hash);
  if (all != (size_t)cJSON_GetObjectItem(wanted, "rows")->valueint) fail_msg("%s: %zu rows", name, all);
  if (strcmp(hash_text, cJSON_GetObjectItem(wanted, "hash")->valuestring) != 0)
    fail_msg("%s: the cells differ from what Python reads", name);
  table_close(table);
  str_free(&cells);
}

static void reads_the_benchmarks_as_python_does(void **state) {
  (void)state;
  cJSON *expected = NULL;
  if (test_shared() == NULL) {
    print_message("reads_the_benchmarks_as_python_does: no shared folder (GEE_SHARED)\n");
    skip();
  }
  assert_ok(json_parse_file(DATA "expected.json", &expected));
  const cJSON *benchmarks = cJSON_GetObjectItem(expected, "benchmarks");
  assert_int_equal(cJSON_GetArraySize(benchmarks), 20);
  for (const cJSON *file = benchmarks->child; file != NULL; file = file->next) check_benchmark(file);
  cJSON_Delete(expected);
}

/// A nested document is not a table: its data are lists inside one object. The message says what it has.
static void refuses_a_nested_document(void **state) {
  (void)state;
  static const char text[] = "{\"version\": \"1.0\", \"data\": {\"inter\": [{\"id\": 1}], \"intra\": []}}";
  RecordSource source = {.path = "dev.json", .bytes = text, .size = sizeof text - 1, .column = "context"};
  Records records;
  assert_fails(records_read(&source, &records), STATUS_INPUT,
               "dev.json: line 1: no member \"context\"; there are: version, data.inter, data.intra");
  assert_int_equal(records.count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tells_the_kind_by_content_then_name),
      cmocka_unit_test(refuses_other_kinds),
      cmocka_unit_test(reads_csv_without_names),
      cmocka_unit_test(converts_untyped_cells),
      cmocka_unit_test(keeps_typed_cells),
      cmocka_unit_test(selects_before_it_reads),
      cmocka_unit_test(holds_one_parquet_group),
      cmocka_unit_test(holds_one_group_of_lines),
      cmocka_unit_test(reads_the_benchmarks_as_python_does),
      cmocka_unit_test(refuses_a_nested_document),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
