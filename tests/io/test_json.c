// Reading JSON, and the message for each kind of wrong input.
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *parse(const char *text) {
  cJSON *value = NULL;
  assert_ok(json_parse(text, strlen(text), "x.json", &value));
  return value;
}

static void assert_refused(const char *text, const char *part) {
  cJSON *value = NULL;
  assert_fails(json_parse(text, strlen(text), "x.json", &value), STATUS_INPUT, part);
  assert_null(value);
}

static void reads_members(void **state) {
  (void)state;
  cJSON *object = parse(" {\"n\": 7, \"f\": 2.5, \"s\": \"\\u00e9\", \"a\": [1], \"o\": {}, \"z\": null} \n");
  int64_t integer = 0;
  double number = 0;
  const char *text = NULL;
  const cJSON *value = NULL;
  assert_ok(json_get_integer(object, "n", "x.json", 0, 7, &integer));
  assert_int_equal(integer, 7);
  assert_ok(json_get_number(object, "f", "x.json", &number));
  assert_true(number == 2.5);
  assert_ok(json_get_string(object, "s", "x.json", &text));
  assert_string_equal(text, "\xc3\xa9");
  assert_ok(json_get_array(object, "a", "x.json", &value));
  assert_int_equal(cJSON_GetArraySize(value), 1);
  assert_ok(json_get_object(object, "o", "x.json", &value));
  assert_true(json_has(object, "n"));
  assert_false(json_has(object, "z"));
  assert_false(json_has(object, "missing"));
  assert_false(json_has(object, "N"));
  cJSON_Delete(object);
}

static void names_what_is_wrong(void **state) {
  (void)state;
  cJSON *object = parse("{\"n\": 7, \"f\": 2.5, \"s\": \"t\", \"big\": 1e300, \"over\": 1e999, \"l\": []}");
  int64_t integer = 0;
  double number = 0;
  const char *text = NULL;
  const cJSON *value = NULL;
  assert_fails(json_get_integer(object, "m", "x.json", 0, 9, &integer), STATUS_INPUT,
               "x.json: \"m\" is missing");
  assert_fails(json_get_integer(object, "n", "x.json", 8, 9, &integer), STATUS_INPUT,
               "\"n\" is 7, but must be from 8 to 9");
  assert_fails(json_get_integer(object, "f", "x.json", 0, 9, &integer), STATUS_INPUT, "whole number");
  assert_fails(json_get_integer(object, "s", "x.json", 0, 9, &integer), STATUS_INPUT,
               "is a string, but must be a number");
  assert_fails(json_get_integer(object, "big", "x.json", INT64_MIN, INT64_MAX, &integer), STATUS_INPUT,
               "whole number");
  assert_fails(json_get_number(object, "over", "x.json", &number), STATUS_INPUT, "too large");
  assert_fails(json_get_string(object, "n", "x.json", &text), STATUS_INPUT,
               "is a number, but must be a string");
  assert_fails(json_get_array(object, "n", "x.json", &value), STATUS_INPUT, "must be a list");
  assert_fails(json_get_object(object, "l", "x.json", &value), STATUS_INPUT,
               "is a list, but must be an object");
  assert_fails(json_get_object(cJSON_GetObjectItem(object, "l"), "k", "x.json", &value), STATUS_INPUT,
               "not a JSON object");
  cJSON_Delete(object);
}

static void refuses_broken_text(void **state) {
  (void)state;
  assert_refused("", "empty");
  assert_refused(" \n\t", "empty");
  assert_refused("{\"a\": 1,\n \"b\": }", "line 2");
  assert_refused("{\"a\": 1} x", "after the end");
  assert_refused("{\"a\":1,", "not valid JSON"); // cJSON before 1.7.18 reads past the end here
  assert_refused("\"\\u12", "not valid JSON");
  assert_refused("\"\\ud800\"", "not valid JSON");
  assert_refused("nul", "not valid JSON");
}

static void refuses_deep_nesting(void **state) {
  (void)state;
  enum { DEPTH = 200000 };
  char *text = malloc(2 * DEPTH);
  cJSON *value = NULL;
  assert_non_null(text);
  memset(text, '[', DEPTH);
  memset(text + DEPTH, ']', DEPTH);
  assert_fails(json_parse(text, 2 * DEPTH, "deep.json", &value), STATUS_INPUT, "nested deeper than 1000");
  for (size_t i = 0; i < 2 * DEPTH; i += 5) memcpy(text + i, "{\"a\":", 5);
  assert_fails(json_parse(text, 2 * DEPTH, "deep.json", &value), STATUS_INPUT, "nested deeper than 1000");
  free(text);
}

/// If a file fills its last page, reading one byte more would crash.
static void reads_to_the_last_byte_of_a_page(void **state) {
  (void)state;
  const char *folder = test_folder();
  char path[600], *text = malloc(4096);
  cJSON *value = NULL;
  assert_non_null(text);
  (void)snprintf(path, sizeof path, "%s/page.json", folder);
  memset(text, ' ', 4096);
  memcpy(text + 4096 - 7, "{\"a\":1}", 7);
  assert_ok(file_write_atomic(path, text, 4096));
  assert_ok(json_parse_file(path, &value));
  cJSON_Delete(value);
  memcpy(text + 4096 - 7, "{\"a\":1,", 7);
  assert_ok(file_write_atomic(path, text, 4096));
  assert_fails(json_parse_file(path, &value), STATUS_INPUT, "page.json: not valid JSON");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_members),
      cmocka_unit_test(names_what_is_wrong),
      cmocka_unit_test(refuses_broken_text),
      cmocka_unit_test(refuses_deep_nesting),
      cmocka_unit_test(reads_to_the_last_byte_of_a_page),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
