// UTF-8, with ill-formed bytes replaced as Rust's String::from_utf8_lossy does: each maximal part of a
// character becomes one U+FFFD (Unicode 16.0, section 3.9, "U+FFFD substitution of maximal subparts").
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The first character of some bytes.
typedef struct Utf8Char {
  uint32_t code; // U+FFFD if it is ill-formed
  size_t size;   // bytes to skip, ≥ 1
  bool valid;
  bool cut; // not valid, but only because the bytes end: more bytes could complete it
} Utf8Char;

/// Reads the first character of `size` ≥ 1 bytes.
Utf8Char utf8_read(const char *bytes, size_t size);
/// The number of bytes before the first ill-formed one.
size_t utf8_valid_prefix(const char *bytes, size_t size);
/// Writes the character into `out` and returns its size, 1 to 4.
size_t utf8_write(uint32_t code, char out[4]);
/// Appends the bytes, with U+FFFD in place of ill-formed ones.
STATUS_CHECKED Status utf8_append_lossy(Str *out, const char *bytes, size_t size);

/// What a screen obeys and does not show: control characters (C0, DEL, C1), and Bidi_Control.
bool utf8_is_control(uint32_t code);
/// Whether one of these stands in the text.
bool utf8_has_control(const char *text);
/// Unicode White_Space. Python's str.strip and Rust's \s agree with it, except that Python also strips
/// U+001C–1F.
bool utf8_is_space(uint32_t code);
/// Moves *text and *size past the White_Space and U+001C–1F at both ends, as Python's str.strip does.
void utf8_strip(const char **text, size_t *size);
/// Bytes of White_Space at the end of the text.
size_t utf8_trailing_space(const char *text, size_t size);
/// Bytes of White_Space at the start of the text.
size_t utf8_leading_space(const char *text, size_t size);
