// Prompt files: every Parquet codec, page version and encoding in files of pyarrow
// (tests/io/make_parquet.py), the older list forms, JSON Lines, text, and the message for each kind of wrong
// file.
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "io/records.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA GEE_SOURCE_DIR "/tests/io/data/"

static const char *const READABLE[] = {"none_v1_dictionary",
                                       "none_v2_plain",
                                       "snappy_v1_groups",
                                       "snappy_v2_checksum",
                                       "gzip_v1_plain_pages",
                                       "gzip_v2",
                                       "zstd_v1",
                                       "zstd_v2_groups",
                                       "zstd_v1_delta_length",
                                       "snappy_v2_delta_strings",
                                       "snappy_v1_old_lists",
                                       "brotli",
                                       "lz4"};

/// In static memory that the next call overwrites.
static const char *data_path(const char *name) {
  static char path[600];
  (void)snprintf(path, sizeof path, DATA "%s.parquet", name);
  return path;
}

static Status read_prompts(const char *path, const char *column, Records *out) {
  return records_read(&(RecordSource){.path = path, .column = column}, out);
}

static const char *write_file(const char *name, const char *text, size_t size) {
  static char path[600];
  static const char *folder;
  if (folder == NULL) folder = test_folder();
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_ok(file_write_atomic(path, text, size));
  return path;
}

/// `expected`: a list of strings, or of lists of [role, content].
static void assert_equal_records(const Records *records, const cJSON *expected, const char *name) {
  if (records->count != (size_t)cJSON_GetArraySize(expected))
    fail_msg("%s: %zu rows, not %d", name, records->count, cJSON_GetArraySize(expected));
  const cJSON *row = expected->child;
  for (size_t i = 0; i < records->count; i++, row = row->next) {
    const Record *record = &records->rows[i];
    if (cJSON_IsString(row)) {
      assert_int_equal(record->count, 1);
      assert_null(record->messages[0].role);
      assert_string_equal(record->messages[0].content, row->valuestring);
      continue;
    }
    assert_int_equal(record->count, cJSON_GetArraySize(row));
    for (size_t m = 0; m < record->count; m++) {
      const cJSON *message = cJSON_GetArrayItem(row, (int)m);
      assert_string_equal(record->messages[m].role, message->child->valuestring);
      assert_string_equal(record->messages[m].content, message->child->next->valuestring);
    }
  }
}

static void reads_every_parquet_form(void **state) {
  (void)state;
  static const char *const columns[] = {"text", "chat", "outer.inner"};
  cJSON *expected = NULL;
  assert_ok(json_parse_file(DATA "expected.json", &expected));
  for (size_t f = 0; f < sizeof READABLE / sizeof READABLE[0]; f++) {
    for (size_t c = 0; c < 3; c++) {
      Records records;
      assert_ok(read_prompts(data_path(READABLE[f]), columns[c], &records));
      assert_equal_records(&records, cJSON_GetObjectItem(expected, columns[c]), READABLE[f]);
      records_free(&records);
      records_free(&records);
    }
  }
  cJSON_Delete(expected);
}

static void reads_older_lists(void **state) {
  (void)state;
  static const char *const names[] = {"old_two_levels", "old_repeated"};
  cJSON *expected = cJSON_Parse("[[[\"system\", \"Rule\"], [\"user\", \"Ask 0\"]], [[\"user\", \"Ask 3\"]]]");
  for (size_t f = 0; f < 2; f++) {
    Records records;
    assert_ok(read_prompts(data_path(names[f]), "chat", &records));
    assert_equal_records(&records, expected, names[f]);
    records_free(&records);
  }
  cJSON_Delete(expected);
}

static void reads_an_empty_table(void **state) {
  (void)state;
  Records records;
  assert_ok(read_prompts(data_path("empty"), "text", &records));
  assert_int_equal(records.count, 0);
  records_free(&records);
}

static void names_what_is_wrong_with_parquet(void **state) {
  (void)state;
  Records records;
  assert_fails(read_prompts(data_path("zstd_v1"), "prompt", &records), STATUS_INPUT,
               "zstd_v1.parquet: no column \"prompt\"; there are: id, text, chat, outer");
  assert_fails(read_prompts(data_path("zstd_v1"), "id", &records), STATUS_INPUT,
               "\"id\" holds 64-bit integers");
  assert_fails(read_prompts(data_path("zstd_v1"), "outer", &records), STATUS_INPUT,
               "\"outer\" holds nested values");
  assert_fails(read_prompts(data_path("zstd_v1"), "chat.list.element.role", &records), STATUS_INPUT,
               "no column \"chat.list.element.role\"");
  assert_fails(read_prompts(write_file("a.parquet", "no parquet at all", 17), "text", &records), STATUS_INPUT,
               "PAR1");
  assert_fails(read_prompts(write_file("a.parquet", "PAR1", 4), "text", &records), STATUS_INPUT,
               "4 bytes is too short for Parquet");
  assert_fails(read_prompts(write_file("a.parquet", "PAR1\xff\xff\xff\x7fPAR1", 12), "text", &records),
               STATUS_INPUT, "footer claims 2147483647 of the file's 12 bytes");
  assert_fails(read_prompts(write_file("a.parquet", "PAR1\0\0\0\0PARE", 12), "text", &records), STATUS_INPUT,
               "encrypted");
  assert_int_equal(records.count, 0);
}

static void reads_the_methods_headline_data(void **state) {
  (void)state;
  char path[1200];
  if (test_shared() == NULL) {
    print_message("reads_the_methods_headline_data: no shared folder (GEE_SHARED)\n");
    skip();
  }
  (void)snprintf(path, sizeof path, "%s/data/one_shot/pi1_r1280.parquet", test_shared());
  Records records;
  assert_ok(read_prompts(path, "problem", &records));
  assert_int_equal(records.count, 1280);
  for (size_t i = 0; i < records.count; i++) {
    assert_int_equal(records.rows[i].count, 1);
    assert_string_equal(records.rows[i].messages[0].content, records.rows[0].messages[0].content);
  }
  assert_true(
      test_contains(records.rows[0].messages[0].content, "The pressure \\( P \\) exerted by wind on a sail"));
  records_free(&records);
}

/// A file of a few bytes may claim a thousand equal rows, but not any number.
static void limits_what_a_file_claims(void **state) {
  (void)state;
  Records records;
  assert_ok(read_prompts(data_path("claims_fair"), "text", &records));
  assert_int_equal(records.count, 1000);
  records_free(&records);
  assert_fails(read_prompts(data_path("claims_shared"), "text", &records), STATUS_INPUT, "share their bytes");
  assert_fails(read_prompts(data_path("claims_many"), "text", &records), STATUS_INPUT,
               "more than 16777216 values");
}

// ---- lines ----

static void reads_text(void **state) {
  (void)state;
  static const char text[] = "\xef\xbb\xbf"
                             "first\r\n\n  \t\nsecond line\nlast without end";
  static const char *const wanted[] = {"first", "second line", "last without end"};
  Records records;
  assert_ok(read_prompts(write_file("a.txt", text, sizeof text - 1), NULL, &records));
  assert_int_equal(records.count, 3);
  for (size_t i = 0; i < 3; i++) assert_string_equal(records.rows[i].messages[0].content, wanted[i]);
  records_free(&records);
  assert_ok(read_prompts(write_file("a.txt", "", 0), NULL, &records));
  assert_int_equal(records.count, 0);
  assert_fails(read_prompts(write_file("a.txt", "one\nt\0wo\n", 9), NULL, &records), STATUS_INPUT,
               "line 2: contains a NUL");
  assert_fails(read_prompts(DATA "missing", NULL, &records), STATUS_INPUT, "No such file");
}

static void reads_json_lines(void **state) {
  (void)state;
  static const char text[] =
      "{\"p\": \"one\", \"q\": 1}\n\n{\"p\": null}\n{\"p\": \"  \"}\n"
      "{\"p\": [{\"role\": \"user\", \"content\": \"two\"}, null,"
      " {\"role\": \"assistant\", \"content\": null}]}\n{\"p\": []}\r\n{\"p\": \"thr\\u00e9e\"}";
  Records records;
  assert_ok(read_prompts(write_file("a.jsonl", text, sizeof text - 1), "p", &records));
  assert_int_equal(records.count, 3);
  assert_null(records.rows[0].messages[0].role);
  assert_string_equal(records.rows[0].messages[0].content, "one");
  assert_int_equal(records.rows[1].count, 1);
  assert_string_equal(records.rows[1].messages[0].role, "user");
  assert_string_equal(records.rows[1].messages[0].content, "two");
  assert_string_equal(records.rows[2].messages[0].content, "thr\xc3\xa9"
                                                           "e");
  records_free(&records);
}

static void reads_a_json_list(void **state) {
  (void)state;
  static const char text[] = " [{\"p\": \"one\"},\n {\"p\": \"two\"}]\n";
  Records records;
  assert_ok(read_prompts(write_file("a.json", text, sizeof text - 1), "p", &records));
  assert_int_equal(records.count, 2);
  assert_string_equal(records.rows[1].messages[0].content, "two");
  records_free(&records);
  assert_fails(read_prompts(write_file("a.json", "[{\"p\": \"one\"}, 3]", 17), "p", &records), STATUS_INPUT,
               "entry 1: not a JSON object");
}

static void names_what_is_wrong_with_json_lines(void **state) {
  (void)state;
  static const struct {
    const char *text, *part;
  } cases[] = {{"{\"p\": \"x\"}\n{\"q\": 1, \"r\": 2}", "line 2: no member \"p\"; there are: q, r"},
               {"{}", "there are: none"},
               {"{\"p\": 7}", "line 1: \"p\" must be a string, a list of strings, or a list of"},
               {"{\"p\": \"x\"}\n[1]", "line 2: not a JSON object"},
               {"{\"p\": \"x\"}\n{\"p\": ", "line 2: not valid JSON"},
               {"{\"p\": [{\"content\": \"x\"}]}", "\"role\" is missing"},
               {"{\"p\": [{\"role\": \"user\", \"content\": 3}]}", "\"content\" is a number"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Records records;
    assert_fails(read_prompts(write_file("bad.jsonl", cases[i].text, strlen(cases[i].text)), "p", &records),
                 STATUS_INPUT, cases[i].part);
    assert_true(test_contains(status_message(), "bad.jsonl"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_every_parquet_form),
      cmocka_unit_test(reads_older_lists),
      cmocka_unit_test(reads_an_empty_table),
      cmocka_unit_test(names_what_is_wrong_with_parquet),
      cmocka_unit_test(reads_the_methods_headline_data),
      cmocka_unit_test(limits_what_a_file_claims),
      cmocka_unit_test(reads_text),
      cmocka_unit_test(reads_json_lines),
      cmocka_unit_test(reads_a_json_list),
      cmocka_unit_test(names_what_is_wrong_with_json_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
