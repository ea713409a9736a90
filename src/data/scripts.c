// Counting scripts. Rule: letters that belong to all scripts (Common, Inherited) or to one that the table
// lacks count as one more script, so that no text seems to have no letters.
#include "scripts.h"

#include "pattern.h"
#include "util/str.h"

typedef struct Script {
  const char *class; // of a regular expression, without its brackets
  bool by_character; // writes no blank between words
} Script;

static const Script SCRIPTS[] = {
    {"\\p{Latin}", false},    {"\\p{Greek}", false},     {"\\p{Cyrillic}", false}, {"\\p{Armenian}", false},
    {"\\p{Hebrew}", false},   {"\\p{Arabic}", false},    {"\\p{Syriac}", false},   {"\\p{Devanagari}", false},
    {"\\p{Bengali}", false},  {"\\p{Gurmukhi}", false},  {"\\p{Gujarati}", false}, {"\\p{Oriya}", false},
    {"\\p{Tamil}", false},    {"\\p{Telugu}", false},    {"\\p{Kannada}", false},  {"\\p{Malayalam}", false},
    {"\\p{Sinhala}", false},  {"\\p{Georgian}", false},  {"\\p{Hangul}", false},   {"\\p{Ethiopic}", false},
    {"\\p{Cherokee}", false}, {"\\p{Mongolian}", false}, {"\\p{Tibetan}", true},   {"\\p{Thai}", true},
    {"\\p{Lao}", true},       {"\\p{Khmer}", true},      {"\\p{Myanmar}", true},   {"\\p{Han}", true},
    {"\\p{Hiragana}", true},  {"\\p{Katakana}", true},   {"\\p{Javanese}", true},
};
_Static_assert(sizeof SCRIPTS / sizeof *SCRIPTS + 1 == SCRIPT_COUNT,
               "SCRIPT_COUNT is the table's size and one");

/// A group of the pattern for each script, in the table's order, and a last one for every other letter. A
/// run goes on over marks and signs of its script. Only classes repeat, and give nothing back: a run may be a
/// megabyte, and a group that repeats takes a step of the match limit for each letter.
Status scripts_compile(pcre2_code **out) {
  Str pattern = {0}, known = {0};
  Status status = STATUS_OK;
  for (size_t s = 0; s + 1 < SCRIPT_COUNT; s++) {
    const Script *script = &SCRIPTS[s];
    TRY_CLEAN(str_append_format(&pattern, "((?=\\p{L})%s[%s\\p{M}]*+)|", script->class,
                                script->by_character ? "" : script->class));
    TRY_CLEAN(str_append_text(&known, script->class));
  }
  TRY_CLEAN(str_append_format(&pattern, "([^\\P{L}%s]++)", str_text(&known)));
  TRY_CLEAN(pattern_compile(str_text(&pattern), 0, "the table of scripts", out));
  (void)pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); // only for speed
cleanup:
  str_free(&pattern);
  str_free(&known);
  return status;
}

Status scripts_count(const pcre2_code *pattern, const char *text, size_t size, size_t *counts) {
  PatternSearch search = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(pattern_search_begin(pattern, &search));
  for (size_t at = 0; at < size; at = search.span[1]) { // a match is never empty
    bool found = false;
    TRY_CLEAN(pattern_search_from(&search, text, size, at, &found));
    if (!found) break;
    for (size_t s = 0; s < SCRIPT_COUNT; s++)
      if (search.span[2 * (s + 1)] != PCRE2_UNSET) counts[s]++;
  }
cleanup:
  pattern_search_end(&search);
  return status;
}
