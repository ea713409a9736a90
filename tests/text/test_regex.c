// The regular expressions against Oniguruma: every class on every code point, and random patterns (regex.json
// from make_regex.py). A pattern may be refused, but not match otherwise.
#include "support/test.h"

#include "io/json.h"
#include "regex.h"
#include "util/hash.h"
#include "util/str.h"
#include "util/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static cJSON *golden;

static const char mark[] = "\xEF\xA3\xBF"; // U+F8FF

/// Appends the text with `mark` in place of every match.
static void replace(const Regex *regex, const char *text, size_t size, Str *out) {
  RegexScratch scratch = {0};
  RegexCursor cursor = {0};
  RegexMatch match;
  bool found;
  size_t edge = 0;
  for (;;) {
    assert_ok(regex_next(regex, &scratch, text, size, &cursor, &match, &found));
    if (!found) break;
    assert_ok(str_append(out, text + edge, match.start - edge));
    assert_ok(str_append_text(out, mark));
    edge = match.stop;
  }
  assert_ok(str_append(out, text + edge, size - edge));
  regex_scratch_free(&scratch);
}

static bool has_hash(const Str *text, const char *expected) {
  char found[9];
  (void)snprintf(found, sizeof found, "%08" PRIx32, (uint32_t)hash_bytes(HASH_START, text->data, text->size));
  return strcmp(found, expected) == 0;
}

/// "count sum squares" of the code points that the regex matches in the text.
static void sum_members(const Regex *regex, const Str *text, char *out, size_t size) {
  RegexScratch scratch = {0};
  RegexCursor cursor = {0};
  RegexMatch match;
  bool found;
  uint64_t count = 0, sum = 0, squares = 0;
  for (;;) {
    assert_ok(regex_next(regex, &scratch, text->data, text->size, &cursor, &match, &found));
    if (!found) break;
    uint32_t code = utf8_read(text->data + match.start, text->size - match.start).code;
    count++;
    sum += code;
    squares += (uint64_t)code * code;
  }
  (void)snprintf(out, size, "%" PRIu64 " %" PRIu64 " %" PRIu64, count, sum, squares);
  regex_scratch_free(&scratch);
}

static void test_classes(void **state) {
  (void)state;
  Str all = {0};
  const cJSON *class;
  size_t wrong = 0;
  for (uint32_t code = 0; code < 0x110000; code++) {
    char bytes[4];
    if ((code >= 0xD800 && code < 0xE000) || code == 0xF8FF) continue;
    assert_ok(str_append(&all, bytes, utf8_write(code, bytes)));
  }
  cJSON_ArrayForEach(class, cJSON_GetObjectItem(golden, "classes")) {
    Regex *regex;
    char sums[80];
    assert_ok(regex_compile(class->string, "test", &regex));
    sum_members(regex, &all, sums, sizeof sums);
    if (strcmp(sums, class->valuestring) != 0) {
      print_message("%s has other members\n", class->string);
      wrong++;
    }
    regex_free(regex);
  }
  assert_int_equal(wrong, 0);
  str_free(&all);
}

static void test_patterns(void **state) {
  (void)state;
  const cJSON *pattern, *text, *texts = cJSON_GetObjectItem(golden, "texts");
  size_t read = 0, wrong = 0;
  Str replaced = {0};
  cJSON_ArrayForEach(pattern, cJSON_GetObjectItem(golden, "patterns")) {
    Regex *regex;
    Status status = regex_compile(pattern->string, "test", &regex);
    if (status == STATUS_INPUT) continue;
    assert_ok(status);
    str_clear(&replaced);
    cJSON_ArrayForEach(text, texts) {
      if (text != texts->child) assert_ok(str_append(&replaced, "", 1));
      replace(regex, text->valuestring, strlen(text->valuestring), &replaced);
    }
    if (!has_hash(&replaced, pattern->valuestring)) {
      print_message("%s matches otherwise\n", pattern->string);
      wrong++;
    }
    regex_free(regex);
    read++;
  }
  assert_int_equal(wrong, 0);
  if (read < 900) fail_msg("only %zu patterns are read", read);
  str_free(&replaced);
}

/// What of Oniguruma's language is not read is named.
static void test_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"(a", "( without )"},
      {"a)", ") without ("},
      {"[a", "[ without ]"},
      {"[]", "an empty [ ]"},
      {"[a&&]", "an empty [ ]"},
      {"[b-a]", "whose end is before its start"},
      {"[a-\\d]", "a range in [ ] without an end"},
      {"[\\d-a]", "a misplaced -"},
      {"[[:nothing:]]", "an unknown [[:class:]]"},
      {"\\p{Nothing}", "the property Nothing"},
      {"\\pL", "\\p without {"},
      {"*", "a repetition of nothing"},
      {"a**", "a repetition of a repetition"},
      {"a{2}?", "{n}?"},
      {"a{2,1}", "n above m"},
      {"a{1001}", "more than 1,000"},
      {"(?:a*)*", "a repetition of what can be empty"},
      {"(a)\\1", "the escape \\1"},
      {"\\X", "the escape \\X"},
      {"\\K", "the escape \\K"},
      {"\\G", "the escape \\G"},
      {"\\xff", "a byte above"},
      {"\\x{110000}", "no character"},
      {"\\ud800", "no character"},
      {"(?x)a", "an unknown option"},
      {"a(?i)b", "options inside of a sequence"},
      {"(?i:\xC3\xA9)", "a letter beyond ASCII under (?i)"},
      {"(?i:ss)", "a ligature"},
      {"(?i:[\\p{L}])", "under (?i) a [ ]"},
      {"(?<=a+)", "a look-behind without a limit"},
      {"(?<=(?>a))", "inside of a look-behind"},
      {"((a{999}){999}){999}", "too many repetitions"},
      {"((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))", "too many groups"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Regex *regex;
    assert_fails(regex_compile(cases[i][0], "the file", &regex), STATUS_INPUT, cases[i][1]);
    assert_true(test_contains(status_message(), "the file: the pattern \""));
  }
}

/// A pattern that tries everything is stopped.
static void test_slow_pattern(void **state) {
  (void)state;
  Regex *regex;
  RegexScratch scratch = {0};
  RegexCursor cursor = {0};
  RegexMatch match;
  bool found;
  char text[64];
  memset(text, 'a', sizeof text);
  assert_ok(regex_compile("(?:a|a|b)+c", "test", &regex));
  assert_fails(regex_next(regex, &scratch, text, sizeof text, &cursor, &match, &found), STATUS_INPUT,
               "takes too long");
  regex_scratch_free(&scratch);
  regex_free(regex);
}

int main(void) {
  if (json_parse_file(GEE_SOURCE_DIR "/tests/text/regex.json", &golden) != STATUS_OK) {
    (void)fprintf(stderr, "%s\n", status_message());
    return 1;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes), cmocka_unit_test(test_patterns),
                                     cmocka_unit_test(test_refused), cmocka_unit_test(test_slow_pattern)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  cJSON_Delete(golden);
  return failed;
}
