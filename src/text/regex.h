// Regular expressions as Hugging Face's tokenizers has them: Oniguruma's Ruby syntax and its rules of
// matching, with Unicode 16.
//
// PCRE2 reads many patterns otherwise (&&, \h, ^ and $, {n,m}+, \w with marks, POSIX classes) and has the
// Unicode of its release, so a translation would need this parser and these tables, and would still depend
// on the version installed. What is not understood here is refused by name: backreferences, \X, \K, \G,
// (?x), conditions, non-ASCII letters under (?i), a repeated group that can be empty.
#pragma once

#include "charset.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Regex Regex;

/// Compiles a pattern. `name` is the file in messages. STATUS_INPUT if it is broken or not supported.
STATUS_CHECKED Status regex_compile(const char *pattern, const char *name, Regex **out);
/// Matches just `text`.
STATUS_CHECKED Status regex_compile_text(const char *text, size_t size, Regex **out);
/// Matches one character of the set.
STATUS_CHECKED Status regex_compile_set(const Charset *set, Regex **out);
void regex_free(Regex *regex);
/// True if it can match the empty text.
bool regex_can_be_empty(const Regex *regex);

/// Memory for matching; each thread needs its own. Zero-initialise; free with regex_scratch_free.
typedef struct RegexScratch {
  struct RegexFrame *frames;
  size_t count, capacity;
  uint64_t steps;
} RegexScratch;
void regex_scratch_free(RegexScratch *scratch);

/// The bytes [start, stop) of a text.
typedef struct RegexMatch {
  size_t start, stop;
} RegexMatch;

/// Where the next search begins. Zero-initialise it for a new text.
typedef struct RegexCursor {
  size_t next;
  size_t last; // where the last match ended
  bool matched;
} RegexCursor;

/// The next match in well-formed UTF-8, as Oniguruma's find_iter: an empty match right after a match is
/// passed over. *found is false at the end. STATUS_INPUT if the pattern takes too many steps on this text.
STATUS_CHECKED Status regex_next(const Regex *regex, RegexScratch *scratch, const char *text, size_t size,
                                 RegexCursor *cursor, RegexMatch *out, bool *found);
