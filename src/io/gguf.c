// Reading GGUF versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), little-endian.
//
//   "GGUF" | version u32 | tensors u64 | values u64
//   values:   key | type u32 | value
//             string: length u64, bytes           array: type u32, count u64, items
//   tensors:  name | rank u32 | size u64 × rank | type u32 | offset u64
//   zeros up to the alignment | data …            offsets count from the start of the data
//
// A model in parts (llama-gguf-split) has a file of this form for each, "…-00001-of-00003.gguf". They share
// out the tensors; the metadata is in the first.
//
// Rule: what is read lies in the file (gguf_metadata.c has the same), and the parts are exactly those that
// the first one announces. The file lists dimensions innermost first; take_shape reverses them.
#include "gguf.h"

#include "util/dequant.h"
#include "util/memory.h"
#include "util/str.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ALIGNMENT    "general.alignment"
#define KEY_LAYOUTS      "general.quantization_version"
#define KEY_PART         "split.no"
#define KEY_PARTS        "split.count"
#define KEY_PART_TENSORS "split.tensors.count"
#define PART_ENDING      "-%05zu-of-%05zu.gguf"

enum { TENSOR_MIN_BYTES = 24, ALIGNMENT_DEFAULT = 32, PART_LIMIT = 4096, LAYOUTS = 2 };

// ---- tensors ----

/// The name of a type that llama.cpp once wrote and no longer reads; NULL for any other.
static const char *removed_type(uint32_t number) {
  static const char *const names[] = {
      [4] = "Q4_2",      [5] = "Q4_3",        [31] = "Q4_0_4_4",   [32] = "Q4_0_4_8",
      [33] = "Q4_0_8_8", [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8"};
  return number < sizeof names / sizeof names[0] ? names[number] : NULL;
}

static Status tensor_type(uint32_t number, DType *out) {
  const char *removed = removed_type(number);
  if (removed != NULL) {
    return status_fail(STATUS_INPUT,
                       "stored as %s (type %" PRIu32
                       "), which llama.cpp no longer reads either; use a newer file "
                       "of the model, in %s",
                       removed, number, number > 35 ? "IQ4_NL" : "Q4_0");
  }
  bool known = dtype_from_gguf(number, out);
  if (known && can_dequantise(*out)) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "stored as %s (type %" PRIu32 "), which is not supported; use a file in a common type, "
                     "such as Q8_0 or Q4_K",
                     known ? dtype_name(*out) : "an unknown type", number);
}

/// Reads the rank and the sizes, which it reverses: outermost first. Outermost 1s are dropped: for ggml every
/// tensor has four dimensions, so they say nothing.
static Status take_shape(Cursor *cursor, StoredTensor *tensor) {
  uint32_t rank = 0;
  TRY(gguf_take_u32(cursor, &rank));
  if (rank > STORED_MAX_RANK)
    return status_fail(STATUS_INPUT, "has %" PRIu32 " dimensions, more than %d", rank, STORED_MAX_RANK);
  tensor->rank = rank;
  for (size_t i = 0; i < rank; i++) {
    uint64_t size = 0;
    TRY(gguf_take_u64(cursor, &size));
    if (size > SIZE_MAX / 8) return status_fail(STATUS_INPUT, "claims a dimension of %" PRIu64, size);
    tensor->shape[rank - 1 - i] = (size_t)size;
  }
  while (tensor->rank > 1 && tensor->shape[0] == 1) {
    tensor->rank--;
    memmove(tensor->shape, tensor->shape + 1, tensor->rank * sizeof tensor->shape[0]);
    tensor->shape[tensor->rank] = 0;
  }
  return STATUS_OK;
}

static Status take_tensor(TensorFile *file, Cursor *cursor, uint64_t *offset) {
  const char *name = NULL;
  size_t name_size = 0;
  uint32_t type = 0;
  StoredTensor tensor = {0};
  TRY(gguf_take_name(cursor, &name, &name_size));
  Status status = take_shape(cursor, &tensor);
  if (status == STATUS_OK) status = gguf_take_u32(cursor, &type);
  if (status == STATUS_OK) status = tensor_type(type, &tensor.type);
  if (status == STATUS_OK)
    status = tensor_measure(tensor.type, tensor.rank, tensor.shape, &tensor.elements, &tensor.size);
  int shown = name_size < 200 ? (int)name_size : 200;
  if (status != STATUS_OK) return status_context(status, "%s: tensor \"%.*s\"", cursor->path, shown, name);
  TRY(gguf_take_u64(cursor, offset));
  return tensors_add(file, cursor->path, name, name_size, &tensor);
}

/// Sets the bytes of the tensors from `first` on, now that it is known where the data begins.
static Status place_tensors(TensorFile *file, size_t first, const Cursor *cursor, size_t alignment,
                            const uint64_t *offsets) {
  size_t start = cursor->offset + (alignment - cursor->offset % alignment) % alignment;
  if (start > cursor->size) start = cursor->size; // a file without tensors may end without the padding
  size_t available = cursor->size - start;
  for (size_t i = first; i < file->count; i++) {
    StoredTensor *tensor = &file->tensors[i];
    uint64_t offset = offsets[i - first];
    if (offset % alignment != 0 || offset > available || tensor->size > available - (size_t)offset) {
      return status_fail(STATUS_INPUT,
                         "%s: tensor \"%.200s\" (%zu bytes at offset %" PRIu64
                         ") does not lie in the %zu bytes of "
                         "data; the file is cut off or damaged",
                         cursor->path, tensor->name, tensor->size, offset, available);
    }
    tensor->bytes = cursor->bytes + start + offset;
  }
  return tensors_check_layout(file, cursor->path, first, cursor->bytes + start, available, false);
}

static Status read_tensors(TensorFile *file, Cursor *cursor, const GgufValues *values, size_t count) {
  int64_t alignment = 0;
  TRY(gguf_value_integer(values, KEY_ALIGNMENT, ALIGNMENT_DEFAULT, &alignment));
  if (alignment < 1 || alignment > 1 << 20 || (alignment & (alignment - 1)) != 0) {
    return status_fail(STATUS_INPUT, "%s: " KEY_ALIGNMENT " is %" PRId64 ", not a power of two up to 2^20",
                       cursor->path, alignment);
  }
  uint64_t *offsets = NULL;
  TRY(mem_array(&offsets, count, "GGUF offsets"));
  Status status = STATUS_OK;
  size_t first = file->count;
  for (size_t i = 0; status == STATUS_OK && i < count; i++) status = take_tensor(file, cursor, &offsets[i]);
  if (status == STATUS_OK) status = place_tensors(file, first, cursor, (size_t)alignment, offsets);
  free(offsets);
  return status;
}

static Status check_version(const char *path, uint32_t version) {
  if (version == 2 || version == 3) return STATUS_OK;
  if (version != 0 && (version & 0xffff) == 0) {
    return status_fail(STATUS_INPUT,
                       "%s: a big-endian GGUF file; only little-endian ones can be read; convert it with "
                       "gguf-py's gguf_convert_endian",
                       path);
  }
  return status_fail(STATUS_INPUT,
                     "%s: GGUF version %" PRIu32 "; versions 2 and 3 can be read; convert the model again",
                     path, version);
}

// ---- parts ----

/// *out = the path of part `to`, if `path` is named as part `from` of `count` is; else NULL.
static Status part_path(const char *path, size_t from, size_t to, size_t count, char **out) {
  char ending[64];
  *out = NULL;
  (void)snprintf(ending, sizeof ending, PART_ENDING, from + 1, count);
  if (!str_ends(path, ending)) return STATUS_OK;
  return str_format(out, "%.*s" PART_ENDING, (int)(strlen(path) - strlen(ending)), path, to + 1, count);
}

/// Refuses a part that does not say it is number `number` of the first part's model.
static Status check_part(const GgufValues *part, size_t number, const GgufValues *first) {
  static const char *const same[] = {KEY_PARTS, KEY_PART_TENSORS};
  int64_t found = 0, expected = 0;
  TRY(gguf_value_integer(part, KEY_PART, -1, &found));
  if (found < 0)
    return status_fail(STATUS_INPUT, "%s: has no " KEY_PART ", so it is not a part of this model",
                       part->path);
  if (found != (int64_t)number) {
    return status_fail(STATUS_INPUT,
                       "%s: " KEY_PART " is %" PRId64 ", expected %zu; it is not the part that its "
                       "name says",
                       part->path, found, number);
  }
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
    TRY(gguf_value_integer(first, same[i], 0, &expected));
    TRY(gguf_value_integer(part, same[i], expected, &found));
    if (found != expected) {
      return status_fail(STATUS_INPUT,
                         "%s: %s is %" PRId64 ", in the first part %" PRId64
                         "; the parts do not belong together",
                         part->path, same[i], found, expected);
    }
  }
  // gguf-py aligns such a part like the first, llama-gguf-split to the default; the file does not say which.
  TRY(gguf_value_integer(first, KEY_ALIGNMENT, ALIGNMENT_DEFAULT, &expected));
  TRY(gguf_value_integer(part, KEY_ALIGNMENT, -1, &found));
  if (found < 0 && expected != ALIGNMENT_DEFAULT) {
    return status_fail(STATUS_INPUT,
                       "%s: has no " KEY_ALIGNMENT ", and the first part's is %" PRId64
                       ", so it is unclear where its data starts; use a model in one file",
                       part->path, expected);
  }
  return gguf_check_part_values(part, first);
}

/// Reads the file in maps[number]: the only one, or part `number`.
static Status read_part(TensorFile *file, size_t number, GgufValues *values) {
  const MappedFile *map = &file->maps[number];
  Cursor cursor = {map->path, map->bytes, map->size, 4};
  uint32_t version = 0;
  size_t tensors = 0, count = 0;
  if (map->size < 4 || memcmp(map->bytes, "GGUF", 4) != 0)
    return status_fail(STATUS_INPUT, "%s: is not a GGUF file", map->path);
  TRY(gguf_take_u32(&cursor, &version));
  TRY(check_version(map->path, version));
  TRY(gguf_take_count(&cursor, TENSOR_MIN_BYTES, "tensors", &tensors));
  TRY(gguf_take_count(&cursor, GGUF_VALUE_MIN_BYTES, "metadata values", &count));
  TRY(gguf_take_values(&cursor, count, values));
  if (number > 0) TRY(check_part(values, number, &file->metadata));
  return read_tensors(file, &cursor, values, tensors);
}

static Status read_later_part(TensorFile *file, size_t number, size_t count) {
  Status status = STATUS_OK;
  char *path = NULL;
  MappedFile *map = NULL;
  GgufValues values = {0};
  TRY_CLEAN(part_path(file->path, 0, number, count, &path));
  if (path == NULL) {
    status = status_fail(STATUS_INPUT,
                         "%s: is the first of %zu parts, but its name does not end in " PART_ENDING
                         "; name the parts so, or join them (llama-gguf-split --merge; not cat)",
                         file->path, count, (size_t)1, count);
    goto cleanup;
  }
  TRY_CLEAN(status_context(tensors_add_map(file, path, &map), "%s: has %zu parts", file->path, count));
  TRY_CLEAN(read_part(file, number, &values));
cleanup:
  gguf_free_values(&values);
  free(path);
  return status;
}

static Status refuse_later_part(const char *path, size_t number, size_t count) {
  char *first = NULL;
  TRY(part_path(path, number, 0, count, &first));
  Status status = status_fail(STATUS_INPUT, "%s: is part %zu of %zu; give the first, %s", path, number + 1,
                              count, first != NULL ? first : "whose name ends in -00001-of-…");
  free(first);
  return status;
}

/// Reads the parts after the first, if that announces any.
static Status read_later_parts(TensorFile *file) {
  int64_t number = 0, count = 0, tensors = 0;
  TRY(gguf_get_integer_or(file, KEY_PART, 0, &number));
  TRY(gguf_get_integer_or(file, KEY_PARTS, 1, &count));
  if (count == 0) count = 1; // llama-gguf-split --merge leaves it so
  if (count < 0 || count > PART_LIMIT || number < 0 || number >= count) {
    return status_fail(STATUS_INPUT,
                       "%s: says it is part %" PRId64 " (" KEY_PART ", from 0) of %" PRId64 " (" KEY_PARTS
                       ", at most %d); it is damaged",
                       file->path, number, count, PART_LIMIT);
  }
  if (number > 0) return refuse_later_part(file->path, (size_t)number, (size_t)count);
  for (size_t i = 1; i < (size_t)count; i++) TRY(read_later_part(file, i, (size_t)count));
  TRY(gguf_get_integer_or(file, KEY_PART_TENSORS, (int64_t)file->count, &tensors));
  if (tensors == (int64_t)file->count) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: " KEY_PART_TENSORS " is %" PRId64 ", but there are %zu tensors",
                     file->path, tensors, file->count);
}

/// The layouts of ggml's blocks have a number, and changed before there was GGUF. A file without the number
/// has the present ones.
static Status check_layouts(const TensorFile *file) {
  int64_t layouts = 0;
  TRY(gguf_get_integer_or(file, KEY_LAYOUTS, LAYOUTS, &layouts));
  for (size_t i = 0; layouts != LAYOUTS && i < file->count; i++) {
    if (dtype_info(file->tensors[i].type)->kind != DTYPE_QUANTISED) continue;
    return status_fail(STATUS_INPUT,
                       "%s: " KEY_LAYOUTS " is %" PRId64
                       ", so its blocks have another layout than today's (%d); "
                       "convert the model again",
                       file->path, layouts, LAYOUTS);
  }
  return STATUS_OK;
}

Status gguf_read(TensorFile *file) {
  file->is_gguf = true;
  TRY(read_part(file, 0, &file->metadata));
  TRY(read_later_parts(file));
  return check_layouts(file);
}
