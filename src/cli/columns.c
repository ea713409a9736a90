// Columns of text. Rule: a character is as wide as Unicode says, by utf8proc's tables.
#include "columns.h"

#include "util/utf8.h"
#include <string.h>
#include <utf8proc.h>

static size_t width_of(Utf8Char c) {
  int width = c.valid ? utf8proc_charwidth((utf8proc_int32_t)c.code) : 1;
  return width > 0 ? (size_t)width : 0;
}

size_t text_bytes(const char *text, size_t size, size_t columns) {
  size_t at = 0;
  while (at < size) {
    Utf8Char c = utf8_read(text + at, size - at);
    size_t width = width_of(c);
    if (width > columns) break;
    columns -= width;
    at += c.size;
  }
  return at;
}

size_t text_columns(const char *text, size_t size) {
  size_t columns = 0;
  for (size_t at = 0; at < size;) {
    Utf8Char c = utf8_read(text + at, size - at);
    columns += width_of(c);
    at += c.size;
  }
  return columns;
}

int field_width(const char *text, size_t columns) {
  size_t size = strlen(text), used = text_columns(text, size);
  return used < columns ? (int)(size + columns - used) : 0;
}
