// Estimates against numbers computed apart from gee-cl: t quantiles by mpmath (the integral of the density,
// 25 digits); gap_golden.json, by scipy and by trying every sign, split and relabelling (make_gap_golden.py).
// What gee-cl draws at random must be within four standard deviations of 10,000 draws.
#include "support/test.h"

#include "gap_stats.h"
#include "io/json.h"
#include "student.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 10000, MAX_CELLS = 256 };
static const GapResampling RESAMPLING = {.seed = 15, .draws = DRAWS};

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

// ---- against the golden file ----

static double number(const cJSON *object, const char *key) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
  assert_true(cJSON_IsNumber(item));
  return item->valuedouble;
}

static GapTable table_of(const cJSON *golden, double *H) {
  GapTable table = {.H = H};
  const cJSON *set = NULL, *value = NULL;
  cJSON_ArrayForEach(set, cJSON_GetObjectItem(golden, "H")) {
    table.groups = 0;
    cJSON_ArrayForEach(value, set) H[table.sets * (size_t)cJSON_GetArraySize(set) + table.groups++] =
        value->valuedouble;
    table.sets++;
  }
  assert_true(table.sets * table.groups <= MAX_CELLS);
  return table;
}

/// A share of 10,000 draws against the share of all.
static void assert_share(double drawn, double exact) {
  assert_near(drawn, exact, 4 * sqrt(exact * (1 - exact) / DRAWS) + 2.0 / DRAWS);
}

static void check_two(const cJSON *golden) {
  double H[MAX_CELLS];
  GapTable table = table_of(golden, H);
  GapEstimate e;
  assert_ok(gap_estimate(&table, &RESAMPLING, &e));
  assert_near(e.gap.value, number(golden, "gap"), 1e-14);
  assert_near(e.gap.low, number(golden, "low"), 1e-12);
  assert_near(e.gap.high, number(golden, "high"), 1e-12);
  assert_near(e.gap.standard_error, number(golden, "standard_error"), 1e-14);
  assert_share(e.p, number(golden, "p"));
  assert_true(e.pair_count == 1 && isnan(e.spread));
  assert_memory_equal(&e.pairs[0].mean, &e.gap, sizeof e.gap);
}

/// Each pair's interval reaches the same number of standard errors to both sides; returns it.
static double critical_of(const GapEstimate *e, const cJSON *golden) {
  double critical = e->pairs[0].mean.high - e->pairs[0].mean.value;
  critical /= e->pairs[0].mean.standard_error;
  for (size_t p = 0; p < e->pair_count; p++) {
    const GapMean *mean = &e->pairs[p].mean;
    const cJSON *pair = cJSON_GetArrayItem(cJSON_GetObjectItem(golden, "pairs"), (int)p);
    assert_near(mean->value, number(pair, "gap"), 1e-14);
    assert_near(mean->standard_error, number(pair, "standard_error"), 1e-14);
    assert_near(mean->high, mean->value + critical * mean->standard_error, 1e-12);
    assert_near(mean->low, mean->value - critical * mean->standard_error, 1e-12);
  }
  return critical;
}

static void check_many(const cJSON *golden) {
  double H[MAX_CELLS];
  GapTable table = table_of(golden, H);
  GapEstimate e;
  assert_ok(gap_estimate(&table, &RESAMPLING, &e));
  assert_int_equal(e.pair_count, table.groups * (table.groups - 1) / 2);
  double critical = critical_of(&e, golden);
  const cJSON *ends = cJSON_GetObjectItem(golden, "critical_ends");
  if (cJSON_IsArray(ends)) {
    assert_true(critical >= cJSON_GetArrayItem(ends, 0)->valuedouble - 1e-9);
    assert_true(critical <= cJSON_GetArrayItem(ends, 1)->valuedouble + 1e-9);
  } else {
    assert_near(critical, number(golden, "critical"), 1e-9);
  }
  if (cJSON_IsNumber(cJSON_GetObjectItem(golden, "p"))) assert_share(e.p, number(golden, "p"));
  assert_near(e.spread, number(golden, "spread"), 4 * number(golden, "spread_deviation") / sqrt(DRAWS));
}

static void test_golden(void **state) {
  (void)state;
  cJSON *golden = NULL;
  const cJSON *item = NULL;
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/eval/gap_golden.json", &golden));
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(golden, "two")), 4);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(golden, "many")), 4);
  cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden, "two")) check_two(item);
  cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden, "many")) check_many(item);
  cJSON_Delete(golden);
}

// ---- what follows from the definitions ----

static const double THREE[] = {1.086, 1.387, 2.201, 1.582, 1.244, 1.833, 1.479, 1.31,  2.135,
                               1.114, 1.541, 1.917, 1.431, 1.737, 2.138, 1.956, 1.434, 2.049,
                               1.696, 1.443, 1.401, 1.973, 1.448, 1.714, 1.892, 1.735, 1.871,
                               1.773, 1.18,  2.107, 1.374, 1.241, 2.061, 1.931, 1.357, 2.03};

static void test_seeds(void **state) {
  (void)state;
  GapTable table = {THREE, 12, 3};
  GapResampling other = {.seed = 16, .draws = DRAWS};
  static GapEstimate e, again; // padding is 0
  assert_ok(gap_estimate(&table, &RESAMPLING, &e));
  assert_ok(gap_estimate(&table, &RESAMPLING, &again));
  assert_memory_equal(&e, &again, sizeof e);
  assert_ok(gap_estimate(&table, &other, &again));
  assert_true(again.pairs[0].mean.low != e.pairs[0].mean.low && again.spread != e.spread && again.p != e.p);
}

/// max − min, and the interval that the pairs imply.
static void test_max_minus_min(void **state) {
  (void)state;
  GapTable table = {THREE, 12, 3};
  GapEstimate e;
  assert_ok(gap_estimate(&table, &RESAMPLING, &e));
  assert_near(e.gap.value, 0.53333333333333333, 1e-14);
  const GapMean *widest = &e.pairs[2].mean; // H_2 − H_1
  assert_near(e.gap.value, widest->value, 1e-15);
  assert_near(e.gap.standard_error, widest->standard_error, 1e-15);
  assert_near(e.gap.low, widest->low, 0);
  assert_near(e.gap.high, widest->high, 0);
  assert_true(e.gap.low > 0 && e.p < 0.01 && e.spread > 0);
}

/// Groups that do not differ: the interval of max − min begins at 0.
static void test_no_difference(void **state) {
  (void)state;
  double H[36];
  for (size_t i = 0; i < 36; i++) H[i] = 2 + 0.1 * (double)((i * 7 + i / 3) % 5);
  GapTable table = {H, 12, 3};
  GapEstimate e;
  assert_ok(gap_estimate(&table, &RESAMPLING, &e));
  assert_true(e.gap.value > 0 && e.gap.low <= 0 && e.gap.low >= 0 && e.gap.high > e.gap.value);
  assert_true(e.p > 0.05 && e.spread < e.gap.value);
}

static void test_one_set_has_no_interval(void **state) {
  (void)state;
  GapEstimate e;
  GapMean mean;
  for (size_t groups = 2; groups <= 3; groups++) {
    GapTable table = {THREE, 1, groups};
    assert_ok(gap_estimate(&table, &RESAMPLING, &e));
    assert_true(isfinite(e.gap.value) && isfinite(e.pairs[0].mean.value));
    assert_true(isnan(e.gap.low) && isnan(e.gap.high) && isnan(e.gap.standard_error));
    assert_true(isnan(e.p) && isnan(e.spread) && isnan(e.pairs[0].mean.low));
    assert_ok(gap_change_of_mean(&table, &table, &mean));
    assert_true(mean.value <= 0 && mean.value >= 0 && isnan(mean.low) && isnan(mean.high));
  }
}

/// Equal entropies and equal differences have no variance; nothing may become NaN.
static void test_no_variance(void **state) {
  (void)state;
  double H[30] = {0};
  GapEstimate e;
  for (size_t groups = 2; groups <= 3; groups++) {
    GapTable table = {H, 10, groups};
    for (size_t i = 0; i < 30; i++) H[i] = 1.25;
    assert_ok(gap_estimate(&table, &RESAMPLING, &e));
    assert_true(fabs(e.gap.low) <= 0 && fabs(e.gap.high) <= 0 && e.p >= 1);
    for (size_t i = 0; i < 30; i++) H[i] = 1 + 0.1 * (double)(i % groups);
    assert_ok(gap_estimate(&table, &RESAMPLING, &e));
    assert_near(e.gap.low, 0.1 * (double)(groups - 1), 1e-9);
    assert_near(e.gap.high, 0.1 * (double)(groups - 1), 1e-9);
    assert_true(e.p < 0.01);
  }
}

static void test_broken_numbers(void **state) {
  (void)state;
  const double H[] = {1, 2, 3, NAN};
  GapEstimate e;
  assert_fails(gap_estimate(&(GapTable){H, 2, 2}, &RESAMPLING, &e), STATUS_FAILED, "set 1, group 1");
}

// ---- changes ----

/// Tables with the gaps `before` and `after` on average and noise of ±0.01 in each set.
static GapSize size_of(double before, double after) {
  double H[2][20];
  GapEstimate change;
  GapSize size = GAP_UNCLEAR;
  for (size_t s = 0; s < 10; s++) {
    double noise = s % 2 == 0 ? 0.01 : -0.01;
    H[0][2 * s] = H[1][2 * s] = 2;
    H[0][2 * s + 1] = 2 + before + noise;
    H[1][2 * s + 1] = 2 + after + (s % 4 < 2 ? noise : -noise);
  }
  GapTable tables[] = {{H[0], 10, 2}, {H[1], 10, 2}};
  assert_ok(gap_change(&tables[0], &tables[1], &RESAMPLING, &change, &size));
  assert_near(change.gap.value, after - before, 1e-2);
  return size;
}

static void test_sizes(void **state) {
  (void)state;
  assert_int_equal(size_of(0.5, 0.1), GAP_SMALLER);
  assert_int_equal(size_of(0.1, 0.5), GAP_LARGER);
  assert_int_equal(size_of(-0.5, 0.1), GAP_SMALLER); // past 0, and closer to it
  assert_int_equal(size_of(0.1, -0.5), GAP_LARGER);
  assert_int_equal(size_of(0.5, -0.5), GAP_UNCLEAR); // changed, but no smaller
  assert_int_equal(size_of(0.5, 0.5), GAP_UNCLEAR);
}

/// What changed by the same in every set has an interval of no width, and is rounding: no gap is smaller by
/// it.
static void test_rounding_is_no_change(void **state) {
  (void)state;
  const double before[] = {10, 10.5, 11, 11.25, 10.75, 11},
               after[] = {10, 10.4375, 11, 11.1875, 10.75, 10.9375};
  GapEstimate change;
  GapSize size = GAP_SMALLER;
  assert_ok(gap_change(&(GapTable){before, 3, 2}, &(GapTable){after, 3, 2}, &RESAMPLING, &change, &size));
  assert_true(change.gap.low >= change.gap.high && change.gap.high < 0);
  assert_int_equal(size, GAP_UNCLEAR);
}

/// The paired interval of a change is that of the differences, and not the two intervals' difference.
static void test_change_is_paired(void **state) {
  (void)state;
  static const double before[] = {1.0, 1.5, 2.0, 1.75, 0.5, 0.875, 1.25, 1.5};
  double after[8], change[8];
  GapEstimate estimate, expected;
  GapSize size;
  for (size_t i = 0; i < 8; i++) {
    change[i] = (i % 2 == 0 ? 0.125 : -0.0625) * (double)(1 + i / 2);
    after[i] = before[i] + change[i];
  }
  GapTable tables[] = {{before, 4, 2}, {after, 4, 2}, {change, 4, 2}};
  assert_ok(gap_change(&tables[0], &tables[1], &RESAMPLING, &estimate, &size));
  assert_ok(gap_estimate(&tables[2], &RESAMPLING, &expected));
  assert_near(estimate.gap.value, -0.46875, 1e-15);
  assert_near(estimate.gap.low, expected.gap.low, 1e-12);
  GapMean mean;
  assert_ok(gap_change_of_mean(&tables[0], &tables[1], &mean));
  assert_near(mean.value, 0.078125, 1e-15); // 0.03125 · (1 + 2 + 3 + 4) / 4
  assert_near(mean.standard_error, 0.03125 * sqrt(5.0 / 3 / 4), 1e-15);
  assert_near(mean.high - mean.value, 3.182446305283710 * mean.standard_error, 1e-12);
}

/// Against numpy and scipy: mean, std(ddof=1) / sqrt(5), t.ppf(0.975, 4).
static void test_mean_of_sets(void **state) {
  (void)state;
  static const double values[] = {0.5, 0.25, 1, 0.125, 0.75};
  GapMean mean;
  assert_ok(gap_mean(values, 5, &mean));
  assert_near(mean.value, 0.525, 1e-15);
  assert_near(mean.standard_error, 0.16007810593582122, 1e-14);
  assert_near(mean.low, 0.525 - 2.7764451051977987 * 0.16007810593582122, 1e-12);
  assert_near(mean.high, 0.525 + 2.7764451051977987 * 0.16007810593582122, 1e-12);
  assert_ok(gap_mean(values, 1, &mean));
  assert_true(mean.value == 0.5 && isnan(mean.low) && isnan(mean.high));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_student),
      cmocka_unit_test(test_golden),
      cmocka_unit_test(test_seeds),
      cmocka_unit_test(test_max_minus_min),
      cmocka_unit_test(test_no_difference),
      cmocka_unit_test(test_one_set_has_no_interval),
      cmocka_unit_test(test_no_variance),
      cmocka_unit_test(test_broken_numbers),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_rounding_is_no_change),
      cmocka_unit_test(test_change_is_paired),
      cmocka_unit_test(test_mean_of_sets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
