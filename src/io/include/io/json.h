// Reading JSON through cJSON, with errors that name the file and the key. (io/json_write.h writes it.)
// Nesting deeper than 1,000 is refused.
#pragma once

#include "util/status.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Parses `size` bytes; anything but white space after the value is an error, as are NUL (also as \u0000),
/// ill-formed UTF-8, lone surrogates, NaN and Infinity. Of members with the same key the last one counts.
/// `name` is the file in messages. Free with cJSON_Delete.
STATUS_CHECKED Status json_parse(const char *bytes, size_t size, const char *name, cJSON **out);
/// The same, but two members with the same key are an error.
STATUS_CHECKED Status json_parse_unique(const char *bytes, size_t size, const char *name, cJSON **out);
/// The same as json_parse, but a string may hold \u0000, which is U+FFFD in the tree, where NUL ends a
/// string. For what this program wrote: answers may hold any character.
STATUS_CHECKED Status json_parse_with_nul(const char *bytes, size_t size, const char *name, cJSON **out);
STATUS_CHECKED Status json_parse_file(const char *path, cJSON **out);

/// Typed members of an object. `name` is the file in messages. STATUS_INPUT if the key is missing or has
/// another type, or the number is not an integer, is beyond 2^53 (where doubles skip integers), or is outside
/// [low, high].
STATUS_CHECKED Status json_get_integer(const cJSON *object, const char *key, const char *name, int64_t low,
                                       int64_t high, int64_t *out);
STATUS_CHECKED Status json_get_number(const cJSON *object, const char *key, const char *name, double *out);
/// The string belongs to the object.
STATUS_CHECKED Status json_get_string(const cJSON *object, const char *key, const char *name,
                                      const char **out);
/// The array or object belongs to `object`.
STATUS_CHECKED Status json_get_array(const cJSON *object, const char *key, const char *name,
                                     const cJSON **out);
STATUS_CHECKED Status json_get_object(const cJSON *object, const char *key, const char *name,
                                      const cJSON **out);
/// True if the key is there and its value is not null.
bool json_has(const cJSON *object, const char *key);
/// Bytes of JSON white space (blanks, tabs and line ends) at the front of a text.
size_t json_space(const char *text, size_t size);
