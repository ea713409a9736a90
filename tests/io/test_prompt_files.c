// Prompt files as users have them, read as datasets, pandas, pyarrow and Python's json and csv read them, or
// refused by name (tests/io/make_prompt_files.py).
#include "support/test.h"

#include "io/json.h"
#include "io/records.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA GEE_SOURCE_DIR "/tests/io/data/prompts/"

/// expected.json, for the whole program.
static cJSON *expected;

static const cJSON *member(const cJSON *object, const char *name) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
  if (value == NULL) fail_msg("expected.json has no %s", name);
  return value;
}

static Status read_case(const cJSON *test, Records *out) {
  static char path[600];
  (void)snprintf(path, sizeof path, DATA "%s", member(test, "file")->valuestring);
  return records_read(&(RecordSource){.path = path, .column = cJSON_GetStringValue(member(test, "column"))},
                      out);
}

/// `wanted` is a text, or a list of [role, content].
static void assert_row(const Record *row, const cJSON *wanted, const char *file) {
  if (cJSON_IsString(wanted)) {
    assert_int_equal(row->count, 1);
    if (row->messages[0].role != NULL || strcmp(row->messages[0].content, wanted->valuestring) != 0)
      fail_msg("%s: \"%s\", not \"%s\"", file, row->messages[0].content, wanted->valuestring);
    return;
  }
  if (row->count != (size_t)cJSON_GetArraySize(wanted))
    fail_msg("%s: a row of %zu messages, not %d", file, row->count, cJSON_GetArraySize(wanted));
  for (size_t m = 0; m < row->count; m++) {
    const RecordMessage *message = &row->messages[m];
    const cJSON *pair = cJSON_GetArrayItem(wanted, (int)m);
    const char *role = message->role != NULL ? message->role : "(none)";
    if (strcmp(role, pair->child->valuestring) != 0 ||
        strcmp(message->content, pair->child->next->valuestring) != 0)
      fail_msg("%s: %s says \"%s\", but %s says \"%s\"", file, role, message->content,
               pair->child->valuestring, pair->child->next->valuestring);
  }
}

static void reads_what_others_read(void **state) {
  (void)state;
  size_t files = 0;
  for (const cJSON *test = member(expected, "read")->child; test != NULL; test = test->next, files++) {
    const char *file = member(test, "file")->valuestring;
    const cJSON *rows = member(test, "rows");
    size_t wanted = (size_t)cJSON_GetArraySize(rows), empty = (size_t)member(test, "empty")->valueint;
    Records records;
    if (read_case(test, &records) != STATUS_OK) fail_msg("%s: %s", file, status_message());
    if (records.count != wanted) fail_msg("%s: %zu rows, not %zu", file, records.count, wanted);
    for (size_t i = 0; i < records.count; i++)
      assert_row(&records.rows[i], cJSON_GetArrayItem(rows, (int)i), file);
    if (records.counts.empty != empty || records.counts.rows != wanted + empty)
      fail_msg("%s: %zu rows, %zu of them empty, not %zu", file, records.counts.rows, records.counts.empty,
               empty);
    records_free(&records);
  }
  assert_in_range(files, 50, 1000);
}

static void refuses_by_name(void **state) {
  (void)state;
  size_t files = 0;
  for (const cJSON *test = member(expected, "refused")->child; test != NULL; test = test->next, files++) {
    Records records;
    Status status = read_case(test, &records);
    if (status != STATUS_INPUT) fail_msg("%s was read", member(test, "file")->valuestring);
    assert_fails(status, STATUS_INPUT, member(test, "message")->valuestring);
    assert_true(test_contains(status_message(), member(test, "file")->valuestring));
  }
  assert_in_range(files, 25, 1000);
}

static int load_expected(void **state) {
  (void)state;
  return json_parse_file(DATA "expected.json", &expected) == STATUS_OK ? 0 : -1;
}

static int free_expected(void **state) {
  (void)state;
  cJSON_Delete(expected);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_what_others_read),
      cmocka_unit_test(refuses_by_name),
  };
  return cmocka_run_group_tests(tests, load_expected, free_expected);
}
