// Python's re through PCRE2. Rule: a construct is passed on only if both read it alike; PCRE2 knows many that
// Python does not, and some that it reads otherwise ("{,3}", "[[:alpha:]]", "\v").
#define PCRE2_CODE_UNIT_WIDTH 8
#include "python_regex.h"

#include "util/str.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MATCH_LIMIT = 1000000 };

/// The length of the escape at `at`; 0 if the two libraries may read it differently.
static size_t escape_length(const char *at) {
  bool known = at[1] != '\0' && (strchr("AbBdDsSwW", at[1]) != NULL || (at[1] >= '1' && at[1] <= '9'));
  bool literal = at[1] > ' ' && at[1] < 0x7f && strchr("0123456789", at[1]) == NULL &&
                 !((at[1] | 0x20) >= 'a' && (at[1] | 0x20) <= 'z');
  return known || literal ? 2 : 0;
}

/// The length of what stands at `at` outside a class; 0 if it is not understood.
static size_t token_length(const char *at) {
  static const char *const groups[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?P<", "(?P="};
  if (at[0] == '\\') return escape_length(at);
  if (at[0] == '{' && (at[1] == ',' || at[1] == ' ')) return 0;
  if (at[0] != '(' || (at[1] != '?' && at[1] != '*')) return (unsigned char)at[0] < 0x80 ? 1 : 0;
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    if (str_starts(at, groups[i])) return strlen(groups[i]);
  }
  return 0;
}

/// The length of the class at `at`, from '[' to ']'; 0 if it is not understood.
static size_t class_length(const char *at) {
  size_t i = at[1] == '^' ? 2 : 1;
  size_t first = i;
  for (; at[i] != '\0' && (at[i] != ']' || i == first); i++) {
    bool nested = at[i] == '[' && at[i + 1] != '\0' && strchr(":.=", at[i + 1]) != NULL;
    bool zero_width = at[i] == '\\' && at[i + 1] != '\0' && strchr("AB", at[i + 1]) != NULL;
    if (nested || zero_width || (unsigned char)at[i] >= 0x80) return 0;
    if (at[i] == '\\' && escape_length(at + i) == 0) return 0;
    if (at[i] == '\\') i++;
  }
  return at[i] == ']' ? i + 1 : 0;
}

static Status check_pattern(const char *pattern, const char *where) {
  for (const char *at = pattern; *at != '\0';) {
    size_t length = at[0] == '[' ? class_length(at) : token_length(at);
    if (length == 0) {
      return status_fail(STATUS_INPUT,
                         "%s: the regular expression \"%.200s\" has \"%.16s\", which is not read here; list "
                         "the modules by name instead",
                         where, pattern, at);
    }
    at += length;
  }
  return STATUS_OK;
}

Status python_regex_compile(const PythonPattern *pattern, const char *where, PythonRegex **out) {
  *out = NULL;
  TRY(check_pattern(pattern->pattern, where));
  char *text = NULL;
  TRY(str_format(&text, "%s%s%s", pattern->before, pattern->pattern, pattern->after));
  int error = 0;
  PCRE2_SIZE offset = 0;
  uint32_t options = PCRE2_ANCHORED | (pattern->full ? PCRE2_ENDANCHORED : 0);
  *out = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &error, &offset, NULL);
  free(text);
  if (*out != NULL) return STATUS_OK;
  PCRE2_UCHAR why[128] = {0};
  (void)pcre2_get_error_message(error, why, sizeof why);
  return status_fail(error == PCRE2_ERROR_HEAP_FAILED ? STATUS_FAILED : STATUS_INPUT,
                     "%s: the regular expression \"%.200s\" is broken: %s", where, pattern->pattern,
                     (const char *)why);
}

void python_regex_free(PythonRegex *regex) {
  pcre2_code_free(regex);
}

static Status fail_match(int code, const char *text) {
  PCRE2_UCHAR why[128] = {0};
  (void)pcre2_get_error_message(code, why, sizeof why);
  return status_fail(code == PCRE2_ERROR_NOMEMORY ? STATUS_FAILED : STATUS_INPUT,
                     "a regular expression of adapter_config.json fails on %s: %s", text, (const char *)why);
}

Status python_regex_match(const PythonRegex *regex, const char *text, const char *group, bool *found,
                          size_t *start, size_t *size) {
  Status status = STATUS_OK;
  *found = false;
  pcre2_match_context *limits = pcre2_match_context_create(NULL);
  pcre2_match_data *match = pcre2_match_data_create_from_pattern(regex, NULL);
  if (limits == NULL || match == NULL) {
    status = status_fail(STATUS_FAILED, "out of memory for a regular expression");
    goto cleanup;
  }
  pcre2_set_match_limit(limits, MATCH_LIMIT);
  int code = pcre2_match(regex, (PCRE2_SPTR)text, strlen(text), 0, 0, match, limits);
  *found = code >= 0;
  if (code < 0 && code != PCRE2_ERROR_NOMATCH) status = fail_match(code, text);
  if (!*found || group == NULL) goto cleanup;
  int number = pcre2_substring_number_from_name(regex, (PCRE2_SPTR)group);
  const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match) + 2 * (number > 0 ? number : 0);
  *start = range[0];
  *size = range[1] - range[0];
cleanup:
  pcre2_match_data_free(match);
  pcre2_match_context_free(limits);
  return status;
}
