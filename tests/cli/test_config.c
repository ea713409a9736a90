// Values in an .ini: every text reads back as it was, and by the rule that --help-config states.
#include "support/process.h"

#include "config.h"
#include <stdio.h>
#include <string.h>

/// The path of a config with this text.
static const char *config(const char *text) {
  const char *path = in_folder(test_folder(), "config.ini");
  write_text(path, text);
  return path;
}

/// Whatever text --set gives is saved with the run, in quotes where it needs them, and reads back the same.
static void every_text_reads_back(void **state) {
  (void)state;
  static const char *const values[] = {"#x",  ";x",   "a\t;b", "a #b",    " a",        "a\v",
                                       "\"a", "'a'",  "a\\nb", "\\",      "a\nb\n\n#", "\r",
                                       "a;b", "a\"b", "\"a\"", "\\\"\\n", "[a] = b",   "\xC3\xA9\t"};
  char wide[1201];
  memset(wide, 'x', sizeof wide - 1);
  wide[sizeof wide - 1] = '\0';
  for (size_t i = 0; i <= sizeof values / sizeof values[0]; i++) {
    const char *value = i < sizeof values / sizeof values[0] ? values[i] : wide;
    char text[1400];
    Config first, second;
    Str rendered = {0};
    (void)snprintf(text, sizeof text, "data.system=%s", value);
    assert_ok(config_init(&first));
    assert_ok(config_set(&first, text));
    assert_ok(config_render(&first, &rendered));
    assert_ok(config_init(&second));
    assert_ok(config_read(&second, config(str_text(&rendered))));
    assert_string_equal(second.data.system, value);
    config_free(&first);
    config_free(&second);
    str_free(&rendered);
  }
}

/// The value of data.system in a config that has this line.
static void expect_system(const char *line, const char *expected) {
  Config read;
  char text[400];
  (void)snprintf(text, sizeof text, "\xEF\xBB\xBF; a comment\r\n [data] # another\r\n%s\r\n[track]", line);
  assert_ok(config_init(&read));
  assert_ok(config_read(&read, config(text)));
  if (expected == NULL)
    assert_null(read.data.system);
  else
    assert_string_equal(read.data.system, expected);
  config_free(&read);
}

static void values_are_read_by_one_rule(void **state) {
  (void)state;
  expect_system("system = Be good. ; always", "Be good.");
  expect_system("  system:Be good.\t# always", "Be good.");
  expect_system("system = Be#good;", "Be#good;");
  expect_system("system = # nothing", NULL);
  expect_system("system = ;nothing", NULL);
  expect_system("system =", NULL);
  expect_system("system = \"\"", NULL);
  expect_system("system = \"Be # good.\" # always", "Be # good.");
  expect_system("system = \" a \"", " a ");
  expect_system("system = \"a\\nb \\\"c\\\" \\\\ \\t\\r\"", "a\nb \"c\" \\ \t\r");
  expect_system("system = 'Tis \"good\" = : [x]", "'Tis \"good\" = : [x]");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_text_reads_back),
                                     cmocka_unit_test(values_are_read_by_one_rule)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
