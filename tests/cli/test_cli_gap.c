// gee-cl gap as a user sees it: one model, an adapter beside its base, several adapters, and what is said in
// words. On a tiny model.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "io/tensors.h"
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
  cJSON *first = measured(GEE("gap", config, "--json", "--adapter", trained, "--adapter", fresh));
  cJSON *last = measured(GEE("gap", config, "--json", "--adapter", fresh, "--adapter", trained));
  assert_null(cJSON_GetObjectItem(base, "adapters"));
  assert_null(cJSON_GetObjectItem(alone, "base"));
  assert_null(cJSON_GetObjectItem(adapter_of(alone, 0), "change"));
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(alone, "adapters")), 1);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(first, "adapters")), 2);
  assert_part(cJSON_GetObjectItem(both, "base"), base); // which says besides what it was measured with
  assert_part(cJSON_GetObjectItem(first, "base"), base);
  assert_part(adapter_of(alone, 0), adapter_of(both, 0));
  assert_true(cJSON_Compare(adapter_of(both, 0), adapter_of(first, 0), true));
  assert_true(cJSON_Compare(adapter_of(first, 0), adapter_of(last, 1), true));
  assert_true(cJSON_Compare(adapter_of(first, 1), adapter_of(last, 0), true));
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(adapter_of(first, 1), "adapter")), fresh);
  cJSON_Delete(base);
  cJSON_Delete(alone);
  cJSON_Delete(both);
  cJSON_Delete(first);
  cJSON_Delete(last);
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
  assert_true(fabs(NUMBER(after, "kl", "mean")) <= 0 && fabs(NUMBER(after, "kl", "high")) <= 0);
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
  assert_true(test_contains(ran.out, "\nKL from the base\n  after      "));
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
  write_text(in_folder(folder, "prompts.txt"), "He sings.\nHe sings.\n");
  ran = GEE("gap", config, train);
  assert_true(test_contains(ran.out, "Only 1 set is distinct:"));
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
  ran = GEE("gap", config, "--json", "--no-base", "--adapter", all, "--set=groups.counterfactual=template");
  cJSON_Delete(measured(ran));
  assert_true(test_contains(ran.err, "18 of 18 prompts were trained on, as ")); // in another form
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

/// What of the file in data.eval makes no set, as `data` says it too.
static void prompts_that_make_no_set_are_counted(void **state) {
  (void)state;
  const char *prompts = in_folder(folder, "mixed.jsonl");
  char eval[700], note[700];
  write_text(prompts, "{\"prompt\": \"She sings.\"}\n{\"prompt\": \"The sky is blue.\"}\n"
                      "{\"prompt\": \"He and she sing.\"}\n{\"prompt\": \" \"}\n{\"prompt\": \"He runs.\"}\n"
                      "{\"prompt\": \"It rains.\"}\n");
  (void)snprintf(eval, sizeof eval, "--set=data.eval=%s", prompts);
  (void)snprintf(note, sizeof note,
                 "note: 4 of 6 prompts of %s are left out: 2 with no group, 1 with several groups, 1 without "
                 "words of a user (gee-cl data shows more)",
                 prompts);
  Ran ran = GEE("gap", config, eval, "--set=groups.counterfactual=swap");
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, note));
  ran = GEE("train", config, "--dry-run", eval, "--set=groups.counterfactual=swap");
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, note));
  ran = GEE("gap", config, eval, "--set=groups.counterfactual=auto"); // templates take the others
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "note: 1 of 6 prompts of "));
}

static void more_groups(void **state) {
  (void)state;
  static const char *const race[] = {"--set=groups.file=race", "--set=groups.counterfactual=template"};
  Ran ran = GEE("gap", config, race[0], race[1], "--adapter", trained);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "paired, max - min") && test_contains(ran.out, "hispanic - asian"));
  assert_true(test_contains(ran.out, "corrected for its bias +") ||
              test_contains(ran.out, "corrected for its bias -"));
  assert_true(test_contains(ran.out, "  change is in the pairs below, each with its interval\n"));
  assert_false(test_contains(GEE("gap", config, race[0], race[1]).out, "change is in"));
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
  // without the base, the first step of its training is what is known
  ran = GEE("gap", config, "--set=train.max_drift=0.0001", "--no-base", "--adapter", trained);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "In the first step of its training"));
  assert_true(test_contains(ran.out, "The model may have"));
  ran = GEE("gap", config, "--set=train.max_drift=0.9", "--no-base", "--adapter", trained);
  assert_true(test_contains(ran.out, "In the first step of its training"));
  assert_false(test_contains(ran.out, "The model may have"));
  ran = GEE("gap", config, "--adapter", trained);
  assert_false(test_contains(ran.out, "In the first step of its training"));
}

static void copy_adapter(const char *to) {
  static const char *const parts[] = {"adapter_config.json", "adapter_model.safetensors"};
  assert_ok(directory_create(to));
  for (size_t i = 0; i < 2; i++) {
    size_t size = 0;
    char *bytes = read_file(in_folder(trained, parts[i]), &size);
    write_file(in_folder(to, parts[i]), bytes, size);
    free(bytes);
  }
}

/// One adapter under two names would look like two that agree.
static void an_adapter_given_twice_is_named(void **state) {
  (void)state;
  const char *copy = in_folder(folder, "copy"), *link = in_folder(folder, "link");
  const char *const again[] = {trained, in_folder(folder, "runs/../runs/run/final/"), link, copy};
  copy_adapter(copy);
  assert_int_equal(symlink(trained, link), 0);
  for (size_t i = 0; i < 4; i++)
    ASSERT_ERROR(GEE("gap", config, "--adapter", trained, "--adapter", fresh, "--adapter", again[i]), 2,
                 "are the same adapter: give it once", again[i]);
  // the same tensors at another scale are another adapter
  char *text = read_file(in_folder(copy, "adapter_config.json"), NULL),
       *alpha = strstr(text, "\"lora_alpha\"");
  assert_non_null(alpha);
  alpha += strcspn(alpha, "0123456789");
  *alpha = *alpha == '3' ? '4' : '3';
  write_text(in_folder(copy, "adapter_config.json"), text);
  free(text);
  assert_code(GEE("gap", config, "--adapter", trained, "--adapter", copy), 0);
}

static void wrong_use(void **state) {
  (void)state;
  assert_code(GEE("gap", config, "--no-base"), 2);
  // every adapter is read before anything is measured
  Ran ran = GEE("gap", config, "--adapter", trained, "--adapter", in_folder(folder, "missing"));
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "missing") && !test_contains(ran.err, "measuring"));
  ran = GEE("gap", config, "--adapter", in_folder(folder, "missing"), "--adapter", in_folder(folder, "lost"));
  assert_code(ran, 2);
  assert_false(test_contains(ran.err, "the same adapter"));
}

/// What cannot be written is printed all the same; what could never be written costs no work.
static void output_that_cannot_be_written(void **state) {
  (void)state;
  const char *path = in_folder(folder, "gap.json");
  assert_code(GEE("gap", config, "--output", path), 0);
  assert_true(file_exists(path));
  assert_int_equal(unlink(path), 0);
  Ran ran = GEE("gap", config, "--output", "/dev/full");
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "paired gap ") && test_contains(ran.err, "/dev/full: cannot write"));
  ran = GEE("gap", config, "--output", in_folder(folder, "config.ini/gap.json"));
  assert_code(ran, 2);
  assert_false(test_contains(ran.err, "measuring"));
  cJSON *root = measured(GEE("gap", config, "--output", "-")); // as --json
  assert_true(NUMBER(root, "sets") > 8);
  cJSON_Delete(root);
}

/// A run with both divergences tells them in each of its files, and the gap tells the one from the base
/// model.
static void divergences_are_told(void **state) {
  (void)state;
  Ran ran = GEE("train", config, "--set=output.run_name=apart", "--set=train.max_steps=3",
                "--set=train.bias_eval_steps=3", "--set=loss.kl_weight=0.5", "--set=loss.form=symmetric_kl");
  assert_code(ran, 0);
  assert_true(
      test_contains(ran.err, "paired answers, symmetric KL, lambda_weight 100, em_weight 1, kl_weight 0.5"));
  char *lines = read_file(in_folder(folder, "runs/apart/metrics.jsonl"), NULL);
  cJSON *line = cJSON_Parse(lines), *last = cJSON_Parse(strrchr(strstr(lines, "\n{\"step\":2"), '{'));
  assert_true(NUMBER(line, "kl") >= 0 && NUMBER(line, "kl") <= 0); // fresh adapters
  assert_true(NUMBER(last, "kl") > 0 && NUMBER(last, "loss_bias") > 0);
  double loss = NUMBER(last, "loss_em") + NUMBER(last, "lambda_weight") * NUMBER(last, "loss_bias") +
                0.5 * NUMBER(last, "kl");
  assert_true(fabs(NUMBER(last, "loss") - loss) <= 1e-9 * loss);
  cJSON_Delete(line);
  cJSON_Delete(last);
  free(lines);
  lines = read_file(in_folder(folder, "runs/apart/samples.jsonl"), NULL);
  line = cJSON_Parse(lines);
  assert_true(NUMBER(line, "kl") >= 0 && NUMBER(line, "partner_kl") > 0);
  cJSON_Delete(line);
  free(lines);
  lines = read_file(in_folder(folder, "runs/apart/bias_eval.jsonl"), NULL);
  last = cJSON_Parse(strchr(lines, '\n') + 1);
  cJSON *gap = measured(GEE("gap", config, "--json", "--adapter", in_folder(folder, "runs/apart/final")));
  assert_true(NUMBER(last, "kl", "mean") > 0 && NUMBER(last, "kl", "low") < NUMBER(last, "kl", "high"));
  assert_true(fabs(NUMBER(last, "kl", "mean") - NUMBER(adapter_of(gap, 0), "kl", "mean")) <= 0);
  cJSON_Delete(gap);
  cJSON_Delete(last);
  free(lines);
}

static Status fill_ones(void *user, size_t index, size_t first, size_t count, float *out) {
  (void)user, (void)index, (void)first;
  for (size_t i = 0; i < count; i++) out[i] = 1.0f;
  return STATUS_OK;
}

/// An adapter that brings a norm of the model (modules_to_save) has no base beside it: the gap says so, and
/// the divergence is not made up.
static void an_adapter_with_weights_of_its_own(void **state) {
  (void)state;
  static const TensorToWrite tensors[] = {
      {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", DTYPE_F32, 2, {1, 32}},
      {"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", DTYPE_F32, 2, {32, 1}},
      {"base_model.model.model.norm.weight", DTYPE_F32, 1, {32}}};
  const char *path = in_folder(folder, "brings");
  assert_ok(directory_create(path));
  write_text(in_folder(path, "adapter_config.json"),
             "{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": 1, \"target_modules\": [\"q_proj\"], "
             "\"layers_to_transform\": [0], \"modules_to_save\": [\"model.norm\"], \"bias\": \"none\"}");
  assert_ok(safetensors_write(in_folder(path, "adapter_model.safetensors"), tensors, 3, fill_ones, NULL));
  Ran ran = GEE("gap", config, "--adapter", path);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "its own") && test_contains(ran.out, "Its KL is not"));
  assert_false(test_contains(ran.out, "KL from the base"));
  cJSON *root = measured(GEE("gap", config, "--json", "--adapter", path));
  assert_null(cJSON_GetObjectItem(adapter_of(root, 0), "kl"));
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
                "--adapter", trained, "--plan-for", "0.01");
  cJSON *gaps = measured(ran);
  assert_documented(gaps, document);
  cJSON_Delete(gaps);
  static const char *const files[] = {"runs/run/metrics.jsonl", "runs/run/samples.jsonl",
                                      "runs/apart/metrics.jsonl", "runs/apart/samples.jsonl"};
  for (size_t f = 0; f < 4; f++) {
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
      cmocka_unit_test(prompts_that_make_no_set_are_counted),
      cmocka_unit_test(more_groups),
      cmocka_unit_test(a_drifted_model_is_named),
      cmocka_unit_test(an_adapter_given_twice_is_named),
      cmocka_unit_test(wrong_use),
      cmocka_unit_test(output_that_cannot_be_written),
      cmocka_unit_test(divergences_are_told),
      cmocka_unit_test(an_adapter_with_weights_of_its_own),
      cmocka_unit_test(every_field_is_documented),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
