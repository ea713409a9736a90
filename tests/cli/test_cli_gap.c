// gee-cl gap as a user sees it: one model, an adapter beside its base, several adapters, and what is said in
// words. On a tiny model.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *folder, *config, *fresh,
    *trained; // adapters: of step 0, which changes nothing; of step 20

static void write_config(void) {
  char text[2048];
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s/model\n[data]\nuse_test_data = true\nheld_out = 0.5\neval_sets = 9\n"
                 "[sampling]\nmax_new_tokens = 6\nsample_temp = 1.0\n[loss]\npairing = paired\n"
                 "lambda_weight = 100\n[train]\nmax_steps = 20\neffective_batch = 4\nlearning_rate = 1e-2\n"
                 "max_drift = 0\n[output]\nsave_root = %s/runs\nsave_steps = 0\nsave_initial = "
                 "true\n[track]\nsamples = true\n",
                 folder, folder);
  write_text(config, text);
}

static cJSON *measured(Ran ran) {
  assert_code(ran, 0);
  cJSON *root = cJSON_Parse(ran.out);
  if (root == NULL) fail_msg("not JSON: %s", ran.out);
  return root;
}

/// The value at a path of members: {"change", "paired", "gap", NULL}.
static double number(const cJSON *object, const char *const *path) {
  for (; *path != NULL; path++) object = cJSON_GetObjectItemCaseSensitive(object, *path);
  assert_true(cJSON_IsNumber(object));
  return object->valuedouble;
}
#define NUMBER(object, ...) number(object, (const char *const[]){__VA_ARGS__, NULL})

static const cJSON *adapter_of(const cJSON *root, int index) {
  return cJSON_GetArrayItem(cJSON_GetObjectItem(root, "adapters"), index);
}

/// Whether everything in `part` is in `whole` too, to the bit.
static void assert_part(const cJSON *part, const cJSON *whole) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, part)
      assert_true(cJSON_Compare(member, cJSON_GetObjectItemCaseSensitive(whole, member->string), true));
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  config = in_folder(folder, "config.ini");
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  write_config();
  assert_code(GEE("train", config, "--set=output.run_name=run"), 0);
  fresh = in_folder(folder, "runs/run/step_0");
  trained = in_folder(folder, "runs/run/final");
  return 0;
}

/// Models that are measured together give the bits that they give alone, whatever was measured before them.
static void together_as_alone(void **state) {
  (void)state;
  cJSON *base = measured(GEE("gap", config, "--json"));
  cJSON *alone = measured(GEE("gap", config, "--json", "--no-base", "--adapter", trained));
  cJSON *both = measured(GEE("gap", config, "--json", "--adapter", trained));
  cJSON *three =
      measured(GEE("gap", config, "--json", "--adapter", trained, "--adapter", fresh, "--adapter", trained));
  assert_null(cJSON_GetObjectItem(base, "adapters"));
  assert_null(cJSON_GetObjectItem(alone, "base"));
  assert_null(cJSON_GetObjectItem(adapter_of(alone, 0), "change"));
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(alone, "adapters")), 1);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(three, "adapters")), 3);
  assert_true(cJSON_Compare(base, cJSON_GetObjectItem(both, "base"), true));
  assert_true(cJSON_Compare(base, cJSON_GetObjectItem(three, "base"), true));
  assert_part(adapter_of(alone, 0), adapter_of(both, 0));
  assert_true(cJSON_Compare(adapter_of(both, 0), adapter_of(three, 0), true));
  assert_true(cJSON_Compare(adapter_of(three, 0), adapter_of(three, 2), true));
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(adapter_of(three, 1), "adapter")), fresh);
  cJSON_Delete(base);
  cJSON_Delete(alone);
  cJSON_Delete(both);
  cJSON_Delete(three);
}

static void a_change_is_the_difference(void **state) {
  (void)state;
  cJSON *root = measured(GEE("gap", config, "--json", "--adapter", trained));
  const cJSON *base = cJSON_GetObjectItem(root, "base"), *after = adapter_of(root, 0);
  static const char *const kinds[] = {"paired", "total"};
  for (size_t k = 0; k < 2; k++) {
    double gap = NUMBER(after, "change", kinds[k], "gap");
    double expected = NUMBER(after, kinds[k], "gap") - NUMBER(base, kinds[k], "gap");
    assert_true(fabs(gap - expected) <= 1e-12 && fabs(gap) > 1e-3);
    assert_true(NUMBER(after, "change", kinds[k], "low") < gap &&
                gap < NUMBER(after, "change", kinds[k], "high"));
  }
  double change = NUMBER(after, "change", "H_bar", "change"), H = NUMBER(base, "H_bar");
  assert_true(fabs(change - (NUMBER(after, "H_bar") - H)) <= 1e-12);
  assert_true(fabs(NUMBER(after, "change", "H_bar", "relative") - change / H) <= 1e-12);
  cJSON_Delete(root);
}

/// Equal models under common random numbers: no change, and no interval around it.
static void a_fresh_adapter_changes_nothing(void **state) {
  (void)state;
  cJSON *root = measured(GEE("gap", config, "--json", "--adapter", fresh));
  const cJSON *after = adapter_of(root, 0);
  assert_true(fabs(NUMBER(after, "change", "paired", "gap")) <= 0);
  assert_true(fabs(NUMBER(after, "change", "total", "low")) <= 0);
  assert_true(fabs(NUMBER(after, "change", "H_bar", "high")) <= 0);
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(
                          cJSON_GetObjectItem(cJSON_GetObjectItem(after, "change"), "paired"), "size")),
                      "unclear");
  cJSON_Delete(root);
  Ran ran = GEE("gap", config, "--adapter", fresh);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "Whether the paired gap has changed cannot be told"));
}

static void tables(void **state) {
  (void)state;
  Ran ran = GEE("gap", config);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "paired gap ") && test_contains(ran.out, "mean entropy "));
  assert_true(test_contains(ran.out, "gap = H male - H female"));
  assert_true(test_contains(ran.out, "Mean entropy by group, paired: female "));
  assert_false(test_contains(ran.out, "change"));
  ran = GEE("gap", config, "--adapter", trained);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "before   ") && test_contains(ran.out, "\n  change  "));
  assert_true(test_contains(ran.out, "18 answers of each model") && test_contains(ran.out, "9 sets are few"));
  ran = GEE("gap", config, "--adapter", trained, "--adapter", fresh);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "\n  1 - base  ") && test_contains(ran.out, "\n  2 - base  "));
  assert_true(test_contains(ran.out, "\n1: ") && test_contains(ran.out, "\n2: Whether the paired gap"));
  ran = GEE("gap", config, "--no-base", "--adapter", trained, "--adapter", fresh);
  assert_code(ran, 0);
  assert_false(test_contains(ran.out, "base"));
}

static void one_set(void **state) {
  (void)state;
  Ran ran = GEE("gap", config, "--set=data.eval_sets=1", "--adapter", trained);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "One set has no interval"));
  assert_true(test_contains(ran.out, "1 of 40 sets of prompts"));
  assert_true(test_contains(ran.out, "One set says nothing of a change."));
  assert_false(test_contains(ran.out, "nan"));
  ran = GEE("gap", config, "--set=data.eval_sets=1", "--set=groups.file=race",
            "--set=groups.counterfactual=template");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "One set has no interval"));
  assert_false(test_contains(ran.out, "nan"));
}

/// Six sets, of which two repeat others.
static void repeated_prompts(void **state) {
  (void)state;
  const char *prompts = in_folder(folder, "prompts.txt");
  write_text(prompts, "He sings.\nShe runs.\nHe sings.\nHe reads.\nHe paints.\nShe runs.\n");
  char train[700];
  (void)snprintf(train, sizeof train, "--set=data.eval=%s", prompts);
  Ran ran = GEE("gap", config, train);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "distinct"));
  cJSON *root = measured(GEE("gap", config, train, "--json"));
  assert_true(NUMBER(root, "sets") > 5 && NUMBER(root, "distinct_sets") < 5);
  cJSON_Delete(root);
}

/// The adapter's own config says what it was trained on, whatever the config of the measurement holds out.
static void prompts_that_were_trained_on(void **state) {
  (void)state;
  const char *own = in_folder(trained, "config.ini"), *kept = in_folder(trained, "kept.ini");
  Ran ran = GEE("gap", config, "--json", "--adapter", trained);
  cJSON *root = measured(ran);
  assert_false(test_contains(ran.err, "trained on"));
  assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "base"), "trained_on"));
  assert_true(NUMBER(adapter_of(root, 0), "trained_on") < 1);
  cJSON_Delete(root);
  // 9 sets of the training's own half: all of their 18 prompts
  assert_int_equal(rename(own, kept), 0);
  ran = GEE("train", config, "--set=output.run_name=all", "--set=data.held_out=0", "--set=train.max_steps=1");
  assert_code(ran, 0);
  const char *all = in_folder(folder, "runs/all/final");
  ran = GEE("gap", config, "--json", "--no-base", "--adapter", all, "--adapter", trained);
  root = measured(ran);
  assert_true(test_contains(ran.err, "18 of 18 prompts were trained on, as "));
  assert_true(test_contains(ran.err, "all/final/config.ini says: the gap on them is not a held-out one"));
  assert_true(NUMBER(adapter_of(root, 0), "trained_on") > 17);
  assert_null(cJSON_GetObjectItem(adapter_of(root, 1), "trained_on")); // nothing says it
  cJSON_Delete(root);
  // the training itself says it of a file in data.eval
  const char *prompts = in_folder(folder, "both.txt");
  write_text(prompts, "He sings.\nShe runs.\n");
  char train[700], eval[700];
  (void)snprintf(train, sizeof train, "--set=data.train=%s", prompts);
  (void)snprintf(eval, sizeof eval, "--set=data.eval=%s", prompts);
  ran = GEE("train", config, "--dry-run", "--set=data.use_test_data=false", train, eval);
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "4 of the 4 prompts that the gap is measured on are trained on too"));
  assert_false(test_contains(GEE("train", config, "--dry-run", eval).err, "are trained on too"));
  write_text(own, "[data]\ntrain = /nowhere.jsonl\n");
  ran = GEE("gap", config, "--json", "--no-base", "--adapter", trained);
  assert_int_equal(rename(kept, own), 0);
  root = measured(ran);
  assert_true(test_contains(ran.err, "whether the measured prompts were trained on cannot be told: "));
  assert_true(cJSON_IsNull(cJSON_GetObjectItem(adapter_of(root, 0), "trained_on")));
  cJSON_Delete(root);
}

static void more_groups(void **state) {
  (void)state;
  static const char *const race[] = {"--set=groups.file=race", "--set=groups.counterfactual=template"};
  Ran ran = GEE("gap", config, race[0], race[1], "--adapter", trained);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "paired, max - min") && test_contains(ran.out, "hispanic - asian"));
  assert_true(test_contains(ran.out, "without its bias"));
  cJSON *root = measured(GEE("gap", config, race[0], race[1], "--json", "--adapter", trained));
  const cJSON *after = adapter_of(root, 0), *pair = NULL;
  double largest = 0;
  cJSON_ArrayForEach(pair, cJSON_GetObjectItem(cJSON_GetObjectItem(after, "paired"), "pairs")) {
    const char *of = cJSON_GetStringValue(cJSON_GetObjectItem(pair, "of"));
    const char *minus = cJSON_GetStringValue(cJSON_GetObjectItem(pair, "minus"));
    double gap = NUMBER(pair, "gap");
    assert_true(fabs(gap - (NUMBER(after, "paired", "H", of) - NUMBER(after, "paired", "H", minus))) <=
                1e-12);
    assert_true(NUMBER(pair, "low") < gap && gap < NUMBER(pair, "high"));
    largest = fmax(largest, fabs(gap));
  }
  assert_true(fabs(largest - NUMBER(after, "paired", "gap")) <= 1e-12 && largest > 0);
  assert_true(NUMBER(after, "paired", "p") > 0 && isfinite(NUMBER(after, "paired", "spread")));
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(
                       cJSON_GetObjectItem(cJSON_GetObjectItem(after, "change"), "paired"), "pairs")),
                   6);
  cJSON_Delete(root);
}

/// The mean entropy of this training moves by some per cent; its gaps are then no gaps of the same model.
static void a_drifted_model_is_named(void **state) {
  (void)state;
  cJSON *root = measured(GEE("gap", config, "--json", "--set=train.max_drift=0.0001", "--adapter", trained));
  const cJSON *change = cJSON_GetObjectItem(adapter_of(root, 0), "change");
  bool fell = NUMBER(change, "H_bar", "relative") < 0;
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(change, "drift")),
                      fell ? "collapsed" : "blown up");
  Ran ran = GEE("gap", config, "--set=train.max_drift=0.0001", "--adapter", trained);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, fell ? "COLLAPSED" : "BLOWN UP"));
  assert_false(test_contains(ran.out, "has become") || test_contains(ran.out, "Whether"));
  cJSON_Delete(root);
}

static void wrong_use(void **state) {
  (void)state;
  assert_code(GEE("gap", config, "--no-base"), 2);
  // every adapter is read before anything is measured
  Ran ran = GEE("gap", config, "--adapter", trained, "--adapter", in_folder(folder, "missing"));
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "missing") && !test_contains(ran.err, "measuring"));
}

/// What cannot be written is printed all the same; what could never be written costs no work.
static void output_that_cannot_be_written(void **state) {
  (void)state;
  const char *path = in_folder(folder, "gap.json"), *partial = in_folder(folder, "gap.json.partial");
  assert_code(GEE("gap", config, "--output", path), 0);
  assert_true(file_exists(path));
  assert_int_equal(unlink(path), 0);
  assert_ok(directory_create(partial)); // where the file would be written before it is renamed
  Ran ran = GEE("gap", config, "--output", path);
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "paired gap ") && test_contains(ran.err, "gap.json.partial"));
  ran = GEE("gap", config, "--output", in_folder(folder, "config.ini/gap.json"));
  assert_code(ran, 2);
  assert_false(test_contains(ran.err, "measuring"));
  cJSON *root = measured(GEE("gap", config, "--output", "-")); // as --json
  assert_true(NUMBER(root, "sets") > 8);
  cJSON_Delete(root);
}

// ---- docs/METRICS.md ----

/// Fails unless every key of an object is in the document as `key` or `path.key`; the members of "H" are
/// groups.
static void assert_documented(const cJSON *object, const char *document) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, object) {
    char alone[128], last[128];
    const char *key = member->string;
    if (key != NULL && strncmp(key, "H_", 2) == 0 && strstr("H_female H_male", key) != NULL) key = "H_<g>";
    (void)snprintf(alone, sizeof alone, "`%.100s`", key != NULL ? key : "");
    (void)snprintf(last, sizeof last, ".%.100s`", key != NULL ? key : "");
    if (key != NULL && strstr(document, alone) == NULL && strstr(document, last) == NULL)
      fail_msg("docs/METRICS.md lacks %s", key);
    if (key == NULL || strcmp(key, "H") != 0) assert_documented(member, document);
  }
}

static void every_field_is_documented(void **state) {
  (void)state;
  char *document = read_file(GEE_SOURCE_DIR "/docs/METRICS.md", NULL);
  Ran ran = GEE("gap", config, "--set=groups.file=race", "--set=groups.counterfactual=template", "--json",
                "--adapter", trained);
  cJSON *gaps = measured(ran);
  assert_documented(adapter_of(gaps, 0), document);
  cJSON_Delete(gaps);
  static const char *const files[] = {"runs/run/metrics.jsonl", "runs/run/samples.jsonl"};
  for (size_t f = 0; f < 2; f++) {
    char *text = read_file(in_folder(folder, files[f]), NULL);
    cJSON *line = cJSON_Parse(text);
    assert_true(cJSON_GetArraySize(line) > 10);
    assert_documented(line, document);
    cJSON_Delete(line);
    free(text);
  }
  free(document);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(together_as_alone),
      cmocka_unit_test(a_change_is_the_difference),
      cmocka_unit_test(a_fresh_adapter_changes_nothing),
      cmocka_unit_test(tables),
      cmocka_unit_test(one_set),
      cmocka_unit_test(repeated_prompts),
      cmocka_unit_test(prompts_that_were_trained_on),
      cmocka_unit_test(more_groups),
      cmocka_unit_test(a_drifted_model_is_named),
      cmocka_unit_test(wrong_use),
      cmocka_unit_test(output_that_cannot_be_written),
      cmocka_unit_test(every_field_is_documented),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
