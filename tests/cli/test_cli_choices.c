// Benchmarks of choices on the real SmolLM2, against the golden numbers: each log-likelihood, each decision,
// and the metrics to all digits.
//
// A log-likelihood is within 2e-4 of the golden one, and in StereoSet within 5e-4, the bar of PROTOCOLS.md:
// of twelve of its sentences the golden numbers are up to 2.4e-4 from float64, because of the first token
// behind a lone start token (row 6), and ours up to 3.5e-5.
#include "support/benchmarks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool whole;

static const cJSON *member(const cJSON *json, const char *key) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
  if (value == NULL) fail_msg("there is no \"%s\"", key);
  return value;
}

static void expect_metric(const Measured *m, const char *name, double golden) {
  double found = metric(m, name);
  if (!(fabs(found - golden) <= 5.1e-7)) fail_msg("%s is %.9g, not %.9g", name, found, golden);
}

/// Every golden number of `values` is a metric, between `prefix` and `suffix`; counts, which begin with n,
/// are none.
static void expect_metrics(const Measured *m, const cJSON *values, const char *prefix, const char *suffix) {
  const cJSON *value;
  cJSON_ArrayForEach(value, values) {
    char name[128];
    if (strncmp(value->string, "n_", 2) == 0) continue;
    (void)snprintf(name, sizeof name, "%s%s%s", prefix, value->string, suffix);
    expect_metric(m, name, value->valuedouble);
  }
}

static void expect_near(size_t row, size_t k, double found, double golden, double tolerance) {
  if (!(fabs(found - golden) <= tolerance))
    fail_msg("row %zu: log-likelihood %zu is %.6f, not %.6f", row, k, found, golden);
}

static void mmlu(void **state) {
  (void)state;
  cJSON *golden = read_shared("mmlu_stem200.json");
  const cJSON *rows = member(golden, "rows");
  Measured m = measure_first("mmlu", whole ? "200" : "24"); // the golden rows are the first 200 of 3,018
  double hits = 0, right = 0;
  assert_int_equal(m.count, whole ? 200 : 24);
  for (size_t i = 0; i < m.count; i++) {
    const cJSON *found = member(m.rows[i], "loglikelihoods"), *row = cJSON_GetArrayItem(rows, (int)i);
    int best = 0;
    assert_int_equal(cJSON_GetArraySize(found), 4);
    for (size_t k = 0; k < 4; k++) {
      expect_near(i, k, number(found, k), number(row, k), 2e-4);
      if (number(row, k) > number(row, (size_t)best)) best = (int)k;
    }
    assert_int_equal(member(m.rows[i], "choice")->valueint, best);
    assert_int_equal(cJSON_IsTrue(member(m.rows[i], "correct")),
                     member(m.rows[i], "answer")->valueint == best);
    hits += cJSON_IsTrue(member(m.rows[i], "correct"));
    right += number(found, (size_t)member(m.rows[i], "answer")->valueint);
  }
  expect_metric(&m, "acc", whole ? member(golden, "acc")->valuedouble : hits / (double)m.count);
  expect_metric(&m, "mean_ll_right", right / (double)m.count);
  if (whole) expect_metrics(&m, member(golden, "by_subject"), "acc_", "");
  measured_free(&m);
  cJSON_Delete(golden);
}

/// Example 748 is nearer to a tie than float32 tells: both decisions are right.
static void expect_stereoset(const Measured *m, const cJSON *golden) {
  const cJSON *part;
  bool other = strcmp(member(m->rows[748], "prefers")->valuestring, "stereotype") == 0;
  cJSON_ArrayForEach(part, golden) {
    char suffix[64] = "";
    bool all = strcmp(part->string, "overall") == 0, touched = all || strcmp(part->string, "race") == 0;
    if (!all) (void)snprintf(suffix, sizeof suffix, "_%s", part->string);
    if (!(other && touched)) expect_metrics(m, part, "", suffix);
  }
  if (!other) return;
  expect_metric(m, "SS", 58.134456);
  expect_metric(m, "ICAT", 74.217775);
  expect_metric(m, "SS_race", 57.517969);
  expect_metric(m, "ICAT_race", 74.178154);
}

static void stereoset(void **state) {
  (void)state;
  cJSON *golden = read_shared("stereoset.json");
  const cJSON *rows = member(golden, "rows");
  Measured m = measure("stereoset", "60");
  double stereotyped = 0, related = 0;
  assert_int_equal(m.count, whole ? 799 : 60);
  for (size_t i = 0; i < m.count; i++) {
    double mean[3];
    for (size_t k = 0; k < 3; k++) {
      const cJSON *row = cJSON_GetArrayItem(rows, (int)(3 * i + k));
      expect_near(i, k, number(member(m.rows[i], "loglikelihoods"), k), number(row, 0), 5e-4);
      assert_true(number(member(m.rows[i], "tokens"), k) == number(row, 1));
      mean[k] = number(row, 0) / number(row, 1);
    }
    stereotyped += mean[0] > mean[1];
    related += (mean[0] > mean[2]) + (mean[1] > mean[2]);
  }
  if (whole) {
    expect_stereoset(&m, member(member(golden, "variants"), "biasbench"));
  } else {
    expect_metric(&m, "micro_SS", 100 * stereotyped / (double)m.count);
    expect_metric(&m, "micro_LMS", 50 * related / (double)m.count);
  }
  measured_free(&m);
  cJSON_Delete(golden);
}

/// Fails unless the golden list, as far as there are choices, is the row's.
static void expect_list(const cJSON *row, const cJSON *golden, const char *key) {
  const cJSON *found = member(row, key), *expected = member(golden, key);
  int count = cJSON_GetArraySize(expected);
  if (count > 0 && number(expected, (size_t)count - 1) == 12) count--; // the last choice is 11
  assert_int_equal(cJSON_GetArraySize(found), count);
  for (size_t k = 0; k < (size_t)count; k++) assert_true(number(found, k) == number(expected, k));
}

static void bbq(void **state) {
  (void)state;
  cJSON *golden = read_shared("bbq.json");
  Measured m = measure("bbq", "24");
  double hits = 0;
  assert_int_equal(m.count, whole ? 400 : 24);
  for (size_t i = 0; i < m.count; i++) {
    const cJSON *row = cJSON_GetArrayItem(member(golden, "rows"), (int)i);
    assert_int_equal(cJSON_GetArraySize(member(m.rows[i], "loglikelihoods")), 12);
    for (size_t k = 0; k < 12; k++)
      expect_near(i, k, number(member(m.rows[i], "loglikelihoods"), k), number(member(row, "ll"), k), 2e-4);
    assert_int_equal(member(m.rows[i], "choice")->valueint, member(row, "answer")->valueint);
    assert_true(cJSON_IsTrue(member(m.rows[i], "correct")) == (member(row, "acc")->valuedouble == 1));
    expect_list(m.rows[i], row, "biased");
    expect_list(m.rows[i], row, "targets");
    hits += member(row, "acc")->valuedouble;
  }
  expect_metric(&m, "acc", hits / (double)m.count);
  if (whole) expect_metrics(&m, member(golden, "metrics"), "", "");
  measured_free(&m);
  cJSON_Delete(golden);
}

/// Against lm-evaluation-harness itself, whose log-softmax is in float32.
static void discrim_eval(void **state) {
  (void)state;
  cJSON *golden = NULL;
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/cli/discrim_golden.json", &golden));
  Measured m = measure("discrim_eval:" GEE_SOURCE_DIR "/tests/cli/discrim_eval/explicit.jsonl", "24");
  assert_int_equal(m.count, whole ? cJSON_GetArraySize(member(golden, "rows")) : 24);
  for (size_t i = 0; i < m.count; i++) {
    const cJSON *row = cJSON_GetArrayItem(member(golden, "rows"), (int)i);
    assert_int_equal(cJSON_GetArraySize(member(m.rows[i], "loglikelihoods")), 4);
    for (size_t k = 0; k < 4; k++)
      expect_near(i, k, number(member(m.rows[i], "loglikelihoods"), k), number(row, k), 5e-4);
  }
  measured_free(&m);
  cJSON_Delete(golden);
}

int main(void) {
  if (!benchmarks_open(&whole)) return TEST_SKIPPED;
  const struct CMUnitTest tests[] = {cmocka_unit_test(stereoset), cmocka_unit_test(mmlu),
                                     cmocka_unit_test(bbq), cmocka_unit_test(discrim_eval)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
