// Regular expressions of Python's re, in which adapter_config.json names modules, matched by PCRE2. Both mean
// the same by what is accepted here; anything else is refused. Texts are module names: ASCII without line
// ends.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct pcre2_real_code_8 PythonRegex;

/// Compiles before + pattern + after. A match starts at the start of a text, as with re.match and
/// re.fullmatch; if `full`, it also ends at its end. `pattern` is checked and shown in messages, which
/// `where` begins.
typedef struct PythonPattern {
  const char *before, *pattern, *after;
  bool full;
} PythonPattern;
STATUS_CHECKED Status python_regex_compile(const PythonPattern *pattern, const char *where,
                                           PythonRegex **out);
void python_regex_free(PythonRegex *regex);
/// *found = whether `text` matches. If `group` is not NULL and it does, *start and *size are what the group
/// of that name matched.
STATUS_CHECKED Status python_regex_match(const PythonRegex *regex, const char *text, const char *group,
                                         bool *found, size_t *start, size_t *size);
