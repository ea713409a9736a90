// Tables compared with what Python's csv, json, pandas and pyarrow read in the same files
// (tests/io/make_tables.py): every Parquet type, hostile CSV, exact integers in JSON.
#include "support/test.h"

#include "io/json.h"
#include "io/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA GEE_SOURCE_DIR "/tests/io/data/"

/// expected.json, for the whole program.
static cJSON *expected;

static const cJSON *member(const cJSON *object, const char *name) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
  if (value == NULL) fail_msg("expected.json has no %s", name);
  return value;
}

static Table *open_data(const char *name) {
  char path[600];
  Table *table = NULL;
  (void)snprintf(path, sizeof path, DATA "table/%s", name);
  assert_ok(table_open(path, NULL, &table));
  return table;
}

/// Opens `text` as a table; the ending of `name` tells its kind.
static Status open_text(const char *name, const char *text, size_t size, Table **out) {
  return table_open_bytes(name, text, size, NULL, out);
}

static Status select_one(Table *table, const char *column) {
  return table_select(table, &column, 1);
}

// ---- cells against expected.json: text as a string, other types tagged ----

static void assert_text(TableText text, const cJSON *wanted, const char *where) {
  if (text.size != strlen(wanted->valuestring) || memcmp(text.bytes, wanted->valuestring, text.size) != 0)
    fail_msg("%s: \"%.*s\", not \"%s\"", where, (int)text.size, text.bytes, wanted->valuestring);
}

static void assert_chat(const TableChat *chat, const cJSON *wanted, const char *where) {
  const cJSON *message = wanted->child;
  assert_int_equal(chat->count, cJSON_GetArraySize(wanted));
  for (size_t i = 0; i < chat->count; i++, message = message->next) {
    assert_text(chat->messages[i].role, message->child, where);
    assert_text(chat->messages[i].content, message->child->next, where);
  }
}

static void assert_type(const Cell *cell, CellType wanted, const char *where) {
  if (cell->type != wanted) fail_msg("%s: a cell of type %d, not %d", where, (int)cell->type, (int)wanted);
}

/// `wanted` has one member, whose key is the type.
static void assert_tagged(const Cell *cell, const cJSON *wanted, const char *where) {
  const cJSON *value = wanted->child;
  if (strcmp(value->string, "chat") == 0) {
    assert_type(cell, CELL_CHAT, where);
    assert_chat(&cell->chat, value, where);
  } else if (strcmp(value->string, "integer") == 0) {
    assert_type(cell, CELL_INTEGER, where);
    if (cell->integer != strtoll(value->valuestring, NULL, 10))
      fail_msg("%s: %lld, not %s", where, (long long)cell->integer, value->valuestring);
  } else {
    double number = strtod(value->valuestring, NULL);
    assert_type(cell, CELL_NUMBER, where);
    if (memcmp(&cell->number, &number, sizeof number) != 0)
      fail_msg("%s: %a, not %s", where, cell->number, value->valuestring);
  }
}

static void assert_cell(const Cell *cell, const cJSON *wanted, const char *where) {
  if (cJSON_IsObject(wanted)) {
    assert_tagged(cell, wanted, where);
  } else if (cJSON_IsNull(wanted)) {
    assert_type(cell, CELL_NULL, where);
  } else if (cJSON_IsBool(wanted)) {
    assert_type(cell, CELL_BOOLEAN, where);
    assert_int_equal(cell->boolean, cJSON_IsTrue(wanted));
  } else if (cJSON_IsString(wanted)) {
    assert_type(cell, CELL_TEXT, where);
    assert_text(cell->text, wanted, where);
  } else if (!(cell->type == CELL_CHAT && cell->chat.count == 0 && wanted->child == NULL)) {
    const cJSON *item = wanted->child;
    assert_type(cell, CELL_LIST, where);
    assert_int_equal(cell->list.count, cJSON_GetArraySize(wanted));
    for (size_t i = 0; i < cell->list.count; i++, item = item->next)
      assert_cell(&cell->list.items[i], item, where);
  }
}

/// Reads the columns that are members of `columns` and compares every row. `groups`, if not NULL, lists the
/// rows of each group.
static void assert_columns(Table *table, const cJSON *columns, const cJSON *groups, const char *file) {
  const char *names[32];
  const cJSON *wanted[32];
  size_t count = 0, rows = 0;
  for (const cJSON *column = columns->child; column != NULL; column = column->next, count++) {
    names[count] = column->string;
    wanted[count] = column->child;
  }
  assert_ok(table_select(table, names, count));
  const cJSON *group = groups != NULL ? groups->child : NULL;
  for (;;) {
    assert_ok(table_next_group(table, &rows));
    if (rows == 0) break;
    if (groups != NULL) assert_int_equal(rows, group->valueint);
    if (groups != NULL) group = group->next;
    for (size_t i = 0; i < rows; i++) {
      for (size_t c = 0; c < count; c++) {
        char where[200];
        (void)snprintf(where, sizeof where, "%s: %s, row %zu of its group", file, names[c], i);
        if (wanted[c] == NULL) fail_msg("%s: a row too many", where);
        assert_cell(table_cell(table, i, c), wanted[c], where);
        wanted[c] = wanted[c]->next;
      }
    }
  }
  for (size_t c = 0; c < count; c++) assert_null(wanted[c]);
  assert_null(group);
}

// ---- Parquet ----

static void reads_every_parquet_type(void **state) {
  (void)state;
  size_t files = 0;
  for (const cJSON *file = member(expected, "typed")->child; file != NULL; file = file->next, files++) {
    Table *table = open_data(file->string);
    assert_int_equal(table_kind(table), TABLE_PARQUET);
    assert_columns(table, member(file, "columns"), member(file, "groups"), file->string);
    table_close(table);
  }
  assert_int_equal(files, 4);
}

static void declares_parquet_columns(void **state) {
  (void)state;
  static const struct {
    const char *name, *holds;
    CellType type;
  } wanted[] = {{"boolean", "booleans", CELL_BOOLEAN},
                {"int32", "32-bit integers", CELL_INTEGER},
                {"uint64", "64-bit integers", CELL_INTEGER},
                {"float", "floats", CELL_NUMBER},
                {"text", "byte strings", CELL_TEXT},
                {"texts", "lists of byte strings", CELL_LIST},
                {"numbers", "lists of doubles", CELL_LIST},
                {"chat", "chats", CELL_CHAT},
                {"outer.id", "32-bit integers", CELL_INTEGER},
                {"outer.deep.words", "lists of byte strings", CELL_LIST}};
  Table *table = open_data("typed_v2.parquet");
  const TableColumn *columns = NULL;
  size_t count = 0;
  assert_ok(table_columns(table, &columns, &count));
  assert_int_equal(count, 21);
  for (size_t w = 0, i = 0; w < sizeof wanted / sizeof wanted[0]; w++) {
    while (i < count && strcmp(columns[i].name, wanted[w].name) != 0) i++;
    if (i == count) fail_msg("%s is not declared, or out of order", wanted[w].name);
    assert_int_equal(columns[i].type, wanted[w].type);
    assert_string_equal(columns[i].holds, wanted[w].holds);
    assert_ok(select_one(table, wanted[w].name));
    assert_int_equal(table_selected(table, 0)->type, wanted[w].type);
    assert_string_equal(table_selected(table, 0)->holds, wanted[w].holds);
  }
  table_close(table);
}

static void refuses_types_it_does_not_read(void **state) {
  (void)state;
  static const char *const columns[][2] = {
      {"date", "\"date\" holds dates, which are not supported"},
      {"time", "holds times"},
      {"stamp", "holds timestamps"},
      {"stamp_ns", "holds timestamps"},
      {"price", "holds decimals"},
      {"fixed", "holds fixed-size bytes"},
      {"half", "holds 16-bit floats"},
      {"table", "holds nested values"},
      {"map", "holds nested values"},
      {"dates", "holds lists of dates"},
      {"structs", "holds nested values"},
      {"beyond", "row 0: the integer 9223372036854775808 has more than 63 bits"},
      {"split", "encoding 9, which is not supported"},
      {"missing", "no column \"missing\"; there are: date, time, stamp"}};
  for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
    Table *table = open_data("refused.parquet");
    size_t rows = 0;
    Status status = select_one(table, columns[i][0]);
    if (status == STATUS_OK) status = table_next_group(table, &rows);
    assert_fails(status, STATUS_INPUT, columns[i][1]);
    assert_true(test_contains(status_message(), "refused.parquet"));
    table_close(table);
  }
  Table *table = open_data("twins.parquet");
  assert_fails(select_one(table, "twin"), STATUS_INPUT, "2 columns have the name \"twin\"");
  table_close(table);
}

// ---- CSV ----

/// Reads every row of the case and compares, including the header.
static Status read_case(const cJSON *test, const cJSON *rows, size_t *refused) {
  Table *table = NULL;
  const TableColumn *columns = NULL;
  const char *text = member(test, "text")->valuestring, *names[64];
  size_t count = 0, read = 0;
  Status status = open_text(member(test, "name")->valuestring, text, strlen(text), &table);
  if (status != STATUS_OK) return status;
  assert_ok(table_columns(table, &columns, &count));
  for (size_t i = 0; i < count; i++) names[i] = columns[i].name;
  status = table_select(table, names, count);
  if (status != STATUS_OK && test_contains(status_message(), "columns have the name")) {
    (*refused)++; // a duplicate name cannot be selected, but Python reads by position
    table_close(table);
    return rows != NULL ? STATUS_OK : status;
  }
  const cJSON *row = rows != NULL ? rows->child : NULL;
  for (size_t i = 0; row != NULL && i < count; i++)
    assert_string_equal(names[i], cJSON_GetArrayItem(row, (int)i)->valuestring);
  while (status == STATUS_OK && (status = table_next_group(table, &read)) == STATUS_OK && read > 0) {
    for (size_t i = 0; row != NULL && i < read; i++) {
      row = row->next;
      if (row == NULL) fail_msg("a row too many in \"%s\"", text);
      assert_int_equal(cJSON_GetArraySize(row), count);
      for (size_t c = 0; c < count; c++)
        assert_cell(table_cell(table, i, c), cJSON_GetArrayItem(row, (int)c), text);
    }
  }
  if (status == STATUS_OK && row != NULL) assert_null(row->next);
  table_close(table);
  return status;
}

/// Text is refused if Python's csv module refuses it or reads rows of different lengths; else both read the
/// same.
static void reads_csv_as_python_does(void **state) {
  (void)state;
  size_t read = 0, refused = 0, twins = 0;
  for (const cJSON *test = member(expected, "csv")->child; test != NULL; test = test->next) {
    const cJSON *rows = member(test, "rows");
    bool is_read = !cJSON_IsNull(rows);
    Status status = read_case(test, is_read ? rows : NULL, &twins);
    if (status != (is_read ? STATUS_OK : STATUS_INPUT))
      fail_msg("\"%s\": %s", member(test, "text")->valuestring, is_read ? status_message() : "was read");
    if (is_read)
      read++;
    else
      refused++;
  }
  assert_true(read > 200 && refused > 200 && twins < 10);
}

static void names_the_line_in_csv(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"a,b\n\"1\n2\",3\n4\n", "x.csv: line 4 has 1 cell, but the first row names 2 columns"},
      {"a,b\r\n1,2\r\n1,2,3\r\n", "line 3 has 3 cells"},
      {"a,b\n1,2\n3,\"4\n5,6\n", "line 3: a quote opens a cell and is never closed"},
      {"a,b\n1,\"2\"3\n", "line 2: text follows the quote"},
      {"", "is empty; the first row of a CSV file names its columns"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Table *table = NULL;
    size_t rows = 0;
    Status status = open_text("x.csv", cases[i][0], strlen(cases[i][0]), &table);
    if (status == STATUS_OK) status = select_one(table, "a");
    if (status == STATUS_OK) status = table_next_group(table, &rows);
    assert_fails(status, STATUS_INPUT, cases[i][1]);
    table_close(table);
  }
}

// ---- JSON ----

static void reads_json_as_python_does(void **state) {
  (void)state;
  static const char *const names[] = {"rows.jsonl", "rows.json"};
  for (size_t i = 0; i < 2; i++) {
    Table *table = open_data(names[i]);
    assert_int_equal(table_kind(table), i == 0 ? TABLE_JSON_LINES : TABLE_JSON_LIST);
    assert_columns(table, member(expected, "json"), NULL, names[i]);
    table_close(table);
  }
}

/// Integers keep all their digits. What is not a JSON number is refused, though cJSON accepts some of it.
static void reads_json_numbers_exactly(void **state) {
  (void)state;
  for (const cJSON *test = member(expected, "numbers")->child; test != NULL; test = test->next) {
    char text[400];
    const char *number = member(test, "text")->valuestring;
    const cJSON *value = member(test, "value");
    Table *table = NULL;
    size_t rows = 0;
    int size = snprintf(text, sizeof text,
                        "{\"s\": \"-7 1.e5 \\\\\", \"before\": [1, {\"x\": 2.5}], \"n\": %s}", number);
    assert_ok(open_text("x.jsonl", text, (size_t)size, &table));
    assert_ok(select_one(table, "n"));
    Status status = table_next_group(table, &rows);
    if (cJSON_IsNull(value)) {
      if (status != STATUS_INPUT) fail_msg("%s was read", number);
    } else {
      if (status != STATUS_OK) fail_msg("%s: %s", number, status_message());
      assert_cell(table_cell(table, 0, 0), value, number);
    }
    table_close(table);
  }
}

static void finds_members_of_objects(void **state) {
  (void)state;
  static const char text[] = "{\"a.b\": 1, \"a\": {\"b\": 2, \"c\": {\"d\": [3]}}, \"n\": null, \"o\": {}}\n";
  static const char *const names[] = {"a.b", "a.c.d", "n.x.y", "a", "o"};
  static const char *const listed[] = {"a.b", "a.b", "a.c.d", "n", "o"};
  Table *table = NULL;
  const TableColumn *columns = NULL;
  size_t count = 0, rows = 0;
  assert_ok(open_text("x.jsonl", text, sizeof text - 1, &table));
  assert_ok(table_columns(table, &columns, &count));
  assert_int_equal(count, 5);
  for (size_t i = 0; i < 5; i++) assert_string_equal(columns[i].name, listed[i]);
  assert_ok(table_select(table, names, 5));
  assert_ok(table_next_group(table, &rows));
  assert_int_equal(rows, 1);
  assert_int_equal(table_cell(table, 0, 0)->integer, 1);
  assert_int_equal(table_cell(table, 0, 1)->list.items[0].integer, 3);
  assert_true(table_is_null(table, 0, 2));
  assert_int_equal(table_cell(table, 0, 3)->type, CELL_OTHER);
  assert_int_equal(table_cell(table, 0, 4)->type, CELL_OTHER);
  table_close(table);
}

static void refuses_json_by_name(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"x.jsonl", "{\"p\": 1}\n\n{\"q\": {\"r\": 2}, \"s\": 3}",
       "x.jsonl: line 3: no member \"p\"; there are: q.r, s"},
      {"x.jsonl", "{\"p\": \"a\\u0000b\"}", "line 1: contains a NUL byte, as \\u0000"},
      {"x.jsonl", "{\"p\": \"a\\u00zzb\"}", "line 1: not valid JSON"},
      {"x.jsonl", "{\"p\": 01}", "not valid JSON: 01 is not a number"},
      {"x.jsonl", "{\"p\": 1NaN}", "line 1: not valid JSON: NaN or Infinity right behind a number"},
      {"x.jsonl", "{\"p\": [-0Infinity]}", "not valid JSON: NaN or Infinity right behind a number"},
      {"x.jsonl", "{\"p\": NaN1}", "not valid JSON"},
      {"x.jsonl", "{\"p\": [{\"role\": 3}]}", "\"role\" is a number"},
      {"x.json", "[{\"p\": 1},]", "entry 1: not valid JSON: a value is missing"},
      {"x.json", "[,{\"p\": 1}]", "entry 0: not valid JSON: a value is missing"},
      {"x.json", "[{\"p\": 1}", "entry 0: not valid JSON: the list is not closed"},
      {"x.json", "[{\"p\": 1}] x", "text follows the end of the list"},
      {"x.json", "[{\"p\": \"]\"}}]", "entry 0: not valid JSON: } closes nothing"},
      {"x.json", "[{\"p\": [1}]]", "entry 0: not valid JSON"},
      {"x.json", "[1]", "entry 0: not a JSON object"},
      {"x.json", "{\"data\": {\"rows\": [{\"p\": 1}]}}", "no member \"p\"; there are: data.rows"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Table *table = NULL;
    size_t rows = 0;
    assert_ok(open_text(cases[i][0], cases[i][1], strlen(cases[i][1]), &table));
    assert_ok(select_one(table, "p"));
    assert_fails(table_next_group(table, &rows), STATUS_INPUT, cases[i][2]);
    table_close(table);
  }
  Table *table = NULL;
  size_t rows = 1;
  assert_ok(open_text("x.json", " [ ] ", 5, &table));
  assert_ok(select_one(table, "p"));
  assert_ok(table_next_group(table, &rows));
  assert_int_equal(rows, 0);
  table_close(table);
}

static int load_expected(void **state) {
  (void)state;
  return json_parse_file(DATA "table/expected.json", &expected) == STATUS_OK ? 0 : -1;
}

static int free_expected(void **state) {
  (void)state;
  cJSON_Delete(expected);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_every_parquet_type),       cmocka_unit_test(declares_parquet_columns),
      cmocka_unit_test(refuses_types_it_does_not_read), cmocka_unit_test(reads_csv_as_python_does),
      cmocka_unit_test(names_the_line_in_csv),          cmocka_unit_test(reads_json_as_python_does),
      cmocka_unit_test(reads_json_numbers_exactly),     cmocka_unit_test(finds_members_of_objects),
      cmocka_unit_test(refuses_json_by_name),
  };
  return cmocka_run_group_tests(tests, load_expected, free_expected);
}
