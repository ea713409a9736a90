// Reading JSON through cJSON, with errors that name the file and the key (io/json_write.h writes it). cJSON
// refuses nesting deeper than 1,000.
#pragma once

#include "util/status.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Parses `size` bytes; trailing non-space is an error. `name` stands in messages. Free with cJSON_Delete.
STATUS_CHECKED Status json_parse(const char *bytes, size_t size, const char *name, cJSON **out);
STATUS_CHECKED Status json_parse_file(const char *path, cJSON **out);

/// Typed members of an object. `name` is the file for messages. A missing key is STATUS_INPUT, as is another
/// type, a number that is no integer (or beyond 2^53, where doubles skip some), or one outside [low, high].
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
/// True where the key is there and not null.
bool json_has(const cJSON *object, const char *key);
