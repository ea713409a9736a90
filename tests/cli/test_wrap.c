// Text wrapped at a width.
#include "support/test.h"

#include "wrap.h"
#include <stdlib.h>

static void expect(const char *text, size_t used, const char *lead, size_t width, const char *wrapped) {
  Str out = {0};
  assert_ok(wrap_append(&out, text, used, lead, width));
  assert_string_equal(str_text(&out), wrapped);
  str_free(&out);
}

static void text_is_broken_at_blanks(void **state) {
  (void)state;
  expect("", 0, "", 10, "");
  expect("  \n ", 0, "", 10, "");
  expect("one two", 0, "", 7, "one two");
  expect("one two", 0, "", 6, "one\ntwo");
  expect("one\n\n  two three ", 0, "  ", 9, "one two\n  three");
  expect("a b c", 5, "# ", 7, "a\n# b c");
  expect("a far-too-long-word b", 0, "", 5, "a\nfar-too-long-word\nb");
  expect("word", 50, "", 5, "word");
}

static void a_column_is_a_character(void **state) {
  (void)state;
  expect("éé üü", 0, "", 5, "éé üü");
  expect("éé üü", 0, "", 4, "éé\nüü");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_broken_at_blanks),
      cmocka_unit_test(a_column_is_a_character),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
