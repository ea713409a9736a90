// Text of models and files on a terminal: what would command it is shown, not obeyed.
#include "support/test.h"

#include "visible.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect(const char *text, const char *shown, const char *quoted) {
  Str out = {0};
  assert_ok(visible_append(&out, text, strlen(text)));
  assert_string_equal(str_text(&out), shown);
  str_clear(&out);
  assert_ok(visible_append_quoted(&out, text, strlen(text)));
  assert_string_equal(str_text(&out), quoted);
  str_free(&out);
}

static void what_commands_is_shown(void **state) {
  (void)state;
  expect("plain é 她 \U0001F600", "plain é 她 \U0001F600", "\"plain é 她 \U0001F600\"");
  expect("a\n\tb", "a\n\tb", "\"a\\n\\tb\"");
  expect("say \"\\\"", "say \"\\\"", "\"say \\\"\\\\\\\"\"");
  expect("\x1b[2J\x1b]0;title\a", "\\u001B[2J\\u001B]0;title\\u0007", "\"\\u001B[2J\\u001B]0;title\\u0007\"");
  expect("a\rb\bc\x7f", "a\\u000Db\\u0008c\\u007F", "\"a\\u000Db\\u0008c\\u007F\"");
  expect("\xC2\x9B"
         "31m",
         "\\u009B31m", "\"\\u009B31m\""); // CSI as one character
  expect("\u202Eabc\u202C \u2066x\u2069 \u200F", "\\u202Eabc\\u202C \\u2066x\\u2069 \\u200F",
         "\"\\u202Eabc\\u202C \\u2066x\\u2069 \\u200F\"");
  expect("\xF0\x9F", "\\xF0\\x9F", "\"\\xF0\\x9F\""); // half a character
  expect("a\x9b\xFF", "a\\x9B\\xFF", "\"a\\x9B\\xFF\"");
  expect("", "", "\"\"");
}

/// What visible_print writes of `text` to `path`, opened as a terminal is.
static void print_to(const char *path, const char *text) {
  FILE *stream = fopen(path, "w");
  assert_non_null(stream);
  assert_ok(visible_print(stream, text, strlen(text)));
  assert_int_equal(fclose(stream), 0);
}

static void only_a_terminal_gets_it(void **state) {
  (void)state;
  static const char text[] = "a\x1b[31mb", shown[] = "a\\u001B[31mb";
  char path[600], found[64] = "";
  (void)snprintf(path, sizeof path, "%s/file", test_folder());
  print_to(path, text);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  assert_int_equal(fread(found, 1, sizeof found - 1, file), strlen(text));
  assert_string_equal(found, text);
  assert_int_equal(fclose(file), 0);
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
    print_message("no pseudo-terminal can be opened here\n");
    exit(TEST_SKIPPED);
  }
  int kept = open(ptsname(terminal), O_RDWR | O_NOCTTY); // so that what was written can still be read
  assert_true(kept >= 0);
  print_to(ptsname(terminal), text);
  memset(found, 0, sizeof found);
  assert_int_equal(read(terminal, found, sizeof found - 1), strlen(shown));
  assert_string_equal(found, shown);
  (void)close(kept);
  (void)close(terminal);
}

/// A name on a terminal: one line, cut at a character; in a file its bytes.
static void names_take_one_line(void **state) {
  (void)state;
  Str out = {0};
  FILE *file = tmpfile();
  assert_non_null(file);
  assert_ok(visible_append_name(file, &out, "a\nb\x1b", 2));
  assert_string_equal(str_text(&out), "a\nb\x1b");
  assert_int_equal(fclose(file), 0);
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
    print_message("no pseudo-terminal can be opened here\n");
    exit(TEST_SKIPPED);
  }
  file = fopen(ptsname(terminal), "w");
  assert_non_null(file);
  static const struct {
    const char *name;
    size_t columns;
    const char *shown;
  } cases[] = {{"a\n\tb\x1b\"", SIZE_MAX, "a\\n\\tb\\u001B\""},
               {"abcdef", 6, "abcdef"},
               {"abcdefg", 6, "abc..."},
               {"女性性", 6, "女性性"},
               {"女性性女", 6, "女..."},
               {"abcdef", 2, "..."}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    str_clear(&out);
    assert_ok(visible_append_name(file, &out, cases[i].name, cases[i].columns));
    assert_string_equal(str_text(&out), cases[i].shown);
  }
  assert_int_equal(fclose(file), 0);
  (void)close(terminal);
  str_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_commands_is_shown),
      cmocka_unit_test(names_take_one_line),
      cmocka_unit_test(only_a_terminal_gets_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
