// How wide text is on a terminal. Rule: tables and lines count columns, never bytes, so that names in any
// script stand under each other.
#pragma once

#include <stddef.h>

/// Columns of `size` bytes of UTF-8: 2 for a wide character, such as a Chinese one, 0 for a mark on the
/// letter before it, 1 for what is ill-formed.
size_t text_columns(const char *text, size_t size);
/// The bytes at the start of `text` that take at most `columns`. No character is cut.
size_t text_bytes(const char *text, size_t size, size_t columns);
/// The width that printf's "%*s" and "%-*s", which count bytes, need for `text` to fill `columns`.
int field_width(const char *text, size_t columns);
