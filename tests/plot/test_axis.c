// Ticks at round numbers whatever the values are, and texts broken into lines.
#include "axis.h"
#include "support/test.h"
#include "typeset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Axis fitted(double low, double high, AxisOptions options) {
  Range range = {0};
  range_add(&range, low);
  range_add(&range, high);
  return axis_fit(range, options);
}

/// The labels of an axis, in one text.
static const char *labels(Axis axis) {
  static char all[1024];
  all[0] = '\0';
  for (size_t i = 0; i < axis.ticks; i++) {
    char text[AXIS_TEXT];
    axis_text(&axis, axis_tick(&axis, i), text);
    (void)snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 0 ? " " : "", text);
  }
  axis_factor(&axis, all + strlen(all) + 1);
  return all;
}

static void round_ticks(void **state) {
  AxisOptions five = {.steps = 5}, whole = {.steps = 5, .whole = true, .tight = true};
  AxisOptions plus = {.steps = 5, .plus = true};
  (void)state;
  assert_string_equal(labels(fitted(0, 1, five)), "0.0 0.2 0.4 0.6 0.8 1.0");
  assert_string_equal(labels(fitted(2.21, 2.46, five)), "2.20 2.25 2.30 2.35 2.40 2.45 2.50");
  assert_string_equal(labels(fitted(-0.0511, 0.1965, plus)), "\xe2\x88\x92"
                                                             "0.10 \xe2\x88\x92"
                                                             "0.05 0.00 +0.05 +0.10 +0.15 +0.20");
  assert_string_equal(labels(fitted(1, 10, whole)), "2 4 6 8 10");
  assert_string_equal(labels(fitted(1, 2, whole)), "1 2");
  assert_string_equal(labels(fitted(0, 49152, five)), "0 10000 20000 30000 40000 50000");
  assert_string_equal(labels(fitted(0.0003, 0.0007, five)), "0.0003 0.0004 0.0005 0.0006 0.0007");
  const char *text = labels(fitted(0, 3e6, five));
  assert_string_equal(text, "0 1 2 3");
  assert_string_equal(text + strlen(text) + 1, "\xc3\x97"
                                               "10\xe2\x81\xb6");
  text = labels(fitted(-2e-6, 0, five));
  assert_string_equal(text + strlen(text) + 1, "\xc3\x97"
                                               "10\xe2\x81\xbb\xe2\x81\xb6");
}

static void any_values(void **state) {
  static const double values[] = {0,    -0.0, 1,     -1,     1e-300, -1e-99, 1e99,     -1e99,  7e5,
                                  1e-9, 3.3,  1e100, 1e-100, 12345,  12346,  0.999999, -1e-15, 1.0000001};
  enum { COUNT = sizeof values / sizeof *values };
  (void)state;
  for (size_t i = 0; i < COUNT * COUNT * 4 * AXIS_MOST_TICKS; i++) {
    size_t n = i / (COUNT * COUNT);
    Axis axis = fitted(values[i % COUNT], values[i / COUNT % COUNT],
                       (AxisOptions){.steps = n / 4, .whole = n & 1, .tight = n & 2});
    assert_true(isfinite(axis.low) && isfinite(axis.high) && axis.low < axis.high && axis.step > 0);
    assert_true(axis.ticks <= AXIS_MOST_TICKS && axis.decimals >= 0);
    for (size_t t = 0; t < axis.ticks; t++) {
      double place = axis_place(&axis, axis_tick(&axis, t), 0, 1);
      assert_true(place > -1e-6 && place < 1 + 1e-6);
    }
    for (size_t v = 0; v < 2; v++) {
      double value = v == 0 ? values[i % COUNT] : values[i / COUNT % COUNT];
      assert_true(axis_place(&axis, value, 0, 1) > -1e-6 && axis_place(&axis, value, 0, 1) < 1 + 1e-6);
    }
  }
}

static void what_is_not_drawn(void **state) {
  static const double none[] = {NAN, INFINITY, -INFINITY, 1e101};
  Range range = {0};
  (void)state;
  for (size_t i = 0; i < 4; i++) range_add(&range, none[i]);
  assert_false(range.any);
  Axis axis = axis_fit(range, (AxisOptions){.steps = 5});
  assert_true(axis.low <= 0 && axis.high >= 1);
}

static const TextStyle style = {.size = 10};

static const char *wrapped(const char *text, double width, size_t most) {
  static char all[512];
  Typeset lines = {0};
  all[0] = '\0';
  assert_ok(typeset_wrap(text, width, most, style, &lines));
  assert_true(lines.count >= 1 && lines.count <= most);
  for (size_t i = 0; i < lines.count; i++) {
    (void)snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 0 ? "|" : "", lines.lines[i]);
    assert_true(typeset_width(lines.lines[i], style) <= width || strlen(lines.lines[i]) <= 7);
  }
  typeset_free(&lines);
  return all;
}

static void lines_of_text(void **state) {
  (void)state;
  assert_string_equal(wrapped("", 50, 3), "");
  assert_string_equal(wrapped("one", 50, 3), "one");
  assert_string_equal(wrapped("one two three", 50, 3), "one two|three");
  assert_string_equal(wrapped("one two three four five", 50, 2), "one two|three fo\xe2\x80\xa6");
  assert_string_equal(wrapped("aaaaaaaaaaaaaaaa", 50, 3), "aaaaaaaa|aaaaaaaa");
  assert_string_equal(wrapped("\xe6\x80\xa7\xe5\x88\xab\xe5\xb7\xae", 22, 3),
                      "\xe6\x80\xa7\xe5\x88\xab|\xe5\xb7\xae");
  assert_string_equal(wrapped("e\xcc\x81"
                              "e\xcc\x81",
                              7, 2),
                      "e\xcc\x81|e\xcc\x81"); // a mark stays with its letter
  assert_string_equal(wrapped("abc", 0, 1), "a\xe2\x80\xa6");
  assert_string_equal(wrapped("   ", 50, 2), "   ");
  assert_string_equal(wrapped("mean_ll_more", 50, 2), "mean_ll_|more");
  assert_string_equal(wrapped("aaaaaaa -0.1234", 50, 3),
                      "aaaaaaa|-0.1234"); // no sign is parted from its number
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_ticks),
      cmocka_unit_test(any_values),
      cmocka_unit_test(what_is_not_drawn),
      cmocka_unit_test(lines_of_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
