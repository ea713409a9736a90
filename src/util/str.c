// Growable strings. Rule: once `data` is allocated, `data[size]` is always the terminator.
#include "util/str.h"
#include "util/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Status str_append(Str *str, const char *bytes, size_t size) {
  if (size >= SIZE_MAX - str->size)
    return status_fail(STATUS_FAILED, "a string of %zu bytes cannot grow", str->size);
  TRY(mem_reserve(&str->data, &str->capacity, str->size + size + 1, "a string"));
  if (size > 0) memcpy(str->data + str->size, bytes, size);
  str->size += size;
  str->data[str->size] = '\0';
  return STATUS_OK;
}

Status str_append_text(Str *str, const char *text) {
  return str_append(str, text, strlen(text));
}

Status str_append_format(Str *str, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  Status status = STATUS_OK;
  if (length < 0) {
    status = status_fail(STATUS_FAILED, "text could not be formatted");
  } else {
    size_t size = (size_t)length;
    status = mem_reserve(&str->data, &str->capacity, str->size + size + 1, "a string");
    if (status == STATUS_OK) {
      (void)vsnprintf(str->data + str->size, size + 1, format, again);
      str->size += size;
    }
  }
  va_end(again);
  return status;
}

Status str_append_item(Str *str, const char *word, size_t index, size_t count, const char *last) {
  if (index > 0) TRY(str_append_text(str, index + 1 == count ? last : ", "));
  return str_append_text(str, word);
}

Status str_append_shell(Str *str, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-";
  if (word[0] != '\0' && strspn(word, plain) == strlen(word)) return str_append_text(str, word);
  TRY(str_append_text(str, "'"));
  for (; *word != '\0'; word++) TRY(str_append_text(str, *word == '\'' ? "'\\''" : (char[]){*word, '\0'}));
  return str_append_text(str, "'");
}

void str_clear(Str *str) {
  str->size = 0;
  if (str->data != NULL) str->data[0] = '\0';
}

void str_free(Str *str) {
  if (str == NULL) return;
  free(str->data);
  *str = (Str){0};
}

const char *str_text(const Str *str) {
  return str->data != NULL ? str->data : "";
}

Status str_copy(char **out, const char *bytes, size_t size) {
  if (size == SIZE_MAX) return status_fail(STATUS_FAILED, "a string of %zu bytes cannot be copied", size);
  TRY(mem_array(out, size + 1, "a string"));
  if (size > 0) memcpy(*out, bytes, size);
  return STATUS_OK;
}

Status str_format(char **out, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  Status status = length < 0 ? status_fail(STATUS_FAILED, "text could not be formatted")
                             : mem_array(out, (size_t)length + 1, "a string");
  if (status == STATUS_OK) (void)vsnprintf(*out, (size_t)length + 1, format, again);
  va_end(again);
  return status;
}

const char *str_plural(uint64_t count) {
  return count == 1 ? "" : "s";
}

const char *str_number(char out[STR_NUMBER], double number) {
  if (isnan(number))
    (void)snprintf(out, STR_NUMBER, "no number");
  else
    (void)snprintf(out, STR_NUMBER, "%.10g", number);
  return out;
}

bool str_starts(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix) {
  size_t length = strlen(text), tail = strlen(suffix);
  return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

enum { NEAREST_MAX = 64 }; // none of our names is longer

/// Levenshtein distance, computed in one row. Both words have at most NEAREST_MAX bytes. In the inner loop
/// row[j − 1] is already of this row, row[j] still of the row above, and `diagonal` is the row above's entry
/// j − 1.
static size_t edit_distance(const char *a, const char *b) {
  size_t row[NEAREST_MAX + 1];
  size_t rows = strlen(a), columns = strlen(b);
  for (size_t j = 0; j <= columns; j++) row[j] = j;
  for (size_t i = 1; i <= rows; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= columns; j++) {
      size_t best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[columns];
}

const char *str_nearest(const char *word, const char *const *words) {
  const char *nearest = NULL;
  size_t best = SIZE_MAX, length = strlen(word);
  if (length > NEAREST_MAX) return NULL;
  for (; *words != NULL; words++) {
    size_t other = strlen(*words);
    if (other > NEAREST_MAX) continue;
    size_t distance = length > 1 && str_starts(*words, word) ? 1 : edit_distance(word, *words);
    if (distance < best && 2 * distance <= (length > other ? length : other)) {
      best = distance;
      nearest = *words;
    }
  }
  return nearest;
}
