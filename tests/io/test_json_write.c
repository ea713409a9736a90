// The JSON writer: the same bytes as cJSON, three layouts, and a failure that is remembered to the end.
#include "io/file.h"
#include "io/json.h"
#include "io/json_write.h"
#include "support/json_tree.h"
#include "support/test.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Finishes and compares.
static void assert_text(JsonWriter *json, const char *expected) {
  Str text = {0};
  assert_ok(json_finish(json, "x.json", &text));
  assert_string_equal(str_text(&text), expected);
  str_free(&text);
}

static void assert_fault(JsonWriter *json, const char *message) {
  Str text = {0};
  assert_fails(json_finish(json, "x.json", &text), STATUS_FAILED, message);
  assert_null(text.data);
  assert_null(json->text.data);
}

static void write_sample(JsonWriter *json) {
  json_object_begin(json, NULL);
  json_integers(json, "ids", (const int32_t[]){1, -2, 3}, 3);
  json_object_begin(json, "empty");
  json_object_end(json);
  json_array_begin(json, "none");
  json_array_end(json);
  json_array_begin(json, "list");
  json_object_begin(json, NULL);
  json_number(json, "half", 0.5);
  json_bool(json, "yes", true);
  json_object_end(json);
  json_null(json, NULL);
  json_string(json, NULL, "x");
  json_array_begin(json, NULL);
  json_bool(json, NULL, false);
  json_array_end(json);
  json_array_end(json);
  json_string(json, "last", "");
  json_object_end(json);
}

static const char compact[] =
    "{\"ids\":[1,-2,3],\"empty\":{},\"none\":[],\"list\":[{\"half\":0.5,\"yes\":true},"
    "null,\"x\",[false]],\"last\":\"\"}";

static void writes_the_layouts(void **state) {
  (void)state;
  JsonWriter json = {0};
  write_sample(&json);
  assert_text(&json, compact);
  json.layout = JSON_SPACED;
  write_sample(&json);
  assert_text(&json, "{\"ids\": [1, -2, 3], \"empty\": {}, \"none\": [], \"list\": [{\"half\": 0.5, \"yes\": "
                     "true}, null, \"x\", [false]], \"last\": \"\"}");
}

/// Writes what cJSON reads from `text` in both of cJSON's layouts and compares with cJSON's own output.
static void assert_as_cjson(const char *text) {
  cJSON *value = NULL;
  assert_ok(json_parse(text, strlen(text), "x.json", &value));
  for (int pretty = 0; pretty < 2; pretty++) {
    char *expected = pretty ? cJSON_Print(value) : cJSON_PrintUnformatted(value);
    assert_non_null(expected);
    JsonWriter json = {.layout = pretty ? JSON_PRETTY : JSON_COMPACT};
    json_tree_write(&json, NULL, value);
    assert_text(&json, expected);
    free(expected);
  }
  cJSON_Delete(value);
}

static void writes_the_bytes_of_cjson(void **state) {
  (void)state;
  assert_as_cjson(compact);
  assert_as_cjson("{}");
  assert_as_cjson("[]");
  assert_as_cjson("[[], {}, [{}], [[{\"a\": {\"b\": [{\"c\": {}}, 1]}}]]]");
  assert_as_cjson("\"top\"");
  assert_as_cjson("\" \\\" \\\\ / \\b \\f \\n \\r \\t \\u0001 \\u001f \\u007f \\u00e4 \\ud83d\\ude00\"");
  assert_as_cjson("{\"k\\n\\\"\": \"v\"}");
  assert_as_cjson("{\"\": null}");
}

static void assert_number_as_cjson(double value) {
  cJSON *number = cJSON_CreateNumber(value);
  char *expected = cJSON_PrintUnformatted(number);
  assert_non_null(expected);
  JsonWriter json = {0};
  json_number(&json, NULL, value);
  assert_text(&json, expected);
  free(expected);
  cJSON_Delete(number);
}

static void writes_the_numbers_of_cjson(void **state) {
  (void)state;
  static const double values[] = {0,
                                  1,
                                  -1,
                                  0.1,
                                  1.0 / 3,
                                  1e-5,
                                  5e-324,
                                  DBL_MAX,
                                  DBL_MIN,
                                  2147483647,
                                  1e15,
                                  1e16,
                                  123456.5,
                                  1e300,
                                  -1e-7,
                                  3e9,
                                  HUGE_VAL,
                                  -HUGE_VAL,
                                  NAN,
                                  1875e-7,
                                  2.0e-4,
                                  0.3,
                                  0.1f,
                                  1e21,
                                  9007199254740992.0,
                                  9007199254740993.0};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) assert_number_as_cjson(values[i]);
  for (uint64_t i = 0, bits = 1; i < 20000; i++) {
    double value;
    bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    memcpy(&value, &bits, sizeof value);
    assert_number_as_cjson(value);
    assert_number_as_cjson((double)(int64_t)bits / 9223372036854775808.0);
  }
}

static void writes_integers_and_floats(void **state) {
  (void)state;
  JsonWriter json = {0};
  json_array_begin(&json, NULL);
  json_integer(&json, NULL, INT64_MIN);
  json_integer(&json, NULL, INT64_MAX);
  json_float(&json, NULL, 0.1f);
  json_float(&json, NULL, -16777216.0f);
  json_float(&json, NULL, NAN);
  json_array_end(&json);
  assert_text(&json, "[-9223372036854775808,9223372036854775807,0.100000001,-16777216,null]");
}

static void assert_exact(double value, const char *expected) {
  JsonWriter json = {0};
  Str text = {0};
  json_exact(&json, NULL, value);
  assert_ok(json_finish(&json, "a number", &text));
  assert_string_equal(text.data, expected);
  str_free(&text);
}

/// Also where json_number does not: cJSON takes a neighbour for the same.
static void exact_numbers_read_back_as_the_same_bits(void **state) {
  (void)state;
  assert_exact(0.1, "0.1");
  assert_exact(-140.86549186706543, "-140.86549186706543");
  assert_exact(5e-324, "4.94065645841247e-324");
  assert_exact(-INFINITY, "null");
  assert_exact(NAN, "null");
  for (unsigned i = 0; i < 20000; i++) {
    uint64_t bits = UINT64_C(0x9E3779B97F4A7C15) * (i + 1);
    double value = 0;
    char text[40];
    memcpy(&value, &bits, sizeof value);
    if (i % 2 == 0) value = (double)i / 7;
    if (!isfinite(value)) continue;
    JsonWriter json = {0};
    Str out = {0};
    json_exact(&json, NULL, value);
    assert_ok(json_finish(&json, "a number", &out));
    (void)snprintf(text, sizeof text, "%s", out.data);
    str_free(&out);
    double back = strtod(text, NULL);
    assert_memory_equal(&back, &value, sizeof value);
  }
}

static void an_object_is_continued(void **state) {
  (void)state;
  JsonWriter json = {.layout = JSON_SPACED};
  Str text = {0};
  json_continue(&json, "{\"a\": {\"b\": 1}}", 15);
  json_integer(&json, "c", 2);
  json_object_end(&json);
  assert_ok(json_finish(&json, "an object", &text));
  assert_string_equal(text.data, "{\"a\": {\"b\": 1}, \"c\": 2}");
  str_free(&text);
  static const char *const none[] = {"", "{}", "[1]", "{\"a\": 1"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    json_continue(&json, none[i], strlen(none[i]));
    assert_fails(json_finish(&json, "an object", &text), STATUS_FAILED, "no proper JSON");
  }
}

static void writes_invalid_utf8(void **state) {
  (void)state;
  JsonWriter json = {0};
  json_array_begin(&json, NULL);
  json_bytes(&json, NULL, "a\0b", 3);
  json_bytes(&json, NULL, "\xff\xc3\xa4\xe2\x82", 5); // a stray byte, a letter, a character cut off
  json_bytes(&json, NULL, "\xed\xa0\x80", 3);         // half of a surrogate pair: three stray bytes
  json_bytes(&json, NULL, NULL, 0);
  json_array_end(&json);
  assert_text(&json,
              "[\"a\\u0000b\",\"\xEF\xBF\xBD\xC3\xA4\xEF\xBF\xBD\",\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\","
              "\"\"]");
}

static void refuses_misuse(void **state) {
  (void)state;
  JsonWriter json = {0};
  assert_fault(&json, "x.json: gee-cl made no proper JSON: no value");
  json_object_begin(&json, NULL);
  assert_fault(&json, "an object or a list without its end");
  json_object_begin(&json, NULL);
  json_array_end(&json);
  json_object_end(&json); // nothing is open
  assert_fault(&json, "an end without its beginning");
  json_object_end(&json);
  assert_fault(&json, "an end without its beginning");
  json_object_begin(&json, NULL);
  json_null(&json, NULL);
  json_object_end(&json);
  assert_fault(&json, "a member without a key");
  json_array_begin(&json, NULL);
  json_integer(&json, "r", 8);
  json_array_end(&json);
  assert_fault(&json, "a key outside an object");
  json_integer(&json, "r", 8);
  assert_fault(&json, "a key outside an object");
  json_null(&json, NULL);
  json_null(&json, NULL);
  assert_fault(&json, "a second value after the first");
  json_string(&json, NULL, NULL);
  assert_fault(&json, "a string that is NULL");
  json_null(&json, NULL); // after a failure the writer can be used again
  assert_text(&json, "null");
}

static void saves_whole_files_or_none(void **state) {
  (void)state;
  const char *folder = test_folder();
  char path[600];
  (void)snprintf(path, sizeof path, "%s/a.json", folder);
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  assert_fails(json_save(&json, folder, "a.json"), STATUS_FAILED, "a.json: ");
  assert_false(file_exists(path));
  json_object_begin(&json, NULL);
  json_integer(&json, "a", 1);
  json_object_end(&json);
  assert_ok(json_save(&json, folder, "a.json"));
  MappedFile file = {0};
  assert_ok(file_map(path, &file));
  assert_int_equal(file.size, strlen("{\n\t\"a\":\t1\n}"));
  assert_memory_equal(file.bytes, "{\n\t\"a\":\t1\n}", file.size);
  file_unmap(&file);
  json_null(&json, NULL);
  assert_fails(json_save(&json, "/dev/null", "a.json"), STATUS_FAILED, "/dev/null/a.json");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writes_the_layouts),
      cmocka_unit_test(writes_the_bytes_of_cjson),
      cmocka_unit_test(writes_the_numbers_of_cjson),
      cmocka_unit_test(writes_integers_and_floats),
      cmocka_unit_test(writes_invalid_utf8),
      cmocka_unit_test(exact_numbers_read_back_as_the_same_bits),
      cmocka_unit_test(an_object_is_continued),
      cmocka_unit_test(refuses_misuse),
      cmocka_unit_test(saves_whole_files_or_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
