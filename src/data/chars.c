// Characters and letter case. Rule: a byte that is not UTF-8 is a character of its own, −1, which is no
// letter.
#include "chars.h"

#include <utf8proc.h>

int32_t char_at(const char *text, size_t size, size_t at, size_t *bytes) {
  utf8proc_int32_t code = -1;
  utf8proc_ssize_t read =
      utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &code);
  *bytes = read > 0 ? (size_t)read : 1;
  return read > 0 ? code : -1;
}

int32_t char_before(const char *text, size_t at, size_t *bytes) {
  size_t start = at - 1;
  while (start > 0 && at - start < 4 && ((unsigned char)text[start] & 0xC0) == 0x80) start--;
  int32_t code = char_at(text, at, start, bytes);
  if (*bytes != at - start) *bytes = 1, code = -1;
  return code;
}

bool is_space(int32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0 && utf8proc_category(c) == UTF8PROC_CATEGORY_ZS);
}

bool is_word_char(int32_t c) {
  if (c < 0) return false;
  utf8proc_category_t category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

bool is_opening_mark(int32_t c) {
  if (c < 0) return false;
  utf8proc_category_t category = utf8proc_category(c);
  return c == '"' || c == '\'' || category == UTF8PROC_CATEGORY_PS || category == UTF8PROC_CATEGORY_PI;
}

bool is_hyphen(int32_t c) {
  return c == '-' || c == 0x2010 || c == 0x2011;
}

bool all_capitals(const char *text, size_t size) {
  size_t letters = 0, bytes = 0;
  for (size_t at = 0; at < size; at += bytes) {
    int32_t c = char_at(text, size, at, &bytes);
    if (c < 0) return false;
    utf8proc_category_t category = utf8proc_category(c);
    if (category == UTF8PROC_CATEGORY_LL) return false;
    letters += category == UTF8PROC_CATEGORY_LU;
  }
  return letters >= 2;
}

bool first_is_capital(const char *text, size_t size) {
  size_t bytes = 0;
  int32_t c = char_at(text, size, 0, &bytes);
  return c >= 0 && utf8proc_category(c) == UTF8PROC_CATEGORY_LU;
}

bool starts_sentence(const char *text, size_t at) {
  while (at > 0) {
    size_t bytes = 0;
    int32_t c = char_before(text, at, &bytes);
    if (c == '.' || c == '!' || c == '?' || c == ':' || c == '\n') return true;
    if (!is_space(c) && !is_opening_mark(c)) return false;
    at -= bytes;
  }
  return true;
}
