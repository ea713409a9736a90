// Reading GGUF versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), little-endian.
//
//   "GGUF" | version u32 | tensors u64 | values u64
//   values:   key | type u32 | value
//             string: length u64, bytes           array: type u32, count u64, items
//   tensors:  name | rank u32 | size u64 × rank | type u32 | offset u64
//   zeros up to the alignment | data …            offsets count from the start of the data
//
// Rule: a count is used only if the rest of the file could hold that many items, so no count can make the
// reader allocate much more than the file has bytes. The file lists dimensions innermost first; take_shape
// reverses them.
#include "tensor_file.h"

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

enum {
  ARRAY_DEPTH = 4,
  NAME_LIMIT = 65535,
  VALUE_MIN_BYTES = 13,
  TENSOR_MIN_BYTES = 24,
  ALIGNMENT_DEFAULT = 32
};

/// One metadata value. Scalars and array items stay in the map; strings are copied to be NUL-terminated.
struct GgufValue {
  char *key;
  GgufType type;
  GgufType item;           // of an array
  size_t count;            // of an array
  const uint8_t *bytes;    // the scalar, or the first item
  char *text;              // of a string
  const uint8_t **strings; // of an array of strings: each points to its length in the map
};

/// The bytes still to read, from `offset`, which never passes `size`: `size - offset` cannot wrap.
typedef struct Cursor {
  const char *path;
  const uint8_t *bytes;
  size_t size, offset;
} Cursor;

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

static Status take_u32(Cursor *cursor, uint32_t *out) {
  const uint8_t *bytes = NULL;
  TRY(take(cursor, 4, &bytes));
  *out = load_u32(bytes);
  return STATUS_OK;
}

static Status take_u64(Cursor *cursor, uint64_t *out) {
  const uint8_t *bytes = NULL;
  TRY(take(cursor, 8, &bytes));
  *out = load_u64(bytes);
  return STATUS_OK;
}

/// A count of items that take at least `min_bytes` each.
static Status take_count(Cursor *cursor, size_t min_bytes, const char *what, size_t *out) {
  uint64_t count = 0;
  TRY(take_u64(cursor, &count));
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
  TRY(take_count(cursor, 1, "bytes of a string", size));
  TRY(take(cursor, *size, &bytes));
  *text = (const char *)bytes;
  return STATUS_OK;
}

static Status take_name(Cursor *cursor, const char **text, size_t *size) {
  TRY(take_string(cursor, text, size));
  if (*size > NAME_LIMIT || !tensor_name_is_valid(*text, *size)) {
    return status_fail(STATUS_INPUT, "%s: a name near byte %zu is empty, too long or has control characters",
                       cursor->path, cursor->offset);
  }
  return STATUS_OK;
}

static Status take_type(Cursor *cursor, GgufType *out) {
  uint32_t type = 0;
  TRY(take_u32(cursor, &type));
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
  TRY(take_count(cursor, TYPE_BYTES[item], "array items", &count));
  if (value != NULL) {
    value->item = item;
    value->count = count;
    value->bytes = cursor->bytes + cursor->offset;
  }
  return skip_items(cursor, depth, item, count, value);
}

static Status take_value(Cursor *cursor, GgufValue *value) {
  const char *text = NULL;
  size_t size = 0;
  TRY(take_name(cursor, &text, &size));
  TRY(str_copy(&value->key, text, size));
  TRY(take_type(cursor, &value->type));
  if (value->type == GGUF_ARRAY) return take_array(cursor, 1, value);
  if (value->type != GGUF_STRING) return take(cursor, TYPE_BYTES[value->type], &value->bytes);
  TRY(take_string(cursor, &text, &size));
  return str_copy(&value->text, text, size);
}

static int compare_keys(const void *a, const void *b) {
  return strcmp(((const GgufValue *)a)->key, ((const GgufValue *)b)->key);
}

static Status read_values(TensorFile *file, Cursor *cursor, size_t count) {
  TRY(mem_array(&file->values, count, "GGUF metadata"));
  for (size_t i = 0; i < count; i++) {
    file->value_count++; // counted first, so that it is freed if reading it fails
    TRY(take_value(cursor, &file->values[i]));
  }
  qsort(file->values, count, sizeof *file->values, compare_keys);
  for (size_t i = 1; i < count; i++) {
    if (compare_keys(&file->values[i - 1], &file->values[i]) == 0)
      return status_fail(STATUS_INPUT, "%s: metadata key \"%s\" appears twice", file->path,
                         file->values[i].key);
  }
  return STATUS_OK;
}

void gguf_free_values(GgufValue *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    free(values[i].key);
    free(values[i].text);
    free(values[i].strings);
  }
  free(values);
}

// ---- tensors ----

static Status refuse_type(uint32_t number, const char *name) {
  Str readable = {0};
  Status status = list_readable_types(&readable);
  if (status == STATUS_OK) {
    status =
        status_fail(STATUS_INPUT, "stored as %s (type %" PRIu32 "), which is not supported; use a file in %s",
                    name, number, str_text(&readable));
  }
  str_free(&readable);
  return status;
}

static Status tensor_type(uint32_t number, DType *out) {
  if (!dtype_from_gguf(number, out)) return refuse_type(number, "an unknown type");
  return can_dequantise(*out) ? STATUS_OK : refuse_type(number, dtype_name(*out));
}

/// Reads the rank and the sizes, which it reverses: outermost first.
static Status take_shape(Cursor *cursor, StoredTensor *tensor) {
  uint32_t rank = 0;
  TRY(take_u32(cursor, &rank));
  if (rank > STORED_MAX_RANK)
    return status_fail(STATUS_INPUT, "has %" PRIu32 " dimensions, more than %d", rank, STORED_MAX_RANK);
  tensor->rank = rank;
  for (size_t i = 0; i < rank; i++) {
    uint64_t size = 0;
    TRY(take_u64(cursor, &size));
    if (size > SIZE_MAX / 8) return status_fail(STATUS_INPUT, "claims a dimension of %" PRIu64, size);
    tensor->shape[rank - 1 - i] = (size_t)size;
  }
  return STATUS_OK;
}

static Status take_tensor(TensorFile *file, Cursor *cursor, uint64_t *offset) {
  const char *name = NULL;
  size_t name_size = 0;
  uint32_t type = 0;
  StoredTensor tensor = {0};
  TRY(take_name(cursor, &name, &name_size));
  Status status = take_shape(cursor, &tensor);
  if (status == STATUS_OK) status = take_u32(cursor, &type);
  if (status == STATUS_OK) status = tensor_type(type, &tensor.type);
  if (status == STATUS_OK)
    status = tensor_measure(tensor.type, tensor.rank, tensor.shape, &tensor.elements, &tensor.size);
  int shown = name_size < 200 ? (int)name_size : 200;
  if (status != STATUS_OK) return status_context(status, "%s: tensor \"%.*s\"", cursor->path, shown, name);
  TRY(take_u64(cursor, offset));
  return tensors_add(file, cursor->path, name, name_size, &tensor);
}

/// Sets the bytes of every tensor, now that it is known where the data begins.
static Status place_tensors(TensorFile *file, const Cursor *cursor, size_t alignment,
                            const uint64_t *offsets) {
  size_t start = cursor->offset + (alignment - cursor->offset % alignment) % alignment;
  if (start > cursor->size) start = cursor->size; // a file without tensors may end without the padding
  size_t available = cursor->size - start;
  for (size_t i = 0; i < file->count; i++) {
    StoredTensor *tensor = &file->tensors[i];
    if (offsets[i] % alignment != 0 || offsets[i] > available ||
        tensor->size > available - (size_t)offsets[i]) {
      return status_fail(STATUS_INPUT,
                         "%s: tensor \"%.200s\" (%zu bytes at offset %" PRIu64
                         ") does not lie in the %zu bytes of "
                         "data; the file is cut off or damaged",
                         file->path, tensor->name, tensor->size, offsets[i], available);
    }
    tensor->bytes = cursor->bytes + start + offsets[i];
  }
  return tensors_check_layout(file, file->path, 0, cursor->bytes + start, available, false);
}

static Status read_tensors(TensorFile *file, Cursor *cursor, size_t count) {
  int64_t alignment = 0, parts = 0;
  TRY(gguf_get_integer_or(file, "general.alignment", ALIGNMENT_DEFAULT, &alignment));
  if (alignment < 1 || alignment > 1 << 20 || (alignment & (alignment - 1)) != 0) {
    return status_fail(STATUS_INPUT, "%s: general.alignment is %" PRId64 ", not a power of two up to 2^20",
                       file->path, alignment);
  }
  TRY(gguf_get_integer_or(file, "split.count", 1, &parts));
  if (parts > 1) {
    return status_fail(STATUS_INPUT,
                       "%s: is one of %" PRId64 " parts; join them first (llama-gguf-split --merge)",
                       file->path, parts);
  }
  uint64_t *offsets = NULL;
  TRY(mem_array(&offsets, count, "GGUF offsets"));
  Status status = STATUS_OK;
  for (size_t i = 0; status == STATUS_OK && i < count; i++) status = take_tensor(file, cursor, &offsets[i]);
  if (status == STATUS_OK) status = place_tensors(file, cursor, (size_t)alignment, offsets);
  free(offsets);
  return status;
}

static Status check_version(const char *path, uint32_t version) {
  if (version == 2 || version == 3) return STATUS_OK;
  if ((version & 0xffff) == 0)
    return status_fail(STATUS_INPUT, "%s: a big-endian GGUF file; only little-endian ones can be read", path);
  return status_fail(STATUS_INPUT, "%s: GGUF version %" PRIu32 "; versions 2 and 3 can be read", path,
                     version);
}

Status gguf_read(TensorFile *file) {
  Cursor cursor = {file->maps[0].path, file->maps[0].bytes, file->maps[0].size, 4};
  uint32_t version = 0;
  size_t tensors = 0, values = 0;
  file->is_gguf = true;
  TRY(take_u32(&cursor, &version));
  TRY(check_version(file->path, version));
  TRY(take_count(&cursor, TENSOR_MIN_BYTES, "tensors", &tensors));
  TRY(take_count(&cursor, VALUE_MIN_BYTES, "metadata values", &values));
  TRY(read_values(file, &cursor, values));
  return read_tensors(file, &cursor, tensors);
}

// ---- typed access ----

static const GgufValue *find_value(const TensorFile *file, const char *key) {
  if (file->value_count == 0) return NULL;
  GgufValue wanted = {.key = (char *)(uintptr_t)key};
  return bsearch(&wanted, file->values, file->value_count, sizeof *file->values, compare_keys);
}

static Status wrong_type(const TensorFile *file, const GgufValue *value, const char *wanted) {
  return status_fail(STATUS_INPUT, "%s: metadata \"%s\" is of type %s, but must be %s", file->path,
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

Status gguf_get_integer(const TensorFile *file, const char *key, int64_t *out) {
  const GgufValue *value = find_value(file, key);
  if (value == NULL) return missing(file, key);
  if (!load_integer(value->type, value->bytes, out)) return wrong_type(file, value, "an integer below 2^63");
  return STATUS_OK;
}

Status gguf_get_integer_or(const TensorFile *file, const char *key, int64_t fallback, int64_t *out) {
  *out = fallback;
  return find_value(file, key) == NULL ? STATUS_OK : gguf_get_integer(file, key, out);
}

Status gguf_get_number_or(const TensorFile *file, const char *key, double fallback, double *out) {
  const GgufValue *value = find_value(file, key);
  int64_t integer = 0;
  *out = fallback;
  if (value == NULL) return STATUS_OK;
  if (value->type == GGUF_F32) {
    float number;
    memcpy(&number, value->bytes, sizeof number);
    *out = (double)number;
  } else if (value->type == GGUF_F64) {
    memcpy(out, value->bytes, sizeof *out);
  } else if (load_integer(value->type, value->bytes, &integer)) {
    *out = (double)integer;
  } else {
    return wrong_type(file, value, "a number");
  }
  return STATUS_OK;
}

Status gguf_get_string_or_null(const TensorFile *file, const char *key, const char **out) {
  const GgufValue *value = find_value(file, key);
  *out = NULL;
  if (value == NULL) return STATUS_OK;
  if (value->type != GGUF_STRING) return wrong_type(file, value, "a string");
  *out = value->text;
  return STATUS_OK;
}

Status gguf_get_strings(const TensorFile *file, const char *key, size_t *count) {
  const GgufValue *value = find_value(file, key);
  *count = 0;
  if (value == NULL) return missing(file, key);
  if (value->type != GGUF_ARRAY || value->item != GGUF_STRING)
    return wrong_type(file, value, "an array of strings");
  *count = value->count;
  return STATUS_OK;
}

void gguf_string_at(const TensorFile *file, const char *key, size_t index, const char **bytes, size_t *size) {
  const GgufValue *value = find_value(file, key);
  *bytes = "";
  *size = 0;
  if (value == NULL || value->strings == NULL || index >= value->count) return;
  *size = (size_t)load_u64(value->strings[index]);
  *bytes = (const char *)value->strings[index] + 8;
}

Status gguf_get_integers(const TensorFile *file, const char *key, int64_t **out, size_t *count) {
  const GgufValue *value = find_value(file, key);
  *out = NULL;
  *count = 0;
  if (value == NULL) return STATUS_OK;
  if (value->type != GGUF_ARRAY) return wrong_type(file, value, "an array of integers");
  int64_t *numbers = NULL;
  TRY(mem_array(&numbers, value->count, "GGUF integers"));
  for (size_t i = 0; i < value->count; i++) {
    if (load_integer(value->item, value->bytes + i * TYPE_BYTES[value->item], &numbers[i])) continue;
    free(numbers);
    return wrong_type(file, value, "an array of integers below 2^63");
  }
  *out = numbers;
  *count = value->count;
  return STATUS_OK;
}
