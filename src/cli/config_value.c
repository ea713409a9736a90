// Values of config keys. Rule: only what the table allows is stored, and every stored value has one text.
#include "config_value.h"

#include "config_ini.h"
#include "util/utf8.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- text to field ----

static Status fail_value(const ConfigKey *key, const char *text, const char *allowed) {
  return status_fail(STATUS_INPUT, "%s.%s is \"%.200s\"; it must be %s", key->section, key->name, text,
                     allowed);
}

static Status fail_range(const ConfigKey *key, const char *text) {
  char allowed[96];
  const char *kind = key->type == KEY_SIZE ? "a whole number" : "a number";
  (void)snprintf(allowed, sizeof allowed, "%s from %.10g to %.10g", kind, key->low, key->high);
  return fail_value(key, text, allowed);
}

int config_word_index(const char *words, const char *text) {
  int index = 0;
  for (const char *word = words; *word != '\0'; index++) {
    size_t length = strcspn(word, "|");
    if (strlen(text) == length && strncasecmp(word, text, length) == 0) return index;
    word += length + (word[length] == '|');
  }
  return -1;
}

static Status fail_word(const ConfigKey *key, const char *text) {
  char allowed[128] = "one of ";
  size_t used = strlen(allowed);
  for (const char *c = key->choices; *c != '\0' && used + 3 < sizeof allowed; c++) {
    allowed[used++] = *c == '|' ? ',' : *c;
    if (*c == '|') allowed[used++] = ' ';
  }
  allowed[used] = '\0';
  return fail_value(key, text, allowed);
}

static Status parse_bool(const ConfigKey *key, const char *text, bool *out) {
  static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (strcasecmp(text, words[i]) == 0) {
      *out = i % 2 == 1;
      return STATUS_OK;
    }
  }
  return fail_value(key, text, "true or false");
}

static Status parse_whole(const ConfigKey *key, const char *text, uint64_t *out) {
  char *end = NULL;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  bool whole = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
  if (key->type == KEY_SEED && !whole) return fail_value(key, text, "a whole number from 0 to 2^64 - 1");
  if (key->type == KEY_SIZE && (!whole || (double)value < key->low || (double)value > key->high))
    return fail_range(key, text);
  *out = value;
  return STATUS_OK;
}

static Status parse_number(const ConfigKey *key, const char *text, float *out) {
  char *end = NULL;
  double value = strtod(text, &end);
  if (end == text || *end != '\0' || !isfinite(value) || value < key->low || value > key->high)
    return fail_range(key, text);
  *out = (float)value;
  return STATUS_OK;
}

Status config_check_utf8(const char *text, const char *what) {
  size_t size = strlen(text), valid = utf8_valid_prefix(text, size);
  if (valid == size) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s is not UTF-8: byte %zu of the text is 0x%02X; write it as UTF-8", what,
                     valid, (unsigned char)text[valid]);
}

static Status check_text(const ConfigKey *key, const char *text) {
  char what[128];
  (void)snprintf(what, sizeof what, "%s.%s", key->section, key->name);
  TRY(config_check_utf8(text, what));
  if (key->type != KEY_LINES && strpbrk(text, "\r\n") != NULL) return fail_value(key, text, "one line");
  if (strlen(text) <= INI_MAX_VALUE) return STATUS_OK;
  char allowed[64];
  (void)snprintf(allowed, sizeof allowed, "at most %d bytes", INI_MAX_VALUE);
  return fail_value(key, text, allowed);
}

Status config_parse_value(const ConfigKey *key, const char *text, void *field) {
  TRY(check_text(key, text));
  uint64_t whole = 0;
  int index = key->choices != NULL ? config_word_index(key->choices, text) : 0;
  if (index < 0) return fail_word(key, text);
  switch (key->type) {
  case KEY_BOOL:
    return parse_bool(key, text, field);
  case KEY_NUMBER:
    return parse_number(key, text, field);
  case KEY_CHOICE:
    memcpy(field, &index, sizeof index);
    return STATUS_OK;
  case KEY_SIZE:
    TRY(parse_whole(key, text, &whole));
    *(size_t *)field = (size_t)whole;
    return STATUS_OK;
  case KEY_SEED:
    return parse_whole(key, text, field);
  case KEY_TEXT:
  case KEY_LINES:
    break;
  }
  return STATUS_OK;
}

/// The word `index` of "a|b|c", which ends before its end or the next "|".
static const char *find_word(const char *words, int index) {
  for (; index > 0; index--) words = strchr(words, '|') + 1;
  return words;
}

Status config_copy_value(const ConfigKey *key, const char *text, char **out) {
  if (key->choices == NULL) return str_copy(out, text, strlen(text));
  const char *word = find_word(key->choices, config_word_index(key->choices, text));
  return str_copy(out, word, strcspn(word, "|"));
}

// ---- field to text ----

/// Appends word `index` of "a|b|c".
static Status print_word(const char *words, int index, Str *out) {
  const char *word = find_word(words, index);
  return str_append(out, word, strcspn(word, "|"));
}

/// Appends the shortest text that reads back as the same float; nine digits always do.
static Status print_number(float value, Str *out) {
  char text[40];
  for (int digits = 6; digits <= 9; digits++) {
    (void)snprintf(text, sizeof text, "%.*g", digits, (double)value);
    if (strtof(text, NULL) == value) break;
  }
  return str_append_text(out, text);
}

Status config_print_value(const Config *config, const ConfigKey *key, Str *out) {
  const void *field = (const char *)config + key->offset;
  const char *text = NULL;
  switch (key->type) {
  case KEY_BOOL:
    return str_append_text(out, *(const bool *)field ? "true" : "false");
  case KEY_SIZE:
    return str_append_format(out, "%zu", *(const size_t *)field);
  case KEY_SEED:
    return str_append_format(out, "%" PRIu64, *(const uint64_t *)field);
  case KEY_NUMBER:
    return print_number(*(const float *)field + 0.0f, out); // -0 is 0
  case KEY_CHOICE:
    return print_word(key->choices, *(const int *)field, out);
  case KEY_TEXT:
  case KEY_LINES:
    text = *(const char *const *)field;
    return str_append_text(out, text != NULL ? text : "");
  }
  return STATUS_OK;
}
