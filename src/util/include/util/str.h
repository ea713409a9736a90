// Growable strings and small string helpers. Text is UTF-8. A Str is always NUL-terminated, but may also
// contain NULs.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A growable string. Zero-initialise it and free it with str_free. `data` may be NULL while `size` is 0.
typedef struct Str {
  char *data;
  size_t size; // bytes, without the terminator
  size_t capacity;
} Str;

STATUS_CHECKED Status str_append(Str *str, const char *bytes, size_t size);
STATUS_CHECKED Status str_append_text(Str *str, const char *text);
STATUS_CHECKED Status str_append_format(Str *str, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/// Appends `word`, which is entry `index` of a list of `count` entries for people to read. The list reads
/// "a, b and c" if `last` is " and ".
STATUS_CHECKED Status str_append_item(Str *str, const char *word, size_t index, size_t count,
                                      const char *last);
/// Appends `word` as a shell reads it: in quotes where it needs them.
STATUS_CHECKED Status str_append_shell(Str *str, const char *word);
/// Empties the string and keeps its memory.
void str_clear(Str *str);
/// Frees the string. Safe on NULL and twice.
void str_free(Str *str);
/// The text, never NULL.
const char *str_text(const Str *str);

/// *out = a new copy of `size` bytes with a terminator; the caller frees it.
STATUS_CHECKED Status str_copy(char **out, const char *bytes, size_t size);
/// *out = the formatted text in new memory; the caller frees it.
STATUS_CHECKED Status str_format(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// "s" unless `count` is 1, for words whose plural is made so: "%zu step%s".
const char *str_plural(uint64_t count);
enum { STR_NUMBER = 32 };
/// `number` for a message, which `out` holds: ten digits, or "no number" where it is none.
const char *str_number(char out[STR_NUMBER], double number);
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

/// For "did you mean …": the entry of `words`, a NULL-terminated list, with the smallest edit distance to
/// `word`. If an entry starts with `word`, its distance counts as 1. NULL if every distance is more than half
/// of the longer word.
const char *str_nearest(const char *word, const char *const *words);
