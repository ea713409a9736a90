// JSON through cJSON. Rule: a text is read as Python's json module reads it or refused; a number is an
// integer only if a double holds it exactly (|n| <= 2^53); every failure names the file, the key and what was
// found.
#include "io/json.h"

#include "io/file.h"
#include "json_text.h"
#include "util/memory.h"
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
                       name, CJSON_NESTING_LIMIT, json_line(text, offset), offset);
  }
  offset += json_space(text + offset, size - offset);
  if (offset < size) {
    cJSON_Delete(value);
    return status_fail(STATUS_INPUT, "%s: text after the end of the JSON value, line %zu, byte %zu", name,
                       json_line(text, offset), offset);
  }
  *out = value;
  return STATUS_OK;
}

// ---- what cJSON leaves open; its nesting limit bounds the recursions ----

/// Gives the numbers in `value` what they lack, in order from *next.
static void set_numbers(cJSON *value, const JsonRules *rules, const JsonNumbers *numbers, size_t *next) {
  if (cJSON_IsNumber(value) && *next < numbers->count) {
    const JsonNumber *number = &numbers->list[*next];
    if (number->is_hidden) value->valuedouble = number->value;
    if (rules->index_values) value->valueint = (int)*next; // a row has fewer bytes than INT_MAX
    ++*next;
  }
  for (cJSON *child = value->child; child != NULL; child = child->next)
    set_numbers(child, rules, numbers, next);
}

/// A member of an object and its place.
typedef struct Member {
  cJSON *value;
  size_t place;
} Member;

typedef struct Members {
  Member *list;
  size_t count, capacity;
} Members;

static int by_key(const void *a, const void *b) {
  const Member *x = a, *y = b;
  int order = strcmp(x->value->string, y->value->string);
  return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/// Deletes each member of `object` whose key comes again, so that the last one counts; fails instead if
/// `unique`. *members is overwritten.
static Status drop_twins(cJSON *object, const char *name, bool unique, Members *members) {
  members->count = 0;
  for (cJSON *child = object->child; child != NULL; child = child->next) {
    TRY(mem_reserve(&members->list, &members->capacity, members->count + 1, "members of a JSON object"));
    members->list[members->count] = (Member){child, members->count};
    members->count++;
  }
  if (members->count > 1) qsort(members->list, members->count, sizeof *members->list, by_key);
  for (size_t i = 0; i + 1 < members->count; i++) {
    cJSON *value = members->list[i].value;
    if (strcmp(value->string, members->list[i + 1].value->string) != 0) continue;
    if (unique) return status_fail(STATUS_INPUT, "%s: \"%.200s\" appears twice", name, value->string);
    cJSON_Delete(cJSON_DetachItemViaPointer(object, value));
  }
  return STATUS_OK;
}

static Status drop_all_twins(cJSON *value, const char *name, bool unique, Members *members) {
  if (cJSON_IsObject(value)) TRY(drop_twins(value, name, unique, members));
  for (cJSON *child = value->child; child != NULL; child = child->next)
    TRY(drop_all_twins(child, name, unique, members));
  return STATUS_OK;
}

static Status settle(cJSON *value, const char *name, const JsonRules *rules, const JsonNumbers *numbers) {
  size_t next = 0;
  Members members = {0};
  set_numbers(value, rules, numbers, &next);
  if (next != numbers->count)
    return status_fail(STATUS_FAILED, "%s: %zu numbers in the text, but %zu parsed", name, numbers->count,
                       next);
  Status status = drop_all_twins(value, name, rules->unique_keys, &members);
  free(members.list);
  return status;
}

// ---- reading ----

Status json_read(const char *bytes, size_t size, const char *name, const JsonRules *rules,
                 JsonNumbers *numbers, cJSON **out) {
  *out = NULL;
  if (json_space(bytes, size) == size)
    return status_fail(STATUS_INPUT, "%s: no JSON here, the text is empty", name);
  // A terminated copy, because cJSON before 1.7.18 reads one byte past a text that ends after a comma.
  char *text = NULL;
  TRY(str_copy(&text, bytes, size));
  Status status = json_text_check(text, size, name, rules, numbers);
  if (status == STATUS_OK) status = parse_text(text, size, name, out);
  if (status == STATUS_OK) status = settle(*out, name, rules, numbers);
  if (status != STATUS_OK) {
    cJSON_Delete(*out);
    *out = NULL;
  }
  free(text);
  return status;
}

static Status read_all(const char *bytes, size_t size, const char *name, const JsonRules *rules,
                       cJSON **out) {
  JsonNumbers numbers = {0};
  Status status = json_read(bytes, size, name, rules, &numbers, out);
  free(numbers.list);
  return status;
}

Status json_parse(const char *bytes, size_t size, const char *name, cJSON **out) {
  return read_all(bytes, size, name, &(JsonRules){0}, out);
}

Status json_parse_unique(const char *bytes, size_t size, const char *name, cJSON **out) {
  return read_all(bytes, size, name, &(JsonRules){.unique_keys = true}, out);
}

Status json_parse_with_nul(const char *bytes, size_t size, const char *name, cJSON **out) {
  return read_all(bytes, size, name, &(JsonRules){.allows_nul = true}, out);
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
