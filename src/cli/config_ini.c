// Reading and writing lines of an .ini file. Rule: config_ini.h says what a line may be; all else is refused.
#include "config_ini.h"

#include <string.h>

static const char blanks[] = " \t\v\f\r";
static const char escaped[] = "\"\\\n\r\t", letters[] = "\"\\nrt";

static bool is_blank(char c) {
  return c != '\0' && strchr(blanks, c) != NULL;
}

static bool is_comment(char c) {
  return c == '#' || c == ';';
}

/// Whether a comment begins at byte i of a value without quotes.
static bool begins_comment(const char *value, size_t i) {
  return is_comment(value[i]) && (i == 0 || is_blank(value[i - 1]));
}

// ---- reading ----

Status ini_read_line(FILE *file, Str *line, bool *more) {
  int c = 0;
  str_clear(line);
  while ((c = getc(file)) != EOF && c != '\n') {
    char byte = (char)c;
    if (c == '\0') return status_fail(STATUS_INPUT, "a NUL byte, so it is not text; save it as UTF-8");
    if (line->size == INI_MAX_LINE)
      return status_fail(STATUS_INPUT, "the line is longer than %d bytes", INI_MAX_LINE);
    TRY(str_append(line, &byte, 1));
  }
  *more = c != EOF || line->size > 0;
  return STATUS_OK;
}

static char *skip_blanks(char *text) {
  return text + strspn(text, blanks);
}

static void drop_blanks_at_end(char *text) {
  size_t size = strlen(text);
  while (size > 0 && is_blank(text[size - 1])) size--;
  text[size] = '\0';
}

/// Whether nothing or a comment is there.
static bool is_rest(const char *text) {
  text += strspn(text, blanks);
  return *text == '\0' || is_comment(*text);
}

static Status parse_section(char *line, IniLine *out) {
  char *end = strchr(line, ']');
  if (end == NULL) return status_fail(STATUS_INPUT, "the section %.100s has no \"]\"", line);
  *end = '\0';
  if (!is_rest(end + 1))
    return status_fail(STATUS_INPUT,
                       "text after the section [%.100s]: \"%.100s\"; put it on a line of its own", line + 1,
                       skip_blanks(end + 1));
  *out = (IniLine){.kind = INI_SECTION, .name = line + 1};
  return STATUS_OK;
}

/// Replaces a value in quotes by what it stands for.
static Status parse_quoted(char *value) {
  char *to = value, *from = value + 1;
  while (*from != '"') {
    if (*from == '\0' || strcmp(from, "\\") == 0) {
      *to = '\0';
      return status_fail(STATUS_INPUT,
                         "the value \"%.100s has no closing quote; a quote in it is written \\\"", value);
    }
    if (*from == '\\') {
      const char *letter = strchr(letters, from[1]);
      if (letter == NULL)
        return status_fail(STATUS_INPUT,
                           "\"\\%c\" in quotes: known are \\\" \\\\ \\n \\r and \\t; a backslash is \\\\",
                           from[1]);
      *from = escaped[letter - letters];
      memmove(from + 1, from + 2, strlen(from + 2) + 1);
    }
    *to++ = *from++;
  }
  if (!is_rest(from + 1))
    return status_fail(STATUS_INPUT,
                       "text after the closing quote: \"%.100s\"; a quote in a value is written \\\"",
                       skip_blanks(from + 1));
  *to = '\0';
  return STATUS_OK;
}

static Status parse_plain(char *value) {
  size_t end = 0;
  while (value[end] != '\0' && !begins_comment(value, end)) end++;
  value[end] = '\0';
  drop_blanks_at_end(value);
  size_t size = strlen(value);
  if (size < 2 || value[0] != '\'' || value[size - 1] != '\'') return STATUS_OK;
  return status_fail(STATUS_INPUT, "%.100s: a value is quoted with \", not with '", value);
}

Status ini_parse_line(char *line, IniLine *out) {
  *out = (IniLine){.kind = INI_NOTHING};
  line = skip_blanks(line);
  if (is_rest(line)) return STATUS_OK;
  if (*line == '[') return parse_section(line, out);
  char *end = line + strcspn(line, "=:");
  if (*end == '\0') return status_fail(STATUS_INPUT, "this is neither [section] nor key = value");
  *end = '\0';
  drop_blanks_at_end(line);
  *out = (IniLine){.kind = INI_KEY, .name = line, .value = skip_blanks(end + 1)};
  return *out->value == '"' ? parse_quoted(out->value) : parse_plain(out->value);
}

// ---- writing ----

static bool needs_quotes(const char *text) {
  size_t size = strlen(text);
  if (size == 0) return false;
  if (strchr("\"'", text[0]) != NULL || is_blank(text[0]) || is_blank(text[size - 1])) return true;
  for (size_t i = 0; i < size; i++)
    if (begins_comment(text, i)) return true;
  return strpbrk(text, "\r\n") != NULL;
}

Status ini_append_value(const char *text, Str *out) {
  if (!needs_quotes(text)) return str_append_text(out, text);
  TRY(str_append_text(out, "\""));
  for (; *text != '\0'; text++) {
    const char *found = strchr(escaped, *text);
    TRY(found != NULL ? str_append_format(out, "\\%c", letters[found - escaped]) : str_append(out, text, 1));
  }
  return str_append_text(out, "\"");
}
