// What the two halves of the GGUF reader share: gguf_metadata.c reads values, gguf.c tensors and parts.
#pragma once

#include "tensor_file.h"

/// The bytes still to read, from `offset`, which never passes `size`: `size - offset` cannot wrap.
typedef struct Cursor {
  const char *path;
  const uint8_t *bytes;
  size_t size, offset;
} Cursor;

/// Each takes one item off the front. STATUS_INPUT if the file ends first.
STATUS_CHECKED Status gguf_take_u32(Cursor *cursor, uint32_t *out);
STATUS_CHECKED Status gguf_take_u64(Cursor *cursor, uint64_t *out);
/// A count of items that take at least `min_bytes` each: refused if the rest cannot hold that many.
STATUS_CHECKED Status gguf_take_count(Cursor *cursor, size_t min_bytes, const char *what, size_t *out);
/// A name in the map, not NUL-terminated: not empty, and without control characters.
STATUS_CHECKED Status gguf_take_name(Cursor *cursor, const char **text, size_t *size);

enum { GGUF_VALUE_MIN_BYTES = 13 };
/// Takes `count` values and sorts them. *out may be freed after a failure too. Refuses a key that comes
/// twice.
STATUS_CHECKED Status gguf_take_values(Cursor *cursor, size_t count, GgufValues *out);

/// *out = the integer under `key`, or `fallback` if there is none.
STATUS_CHECKED Status gguf_value_integer(const GgufValues *values, const char *key, int64_t fallback,
                                         int64_t *out);
/// Refuses a value of a later part that the first part does not have as well, byte for byte: only those of
/// the first are used. "split.…" and "general.alignment" are each part's own.
STATUS_CHECKED Status gguf_check_part_values(const GgufValues *part, const GgufValues *first);
