// Memory that runs out while models are compared: a clear message, and nothing left.
#include "support/alloc_faults.h"
#include "support/test.h"

#include "eval/compare.h"
#include "task_list.h"
#include "util/str.h"
#include <stdio.h>
#include <string.h>

enum { ROWS = 9, MODELS = 2 };

/// Rows of two models, and their metrics.
typedef struct Compared {
  cJSON *json[MODELS][ROWS];
  TaskItem items[MODELS][ROWS];
  MetricList metrics[MODELS];
  ComparedRows rows[MODELS];
} Compared;

static Status compare(void *user) {
  const Compared *compared = user;
  Comparison comparison = {.models = MODELS};
  Status status = STATUS_OK;
  TRY_CLEAN(comparison_add(&comparison, compared->rows));
  TRY_CLEAN(comparison_finish(&comparison));
cleanup:
  comparison_free(&comparison);
  return status;
}

/// `format` makes row number `row` of the model `model`.
static void sweep(const char *name, const TaskType *type,
                  void (*format)(char *, size_t, size_t row, size_t model)) {
  static Compared compared;
  memset(&compared, 0, sizeof compared);
  for (size_t m = 0; m < MODELS; m++) {
    for (size_t r = 0; r < ROWS; r++) {
      char text[512];
      format(text, sizeof text, r, m);
      compared.json[m][r] = cJSON_Parse(text);
      assert_non_null(compared.json[m][r]);
      compared.items[m][r] = (TaskItem){"row", compared.json[m][r]};
    }
    TaskItems items = {type, compared.items[m], ROWS};
    assert_ok(type->measure(&items, &compared.metrics[m]));
    compared.rows[m] = (ComparedRows){items, &compared.metrics[m]};
  }
  faults_sweep(&(FaultSweep){.name = name, .run = compare, .user = &compared});
  for (size_t m = 0; m < MODELS; m++) {
    metrics_free(&compared.metrics[m]);
    for (size_t r = 0; r < ROWS; r++) cJSON_Delete(compared.json[m][r]);
  }
}

static void write_pair(char *out, size_t size, size_t row, size_t model) {
  (void)snprintf(
      out, size,
      "{\"index\": %zu, \"bias_type\": \"age\", \"stereo_antistereo\": \"stereo\", \"loglikelihoods\": "
      "[%zu, -5], \"tokens\": [2, 2]}",
      row, row * (model + 1));
}

/// Its standard deviations are no means, so that the jackknife is needed.
static void write_set(char *out, size_t size, size_t row, size_t model) {
  (void)snprintf(
      out, size,
      "{\"index\": %zu, \"groups\": [\"female\", \"male\"], \"H\": [[[%zu.5, 2]], [[2.5, %zu.25]]]}", row,
      row, row + model);
}

static void compares_means(void **state) {
  (void)state;
  sweep("comparing shares and means", &task_crows_pairs, write_pair);
}

static void compares_by_the_jackknife(void **state) {
  (void)state;
  sweep("comparing by the jackknife", &task_entropy_gap, write_set);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(compares_means),
                                     cmocka_unit_test(compares_by_the_jackknife)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
