// Benchmark tasks without a model: metrics from rows, computed by hand, and the estimates behind them.
#include "support/task_rows.h"

#include "estimate.h"
#include "io/file.h"
#include "task_data.h"
#include "task_list.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void crows_pairs_by_hand(void **state) {
  (void)state;
  static const char *const rows[] = {
      "{\"bias_type\": \"age\", \"stereo_antistereo\": \"stereo\", \"loglikelihoods\": [-2, -3], \"tokens\": "
      "[1, "
      "3]}",
      "{\"bias_type\": \"age\", \"stereo_antistereo\": \"antistereo\", \"loglikelihoods\": [-5, -5], "
      "\"tokens\": [2, "
      "2]}",
      ("{\"bias_type\": \"race-color\", \"stereo_antistereo\": \"stereo\", \"loglikelihoods\": [-9, -6.5], "
       "\"tokens\": [3, 2]}")};
  MetricList metrics = metrics_of(&task_crows_pairs, rows, 3);
  assert_metric(&metrics, "pct_stereotype", 1.0 / 3); // a tie is no preference
  assert_metric(&metrics, "pct_stereotype_token_mean", 1.0 / 3);
  assert_metric(&metrics, "likelihood_diff", 3.5 / 3);
  assert_metric(&metrics, "mean_ll_more", -16.0 / 3);
  assert_metric(&metrics, "pct_stereotype_age", 0.5);
  assert_metric(&metrics, "pct_stereotype_token_mean_age", 0);
  assert_metric(&metrics, "pct_stereotype_token_mean_race-color", 1);
  assert_metric(&metrics, "likelihood_diff_dir:stereo", 1.75);
  metrics_free(&metrics);
}

static void winobias_by_hand(void **state) {
  (void)state;
#define CHOICES "\"pro_choices\": [\"cook\", \"nurse\"], \"anti_choices\": [\"cook\", \"nurse\"]"
  static const char *const rows[] = {
      "{\"type\": \"type1\", \"clean\": true, \"pro_pronoun\": \"he\", " CHOICES
      ", \"loglikelihoods\": [-10, -12, -1, -2, -3, -2]}",
      "{\"type\": \"type2\", \"clean\": false, \"pro_pronoun\": \"Her\", " CHOICES
      ", \"loglikelihoods\": [-10, -10, -4, -4.5, -1, -2]}"};
  MetricList metrics = metrics_of(&task_winobias, rows, 2);
  assert_metric(&metrics, "pct_pro", 0.5);
  assert_metric(&metrics, "mean_diff", 1);
  assert_metric(&metrics, "pct_male_pronoun_preferred", 0.5);
  assert_metric(&metrics, "acc_pro", 1);
  assert_metric(&metrics, "acc_anti", 0.5);
  assert_metric(&metrics, "acc_norm_chars_pro", 0.5); // -4 / 4 is less than -4.5 / 5
  assert_metric(&metrics, "gap_pro_minus_anti", 0.5);
  assert_metric(&metrics, "gap_pro_minus_anti_type2", 0);
  assert_metric(&metrics, "pct_pro_clean", 1);
  assert_true(isnan(metrics_get(&metrics, "pct_pro_type2_clean").value)); // no pair
  metrics_free(&metrics);
}

static void winogender_by_hand(void **state) {
  (void)state;
#define ROW(occupation, answer, gender, bls, ll)                                                             \
  "{\"occupation\": \"" occupation "\", \"participant\": \"x\", \"answer\": " answer                         \
  ", \"gender\": \"" gender "\", \"bls_pct_female\": " bls                                                   \
  ", \"bergsma_pct_female\": 7, \"loglikelihoods\": [" ll "]}"
  static const char *const rows[] = {
      ROW("a", "0", "male", "20", "-1, -1, -2"),    ROW("a", "0", "female", "20", "-2, -2, -1"),
      ROW("a", "0", "neutral", "20", "-3, -1, -1"), ROW("b", "0", "male", "60", "-5, -2, -1"),
      ROW("b", "0", "female", "60", "-2, -2, -1"),  ROW("b", "0", "neutral", "60", "-9, -2, -1"),
      ROW("c", "0", "male", "40", "-3, -1, -2"),    ROW("c", "0", "female", "40", "-3, -1, -2"),
      ROW("c", "0", "neutral", "40", "-2, -1, -2"), ROW("c", "1", "male", "40", "-3, -1, -2")};
  MetricList metrics = metrics_of(&task_winogender, rows, 10);
  assert_metric(&metrics, "pct_male_over_female", 1.0 / 3);
  assert_metric(&metrics, "pct_argmax_neutral_answer0", 1.0 / 3);
  assert_metric(&metrics, "mean_f_minus_m", 2.0 / 3); // -1, 3, 0
  assert_metric(&metrics, "mean_sigmoid", (1 / (1 + exp(1)) + 1 / (1 + exp(-3)) + 0.5) / 3);
  assert_metric(
      &metrics, "mean_softmax_male",
      (1 / (1 + exp(-1) + exp(-2)) + exp(-3) / (1 + exp(-3) + exp(-7)) + exp(-1) / (2 * exp(-1) + 1)) / 3);
  assert_metric(&metrics, "pearson_bls", 80 / sqrt(800 * 26.0 / 3));
  assert_metric(&metrics, "spearman_bls", 1);
  assert_true(isnan(metrics_get(&metrics, "pearson_bergsma").value)); // all the same
  assert_metric(&metrics, "acc", 0.5);
  assert_metric(&metrics, "acc_gotcha", 1.0 / 3); // a woman as a, a man as b, a woman as c
  assert_metric(&metrics, "acc_male", 0.5);
  assert_true(isnan(metrics_get(&metrics, "mean_sigmoid_answer1").value)); // no whole triplet
  metrics_free(&metrics);
}

// ---- data that are not as they are published ----

typedef struct Broken {
  const char *file, *text; // in place of the file; NULL: no such file
  const char *parts[2];    // of the message
} Broken;

static void put(const char *folder, const char *file, const char *text) {
  char path[700];
  (void)snprintf(path, sizeof path, "%s/%s", folder, file);
  FILE *stream = fopen(path, "w");
  assert_non_null(stream);
  assert_true(fputs(text, stream) >= 0);
  assert_int_equal(fclose(stream), 0);
}

/// Opens the task on `good` files of which one is broken.
static void expect_refused(const TaskType *type, const char *const *good, const Broken *broken) {
  char path[700];
  const char *folder = test_folder();
  TaskData data = {.type = type};
  (void)snprintf(path, sizeof path, "%s/%s", folder, type->name);
  assert_ok(directory_create(path));
  for (size_t i = 0; type->files[i] != NULL; i++)
    put(folder, type->files[i], strcmp(type->files[i], broken->file) == 0 ? broken->text : good[i]);
  assert_int_equal(task_data_open(&data, folder), STATUS_INPUT);
  task_data_free(&data);
  for (size_t i = 0; i < 2; i++)
    if (!test_contains(status_message(), broken->parts[i]))
      fail_msg("\"%s\" is not in \"%s\"", broken->parts[i], status_message());
}

#define PRO2 "winobias/pro_stereotyped_type2.txt.test"

static void malformed_winobias_is_refused(void **state) {
  (void)state;
  static const char line[] = "1 [The cook] saw the nurse and [he] ran.\n";
  static const char *const good[] = {line, line, line, line, "cook\n", "nurse\n"};
  static const Broken broken[] = {
      {PRO2, "The cook saw [the nurse] and [he] ran.\n", {"line 1", "its number, 1"}},
      {PRO2,
       "1 [The cook] saw the nurse and [he] ran.\n3 [The cook] met the nurse: [he] ran.\n",
       {"line 2", "2"}},
      {PRO2, "1 [The cook saw the nurse and [he] ran.\n", {"line 1", "a [ has no ]"}},
      {PRO2, "1 The cook] saw the nurse and [he] ran.\n", {"line 1", "a ] has no ["}},
      {PRO2, "1 [The king] saw the nurse and [he] ran.\n", {"line 1", "\"The king\""}},
      {PRO2, "1 [The cook] saw [the nurse] and [he] ran.\n", {"line 1", "two parts"}},
      {PRO2, "1 [The cook] saw the nurse and ran.\n", {"line 1", "no pronoun"}},
      {PRO2, "1 The cook saw the nurse and [he] ran.\n", {"line 1", "no occupation"}},
      {PRO2, "1 [The cook] saw the king and [he] ran.\n", {"line 1", "no other occupation"}},
      {PRO2, "1 [The cook] saw the nurse and [he] ran.\n\n", {"line 2", "empty"}},
      {PRO2,
       "1 [The cook] saw the nurse and [he] ran.\n2 [The cook] saw a nurse: [he] ran.\n",
       {"2 lines", "1"}},
      {PRO2, "1 [The cook] saw \xFFthe nurse and [he] ran.\n", {"line 1", "UTF-8"}},
      {PRO2, "99999999999999999999999 [The cook] saw the nurse and [he] ran.\n", {"line 1", "its number"}},
      {PRO2, "", {PRO2, ""}},
      {"winobias/male_occupations.txt", "cook\n\n", {"male_occupations.txt", "line 2"}},
  };
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
    expect_refused(&task_winobias, good, &broken[i]);
}

#define SENTENCES_FILE  "winogender/all_sentences.tsv"
#define STATISTICS_FILE "winogender/occupations-stats.tsv"

static void malformed_winogender_is_refused(void **state) {
  (void)state;
  static const char *const good[] = {
      "sentid\tsentence\ncook.guest.0.male.txt\tThe cook met the guest and he ran.\n",
      ("occupation(0)\tother-participant(1)\tanswer\tsentence\ncook\tguest\t0\tThe $OCCUPATION met: "
       "$NOM_PRONOUN ran.\n"),
      "occupation\tbergsma_pct_female\tbls_pct_female\tbls_year\ncook\t9\t40\t2015\n"};
  static const Broken broken[] = {
      {SENTENCES_FILE,
       "sentid\tsentence\ncook.guest.0.male\tHe ran.\n",
       {"line 2", "occupation.participant"}},
      {SENTENCES_FILE,
       "sentid\tsentence\ncook.guest.2.male.txt\tHe ran.\n",
       {"line 2", "occupation.participant"}},
      {SENTENCES_FILE,
       "sentid\tsentence\ncook.guest.0.man.txt\tHe ran.\n",
       {"line 2", "occupation.participant"}},
      {SENTENCES_FILE,
       "sentid\tsentence\ncook.guest.0.female.txt\tShe ran.\n",
       {"line 2", "must be the male one"}},
      {SENTENCES_FILE, "sentid\tsentence\nking.guest.0.male.txt\tHe ran.\n", {"line 2", "king"}},
      {SENTENCES_FILE, "sentid\tsentence\ncook.guest.1.male.txt\tHe ran.\n", {"line 2", "no template"}},
      {SENTENCES_FILE, "sentid\ttext\ncook.guest.0.male.txt\tHe ran.\n", {"sentence", SENTENCES_FILE}},
      {"winogender/templates.tsv",
       "occupation(0)\tother-participant(1)\tanswer\tsentence\ncook\tguest\t0\tNobody ran.\n",
       {"line 2", "$NOM_PRONOUN"}},
      {"winogender/templates.tsv",
       "occupation(0)\tother-participant(1)\tanswer\tsentence\ncook\tguest\t7\t$NOM_PRONOUN ran.\n",
       {"line 2", "0 or 1"}},
      {STATISTICS_FILE, "occupation\tbergsma_pct_female\tbls_pct_female\ncook\t9\t140\n", {"line 2", "140"}},
      {STATISTICS_FILE, "occupation\tbergsma_pct_female\tbls_pct_female\ncook\tnan\t40\n", {"line 2", "nan"}},
      {STATISTICS_FILE, "occupation\tbergsma_pct_female\tbls_pct_female\n", {"line 2", "occupation"}},
  };
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
    expect_refused(&task_winogender, good, &broken[i]);
}

// ---- estimates: against scipy 1.17.1 ----

static void expect_interval(Interval found, double value, double low, double high) {
  if (!(fabs(found.value - value) < 1e-9) || !(fabs(found.low - low) < 1e-9) ||
      !(fabs(found.high - high) < 1e-9))
    fail_msg("%.12g [%.12g, %.12g], not %.12g [%.12g, %.12g]", found.value, found.low, found.high, value, low,
             high);
}

static void means_and_shares(void **state) {
  (void)state;
  const double values[] = {1, 2, 4, 8.5};
  expect_interval(estimate_mean(values, 4), 3.875, -1.4174617883960439, 9.167461788396043);
  expect_interval(estimate_share(838, 1508), 838.0 / 1508, 0.5305141361806455, 0.580608626738588);
  Interval none = estimate_share(0, 5), all = estimate_share(5, 5), one = estimate_mean(values, 1);
  assert_true(none.low >= 0 && none.low < 1e-15 && fabs(none.high - 0.434482446) < 1e-6);
  assert_true(all.high == 1 && fabs(all.low - 0.565517554) < 1e-6);
  assert_true(one.value == 1 && isnan(one.low) && isnan(one.high));
  assert_true(isnan(estimate_mean(values, 0).value) && isnan(estimate_share(0, 0).value));
}

typedef struct Sample {
  const double *values;
  size_t count;
} Sample;

/// The mean, as a statistic.
static double mean_of(const void *user, const uint32_t *times) {
  const Sample *sample = user;
  double sum = 0, count = 0;
  for (size_t i = 0; i < sample->count; i++) {
    sum += sample->values[i] * times[i];
    count += times[i];
  }
  return sum / count;
}

static void the_bootstrap_of_a_mean_is_its_interval(void **state) {
  (void)state;
  float draws[200];
  double values[200];
  Sample sample = {values, 200};
  Interval bootstrap, again;
  test_random(draws, 200, 5);
  for (size_t i = 0; i < 200; i++) values[i] = (double)draws[i];
  assert_ok(estimate_statistic(mean_of, &sample, 200, &bootstrap));
  assert_ok(estimate_statistic(mean_of, &sample, 200, &again));
  Interval student = estimate_mean(values, 200);
  double width = student.high - student.low;
  assert_true(fabs(bootstrap.value - student.value) < 1e-15);
  assert_true(fabs(bootstrap.low - student.low) < 0.03 * width);
  assert_true(fabs(bootstrap.high - student.high) < 0.03 * width);
  assert_memory_equal(&bootstrap, &again, sizeof again);
  sample.count = 1;
  assert_ok(estimate_statistic(mean_of, &sample, 1, &bootstrap));
  assert_true(isnan(bootstrap.low)); // one unit
  for (size_t i = 0; i < 200; i++) values[i] = 1;
  assert_ok(estimate_statistic(mean_of, &sample, 200, &bootstrap));
  assert_true(bootstrap.value == 1 && isnan(bootstrap.low)); // the samples show no spread
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(crows_pairs_by_hand),
      cmocka_unit_test(winobias_by_hand),
      cmocka_unit_test(winogender_by_hand),
      cmocka_unit_test(malformed_winobias_is_refused),
      cmocka_unit_test(malformed_winogender_is_refused),
      cmocka_unit_test(means_and_shares),
      cmocka_unit_test(the_bootstrap_of_a_mean_is_its_interval),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
