// Growable strings and small string helpers. Text is UTF-8 bytes; a Str is always NUL-terminated but may hold
// NULs.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

/// A growable string. Zero-initialise; free with str_free. `data` may be NULL while `size` is 0.
typedef struct Str {
  char *data;
  size_t size; // bytes, without the terminator
  size_t capacity;
} Str;

STATUS_CHECKED Status str_append(Str *str, const char *bytes, size_t size);
STATUS_CHECKED Status str_append_text(Str *str, const char *text);
STATUS_CHECKED Status str_append_format(Str *str, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/// Appends `word`, entry `index` of a list of `count` for people to read: where `last` is " and ", the list
/// is "a, b and c".
STATUS_CHECKED Status str_append_item(Str *str, const char *word, size_t index, size_t count,
                                      const char *last);
/// Empties the string and keeps its memory.
void str_clear(Str *str);
/// Frees; safe on NULL and twice.
void str_free(Str *str);
/// The text, never NULL.
const char *str_text(const Str *str);

/// *out = a fresh copy of `size` bytes with a terminator; the caller frees it.
STATUS_CHECKED Status str_copy(char **out, const char *bytes, size_t size);
/// *out = printf into fresh memory; the caller frees it.
STATUS_CHECKED Status str_format(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

/// The entry of `words` (NULL-terminated list) with the smallest edit distance to `word`, for "did you mean
/// …"; an entry that `word` begins is at distance 1. NULL where nothing is near (distance over half of the
/// longer word).
const char *str_nearest(const char *word, const char *const *words);
