// UTF-8, by the table of well-formed byte sequences (Unicode 16.0, table 3-7). Rule: nothing is read past
// `size`, and a character's size is never 0, so every loop over characters ends.
#include "util/utf8.h"

#include <string.h>

/// The length of the character that `byte` starts, or 0 if none starts with it; [*low, *high] = the range of
/// its second byte.
static size_t lead(uint8_t byte, uint8_t *low, uint8_t *high) {
  *low = 0x80;
  *high = 0xBF;
  if (byte < 0x80) return 1;
  if (byte >= 0xC2 && byte <= 0xDF) return 2;
  if (byte >= 0xE0 && byte <= 0xEF) {
    if (byte == 0xE0) *low = 0xA0;  // below it there is a shorter form
    if (byte == 0xED) *high = 0x9F; // surrogates
    return 3;
  }
  if (byte >= 0xF0 && byte <= 0xF4) {
    if (byte == 0xF0) *low = 0x90;  // below it there is a shorter form
    if (byte == 0xF4) *high = 0x8F; // above U+10FFFF
    return 4;
  }
  return 0;
}

Utf8Char utf8_read(const char *text, size_t size) {
  const uint8_t *bytes = (const uint8_t *)text;
  uint8_t low, high;
  size_t length = lead(bytes[0], &low, &high);
  if (length == 1) return (Utf8Char){.code = bytes[0], .size = 1, .valid = true};
  Utf8Char bad = {.code = 0xFFFD, .size = 1};
  if (length == 0) return bad;
  uint32_t code = bytes[0] & (0x7Fu >> length);
  for (size_t i = 1; i < length; i++) {
    bad.size = i;
    if (i == size) {
      bad.cut = true;
      return bad;
    }
    if (bytes[i] < low || bytes[i] > high) return bad;
    code = code << 6 | (bytes[i] & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return (Utf8Char){.code = code, .size = length, .valid = true};
}

size_t utf8_valid_prefix(const char *bytes, size_t size) {
  size_t valid = 0;
  while (valid < size) {
    if ((uint8_t)bytes[valid] < 0x80) {
      valid++;
      continue;
    }
    Utf8Char c = utf8_read(bytes + valid, size - valid);
    if (!c.valid) break;
    valid += c.size;
  }
  return valid;
}

size_t utf8_write(uint32_t code, char out[4]) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (code & 0x3F));
    code >>= 6;
  }
  out[0] = (char)((0xF0u << (4 - length) & 0xFF) | code);
  return length;
}

Status utf8_append_lossy(Str *out, const char *bytes, size_t size) {
  size_t offset = 0;
  while (offset < size) {
    size_t valid = utf8_valid_prefix(bytes + offset, size - offset);
    TRY(str_append(out, bytes + offset, valid));
    offset += valid;
    if (offset == size) break;
    TRY(str_append_text(out, "\xEF\xBF\xBD"));
    offset += utf8_read(bytes + offset, size - offset).size;
  }
  return STATUS_OK;
}

bool utf8_is_control(uint32_t code) {
  bool turns = code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
               (code >= 0x2066 && code <= 0x2069);
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || turns;
}

bool utf8_has_control(const char *text) {
  for (size_t left = strlen(text); left > 0;) {
    Utf8Char c = utf8_read(text, left);
    if (utf8_is_control(c.code)) return true;
    text += c.size;
    left -= c.size;
  }
  return false;
}

bool utf8_is_space(uint32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

/// The character that ends at text[size]; `size` ≥ 1.
static Utf8Char read_last(const char *text, size_t size) {
  size_t start = size - 1;
  while (start > 0 && size - start < 4 && ((uint8_t)text[start] & 0xC0) == 0x80) start--;
  Utf8Char c = utf8_read(text + start, size - start);
  return c.valid && c.size == size - start ? c : (Utf8Char){.code = 0xFFFD, .size = 1};
}

static bool python_strips(uint32_t code) {
  return utf8_is_space(code) || (code >= 0x1C && code <= 0x1F);
}

void utf8_strip(const char **text, size_t *size) {
  while (*size > 0) {
    Utf8Char c = utf8_read(*text, *size);
    if (!python_strips(c.code)) break;
    *text += c.size;
    *size -= c.size;
  }
  while (*size > 0) {
    Utf8Char c = read_last(*text, *size);
    if (!python_strips(c.code)) break;
    *size -= c.size;
  }
}

size_t utf8_trailing_space(const char *text, size_t size) {
  size_t left = size;
  while (left > 0) {
    Utf8Char c = read_last(text, left);
    if (!utf8_is_space(c.code)) break;
    left -= c.size;
  }
  return size - left;
}

size_t utf8_leading_space(const char *text, size_t size) {
  size_t space = 0;
  while (space < size) {
    Utf8Char c = utf8_read(text + space, size - space);
    if (!utf8_is_space(c.code)) break;
    space += c.size;
  }
  return space;
}
