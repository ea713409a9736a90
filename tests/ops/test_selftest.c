// The selftest passes on a sound device, names every operation, and takes well under a second of it.
#include "support/ops_fixture.h"

#include "util/clock.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct Seen {
  size_t operations;
  char names[1024];
} Seen;

static void note(void *user, const char *operation, double error, double tolerance, bool passed) {
  Seen *seen = user;
  seen->operations++;
  (void)strncat(seen->names, operation, sizeof seen->names - strlen(seen->names) - 2);
  (void)strcat(seen->names, " ");
  if (!passed || !(error <= tolerance)) fail_msg("%s: error %g, tolerance %g", operation, error, tolerance);
}

static void passes(void **state) {
  (void)state;
  Seen seen = {0};
  assert_ok(ops_selftest(fixture_ops(), note, &seen));
  assert_int_equal(seen.operations, 26);
  static const char *const all[] = {
      "linear ",           "linear_dx ", "linear_dw ", "bias ",   "embed ", "attention_backward ",
      "entropy_backward ", "sample ",    "adamw ",     "convert "};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) assert_true(test_contains(seen.names, all[i]));
  double start = clock_seconds();
  assert_ok(ops_selftest(fixture_ops(), NULL, NULL));
  if (!fixture_small()) assert_true(clock_seconds() - start < 1.0);
}

/// Nothing to compute, nothing to be wrong.
static void skips_a_plan(void **state) {
  (void)state;
  Ops *plan = NULL;
  assert_ok(ops_create_plan(NULL, &plan));
  assert_ok(ops_selftest(plan, NULL, NULL));
  ops_free(plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(passes), OPS_TEST(skips_a_plan)};
  return RUN_OPS_TESTS(tests);
}
