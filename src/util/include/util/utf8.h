// UTF-8 as Rust reads it: what is ill-formed becomes U+FFFD, one for each maximal part of a character
// (Unicode 16.0, section 3.9, "U+FFFD substitution of maximal subparts"), as String::from_utf8_lossy does.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What stands at the front of some bytes.
typedef struct Utf8Char {
  uint32_t code; // U+FFFD where it is not well-formed
  size_t size;   // bytes to step over, ≥ 1
  bool valid;
  bool cut; // not valid, but only because the bytes end: more of them could complete it
} Utf8Char;

/// Reads the character at the front of `size` ≥ 1 bytes.
Utf8Char utf8_read(const char *bytes, size_t size);
/// The bytes at the front that are well-formed.
size_t utf8_valid_prefix(const char *bytes, size_t size);
/// Writes the character into `out` and returns its size, 1 to 4.
size_t utf8_write(uint32_t code, char out[4]);
/// Appends the bytes with U+FFFD for what is ill-formed.
STATUS_CHECKED Status utf8_append_lossy(Str *out, const char *bytes, size_t size);

/// Unicode White_Space: Python's str.strip and Rust's \s agree on it except for U+001C–1F, which only Python
/// strips.
bool utf8_is_space(uint32_t code);
/// Start and end of the text without the White_Space and U+001C–1F around it, as Python's str.strip leaves
/// it.
void utf8_strip(const char **text, size_t *size);
/// Bytes of White_Space at the end of the text.
size_t utf8_trailing_space(const char *text, size_t size);
/// Bytes of White_Space at the start of the text.
size_t utf8_leading_space(const char *text, size_t size);
