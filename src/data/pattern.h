// Regular expressions over text that may be invalid UTF-8: those of the group and types files, and our own.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include "util/status.h"
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>

/// Compiles `pattern`. Messages begin with `where` (file and key).
STATUS_CHECKED Status pattern_compile(const char *pattern, uint32_t options, const char *where,
                                      pcre2_code **out);
/// *found = whether `pattern` matches anywhere in the text; STATUS_INPUT if that takes too many attempts.
STATUS_CHECKED Status pattern_matches(const pcre2_code *pattern, const char *text, size_t size, bool *found);

/// Searches one text several times. Zero-initialise it.
typedef struct PatternSearch {
  const pcre2_code *pattern;
  pcre2_match_data *data;
  pcre2_match_context *context;
  const PCRE2_SIZE *span; // after a match: start and end of it, and of each group of the pattern
} PatternSearch;

/// The caller calls pattern_search_end, on failure too.
STATUS_CHECKED Status pattern_search_begin(const pcre2_code *pattern, PatternSearch *out);
/// *found = whether the pattern matches at byte `start` or later; STATUS_INPUT if that takes too many
/// attempts.
STATUS_CHECKED Status pattern_search_from(PatternSearch *search, const char *text, size_t size, size_t start,
                                          bool *found);
/// Safe on a zeroed struct.
void pattern_search_end(PatternSearch *search);
