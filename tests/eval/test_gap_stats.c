// Intervals against numbers computed apart from gee-cl: t quantiles by mpmath (the integral of the density,
// 25 digits), the pairs' interval and the bootstrap by numpy (200,000 draws of the same table; the tolerances
// are four standard deviations between 100 repetitions with 10,000 draws).
#include "support/test.h"

#include "gap_stats.h"
#include <math.h>

static void assert_near(double a, double b, double tolerance) {
  double error = fabs(a - b);
  if (!(error <= tolerance)) fail_msg("%.17g is not %.17g (off by %g)", a, b, error);
}

static void test_student(void **state) {
  (void)state;
  static const double rows[][3] = {
      {0.975, 1, 12.706204736174705},    {0.975, 2, 4.3026527297494639},  {0.975, 3, 3.1824463052837096},
      {0.975, 5, 2.5705818356363155},    {0.975, 9, 2.2621571627982055},  {0.975, 10.5, 2.2138402929187889},
      {0.975, 30, 2.0422724563012383},   {0.975, 59, 2.0009953780882677}, {0.975, 100, 1.9839715185235523},
      {0.975, 1000, 1.9623390808264085}, {0.975, 1e6, 1.959966356814107}, {0.75, 4, 0.7406970841126826},
      {0.995, 7, 3.499483297350494},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_near(student_quantile(rows[i][0], rows[i][1]), rows[i][2], 1e-9 * rows[i][2]);
  assert_near(student_quantile(0.5, 3), 0, 1e-12);
}

static void test_pairs(void **state) {
  (void)state;
  static const double H[] = {1.0, 1.5, 2.0, 1.75, 0.5, 0.875, 1.25, 1.5};
  GapEstimate e;
  assert_ok(gap_estimate(H, 4, 2, 1, &e));
  assert_near(e.gap, 0.21875, 1e-15);
  assert_near(e.H[0], 1.1875, 1e-15);
  assert_near(e.H[1], 1.40625, 1e-15);
  assert_near(e.standard_error, 0.16437222747978647, 1e-14);
  assert_near(e.low, -0.30435578803429986, 1e-10);
  assert_near(e.high, 0.7418557880342999, 1e-10);
}

static const double THREE[] = {1.086, 1.387, 2.201, 1.582, 1.244, 1.833, 1.479, 1.31,  2.135,
                               1.114, 1.541, 1.917, 1.431, 1.737, 2.138, 1.956, 1.434, 2.049,
                               1.696, 1.443, 1.401, 1.973, 1.448, 1.714, 1.892, 1.735, 1.871,
                               1.773, 1.18,  2.107, 1.374, 1.241, 2.061, 1.931, 1.357, 2.03};

static void test_bootstrap(void **state) {
  (void)state;
  GapEstimate e, again;
  assert_ok(gap_estimate(THREE, 12, 3, 15, &e));
  assert_near(e.gap, 0.53333333333333333, 1e-14);
  assert_near(e.standard_error, 0.08484277632014592, 4 * 0.00054388);
  assert_near(e.low, 0.36325, 4 * 0.00237438);
  assert_near(e.high, 0.695, 4 * 0.00204363);
  assert_ok(gap_estimate(THREE, 12, 3, 15, &again));
  assert_memory_equal(&e, &again, sizeof e);
  assert_ok(gap_estimate(THREE, 12, 3, 16, &again));
  assert_true(again.low != e.low || again.high != e.high);
}

static void test_one_set_has_no_interval(void **state) {
  (void)state;
  GapEstimate e;
  for (size_t groups = 2; groups <= 3; groups++) {
    assert_ok(gap_estimate(THREE, 1, groups, 1, &e));
    assert_true(isfinite(e.gap));
    assert_true(isnan(e.low) && isnan(e.high) && isnan(e.standard_error));
  }
}

static void test_broken_numbers(void **state) {
  (void)state;
  const double H[] = {1, 2, 3, NAN};
  GapEstimate e;
  assert_fails(gap_estimate(H, 2, 2, 1, &e), STATUS_FAILED, "set 1, group 1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_student),        cmocka_unit_test(test_pairs),
      cmocka_unit_test(test_bootstrap),      cmocka_unit_test(test_one_set_has_no_interval),
      cmocka_unit_test(test_broken_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
