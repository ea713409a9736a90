// The checks of a JSON text. Rule: a text that passes means to cJSON what it means to Python's json module,
// which reads the same or refuses. cJSON alone ends a string at a NUL, takes ill-formed UTF-8 and numbers
// such as 007, and does not know numbers of more than 63 characters, NaN or Infinity.
#include "json_text.h"

#include "table_parts.h" // number_form
#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NUMBER = 63 }; // that cJSON reads

/// The text being checked.
typedef struct Scan {
  char *text;
  size_t size;
  const char *name;
  const JsonRules *rules;
  JsonNumbers *numbers;
} Scan;

size_t json_line(const char *text, size_t offset) {
  size_t line = 1;
  for (size_t i = 0; i < offset; i++) line += text[i] == '\n';
  return line;
}

static Status fail_at(const Scan *scan, size_t at, const char *what) {
  return status_fail(STATUS_INPUT, "%s: %s (line %zu, byte %zu)", scan->name, what, json_line(scan->text, at),
                     at);
}

// ---- numbers ----

static bool is_number_char(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/// JSON is stricter than number_form: no leading zero or plus, and digits on both sides of a point.
static bool is_json_number(const char *text, size_t size) {
  size_t first = text[0] == '-' ? 1 : 0;
  const char *point = memchr(text, '.', size);
  if (number_form(text, size) == NUMBER_NONE || text[first] < '0' || text[first] > '9') return false;
  if (text[first] == '0' && first + 1 < size && text[first + 1] >= '0' && text[first + 1] <= '9')
    return false;
  return point == NULL || (point + 1 < text + size && point[1] >= '0' && point[1] <= '9');
}

/// The size of NaN, Infinity or -Infinity at the front of the text; 0 if none of them is there.
static size_t size_of_word(const char *text, size_t size) {
  static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t length = strlen(words[i]);
    if (size >= length && memcmp(text, words[i], length) == 0) return length;
  }
  return 0;
}

/// Adds the number at `at` and moves *at behind it.
static Status add_number(Scan *scan, size_t *at) {
  char *text = scan->text + *at;
  size_t left = scan->size - *at, size = size_of_word(text, left);
  bool is_word = size > 0;
  while (!is_word && size < left && is_number_char(text[size])) size++;
  // Refused here, because the 0 put in the word's place would join the digits before it.
  if (!is_word && size_of_word(text + size, left - size) > 0)
    return fail_at(scan, *at + size, "not valid JSON: NaN or Infinity right behind a number");
  if (is_word && !scan->rules->allows_nan)
    return fail_at(scan, *at, "not valid JSON: NaN and Infinity are not numbers");
  if (!is_word && !is_json_number(text, size)) {
    return status_fail(STATUS_INPUT, "%s: not valid JSON: %.*s is not a number (line %zu, byte %zu)",
                       scan->name, (int)size_min(size, 40), text, json_line(scan->text, *at), *at);
  }
  JsonNumber number = {.offset = *at, .size = size, .is_hidden = is_word || size > LONGEST_NUMBER};
  if (number.is_hidden) {
    number.value = strtod(text, NULL); // ends at the terminator at the latest
    memset(text, ' ', size);
    text[0] = '0';
  }
  JsonNumbers *numbers = scan->numbers;
  TRY(mem_reserve(&numbers->list, &numbers->capacity, numbers->count + 1, "numbers in JSON"));
  numbers->list[numbers->count++] = number;
  *at += size;
  return STATUS_OK;
}

// ---- strings ----

/// The number that four hexadecimal digits at the front of the text spell; -1 if they are not there.
static long read_hex(const char *text, size_t size) {
  char digits[5] = {0};
  for (size_t i = 0; i < 4; i++) {
    if (i >= size || text[i] == '\0' || strchr("0123456789abcdefABCDEF", text[i]) == NULL) return -1;
    digits[i] = text[i];
  }
  return strtol(digits, NULL, 16);
}

/// Checks the escape at `at` and moves *at behind it. cJSON checks all but \u.
static Status check_escape(const Scan *scan, size_t *at) {
  char *text = scan->text + *at;
  size_t left = scan->size - *at;
  if (left < 2 || text[1] != 'u') {
    *at += 2;
    return STATUS_OK;
  }
  long code = read_hex(text + 2, left - 2), low = 0;
  if (code < 0) return fail_at(scan, *at, "not valid JSON: \\u without four hexadecimal digits");
  if (code == 0 && !scan->rules->allows_nul)
    return fail_at(scan, *at, "contains a NUL byte, as \\u0000, so it is not text");
  if (code == 0) memcpy(text + 2, "FFFD", 4);
  *at += 6;
  if (code < 0xD800 || code > 0xDFFF) return STATUS_OK;
  if (code < 0xDC00 && left >= 12 && text[6] == '\\' && text[7] == 'u') low = read_hex(text + 8, left - 8);
  if (low < 0xDC00 || low > 0xDFFF)
    return status_fail(
        STATUS_INPUT,
        "%s: not valid JSON: %.6s is half of a character, a lone surrogate (line %zu, byte %zu)", scan->name,
        text, json_line(scan->text, *at - 6), *at - 6);
  *at += 6;
  return STATUS_OK;
}

/// Moves *at from the opening quote of a string behind the closing one.
static Status check_string(const Scan *scan, size_t *at) {
  ++*at;
  while (*at < scan->size && scan->text[*at] != '"') {
    if (scan->text[*at] == '\\')
      TRY(check_escape(scan, at));
    else
      ++*at;
  }
  ++*at;
  return STATUS_OK;
}

// ---- the text ----

static Status check_bytes(const Scan *scan) {
  size_t valid = utf8_valid_prefix(scan->text, scan->size);
  const char *nul = memchr(scan->text, '\0', scan->size);
  if (nul != NULL) return fail_at(scan, (size_t)(nul - scan->text), "contains a NUL byte, so it is not text");
  if (valid == scan->size) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: not UTF-8: byte %zu is 0x%02X (line %zu); save it as UTF-8",
                     scan->name, valid, (unsigned char)scan->text[valid], json_line(scan->text, valid));
}

Status json_text_check(char *text, size_t size, const char *name, const JsonRules *rules,
                       JsonNumbers *numbers) {
  Scan scan = {text, size, name, rules, numbers};
  TRY(check_bytes(&scan));
  for (size_t at = 0; at < size;) {
    char c = text[at];
    if (c == '"')
      TRY(check_string(&scan, &at));
    else if (c == '-' || (c >= '0' && c <= '9') || size_of_word(text + at, size - at) > 0)
      TRY(add_number(&scan, &at));
    else if (c > 0 && c < ' ' && strchr("\t\n\r", c) == NULL)
      return fail_at(&scan, at, "not valid JSON: a control character");
    else
      at++;
  }
  return STATUS_OK;
}
