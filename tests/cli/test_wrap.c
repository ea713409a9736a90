// Text wrapped at a width, and columns of text.
#include "support/test.h"

#include "columns.h"
#include "wrap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
  expect("男性 女性", 0, "", 9, "男性 女性");
  expect("男性 女性", 0, "", 8, "男性\n女性");
}

/// Fails unless a text has so many columns, and a field of one more a blank in front of it.
static void expect_columns(const char *text, size_t columns) {
  char field[64], expected[64];
  if (text_columns(text, strlen(text)) != columns)
    fail_msg("\"%s\" has not %zu columns but %zu", text, columns, text_columns(text, strlen(text)));
  (void)snprintf(field, sizeof field, "%*s", field_width(text, columns + 1), text);
  (void)snprintf(expected, sizeof expected, " %s", text);
  assert_string_equal(field, expected);
  (void)snprintf(field, sizeof field, "%*s", field_width(text, columns / 2), text);
  assert_string_equal(field, text);
}

static void columns_are_what_a_terminal_shows(void **state) {
  (void)state;
  expect_columns("", 0);
  expect_columns("male", 4);
  expect_columns("männlich", 8);
  expect_columns("女性", 4);
  expect_columns("e\xCC\x81", 1); // an accent of its own on the letter before it
  expect_columns("жен", 3);
  expect_columns("a\xFF", 2);
  static const char mixed[] = "a女é";
  static const size_t bytes[] = {0, 1, 1, 4, 6, 6};
  for (size_t columns = 0; columns < 6; columns++)
    assert_int_equal(text_bytes(mixed, strlen(mixed), columns), bytes[columns]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_broken_at_blanks),
      cmocka_unit_test(a_column_is_a_character),
      cmocka_unit_test(columns_are_what_a_terminal_shows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
