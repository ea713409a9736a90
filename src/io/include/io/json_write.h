// Writing JSON. Rule: this is the only place that makes JSON; cJSON is for reading. The writer remembers its
// first failure, so only json_finish or json_save is checked, and a text that lacks something never gets out:
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
// Where something else may fail in between, json_free(&json) belongs under `cleanup:`.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum JsonLayout {
  JSON_COMPACT, // {"a":[1,2]}
  JSON_SPACED,  // {"a": [1, 2]}
  JSON_PRETTY,  // a member a line, indented by tabs; lists on one line
} JsonLayout;

/// Zero-initialise, or set the layout alone; the rest belongs to the writer.
typedef struct JsonWriter {
  JsonLayout layout;
  Str text;
  Str open;          // '{' or '[' for each object and list that is open, the outermost first
  bool has_member;   // the innermost of them has one, so that the next needs a comma
  const char *fault; // what the first failure was; NULL: none yet
} JsonWriter;

/// Every value takes the key it stands under: a text inside an object, NULL inside a list and at the top. A
/// key that is given twice is not noticed. Key and text are UTF-8; each maximal ill-formed part becomes
/// U+FFFD (util/utf8.h).
void json_object_begin(JsonWriter *json, const char *key);
void json_object_end(JsonWriter *json);
void json_array_begin(JsonWriter *json, const char *key);
void json_array_end(JsonWriter *json);
void json_string(JsonWriter *json, const char *key, const char *text);
/// A string that may hold NULs.
void json_bytes(JsonWriter *json, const char *key, const char *bytes, size_t size);
void json_integer(JsonWriter *json, const char *key, int64_t value);
/// 15 digits where they come within a relative 2^-52 of the value, else 17, as cJSON has it. What is not
/// finite becomes null.
void json_number(JsonWriter *json, const char *key, double value);
/// Nine digits, which read back as the same float32; null where it is not finite.
void json_float(JsonWriter *json, const char *key, float value);
void json_bool(JsonWriter *json, const char *key, bool value);
void json_null(JsonWriter *json, const char *key);
/// A list of integers.
void json_integers(JsonWriter *json, const char *key, const int32_t *values, size_t count);

/// Gives the text to *out (free with str_free), or fails with the writer's first failure: STATUS_FAILED, *out
/// empty. An object still open, a missing key, and no value at all are failures too. `name` stands in the
/// message. The writer is freed either way and can be used again.
STATUS_CHECKED Status json_finish(JsonWriter *json, const char *name, Str *out);
/// Finishes, and writes directory/name whole or not at all (file_write_atomic).
STATUS_CHECKED Status json_save(JsonWriter *json, const char *directory, const char *name);
/// Frees; safe on NULL, after json_finish, and twice.
void json_free(JsonWriter *json);
