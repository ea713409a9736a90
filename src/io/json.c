// JSON through cJSON. Rule: a number is an integer only if a double holds it exactly (|n| <= 2^53), and every
// failure names the file, the key and what was found.
#include "io/json.h"

#include "io/file.h"
#include "util/str.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double EXACT_LIMIT = 9007199254740992.0; // 2^53

size_t json_space(const char *text, size_t size) {
  size_t at = 0;
  while (at < size && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) at++;
  return at;
}

/// The line of byte `offset`, counted from 1.
static size_t line_of(const char *bytes, size_t offset) {
  size_t line = 1;
  for (size_t i = 0; i < offset; i++) line += bytes[i] == '\n';
  return line;
}

/// Parses text[size], which is NUL-terminated. cJSON returns NULL for a failed allocation as for a broken
/// text; only errno tells them apart.
static Status parse_text(const char *text, size_t size, const char *name, cJSON **out) {
  const char *end = NULL;
  errno = 0;
  cJSON *value = cJSON_ParseWithLengthOpts(text, size + 1, &end, 0);
  if (value == NULL && errno == ENOMEM)
    return status_fail(STATUS_FAILED, "%s: out of memory for its JSON", name);
  size_t offset = end != NULL && end >= text ? (size_t)(end - text) : 0;
  if (offset > size) offset = size;
  if (value == NULL) {
    return status_fail(STATUS_INPUT, "%s: not valid JSON (or nested deeper than %d) near line %zu, byte %zu",
                       name, CJSON_NESTING_LIMIT, line_of(text, offset), offset);
  }
  offset += json_space(text + offset, size - offset);
  if (offset < size) {
    cJSON_Delete(value);
    return status_fail(STATUS_INPUT, "%s: text after the end of the JSON value, line %zu, byte %zu", name,
                       line_of(text, offset), offset);
  }
  *out = value;
  return STATUS_OK;
}

Status json_parse(const char *bytes, size_t size, const char *name, cJSON **out) {
  *out = NULL;
  if (json_space(bytes, size) == size)
    return status_fail(STATUS_INPUT, "%s: no JSON here, the text is empty", name);
  // A terminated copy, because cJSON before 1.7.18 reads one byte past a text that ends after a comma.
  char *text = NULL;
  TRY(str_copy(&text, bytes, size));
  Status status = parse_text(text, size, name, out);
  free(text);
  return status;
}

Status json_parse_file(const char *path, cJSON **out) {
  *out = NULL;
  MappedFile file;
  TRY(file_map(path, &file));
  Status status = json_parse((const char *)file.bytes, file.size, path, out);
  file_unmap(&file);
  return status;
}

static const char *type_name(const cJSON *value) {
  if (cJSON_IsBool(value)) return "a boolean";
  if (cJSON_IsNull(value)) return "null";
  if (cJSON_IsNumber(value)) return "a number";
  if (cJSON_IsString(value)) return "a string";
  if (cJSON_IsArray(value)) return "a list";
  return "an object";
}

/// *out = the member `key`; STATUS_INPUT if it is missing.
static Status get_member(const cJSON *object, const char *key, const char *name, const cJSON **out) {
  if (!cJSON_IsObject(object))
    return status_fail(STATUS_INPUT, "%s: not a JSON object (looking for \"%s\")", name, key);
  *out = cJSON_GetObjectItemCaseSensitive(object, key);
  if (*out == NULL) return status_fail(STATUS_INPUT, "%s: \"%s\" is missing", name, key);
  return STATUS_OK;
}

static Status wrong_type(const cJSON *value, const char *key, const char *name, const char *wanted) {
  return status_fail(STATUS_INPUT, "%s: \"%s\" is %s, but must be %s", name, key, type_name(value), wanted);
}

Status json_get_number(const cJSON *object, const char *key, const char *name, double *out) {
  const cJSON *value = NULL;
  TRY(get_member(object, key, name, &value));
  if (!cJSON_IsNumber(value)) return wrong_type(value, key, name, "a number");
  if (!isfinite(value->valuedouble))
    return status_fail(STATUS_INPUT, "%s: \"%s\" is too large for a number", name, key);
  *out = value->valuedouble;
  return STATUS_OK;
}

Status json_get_integer(const cJSON *object, const char *key, const char *name, int64_t low, int64_t high,
                        int64_t *out) {
  double number = 0;
  TRY(json_get_number(object, key, name, &number));
  if (floor(number) != number || fabs(number) > EXACT_LIMIT)
    return status_fail(STATUS_INPUT, "%s: \"%s\" is %g, but must be a whole number", name, key, number);
  int64_t integer = (int64_t)number;
  if (integer < low || integer > high) {
    return status_fail(STATUS_INPUT, "%s: \"%s\" is %lld, but must be from %lld to %lld", name, key,
                       (long long)integer, (long long)low, (long long)high);
  }
  *out = integer;
  return STATUS_OK;
}

Status json_get_string(const cJSON *object, const char *key, const char *name, const char **out) {
  const cJSON *value = NULL;
  TRY(get_member(object, key, name, &value));
  if (!cJSON_IsString(value)) return wrong_type(value, key, name, "a string");
  *out = value->valuestring;
  return STATUS_OK;
}

Status json_get_array(const cJSON *object, const char *key, const char *name, const cJSON **out) {
  const cJSON *value = NULL;
  TRY(get_member(object, key, name, &value));
  if (!cJSON_IsArray(value)) return wrong_type(value, key, name, "a list");
  *out = value;
  return STATUS_OK;
}

Status json_get_object(const cJSON *object, const char *key, const char *name, const cJSON **out) {
  const cJSON *value = NULL;
  TRY(get_member(object, key, name, &value));
  if (!cJSON_IsObject(value)) return wrong_type(value, key, name, "an object");
  *out = value;
  return STATUS_OK;
}

bool json_has(const cJSON *object, const char *key) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
  return value != NULL && !cJSON_IsNull(value);
}
