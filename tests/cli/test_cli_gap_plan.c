// gee-cl gap --plan-for: its variances follow from the lines of --items, and it says what to do. On a tiny
// model.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *config, *fresh, *trained;
enum { SETS = 9, ANSWERS = 3 };

static int set_up(void **state) {
  char text[1024];
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  config = in_folder(folder, "config.ini");
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s/model\n[data]\nuse_test_data = true\nheld_out = 0.5\neval_sets = %d\n"
                 "eval_answers = %d\n[sampling]\nmax_new_tokens = 5\nsample_temp = 1.0\n[loss]\n"
                 "pairing = paired\nlambda_weight = 100\n[train]\nmax_steps = 2\neffective_batch = 4\n"
                 "learning_rate = 1e-2\nmax_drift = 0\n[output]\nsave_root = %s/runs\nrun_name = run\n"
                 "save_steps = 0\nsave_initial = true\n",
                 folder, SETS, ANSWERS, folder);
  write_text(config, text);
  assert_code(GEE("train", config), 0);
  fresh = in_folder(folder, "runs/run/step_0");
  trained = in_folder(folder, "runs/run/final");
  return 0;
}

static const cJSON *member(const cJSON *object, const char *const *path) {
  for (; *path != NULL; path++) object = cJSON_GetObjectItemCaseSensitive(object, *path);
  return object;
}
#define MEMBER(object, ...) member(object, (const char *const[]){__VA_ARGS__, NULL})

static double number(const cJSON *item) {
  assert_true(cJSON_IsNumber(item));
  return item->valuedouble;
}

static cJSON *measured(Ran ran) {
  assert_code(ran, 0);
  cJSON *root = cJSON_Parse(ran.out);
  assert_non_null(root);
  return root;
}

/// Differences male − female by set and number of the answer.
typedef struct Differences {
  double paired[SETS][ANSWERS], total[SETS][ANSWERS];
} Differences;

/// Adds the lines of a model with a sign, as docs/METRICS.md has them.
static void add_items(Differences *out, const char *text, const char *model, double sign) {
  for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
    cJSON *line = cJSON_ParseWithOpts(at, NULL, false);
    assert_non_null(line);
    size_t set = (size_t)number(MEMBER(line, "set")), answer = (size_t)number(MEMBER(line, "answer"));
    const char *of = cJSON_GetStringValue(MEMBER(line, "answer_of"));
    const char *under = cJSON_GetStringValue(MEMBER(line, "read_under"));
    double H = number(MEMBER(line, "H")) * sign * (strcmp(under, "male") == 0 ? 1 : -1);
    if (strcmp(cJSON_GetStringValue(MEMBER(line, "model")), model) == 0) {
      out->paired[set][answer] += H / 2;
      if (strcmp(of, under) == 0) out->total[set][answer] += H;
    }
    cJSON_Delete(line);
  }
}

/// The one-way analysis of variance, against what was printed.
static void check_kind(const double d[SETS][ANSWERS], const cJSON *kind) {
  double mean = 0, between = 0, within = 0;
  for (size_t s = 0; s < SETS; s++)
    for (size_t a = 0; a < ANSWERS; a++) mean += d[s][a] / (SETS * ANSWERS);
  for (size_t s = 0; s < SETS; s++) {
    double set = 0;
    for (size_t a = 0; a < ANSWERS; a++) set += d[s][a] / ANSWERS;
    between += (set - mean) * (set - mean) / (SETS - 1);
    for (size_t a = 0; a < ANSWERS; a++) within += (d[s][a] - set) * (d[s][a] - set) / (SETS * (ANSWERS - 1));
  }
  between = fmax(0, between - within / ANSWERS);
  assert_true(fabs(number(MEMBER(kind, "within")) / within - 1) <= 1e-9);
  assert_true(fabs(number(MEMBER(kind, "between")) - between) <= 1e-9 * (between + within));
  const cJSON *row = NULL;
  double last = INFINITY;
  cJSON_ArrayForEach(row, MEMBER(kind, "rows")) {
    double v = between + within / number(MEMBER(row, "answers")), sets = number(MEMBER(row, "seen", "value"));
    assert_true(fabs(number(MEMBER(row, "variance", "value")) / v - 1) <= 1e-9);
    assert_true(number(MEMBER(row, "bound", "value")) <= sets && sets <= last);
    assert_true(number(MEMBER(row, "seen", "low")) <= sets && number(MEMBER(row, "seconds")) > 0);
    last = sets;
  }
}

static void variances_follow_from_the_items(void **state) {
  (void)state;
  const char *items = in_folder(folder, "items.jsonl"), *base = in_folder(folder, "model");
  const char *result = in_folder(folder, "gap.json");
  cJSON *root = measured(GEE("gap", config, "--adapter", trained, "--json", "--items", items, "--output",
                             result, "--plan-for", "0.05"));
  assert_code(GEE("verify", result), 0);
  cJSON *without = measured(GEE("gap", config, "--adapter", trained, "--json"));
  char *text = read_file(items, NULL);
  cJSON *plain = cJSON_GetObjectItem(root, "base"),
        *adapted = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "adapters"), 0);
  Differences differences[3] = {0}; // of the base, of the adapter, of the change
  add_items(&differences[0], text, base, 1);
  add_items(&differences[1], text, trained, 1);
  add_items(&differences[2], text, base, -1);
  add_items(&differences[2], text, trained, 1);
  const cJSON *plans[] = {MEMBER(plain, "plan"), MEMBER(adapted, "plan"), MEMBER(adapted, "change_plan")};
  for (size_t i = 0; i < 3; i++) {
    check_kind(differences[i].paired, MEMBER(plans[i], "paired"));
    check_kind(differences[i].total, MEMBER(plans[i], "total"));
    assert_true(fabs(number(MEMBER(plans[i], "aim")) - 0.05) <= 0);
    assert_true(number(MEMBER(plans[i], "available")) > 39 && number(MEMBER(plans[i], "pilot_sets")) > 8);
  }
  double both = number(MEMBER(plans[0], "answer_seconds")) + number(MEMBER(plans[1], "answer_seconds"));
  assert_true(fabs(number(MEMBER(plans[2], "answer_seconds")) / both - 1) <= 1e-9);
  assert_null(MEMBER(plain, "change_plan"));
  // a plan changes nothing of what is measured
  cJSON_DeleteItemFromObject(plain, "plan");
  cJSON_DeleteItemFromObject(adapted, "plan");
  cJSON_DeleteItemFromObject(adapted, "change_plan");
  assert_true(cJSON_Compare(plain, cJSON_GetObjectItem(without, "base"), true));
  assert_true(cJSON_Compare(adapted, cJSON_GetArrayItem(cJSON_GetObjectItem(without, "adapters"), 0), true));
  free(text);
  cJSON_Delete(root);
  cJSON_Delete(without);
}

/// A fresh adapter changes nothing, so there is nothing to plan.
static void a_change_that_does_not_vary(void **state) {
  (void)state;
  cJSON *root = measured(GEE("gap", config, "--adapter", fresh, "--json", "--plan-for", "0.05"));
  const cJSON *plan = MEMBER(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "adapters"), 0), "change_plan");
  const cJSON *row = cJSON_GetArrayItem(MEMBER(plan, "paired", "rows"), 0);
  assert_true(cJSON_IsNull(MEMBER(row, "seen", "value")) && cJSON_IsNull(MEMBER(plan, "total", "cheapest")));
  cJSON_Delete(root);
  Ran ran = GEE("gap", config, "--adapter", fresh, "--plan-for", "0.05");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "The paired gap does not vary in this pilot"));
  assert_false(test_contains(ran.out, "nan"));
}

static void tables(void **state) {
  (void)state;
  Ran ran = GEE("gap", config, "--plan-for", "1e-4");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "paired gap "));
  assert_true(test_contains(ran.out, "\nTo see a gap of 0.0001 nats, of "));
  assert_true(test_contains(ran.out, "\n  8 answers "));
  assert_true(test_contains(ran.out, "The prompts make 40 sets, too few for the total gap"));
  ran = GEE("gap", config, "--plan-for", "5", "--set=data.eval_answers=1");
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "--plan-for measures 2 answers to each prompt instead of"));
  assert_true(test_contains(ran.out, "\nSoonest, for the paired gap:\n  --set data.eval_sets="));
  ran = GEE("gap", config, "--no-base", "--adapter", trained, "--plan-for", "0.5", "--set=groups.file=race",
            "--set=groups.counterfactual=template");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "the pair that varies most"));
  assert_false(test_contains(ran.out, "To see a change"));
  ran = GEE("gap", config, "--adapter", trained, "--plan-for", "0.5");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "To see a change of 0.5 nats, of "));
}

/// Greedy answers of one token: all the same, so the gap says nothing, and neither would a plan.
static void no_plan_of_a_gap_that_says_nothing(void **state) {
  (void)state;
  cJSON *root = measured(GEE("gap", config, "--plan-for", "0.1", "--json", "--set=sampling.sample_temp=0",
                             "--set=sampling.max_new_tokens=1"));
  bool is_void = cJSON_GetObjectItem(root, "void") != NULL;
  assert_true(cJSON_IsNull(cJSON_GetObjectItem(root, "plan")) == is_void);
  cJSON_Delete(root);
}

static void wrong_use(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("gap", config, "--plan-for", "0.01", "--set=data.eval_sets=2"), 2,
               "a plan needs a pilot of at least 3 sets, and there are 2", "data.eval_sets");
  ASSERT_ERROR(GEE("gap", config, "--plan-for", "0"), 2, "--plan-for is \"0\"");
  ASSERT_ERROR(GEE("gap", config, "--plan-for", "-0.01"), 2, "--plan-for");
  ASSERT_ERROR(GEE("gap", config, "--plan-for", "small"), 2, "--plan-for is \"small\"");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(variances_follow_from_the_items),
      cmocka_unit_test(a_change_that_does_not_vary),
      cmocka_unit_test(tables),
      cmocka_unit_test(no_plan_of_a_gap_that_says_nothing),
      cmocka_unit_test(wrong_use),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
