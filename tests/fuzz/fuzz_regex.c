// A pattern, and after a line "----" a text in which its matches are sought.
#include "fuzz.h"

#include "regex.h"
#include "util/str.h"
#include "util/utf8.h"

/// Matches come in order, lie in the text, and cut no character.
static void check_matches(const Regex *regex, const char *text, size_t size) {
  RegexScratch scratch = {0};
  RegexCursor cursor = {0};
  RegexMatch match;
  size_t edge = 0;
  bool found = true;
  while (fuzz_accepted(regex_next(regex, &scratch, text, size, &cursor, &match, &found)) && found) {
    FUZZ_CHECK(edge <= match.start && match.start <= match.stop && match.stop <= size);
    FUZZ_CHECK(utf8_valid_prefix(text + edge, match.start - edge) == match.start - edge);
    FUZZ_CHECK(utf8_valid_prefix(text + match.start, match.stop - match.start) == match.stop - match.start);
    edge = match.stop;
  }
  regex_scratch_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  char *pattern = fuzz_text(parts.first, parts.first_size);
  Regex *regex = NULL;
  Str text = {0};
  if (fuzz_accepted(regex_compile(pattern, "in", &regex)) &&
      utf8_append_lossy(&text, (const char *)parts.second, parts.second_size) == STATUS_OK) {
    check_matches(regex, str_text(&text), text.size);
  }
  regex_free(regex);
  str_free(&text);
  free(pattern);
  return 0;
}
