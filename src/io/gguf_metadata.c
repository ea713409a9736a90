// GGUF metadata: the values of a file, and typed access to them. gguf.c has the layout.
//
// Rule: a count is used only if the rest of the file could hold that many items, so no count can make the
// reader allocate much more than the file has bytes.
#include "gguf.h"

#include "util/memory.h"
#include "util/str.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef enum GgufType {
  GGUF_U8,
  GGUF_I8,
  GGUF_U16,
  GGUF_I16,
  GGUF_U32,
  GGUF_I32,
  GGUF_F32,
  GGUF_BOOL,
  GGUF_STRING,
  GGUF_ARRAY,
  GGUF_U64,
  GGUF_I64,
  GGUF_F64,
  GGUF_TYPES
} GgufType;

/// Bytes of a value of each type; for strings and arrays the minimum.
static const size_t TYPE_BYTES[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
static const char *const TYPE_NAMES[GGUF_TYPES] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                   "bool", "string", "array", "u64", "i64", "f64"};

enum { ARRAY_DEPTH = 4, NAME_LIMIT = 65535 };

/// One metadata value. Scalars and array items stay in the map; strings are copied to be NUL-terminated.
struct GgufValue {
  char *key;
  GgufType type;
  GgufType item;           // of an array
  size_t count;            // of an array
  const uint8_t *bytes;    // the scalar, or the first item
  char *text;              // of a string
  const uint8_t **strings; // of an array of strings: each points to its length in the map
  const uint8_t *whole;    // type and content, as they stand in the map
  size_t whole_size;
};

// ---- single items ----

static Status take(Cursor *cursor, size_t size, const uint8_t **out) {
  if (size > cursor->size - cursor->offset) {
    return status_fail(STATUS_INPUT,
                       "%s: the GGUF header ends too early, at byte %zu of %zu; the file is cut off",
                       cursor->path, cursor->offset, cursor->size);
  }
  *out = cursor->bytes + cursor->offset;
  cursor->offset += size;
  return STATUS_OK;
}

Status gguf_take_u32(Cursor *cursor, uint32_t *out) {
  const uint8_t *bytes = NULL;
  TRY(take(cursor, 4, &bytes));
  *out = load_u32(bytes);
  return STATUS_OK;
}

Status gguf_take_u64(Cursor *cursor, uint64_t *out) {
  const uint8_t *bytes = NULL;
  TRY(take(cursor, 8, &bytes));
  *out = load_u64(bytes);
  return STATUS_OK;
}

Status gguf_take_count(Cursor *cursor, size_t min_bytes, const char *what, size_t *out) {
  uint64_t count = 0;
  TRY(gguf_take_u64(cursor, &count));
  if (count > (cursor->size - cursor->offset) / min_bytes) {
    return status_fail(STATUS_INPUT,
                       "%s: claims %" PRIu64 " %s, more than its %zu bytes can hold; it is damaged",
                       cursor->path, count, what, cursor->size);
  }
  *out = (size_t)count;
  return STATUS_OK;
}

static Status take_string(Cursor *cursor, const char **text, size_t *size) {
  const uint8_t *bytes = NULL;
  TRY(gguf_take_count(cursor, 1, "bytes of a string", size));
  TRY(take(cursor, *size, &bytes));
  *text = (const char *)bytes;
  return STATUS_OK;
}

Status gguf_take_name(Cursor *cursor, const char **text, size_t *size) {
  TRY(take_string(cursor, text, size));
  if (*size > NAME_LIMIT || !tensor_name_is_valid(*text, *size)) {
    return status_fail(STATUS_INPUT, "%s: a name near byte %zu is empty, too long or has control characters",
                       cursor->path, cursor->offset);
  }
  return STATUS_OK;
}

static Status take_type(Cursor *cursor, GgufType *out) {
  uint32_t type = 0;
  TRY(gguf_take_u32(cursor, &type));
  if (type >= GGUF_TYPES)
    return status_fail(STATUS_INPUT, "%s: unknown metadata type %" PRIu32 "; the file is damaged",
                       cursor->path, type);
  *out = (GgufType)type;
  return STATUS_OK;
}

// ---- metadata ----

static Status take_array(Cursor *cursor, int depth, GgufValue *value);

/// Skips `count` items. For the outermost array (value not NULL) notes in value->strings where its strings
/// are. `count` was checked against the bytes left, so count * TYPE_BYTES cannot overflow.
static Status skip_items(Cursor *cursor, int depth, GgufType item, size_t count, GgufValue *value) {
  const uint8_t *bytes = NULL;
  if (item != GGUF_STRING && item != GGUF_ARRAY) return take(cursor, count * TYPE_BYTES[item], &bytes);
  if (item == GGUF_STRING && value != NULL) TRY(mem_array(&value->strings, count, "GGUF strings"));
  for (size_t i = 0; i < count; i++) {
    const char *text = NULL;
    size_t size = 0;
    if (item == GGUF_ARRAY) {
      TRY(take_array(cursor, depth + 1, NULL));
      continue;
    }
    if (value != NULL) value->strings[i] = cursor->bytes + cursor->offset;
    TRY(take_string(cursor, &text, &size));
  }
  return STATUS_OK;
}

/// Reads an array; a nested one (value NULL) is only checked and skipped.
static Status take_array(Cursor *cursor, int depth, GgufValue *value) {
  if (depth > ARRAY_DEPTH)
    return status_fail(STATUS_INPUT, "%s: metadata arrays nested deeper than %d", cursor->path, ARRAY_DEPTH);
  GgufType item = GGUF_U8;
  size_t count = 0;
  TRY(take_type(cursor, &item));
  TRY(gguf_take_count(cursor, TYPE_BYTES[item], "array items", &count));
  if (value != NULL) {
    value->item = item;
    value->count = count;
    value->bytes = cursor->bytes + cursor->offset;
  }
  return skip_items(cursor, depth, item, count, value);
}

/// Reads what follows the type.
static Status take_content(Cursor *cursor, GgufValue *value) {
  const char *text = NULL;
  size_t size = 0;
  if (value->type == GGUF_ARRAY) return take_array(cursor, 1, value);
  if (value->type != GGUF_STRING) return take(cursor, TYPE_BYTES[value->type], &value->bytes);
  TRY(take_string(cursor, &text, &size));
  return str_copy(&value->text, text, size);
}

static Status take_value(Cursor *cursor, GgufValue *value) {
  const char *text = NULL;
  size_t size = 0;
  TRY(gguf_take_name(cursor, &text, &size));
  TRY(str_copy(&value->key, text, size));
  value->whole = cursor->bytes + cursor->offset;
  TRY(take_type(cursor, &value->type));
  TRY(take_content(cursor, value));
  value->whole_size = (size_t)(cursor->bytes + cursor->offset - value->whole);
  return STATUS_OK;
}

static int compare_keys(const void *a, const void *b) {
  return strcmp(((const GgufValue *)a)->key, ((const GgufValue *)b)->key);
}

Status gguf_take_values(Cursor *cursor, size_t count, GgufValues *out) {
  out->path = cursor->path;
  TRY(mem_array(&out->list, count, "GGUF metadata"));
  for (size_t i = 0; i < count; i++) {
    out->count++; // counted first, so that it is freed if reading it fails
    TRY(take_value(cursor, &out->list[i]));
  }
  qsort(out->list, count, sizeof *out->list, compare_keys);
  for (size_t i = 1; i < count; i++) {
    if (compare_keys(&out->list[i - 1], &out->list[i]) == 0)
      return status_fail(STATUS_INPUT, "%s: metadata key \"%s\" appears twice", out->path, out->list[i].key);
  }
  return STATUS_OK;
}

void gguf_free_values(GgufValues *values) {
  for (size_t i = 0; i < values->count; i++) {
    free(values->list[i].key);
    free(values->list[i].text);
    free(values->list[i].strings);
  }
  free(values->list);
  *values = (GgufValues){0};
}

// ---- typed access ----

static const GgufValue *find_value(const GgufValues *values, const char *key) {
  if (values->count == 0) return NULL;
  GgufValue wanted = {.key = (char *)(uintptr_t)key};
  return bsearch(&wanted, values->list, values->count, sizeof *values->list, compare_keys);
}

Status gguf_check_part_values(const GgufValues *part, const GgufValues *first) {
  for (size_t i = 0; i < part->count; i++) {
    const GgufValue *value = &part->list[i], *same = find_value(first, value->key);
    if (str_starts(value->key, "split.") || strcmp(value->key, "general.alignment") == 0) continue;
    if (same != NULL && same->whole_size == value->whole_size &&
        memcmp(same->whole, value->whole, value->whole_size) == 0)
      continue;
    return status_fail(STATUS_INPUT, "%s: metadata \"%s\" %s the first part; they do not belong together",
                       part->path, value->key, same == NULL ? "is not in" : "is another in");
  }
  return STATUS_OK;
}

static Status wrong_type(const GgufValues *values, const GgufValue *value, const char *wanted) {
  return status_fail(STATUS_INPUT, "%s: metadata \"%s\" is of type %s, but must be %s", values->path,
                     value->key, TYPE_NAMES[value->type], wanted);
}

static Status missing(const TensorFile *file, const char *key) {
  return status_fail(STATUS_INPUT, "%s: metadata \"%s\" is missing", file->path, key);
}

/// *out = the integer at `bytes`; false if the type is not an integer's or the value is beyond int64.
static bool load_integer(GgufType type, const uint8_t *bytes, int64_t *out) {
  switch (type) {
  case GGUF_BOOL:
    *out = bytes[0] != 0;
    return true;
  case GGUF_U8:
    *out = bytes[0];
    return true;
  case GGUF_I8:
    *out = bytes[0] < 128 ? bytes[0] : bytes[0] - 256;
    return true;
  case GGUF_U16:
    *out = load_u16(bytes);
    return true;
  case GGUF_I16:
    *out = (int16_t)load_u16(bytes);
    return true;
  case GGUF_U32:
    *out = load_u32(bytes);
    return true;
  case GGUF_I32:
    *out = (int32_t)load_u32(bytes);
    return true;
  case GGUF_U64:
    *out = (int64_t)load_u64(bytes);
    return *out >= 0;
  case GGUF_I64:
    *out = (int64_t)load_u64(bytes);
    return true;
  default:
    return false;
  }
}

Status gguf_value_integer(const GgufValues *values, const char *key, int64_t fallback, int64_t *out) {
  const GgufValue *value = find_value(values, key);
  *out = fallback;
  if (value == NULL || load_integer(value->type, value->bytes, out)) return STATUS_OK;
  return wrong_type(values, value, "an integer below 2^63");
}

Status gguf_get_integer(const TensorFile *file, const char *key, int64_t *out) {
  if (find_value(&file->metadata, key) == NULL) return missing(file, key);
  return gguf_value_integer(&file->metadata, key, 0, out);
}

Status gguf_get_integer_or(const TensorFile *file, const char *key, int64_t fallback, int64_t *out) {
  return gguf_value_integer(&file->metadata, key, fallback, out);
}

/// *out = a number of any type; false if it is none.
static bool load_number(GgufType type, const uint8_t *bytes, double *out) {
  float number;
  int64_t integer;
  switch (type) {
  case GGUF_F32:
    memcpy(&number, bytes, sizeof number);
    *out = (double)number;
    return true;
  case GGUF_F64:
    memcpy(out, bytes, sizeof *out);
    return true;
  default:
    if (!load_integer(type, bytes, &integer)) return false;
    *out = (double)integer;
    return true;
  }
}

Status gguf_get_number_or(const TensorFile *file, const char *key, double fallback, double *out) {
  const GgufValue *value = find_value(&file->metadata, key);
  *out = fallback;
  if (value == NULL || load_number(value->type, value->bytes, out)) return STATUS_OK;
  return wrong_type(&file->metadata, value, "a number");
}

/// The bytes of a string, without the type and the length in front.
static size_t text_size(const GgufValue *value) {
  return value->whole_size - 12;
}

Status gguf_get_string_or_null(const TensorFile *file, const char *key, const char **out) {
  const GgufValue *value = find_value(&file->metadata, key);
  *out = NULL;
  if (value == NULL) return STATUS_OK;
  if (value->type != GGUF_STRING) return wrong_type(&file->metadata, value, "a string");
  if (memchr(value->text, '\0', text_size(value)) != NULL) {
    return status_fail(STATUS_INPUT, "%s: metadata \"%s\" holds a NUL character, which would cut it short",
                       file->path, key);
  }
  *out = value->text;
  return STATUS_OK;
}

Status gguf_get_strings(const TensorFile *file, const char *key, size_t *count) {
  const GgufValue *value = find_value(&file->metadata, key);
  *count = 0;
  if (value == NULL) return missing(file, key);
  if (value->type != GGUF_ARRAY || value->item != GGUF_STRING)
    return wrong_type(&file->metadata, value, "an array of strings");
  *count = value->count;
  return STATUS_OK;
}

void gguf_string_at(const TensorFile *file, const char *key, size_t index, const char **bytes, size_t *size) {
  const GgufValue *value = find_value(&file->metadata, key);
  *bytes = "";
  *size = 0;
  if (value == NULL || value->strings == NULL || index >= value->count) return;
  *size = (size_t)load_u64(value->strings[index]);
  *bytes = (const char *)value->strings[index] + 8;
}

Status gguf_get_integers(const TensorFile *file, const char *key, int64_t **out, size_t *count) {
  const GgufValue *value = find_value(&file->metadata, key);
  *out = NULL;
  *count = 0;
  if (value == NULL) return STATUS_OK;
  if (value->type != GGUF_ARRAY) return wrong_type(&file->metadata, value, "an array of integers");
  int64_t *numbers = NULL;
  TRY(mem_array(&numbers, value->count, "GGUF integers"));
  for (size_t i = 0; i < value->count; i++) {
    if (load_integer(value->item, value->bytes + i * TYPE_BYTES[value->item], &numbers[i])) continue;
    free(numbers);
    return wrong_type(&file->metadata, value, "an array of integers below 2^63");
  }
  *out = numbers;
  *count = value->count;
  return STATUS_OK;
}

Status gguf_get_numbers(const TensorFile *file, const char *key, double **out, size_t *count) {
  const GgufValue *value = find_value(&file->metadata, key);
  *out = NULL;
  *count = 0;
  if (value == NULL) return STATUS_OK;
  if (value->type != GGUF_ARRAY) return wrong_type(&file->metadata, value, "an array of numbers");
  double *numbers = NULL;
  TRY(mem_array(&numbers, value->count, "GGUF numbers"));
  for (size_t i = 0; i < value->count; i++) {
    if (load_number(value->item, value->bytes + i * TYPE_BYTES[value->item], &numbers[i])) continue;
    free(numbers);
    return wrong_type(&file->metadata, value, "an array of numbers");
  }
  *out = numbers;
  *count = value->count;
  return STATUS_OK;
}
