// References of the self-test: what a device writes it agrees with, and so does every device with that of a
// CPU elsewhere; a number that differs is found by its operation, and a file that is no reference is refused.
#include "support/process.h"

#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *written;

static Ran compare(const char *path) {
  return GEE("selftest", "--device", "cpu", "--gemm", "own", "--reference", path);
}

/// A copy of what this device wrote, with the first `from` replaced.
static const char *changed(const char *from, const char *to) {
  copy_changed(folder, "reference.json", "changed.json", from, to);
  return in_folder(folder, "changed.json");
}

static void a_device_agrees_with_itself(void **state) {
  (void)state;
  Ran ran = compare(written);
  assert_code(ran, 0);
  size_t same = 0, differ = 0;
  for (const char *line = ran.out; (line = strstr(line, "difference ")) != NULL; line++) {
    if (strncmp(line, "difference  0.00e+00", 20) == 0)
      same++;
    else
      differ++;
  }
  assert_int_equal(same, 41);
  assert_int_equal(differ, 0);
  assert_true(test_contains(ran.out, "41 of 41 checks compared"));
}

/// Another kind of matrix product has a check of its own, which the reference lacks.
static void optional_checks_may_be_missing(void **state) {
  (void)state;
  Ran ran = GEE("selftest", "--device", "cpu", "--gemm", "vendor", "--reference", written);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "41 of 42 checks compared"));
  const char *vendor = in_folder(folder, "vendor.json");
  assert_code(GEE("selftest", "--device", "cpu", "--gemm", "vendor", "--write-reference", vendor), 0);
  ran = compare(vendor);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "41 of 41 checks compared"));
}

static void agrees_with_a_cpu_elsewhere(void **state) {
  (void)state;
  Ran ran = compare("tests/golden/selftest.json");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "41 of 41 checks compared"));
}

/// Adds `by` to the number after the first `key` behind the operation's name.
static const char *with_number(const char *operation, const char *key, double by) {
  size_t size = 0;
  char *text = read_file(written, &size), name[64], number[32];
  (void)snprintf(name, sizeof name, "\"operation\":\t\"%s\"", operation);
  char *at = strstr(text, name);
  assert_non_null(at);
  at = strstr(at, key) + strlen(key);
  char *end = NULL;
  (void)snprintf(number, sizeof number, "%.9g", strtod(at, &end) + by);
  Str out = {0};
  assert_ok(str_append(&out, text, (size_t)(at - text)));
  assert_ok(str_append_text(&out, number));
  assert_ok(str_append_text(&out, end));
  write_file(in_folder(folder, "changed.json"), out.data, out.size);
  str_free(&out);
  free(text);
  return in_folder(folder, "changed.json");
}

static void assert_differs(const char *path, const char *operation) {
  Ran ran = compare(path);
  char bad[64], error[64];
  (void)snprintf(bad, sizeof bad, "  BAD  %s", operation);
  (void)snprintf(error, sizeof error, "gee-cl: error: %s does not compute here", operation);
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, bad));
  assert_true(test_contains(ran.err, error));
  assert_true(test_contains(ran.err, "changed.json"));
}

static void a_difference_is_named(void **state) {
  (void)state;
  assert_differs(with_number("rmsnorm", "\"values\":\t[", 1e-3), "rmsnorm");
  assert_differs(with_number("attention_backward", "\"norm\":\t", 1e-3), "attention_backward");
  assert_differs(with_number("sample", "\"values\":\t[", 1), "sample");
  assert_differs(with_number("quantised, decoded", "\"values\":\t[", 1e-6), "quantised, decoded");
  // what the self-test allows is allowed here
  assert_code(compare(with_number("linear", "\"values\":\t[", 1e-7)), 0);
}

static void what_is_no_reference_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *part;
  } cases[] = {
      {"gee-cl selftest", "selftest", "is not a record of gee-cl selftest --write-reference"},
      {"\"version\":\t1", "\"version\":\t2", "version 2"},
      {"\"version\":\t1", "\"version\":\t1e99", "\"version\""},
      {"\"program\"", "\"x\"", "\"program\""},
      {"\"device\":\t{", "\"x\":\t{", "\"device\""},
      {"\"device\":\t{", "\"device\":\t{\"name\": \"\\u001b[31m\", \"driver\": \"\"}, \"x\":\t{",
       "control characters"},
      {"\"operation\":\t\"linear\"", "\"operation\":\t\"liner\"", "\"linear\" is missing"},
      {"\"operation\":\t\"linear_dx\"", "\"operation\":\t\"linear\"", "\"linear\" is there twice"},
      {"\"operation\":\t\"linear\"", "\"operation\":\t7", "\"operation\""},
      {"\"elements\":\t165", "\"elements\":\t166", "\"linear\" has other outputs"},
      {"\"elements\":\t165", "\"elements\":\t0", "\"elements\""},
      {"\"elements\":\t165", "\"elements\":\t63", "must have 63 \"values\", not 64"},
      {"\"elements\":\t165", "\"elements\":\t1e18", "\"elements\""},
      {"\"norm\":\t", "\"norm\":\t1e300, \"x\":", "\"norm\" must be a number that float32 holds"},
      {"\"norm\":\t", "\"norm\":\tnull, \"x\":", "\"norm\" must be a number that float32 holds"},
      {"\"values\":\t[", "\"values\":\t[\"a\", ", "\"values\", not 65"},
      {"\"values\":\t[", "\"values\":\t7, \"x\": [", "\"values\""},
      {"\"operations\":\t[", "\"operations\":\t7, \"x\": [", "\"operations\""},
      {"\"operations\":\t[", "\"operations\":\t[], \"x\": [", "\"linear\" is missing"},
      {"{", "{{", "changed.json"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Ran ran = compare(changed(cases[i].from, cases[i].to));
    assert_code(ran, 2);
    if (!test_contains(ran.err, cases[i].part) || !test_contains(ran.err, "changed.json"))
      fail_msg("case %zu: %s", i, ran.err);
  }
  ASSERT_ERROR(compare(in_folder(folder, "nowhere.json")), 2, "nowhere.json");
  ASSERT_ERROR(compare("tests/golden/qwen2/config.json"), 2, "is not a record of");
}

/// A reference of other checks: an operation that is none here.
static void other_checks_are_refused(void **state) {
  (void)state;
  Ran ran =
      compare(changed("\"operations\":\t[", "\"operations\":\t[{\"operation\": \"fft\", \"outputs\": []}, "));
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "\"fft\" is no check here: it was made by gee-cl "));
}

static void outputs_are_looked_at_first(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("selftest", "--write-reference", folder), 2, "--write-reference", "is a folder");
  ASSERT_ERROR(GEE("selftest", "--write-reference", in_folder(folder, "none/x.json")), 2, "--write-reference",
               "there is no folder");
  ASSERT_ERROR(GEE("selftest", "--write-reference", written, "--reference", written), 2, "--write-reference",
               "name two files");
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  written = in_folder(folder, "reference.json");
  Ran ran = GEE("selftest", "--device", "cpu", "--gemm", "own", "--write-reference", written);
  if (ran.code == 0) return 0;
  print_message("skipped: no CPU device passes the self-test: %s", ran.err);
  exit(TEST_SKIPPED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_device_agrees_with_itself),     cmocka_unit_test(optional_checks_may_be_missing),
      cmocka_unit_test(agrees_with_a_cpu_elsewhere),     cmocka_unit_test(a_difference_is_named),
      cmocka_unit_test(what_is_no_reference_is_refused), cmocka_unit_test(other_checks_are_refused),
      cmocka_unit_test(outputs_are_looked_at_first),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
