// Rows of tables on narrow screens.
#include "stacked.h"
#include "support/test.h"

#include <string.h>

static void expect(const char *name, const char *const parts[3], size_t width, const char *lines) {
  Str out = {0};
  assert_ok(stacked_append(&out, name, parts, 3, width));
  assert_string_equal(str_text(&out), lines);
  str_free(&out);
}

static const char *const parts[3] = {"0.5000", "[0.1234, 0.5678]", "n 12"};

static void parts_share_lines(void **state) {
  (void)state;
  expect("share", parts, 40, "  share\n    0.5000  [0.1234, 0.5678]  n 12\n");
  expect("share", parts, 30, "  share\n    0.5000  [0.1234, 0.5678]\n    n 12\n");
  expect("share", parts, 20, "  share\n    0.5000\n    [0.1234, 0.5678]\n    n 12\n");
  expect("share", (const char *const[3]){"1", "", "n 2"}, 20, "  share\n    1  n 2\n");
}

static void what_is_longer_goes_on(void **state) {
  (void)state;
  expect("pct_male_over_female", parts, 16,
         "  pct_male_over_\n  female\n    0.5000\n    [0.1234,\n      0.5678]\n    n 12\n");
  expect("女性女性女性", (const char *const[3]){"", "", ""}, 9, "  女性女\n  性女性\n");
  expect("ab", (const char *const[3]){"1", "", ""}, 0, "  ab\n    1\n"); // a screen without columns
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(parts_share_lines),
                                     cmocka_unit_test(what_is_longer_goes_on)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
