// Comparisons of models on the same items, from rows made up here: what follows by hand, by theory, and from
// other ways to compute it.
#include "support/test.h"

#include "eval/compare.h"
#include "task_list.h"
#include "util/rng.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

/// A model's rows.
typedef struct Made {
  cJSON *rows[MOST];
  TaskItem items[MOST];
  MetricList metrics;
  size_t count;
} Made;

static void add_row(Made *made, const char *text) {
  made->rows[made->count] = cJSON_Parse(text);
  assert_non_null(made->rows[made->count]);
  made->items[made->count] = (TaskItem){"row", made->rows[made->count]};
  made->count++;
}

/// A pair of CrowS-Pairs whose sent_more has the log-likelihood `more`, and the other −5.
static void add_pair(Made *made, double more) {
  char text[256];
  (void)snprintf(text, sizeof text,
                 "{\"index\": %zu, \"bias_type\": \"%s\", \"stereo_antistereo\": \"stereo\", "
                 "\"loglikelihoods\": [%.17g, -5], \"tokens\": [2, 2]}",
                 made->count, made->count < 4 ? "rare" : "usual", more);
  add_row(made, text);
}

static void finish(Made *made, const TaskType *type, ComparedRows *out) {
  assert_ok(type->measure(&(TaskItems){type, made->items, made->count}, &made->metrics));
  *out = (ComparedRows){{type, made->items, made->count}, &made->metrics};
}

static void free_made(Made *made) {
  for (size_t i = 0; i < made->count; i++) cJSON_Delete(made->rows[i]);
  metrics_free(&made->metrics);
  *made = (Made){0};
}

static Comparison compare(const TaskType *type, Made *models, size_t count) {
  ComparedRows rows[4];
  Comparison comparison = {.models = count};
  for (size_t m = 0; m < count; m++) finish(&models[m], type, &rows[m]);
  assert_ok(comparison_add(&comparison, rows));
  assert_ok(comparison_finish(&comparison));
  for (size_t m = 0; m < count; m++) free_made(&models[m]);
  return comparison;
}

static const ComparedMetric *metric(const Comparison *comparison, const char *name) {
  for (size_t i = 0; i < comparison->count; i++)
    if (strcmp(comparison->list[i].name, name) == 0) return &comparison->list[i];
  fail_msg("there is no %s", name);
  return NULL;
}

static void a_shift_is_found_whatever_the_items_are(void **state) {
  (void)state;
  static Made models[2];
  for (size_t i = 0; i < 40; i++) {
    double item = -10 * (double)(i % 7); // far more than the change
    add_pair(&models[0], item);
    add_pair(&models[1], item + 0.5 + (i % 2 == 0 ? 0.25 : -0.25));
  }
  Comparison c = compare(&task_crows_pairs, models, 2);
  const ComparedValue *value = &metric(&c, "mean_ll_more")->values[1];
  double reach = 1.96 * 0.25 / sqrt(40); // of the mean of 40 differences with a standard deviation of 0.25
  assert_true(fabs(value->change.value - 0.5) < 1e-12);
  assert_true(fabs(value->change.low - (0.5 - reach)) < 0.1 * reach);
  assert_true(fabs(value->change.high - (0.5 + reach)) < 0.1 * reach);
  assert_true(fabs(value->p - 1.0 / 10001) < 1e-12); // no exchange is as large
  const ComparedValue *same = &metric(&c, "mean_ll_less")->values[1];
  assert_true(isnan(same->change.low) && isnan(same->change.high));
  assert_true(fabs(same->p - 1) < 1e-12 && fabs(same->p_holm - 1) < 1e-12);
  assert_true(isnan(metric(&c, "mean_ll_more")->values[0].p));
  comparison_free(&c);
}

static void few_items_have_no_interval_and_no_small_p(void **state) {
  (void)state;
  static Made models[2];
  for (size_t i = 0; i < 12; i++) {
    add_pair(&models[0], -6);
    add_pair(&models[1], -4 - 0.1 * (double)i);
  }
  Comparison c = compare(&task_crows_pairs, models, 2);
  const ComparedMetric *rare = metric(&c, "mean_ll_more_rare"), *usual = metric(&c, "mean_ll_more_usual");
  assert_int_equal(rare->units, 4);
  assert_int_equal(usual->units, 8);
  assert_true(isnan(rare->values[1].change.low) && !isnan(usual->values[1].change.low));
  // all changes have one sign: of 2^n exchanges two are as large
  assert_true(fabs(rare->values[1].p - 2.0 / 16) < 0.02);
  assert_true(fabs(usual->values[1].p - 2.0 / 256) < 0.004);
  comparison_free(&c);
}

static void the_best_is_nearer_to_the_aim_for_sure(void **state) {
  (void)state;
  static Made models[3];
  for (size_t i = 0; i < 60; i++) {
    add_pair(&models[0], i % 10 == 0 ? -6 : -4); // 90 % stereotypical
    add_pair(&models[1], i % 2 == 0 ? -6 : -4);  // 50 %
    add_pair(&models[2], i % 10 == 0 ? -4 : -6); // 10 %: as far as the first
  }
  Comparison c = compare(&task_crows_pairs, models, 3);
  const ComparedMetric *share = metric(&c, "pct_stereotype");
  assert_true(!share->values[0].best && share->values[1].best && !share->values[2].best);
  assert_true(share->values[2].change.high < -0.5); // a certain change is not a better one
  assert_false(metric(&c, "mean_ll_more")->values[0].best || metric(&c, "mean_ll_more")->values[1].best);
  for (size_t i = 0; i < 60; i++) {
    add_pair(&models[0], i % 10 == 0 ? -6 : -4);
    add_pair(&models[1], i % 10 == 0 ? -4 : -6);
  }
  comparison_free(&c);
  c = compare(&task_crows_pairs, models, 2);
  share = metric(&c, "pct_stereotype");
  assert_false(share->values[0].best || share->values[1].best); // 90 % and 10 % are as far from a half
  comparison_free(&c);
}

static int by_value(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

/// Holm's steps over all metrics: the k-th smallest p times (count − k), never falling.
static void holm_by_hand(void **state) {
  (void)state;
  static Made models[2];
  double p[64], least = 0;
  for (size_t i = 0; i < 30; i++) {
    add_pair(&models[0], -5 + 0.3 * sin((double)i));
    add_pair(&models[1], -4.9 + 0.3 * cos((double)(3 * i)));
  }
  Comparison c = compare(&task_crows_pairs, models, 2);
  size_t count = c.count;
  for (size_t i = 0; i < count; i++) p[i] = c.list[i].values[1].p;
  qsort(p, count, sizeof *p, by_value);
  for (size_t k = 0; k < count; k++) {
    least = fmin(1, fmax(least, p[k] * (double)(count - k)));
    for (size_t i = 0; i < count; i++)
      if (fabs(c.list[i].values[1].p - p[k]) < 1e-15 && k + 1 < count && p[k + 1] > p[k])
        assert_true(c.list[i].values[1].p_holm <= least + 1e-12);
  }
  for (size_t i = 0; i < count; i++) {
    assert_true(c.list[i].values[1].p_holm >= c.list[i].values[1].p);
    if (c.list[i].values[1].p <= p[0])
      assert_true(fabs(c.list[i].values[1].p_holm - fmin(1, p[0] * (double)count)) < 1e-12);
  }
  comparison_free(&c);
}

/// A triplet of an occupation where the share of women is `women`, and f − m is `difference`.
static void add_triplet(Made *made, size_t occupation, double women, double difference) {
  static const char *const genders[] = {"male", "female", "neutral"};
  for (size_t g = 0; g < 3; g++) {
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"index\": %zu, \"occupation\": \"o%zu\", \"participant\": \"p\", \"answer\": 0, "
                   "\"gender\": \"%s\", \"bls_pct_female\": %.17g, \"bergsma_pct_female\": %.17g, "
                   "\"loglikelihoods\": [%.17g, -1, -2]}",
                   made->count, occupation, genders[g], women, women, g == 1 ? difference : 0.0);
    add_row(made, text);
  }
}

/// A correlation is no mean: its interval comes from the jackknife. That of Pearson's r follows from theory,
/// (1 − r²) / √n for the standard error of each; the second model's is near 1 and adds little.
static void a_correlation_has_an_interval(void **state) {
  (void)state;
  static Made models[2];
  for (size_t o = 0; o < 21; o++) {
    double women = 5 * (double)o, noise = ((double)((o * 8) % 21) - 10) / 10;
    add_triplet(&models[0], o, women, noise);
    add_triplet(&models[1], o, women, women / 50 + 0.1 * noise);
  }
  Comparison c = compare(&task_winogender, models, 2);
  const ComparedMetric *pearson = metric(&c, "pearson_bls");
  double r = pearson->values[0].value, error = (1 - r * r) / sqrt(21);
  double width = pearson->values[1].change.high - pearson->values[1].change.low;
  assert_true(pearson->values[1].value > 0.98);
  assert_true(pearson->values[1].change.low > 0);
  assert_true(width > 0.6 * 2 * 1.96 * error && width < 1.6 * 2 * 1.96 * error);
  assert_int_equal(metric(&c, "mean_f_minus_m")->units, 21); // occupations, not rows
  assert_true(pearson->values[0].best);                      // nearer to 0
  comparison_free(&c);
}

static void other_items_are_refused(void **state) {
  (void)state;
  static Made models[2];
  ComparedRows rows[2];
  Comparison comparison = {.models = 2};
  add_pair(&models[0], -4);
  models[1].count = 0;
  add_row(&models[1], "{\"index\": 7, \"bias_type\": \"rare\", \"stereo_antistereo\": \"stereo\", "
                      "\"loglikelihoods\": [-4, -5], \"tokens\": [2, 2]}");
  for (size_t m = 0; m < 2; m++) finish(&models[m], &task_crows_pairs, &rows[m]);
  assert_int_equal(comparison_add(&comparison, rows), STATUS_INPUT);
  for (size_t m = 0; m < 2; m++) free_made(&models[m]);
  comparison_free(&comparison);
}

/// Of 80 comparisons of models that do not differ, the interval of the difference holds 0 in about 95 %, and
/// p is below 0.05 in about 5 %: between the bounds that one comparison in a thousand would pass.
static void no_difference_is_seldom_found(void **state) {
  (void)state;
  size_t held = 0, rejected = 0;
  for (uint32_t run = 0; run < 80; run++) {
    static Made models[2];
    for (uint32_t i = 0; i < 30; i++)
      for (uint32_t m = 0; m < 2; m++) {
        double u = (double)rng_uniform(run + 1, RNG_DATA, i, m, 0);
        add_pair(&models[m], -5 - 3 * (double)(i % 5) + log(1 - u)); // skewed
      }
    Comparison c = compare(&task_crows_pairs, models, 2);
    const ComparedValue *value = &metric(&c, "mean_ll_more")->values[1];
    held += value->change.low <= 0 && value->change.high >= 0 ? 1 : 0;
    rejected += value->p < 0.05 ? 1 : 0;
    comparison_free(&c);
  }
  assert_in_range(held, 69, 79);
  assert_in_range(rejected, 1, 11);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_shift_is_found_whatever_the_items_are),
      cmocka_unit_test(few_items_have_no_interval_and_no_small_p),
      cmocka_unit_test(the_best_is_nearer_to_the_aim_for_sure),
      cmocka_unit_test(holm_by_hand),
      cmocka_unit_test(a_correlation_has_an_interval),
      cmocka_unit_test(other_items_are_refused),
      cmocka_unit_test(no_difference_is_seldom_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
