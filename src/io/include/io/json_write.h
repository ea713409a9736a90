// Writing JSON. Rule: only this writer makes JSON; cJSON is for reading. The writer remembers its first
// failure, so callers check only json_finish or json_save, and an incomplete text is never given out:
//
//   JsonWriter json = {.layout = JSON_PRETTY};
//   json_object_begin(&json, NULL);
//   json_integer(&json, "r", 8);
//   json_array_begin(&json, "target_modules");
//   for (...) json_string(&json, NULL, names[i]);
//   json_array_end(&json);
//   json_object_end(&json);
//   return json_save(&json, directory, "adapter_config.json");
//
// If anything else can fail in between, put json_free(&json) under `cleanup:`.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum JsonLayout {
  JSON_COMPACT, // {"a":[1,2]}
  JSON_SPACED,  // {"a": [1, 2]}
  JSON_PRETTY,  // one member per line, indented by tabs; lists on one line
} JsonLayout;

/// Zero-initialise and, if need be, set the layout; the rest is private.
typedef struct JsonWriter {
  JsonLayout layout;
  Str text;
  Str open;          // '{' or '[' for each open object and list, outermost first
  bool has_member;   // the innermost has a member, so the next one needs a comma
  const char *fault; // the first failure; NULL: none yet
} JsonWriter;

/// `key` is the value's key inside an object, and NULL inside a list and at the top. Duplicate keys are not
/// noticed. Keys and text are UTF-8; each maximal ill-formed part becomes U+FFFD (util/utf8.h).
void json_object_begin(JsonWriter *json, const char *key);
void json_object_end(JsonWriter *json);
void json_array_begin(JsonWriter *json, const char *key);
void json_array_end(JsonWriter *json);
void json_string(JsonWriter *json, const char *key, const char *text);
/// A string that may contain NUL bytes.
void json_bytes(JsonWriter *json, const char *key, const char *bytes, size_t size);
void json_integer(JsonWriter *json, const char *key, int64_t value);
enum { JSON_NUMBER_SIZE = 32 };
/// 15 digits if they come within a relative 2^-52 of the value, else 17, as cJSON does; null if not finite.
void json_print_number(char out[JSON_NUMBER_SIZE], double value);
/// The same as a value.
void json_number(JsonWriter *json, const char *key, double value);
/// As few digits as read back as the same double, from 15 on; null if not finite.
void json_exact(JsonWriter *json, const char *key, double value);
/// Nine digits, which read back as the same float32; null if not finite.
void json_float(JsonWriter *json, const char *key, float value);
void json_bool(JsonWriter *json, const char *key, bool value);
void json_null(JsonWriter *json, const char *key);
/// A list of integers.
void json_integers(JsonWriter *json, const char *key, const int32_t *values, size_t count);

/// A value that was read, with all that is in it.
struct cJSON;
void json_tree(JsonWriter *json, const char *key, const struct cJSON *value);

/// Gives the text to *out (free with str_free), or reports the writer's first failure as STATUS_FAILED, with
/// *out empty. An object that is still open, a missing key, and no value at all are failures too. `name` is
/// the file in the message. Frees the writer either way; it can be used again.
STATUS_CHECKED Status json_finish(JsonWriter *json, const char *name, Str *out);
/// json_finish, then file_write_atomic to directory/name.
STATUS_CHECKED Status json_save(JsonWriter *json, const char *directory, const char *name);
/// Begins with a whole object of one member or more, as json_finish gave it out, and opens it for more.
void json_continue(JsonWriter *json, const char *object, size_t size);
/// Frees; safe on NULL, after json_finish, and twice.
void json_free(JsonWriter *json);
