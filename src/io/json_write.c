// JSON as a stream of text. Rule: after the first failure nothing more is added and no text is given out.
// Numbers and escapes are cJSON's, so that files keep the bytes they had when cJSON wrote them.
#include "io/json_write.h"

#include "io/file.h"
#include "util/utf8.h"
#include <cjson/cJSON.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char out_of_memory[] = "out of memory";

static void fail(JsonWriter *json, const char *fault) {
  if (json->fault == NULL) json->fault = fault;
}

static void put(JsonWriter *json, const char *bytes, size_t size) {
  if (json->fault != NULL) return;
  if (str_append(&json->text, bytes, size) != STATUS_OK) fail(json, out_of_memory);
}

static void put_text(JsonWriter *json, const char *text) {
  put(json, text, strlen(text));
}

static char innermost(const JsonWriter *json) {
  return json->open.size > 0 ? json->open.data[json->open.size - 1] : '\0';
}

static void put_line_break(JsonWriter *json, size_t depth) {
  put_text(json, "\n");
  for (size_t i = 0; i < depth; i++) put_text(json, "\t");
}

// ---- strings ----

/// Puts a character that JSON requires to be escaped: a quote, a backslash or a control character.
static void put_escaped(JsonWriter *json, char c) {
  static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
  const char *found = c != '\0' ? strchr(plain, c) : NULL;
  char escape[8];
  if (found != NULL) {
    (void)snprintf(escape, sizeof escape, "\\%c", letters[found - plain]);
  } else {
    (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)c);
  }
  put_text(json, escape);
}

static bool needs_escape(char c) {
  return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/// Puts well-formed UTF-8.
static void put_valid(JsonWriter *json, const char *bytes, size_t size) {
  for (size_t at = 0; at < size;) {
    size_t end = at;
    while (end < size && !needs_escape(bytes[end])) end++;
    put(json, bytes + at, end - at);
    if (end < size) put_escaped(json, bytes[end++]);
    at = end;
  }
}

static void put_string(JsonWriter *json, const char *bytes, size_t size) {
  put_text(json, "\"");
  for (size_t at = 0; at < size;) {
    size_t good = utf8_valid_prefix(bytes + at, size - at);
    put_valid(json, bytes + at, good);
    at += good;
    if (at == size) break;
    put_text(json, "\xEF\xBF\xBD");
    at += utf8_read(bytes + at, size - at).size;
  }
  put_text(json, "\"");
}

// ---- structure ----

/// Puts what comes before a value: a comma if there is a value before it and, in an object, the key.
static void begin_value(JsonWriter *json, const char *key) {
  char inside = innermost(json);
  bool in_object = inside == '{', pretty = json->layout == JSON_PRETTY;
  if (in_object && key == NULL) fail(json, "a member without a key");
  if (!in_object && key != NULL) fail(json, "a key outside an object");
  if (inside == '\0' && json->text.size > 0) fail(json, "a second value after the first");
  if (json->has_member) put_text(json, ",");
  if (in_object && pretty) {
    put_line_break(json, json->open.size);
  } else if (json->has_member && json->layout != JSON_COMPACT) {
    put_text(json, " ");
  }
  json->has_member = inside != '\0';
  if (key == NULL) return;
  put_string(json, key, strlen(key));
  put_text(json, pretty ? ":\t" : json->layout == JSON_SPACED ? ": " : ":");
}

static void begin(JsonWriter *json, const char *key, const char *bracket) {
  begin_value(json, key);
  put_text(json, bracket);
  if (json->fault == NULL && str_append(&json->open, bracket, 1) != STATUS_OK) fail(json, out_of_memory);
  json->has_member = false;
}

static void end(JsonWriter *json, char opened, const char *bracket) {
  if (innermost(json) != opened) fail(json, "an end without its beginning");
  if (json->fault != NULL) return;
  json->open.size--;
  if (opened == '{' && json->layout == JSON_PRETTY) put_line_break(json, json->open.size);
  put_text(json, bracket);
  json->has_member = json->open.size > 0;
}

void json_object_begin(JsonWriter *json, const char *key) {
  begin(json, key, "{");
}

void json_object_end(JsonWriter *json) {
  end(json, '{', "}");
}

void json_array_begin(JsonWriter *json, const char *key) {
  begin(json, key, "[");
}

void json_array_end(JsonWriter *json) {
  end(json, '[', "]");
}

// ---- values ----

static void put_value(JsonWriter *json, const char *key, const char *text) {
  begin_value(json, key);
  put_text(json, text);
}

void json_bytes(JsonWriter *json, const char *key, const char *bytes, size_t size) {
  begin_value(json, key);
  put_string(json, bytes, size);
}

void json_string(JsonWriter *json, const char *key, const char *text) {
  if (text == NULL) {
    fail(json, "a string that is NULL");
    return;
  }
  json_bytes(json, key, text, strlen(text));
}

void json_integer(JsonWriter *json, const char *key, int64_t value) {
  char text[32];
  (void)snprintf(text, sizeof text, "%" PRId64, value);
  put_value(json, key, text);
}

/// cJSON's test of whether 15 digits are enough.
static bool nearly_equal(double a, double b) {
  return fabs(a - b) <= fmax(fabs(a), fabs(b)) * DBL_EPSILON;
}

void json_print_number(char out[JSON_NUMBER_SIZE], double value) {
  (void)snprintf(out, JSON_NUMBER_SIZE, isfinite(value) ? "%.15g" : "null", value);
  if (isfinite(value) && !nearly_equal(strtod(out, NULL), value))
    (void)snprintf(out, JSON_NUMBER_SIZE, "%.17g", value);
}

void json_number(JsonWriter *json, const char *key, double value) {
  char text[JSON_NUMBER_SIZE];
  json_print_number(text, value);
  put_value(json, key, text);
}

void json_exact(JsonWriter *json, const char *key, double value) {
  char text[32] = "null";
  bool same = false;
  for (int digits = 15; digits <= 17 && isfinite(value) && !same; digits++) {
    (void)snprintf(text, sizeof text, "%.*g", digits, value);
    double read = strtod(text, NULL);
    same = !(read < value) && !(read > value);
  }
  put_value(json, key, text);
}

void json_float(JsonWriter *json, const char *key, float value) {
  char text[32] = "null";
  if (isfinite(value)) (void)snprintf(text, sizeof text, "%.9g", (double)value);
  put_value(json, key, text);
}

void json_bool(JsonWriter *json, const char *key, bool value) {
  put_value(json, key, value ? "true" : "false");
}

void json_null(JsonWriter *json, const char *key) {
  put_value(json, key, "null");
}

void json_integers(JsonWriter *json, const char *key, const int32_t *values, size_t count) {
  json_array_begin(json, key);
  for (size_t i = 0; i < count; i++) json_integer(json, NULL, values[i]);
  json_array_end(json);
}

// ---- finishing ----

void json_tree(JsonWriter *json, const char *key, const struct cJSON *value) {
  bool list = cJSON_IsArray(value);
  if (cJSON_IsString(value)) json_string(json, key, value->valuestring);
  if (cJSON_IsNumber(value)) json_exact(json, key, value->valuedouble);
  if (cJSON_IsBool(value)) json_bool(json, key, cJSON_IsTrue(value));
  if (cJSON_IsNull(value)) json_null(json, key);
  if (!list && !cJSON_IsObject(value)) return;
  if (list)
    json_array_begin(json, key);
  else
    json_object_begin(json, key);
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, value) json_tree(json, list ? NULL : member->string, member);
  if (list)
    json_array_end(json);
  else
    json_object_end(json);
}

void json_continue(JsonWriter *json, const char *object, size_t size) {
  begin_value(json, NULL);
  bool whole = size > 2 && object[0] == '{' && object[size - 1] == '}';
  if (!whole) fail(json, "an object to continue that is none");
  if (json->fault == NULL && (str_append(&json->text, object, size - 1) != STATUS_OK ||
                              str_append_text(&json->open, "{") != STATUS_OK))
    fail(json, out_of_memory);
  json->has_member = true;
}

Status json_finish(JsonWriter *json, const char *name, Str *out) {
  Status status = STATUS_OK;
  *out = (Str){0};
  if (json->open.size > 0) fail(json, "an object or a list without its end");
  if (json->text.size == 0) fail(json, "no value");
  if (json->fault == NULL) {
    *out = json->text;
    json->text = (Str){0};
  } else if (json->fault == out_of_memory) {
    status = status_fail(STATUS_FAILED, "%s: out of memory for its JSON", name);
  } else {
    status = status_fail(STATUS_FAILED, "%s: gee-cl made no proper JSON: %s", name, json->fault);
  }
  json_free(json);
  return status;
}

Status json_save(JsonWriter *json, const char *directory, const char *name) {
  Status status = STATUS_OK;
  Str text = {0};
  char *path = NULL;
  TRY_CLEAN(json_finish(json, name, &text));
  TRY_CLEAN(path_join(&path, directory, name));
  TRY_CLEAN(file_write_atomic(path, text.data, text.size));
cleanup:
  str_free(&text);
  free(path);
  return status;
}

void json_free(JsonWriter *json) {
  if (json == NULL) return;
  str_free(&json->text);
  str_free(&json->open);
  json->has_member = false;
  json->fault = NULL;
}
