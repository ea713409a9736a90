// Searching with PCRE2. Rule: a hostile pattern gets a message, and never hangs the program.
#include "pattern.h"

// Steps of PCRE2 per search.
enum { MATCH_LIMIT = 1000000 };

Status pattern_compile(const char *pattern, uint32_t options, const char *where, pcre2_code **out) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  *out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                       PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | options,
                       &error, &offset, NULL);
  if (*out != NULL) return STATUS_OK;
  PCRE2_UCHAR why[128] = {0};
  (void)pcre2_get_error_message(error, why, sizeof why);
  if (error == PCRE2_ERROR_HEAP_FAILED)
    return status_fail(STATUS_FAILED, "%s: a pattern: %s", where, (const char *)why);
  return status_fail(STATUS_INPUT, "%s: the pattern \"%.60s\" is broken at byte %zu: %s", where, pattern,
                     (size_t)offset, (const char *)why);
}

Status pattern_search_begin(const pcre2_code *pattern, PatternSearch *out) {
  *out = (PatternSearch){.pattern = pattern,
                         .data = pcre2_match_data_create_from_pattern(pattern, NULL),
                         .context = pcre2_match_context_create(NULL)};
  if (out->data == NULL || out->context == NULL)
    return status_fail(STATUS_FAILED, "out of memory for a pattern");
  (void)pcre2_set_match_limit(out->context, MATCH_LIMIT);
  out->span = pcre2_get_ovector_pointer(out->data);
  return STATUS_OK;
}

Status pattern_search_from(PatternSearch *search, const char *text, size_t size, size_t start, bool *found) {
  int rc = pcre2_match(search->pattern, (PCRE2_SPTR)text, size, start, 0, search->data, search->context);
  if (rc == PCRE2_ERROR_JIT_STACKLIMIT) // 32 KiB; the interpreter's memory grows
    rc = pcre2_match(search->pattern, (PCRE2_SPTR)text, size, start, PCRE2_NO_JIT, search->data,
                     search->context);
  *found = rc >= 0;
  if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return STATUS_OK;
  PCRE2_UCHAR why[128] = {0};
  (void)pcre2_get_error_message(rc, why, sizeof why);
  if (rc == PCRE2_ERROR_NOMEMORY) return status_fail(STATUS_FAILED, "a pattern: %s", (const char *)why);
  return status_fail(STATUS_INPUT,
                     "a pattern of the types or groups file cannot be matched: %s; make it simpler",
                     (const char *)why);
}

void pattern_search_end(PatternSearch *search) {
  pcre2_match_data_free(search->data);
  pcre2_match_context_free(search->context);
  *search = (PatternSearch){0};
}

Status pattern_matches(const pcre2_code *pattern, const char *text, size_t size, bool *found) {
  PatternSearch search = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(pattern_search_begin(pattern, &search));
  TRY_CLEAN(pattern_search_from(&search, text, size, 0, found));
cleanup:
  pattern_search_end(&search);
  return status;
}
