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

// Only \u0000 passes: everything else is checked as always.
static void keeps_what_stands_beside_a_nul(void **state) {
  (void)state;
  static const char text[] = "{\"answer\": \"a\\u0000\\\\u0000\\\"\", \"step\": 7, \"last\": \"b\"}";
  static const char *const refused[] = {"{\"a\": \"\\u0000\", \"b\": 01}", "[\"\\ud800\"]", "[\"\\u000\"]",
                                        "[\"\\u0000]"};
  cJSON *root = NULL;
  int64_t step = 0;
  assert_fails(json_parse(text, strlen(text), "in", &root), STATUS_INPUT, "contains a NUL byte, as \\u0000");
  assert_ok(json_parse_with_nul(text, strlen(text), "in", &root));
  assert_ok(json_get_integer(root, "step", "in", 0, 10, &step));
  assert_int_equal(step, 7);
  assert_string_equal(cJSON_GetObjectItemCaseSensitive(root, "answer")->valuestring,
                      "a\xEF\xBF\xBD\\u0000\"");
  assert_string_equal(cJSON_GetObjectItemCaseSensitive(root, "last")->valuestring, "b");
  cJSON_Delete(root);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    assert_fails(json_parse_with_nul(refused[i], strlen(refused[i]), "in", &root), STATUS_INPUT,
                 "not valid JSON");
  assert_fails(json_parse_with_nul("[\"\0\"]", 5, "in", &root), STATUS_INPUT, "contains a NUL byte");
}

/// What cJSON alone reads otherwise than Python's json module.
static void refuses_what_python_refuses(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t size;
    const char *part;
  } cases[] = {{"{\"a\": \"b\0c\"}", 12, "contains a NUL byte, so it is not text (line 1, byte 8)"},
               {"{\"a\": 1}\0\0", 10, "contains a NUL byte"},
               {"{\"a\":\n \"b\\u0000c\"}", 18, "contains a NUL byte, as \\u0000, so it is not text (line 2"},
               {"{\"b\\u0000c\": 1}", 16, "contains a NUL byte"},
               {"[\"\xe9\"]", 5, "not UTF-8: byte 2 is 0xE9 (line 1); save it as UTF-8"},
               {"[\"\xc3\"]", 5, "not UTF-8"},
               {"[\"\xed\xa0\x80\"]", 7, "not UTF-8"},
               {"[\"\\udc00\"]", 10, "\\udc00 is half of a character"},
               {"[\"\\ud83d x\"]", 12, "\\ud83d is half of a character"},
               {"[\"\\ud83d\\u0041\"]", 16, "\\ud83d is half of a character"},
               {"[\"\\u12x4\"]", 10, "\\u without four hexadecimal digits"},
               {"[01]", 4, "01 is not a number"},
               {"[1.]", 4, "1. is not a number"},
               {"[-]", 3, "- is not a number"},
               {"[NaN]", 5, "NaN and Infinity are not numbers"},
               {"[-Infinity]", 11, "NaN and Infinity are not numbers"},
               {"[1,]", 4, "not valid JSON"},
               {"{\"a\": 1,}", 9, "not valid JSON"},
               {"{\"a\": 1} // end", 15, "after the end"},
               {"{'a': 1}", 8, "not valid JSON"},
               {"[\x0c"
                "1]",
                4, "a control character"},
               {"[None]", 6, "not valid JSON"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cJSON *value = NULL;
    assert_fails(json_parse(cases[i].text, cases[i].size, "x.json", &value), STATUS_INPUT, cases[i].part);
    assert_null(value);
  }
}

static void reads_what_python_reads(void **state) {
  (void)state;
  cJSON *value =
      parse("\xef\xbb\xbf{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}, \"a\": \"\\ud83d\\ude42\", \"n\": 0."
            "1234567891234567891234567891234567891234567891234567891234567891234567891234567891234}");
  const char *text = NULL;
  const cJSON *inner = NULL;
  int64_t integer = 0;
  double number = 0;
  assert_int_equal(cJSON_GetArraySize(value), 3); // of the members "a" the last one counts
  assert_ok(json_get_string(value, "a", "x.json", &text));
  assert_string_equal(text, "\xf0\x9f\x99\x82");
  assert_ok(json_get_object(value, "b", "x.json", &inner));
  assert_ok(json_get_integer(inner, "c", "x.json", 0, 9, &integer));
  assert_int_equal(integer, 2);
  assert_ok(json_get_number(value, "n", "x.json", &number)); // cJSON reads 63 characters
  assert_true(number == 0.12345678912345678);
  cJSON_Delete(value);
  assert_fails(json_parse_unique("{\"t\": {}, \"u\": {}, \"t\": {}}", 27, "x", &value), STATUS_INPUT,
               "x: \"t\" appears twice");
  assert_null(value);
  assert_ok(json_parse_unique("{\"t\": {\"u\": 1}, \"u\": {}}", 24, "x", &value));
  cJSON_Delete(value);
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
      cmocka_unit_test(refuses_what_python_refuses),
      cmocka_unit_test(keeps_what_stands_beside_a_nul),
      cmocka_unit_test(reads_what_python_reads),
      cmocka_unit_test(refuses_deep_nesting),
      cmocka_unit_test(reads_to_the_last_byte_of_a_page),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
