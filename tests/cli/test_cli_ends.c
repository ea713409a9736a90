// How `gee-cl train` ends, as a user sees it: the verdict and the commands it prints, debias_only on noise, a
// collapse; and `generate --compare`.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "util/str.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder, *config;

// the path needs quotes, and the commands must work all the same
#define ROOT "it's runs"

static void write_config(void) {
  char text[2048];
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s/model\n[data]\nuse_test_data = true\nheld_out = 0.5\neval_sets = 8\n"
                 "[sampling]\nmax_new_tokens = 6\nsample_temp = 1.0\n"
                 "[loss]\npairing = paired\nlambda_weight = 100\nem_weight = 0\n"
                 "[train]\nmax_steps = 4\neffective_batch = 16\nmicro_batch_size = 32\nlearning_rate = 1e-3\n"
                 "[output]\nsave_root = %s/" ROOT "\nsave_steps = 2\n",
                 folder, folder);
  write_text(config, text);
}

static const char *run_file(const char *run, const char *name) {
  char path[256];
  (void)snprintf(path, sizeof path, ROOT "/%s/%s", run, name);
  return in_folder(folder, path);
}

static void expect(const char *text, const char *part) {
  if (!test_contains(text, part)) fail_msg("\"%s\" is not in: %s", part, text);
}

static size_t count_lines(const char *path) {
  char *text = read_file(path, NULL);
  size_t lines = 0;
  for (const char *c = text; *c != '\0'; c++) lines += *c == '\n';
  free(text);
  return lines;
}

/// Runs the commands that a training printed last, in a shell.
static Ran follow(Ran ran) {
  const char *next = strstr(ran.out, " Next:\n");
  if (next == NULL) next = strstr(ran.out, "\nNext:\n");
  assert_non_null(next);
  Str script = {0};
  assert_ok(str_append_text(&script, "set -e\n"));
  assert_ok(str_append_text(&script, strstr(next, ":\n") + 2));
  write_text(in_folder(folder, "next.sh"), str_text(&script));
  str_free(&script);
  use_binary("/bin/sh");
  ran = GEE(in_folder(folder, "next.sh"));
  use_binary(GEE_BINARY);
  assert_code(ran, 0);
  return ran;
}

/// The commands that a run printed last are what a shell can run.
static void the_verdict_can_be_followed(void **state) {
  (void)state;
  Ran ran = GEE("train", config, "--set=output.run_name=verdict", "--set=train.bias_eval_steps=2");
  assert_code(ran, 0);
  expect(ran.out, "4 steps\n");
  expect(ran.out,
         "On held-out prompts, in nats with 95 % intervals; gap = H male - H female:\n  step 0     gap ");
  expect(ran.out, "\n  step 4     gap ");
  ran = follow(ran);
  expect(ran.out, "entropy of each token, in nats\n");
  expect(ran.out, "mean of ");
}

/// Fails unless the text has `part`, wherever its lines are broken.
static void expect_wrapped(const char *text, const char *part) {
  char *flat = NULL;
  assert_ok(str_copy(&flat, text, strlen(text)));
  for (char *c = flat; *c != '\0'; c++) *c = *c == '\n' ? ' ' : *c;
  expect(flat, part);
  free(flat);
}

/// A set that leaves three tokens to an answer after the longest prompt, which the program states.
static const char *cutting_limit(void) {
  static char set[64];
  size_t longest = 0;
  Ran ran = GEE("train", config, "--dry-run", "--set=train.max_sequence_tokens=2");
  const char *place = strstr(ran.err, "the longest prompt has ");
  assert_non_null(place);
  assert_int_equal(sscanf(place, "the longest prompt has %zu", &longest), 1);
  (void)snprintf(set, sizeof set, "--set=train.max_sequence_tokens=%zu", longest + 3);
  return set;
}

/// What cuts the answers is named: the option, a sequence's limit or the model's. And what is suggested works
/// even where the model has no room for sampling.max_new_tokens, with and without the measurement, and in
/// full training.
static void the_limit_of_answers_is_named(void **state) {
  (void)state;
  const struct {
    const char *run, *limit, *measure, *mode, *by;
  } cases[] = {
      {"option", "--set=sampling.max_new_tokens=2", "--set=train.bias_eval_steps=0", "lora",
       "all were cut at 2 tokens (sampling.max_new_tokens)."},
      {"sequence", cutting_limit(), "--set=train.bias_eval_steps=0", "lora",
       "all were cut at 3 tokens (the longest prompt leaves no more of train.max_sequence_tokens)."},
      {"model", "--set=sampling.max_new_tokens=600", "--set=train.bias_eval_steps=0", "lora", NULL},
      {"both", "--set=sampling.max_new_tokens=600", "--set=train.bias_eval_steps=1", "full", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char run[64], mode[32];
    (void)snprintf(run, sizeof run, "--set=output.run_name=%s", cases[i].run);
    (void)snprintf(mode, sizeof mode, "--set=train.mode=%s", cases[i].mode);
    Ran ran = GEE("train", config, run, mode, cases[i].limit, cases[i].measure, "--set=train.max_steps=1",
                  "--set=data.eval_sets=2", "--set=train.effective_batch=2");
    assert_code(ran, 0);
    if (cases[i].by == NULL)
      expect(ran.err, "the longest prompt leaves no more of the model's positions");
    else
      expect_wrapped(ran.out, cases[i].by);
    ran = follow(ran);
    expect(ran.out, "paired gap");
  }
}

/// Runs the commands between ```sh and ``` of a card, with FILE as the prompts to measure on; returns what it
/// says before them in `card`.
static Ran follow_card(const char *run, char **card) {
  Str script = {0};
  *card = read_file(run_file(run, "final/README.md"), NULL);
  char *begin = strstr(*card, "```sh\n"), *file = NULL;
  assert_non_null(begin);
  begin += strlen("```sh\n");
  *strstr(begin, "```") = '\0';
  assert_ok(str_append_format(&script, "set -e\ncd '%s'\ngee-cl() { '%s' \"$@\"; }\n", folder, GEE_BINARY));
  file = strstr(begin, "FILE");
  if (file != NULL) *file = '\0';
  assert_ok(str_append_format(&script, "%s%s%s", begin, file != NULL ? "other.txt" : "",
                              file != NULL ? file + strlen("FILE") : ""));
  write_text(in_folder(folder, "card.sh"), str_text(&script));
  str_free(&script);
  use_binary("/bin/bash");
  Ran ran = GEE(in_folder(folder, "card.sh"));
  use_binary(GEE_BINARY);
  return ran;
}

/// The card in final/ advises what works, whatever was held out.
static void the_card_can_be_followed(void **state) {
  (void)state;
  static const struct {
    const char *run, *set, *says;
  } cases[] = {
      {"held", "--set=data.held_out=0.5", NULL},
      {"none_held", "--set=data.held_out=0", "No prompts were held out from training"},
      {"few", "--set=data.held_out=0.001", "No prompts were held out from training"},
      {"off", "--set=groups.counterfactual=off", "Training used no counterfactual sets"},
      {"own", "--set=data.eval=%s/other.txt", NULL},
  };
  write_text(in_folder(folder, "other.txt"), "He sings well.\nShe runs far.\n");
  write_text(in_folder(folder, "named.txt"), "He sings.\nShe runs.\nHe works.\nShe walks.\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char run[64], set[400], named[300], *card = NULL;
    (void)snprintf(run, sizeof run, "--set=output.run_name=%s", cases[i].run);
    (void)snprintf(set, sizeof set, cases[i].set, folder);
    bool off = strcmp(cases[i].run, "off") == 0;
    (void)snprintf(named, sizeof named, "--set=data.train=%s/named.txt", folder);
    Ran ran =
        GEE("train", config, run, set, "--set=train.max_steps=1", "--set=train.effective_batch=2",
            off ? named : "--set=data.types=", off ? "--set=data.use_test_data=false" : "--set=data.types=",
            off ? "--set=loss.pairing=own" : "--set=data.types=");
    assert_code(ran, 0);
    ran = follow_card(cases[i].run, &card);
    if (cases[i].says != NULL) expect(card, cases[i].says);
    assert_true(test_contains(card, "data.eval=") == (cases[i].says != NULL));
    free(card);
    assert_code(ran, 0);
    expect(ran.out, "paired gap");
    assert_ok(directory_remove(in_folder(folder, "merged")));
  }
}

/// What `gap` would refuse is not advised.
static void no_gap_without_prompts_for_it(void **state) {
  (void)state;
  Ran ran =
      GEE("train", config, "--set=output.run_name=all", "--set=train.max_steps=1", "--set=data.held_out=0");
  assert_code(ran, 0);
  expect(ran.out, " generate ");
  assert_false(test_contains(ran.out, " gap runs/") || test_contains(ran.out, "gee-cl gap "));
  assert_code(GEE("gap", in_folder(folder, "runs/all/final/config.ini")), 2);
}

static void the_live_line_has_the_signed_gap(void **state) {
  (void)state;
  Ran ran = GEE("train", config, "--set=output.run_name=signed", "--set=train.max_steps=1");
  assert_code(ran, 0);
  expect(ran.err, "gap      H male - H female; H is the mean entropy, in nats\n");
  expect(ran.err, ", 1 step of 16 answers\n");
  expect(ran.err, "training 0/1 step\n");
  char *text = read_file(run_file("signed", "metrics.jsonl"), NULL), shown[64];
  cJSON *step = cJSON_Parse(text);
  assert_non_null(step);
  double gap =
      cJSON_GetObjectItem(step, "H_male")->valuedouble - cJSON_GetObjectItem(step, "H_female")->valuedouble;
  (void)snprintf(shown, sizeof shown, "  gap %+.4f  H ", gap);
  expect(ran.err, shown);
  expect(ran.out, "1 step\n");
  cJSON_Delete(step);
  free(text);
}

/// "Must show": with a learning rate of 1e-12 nothing changes, so debias_only must not find that it worked.
static void noise_is_no_success(void **state) {
  (void)state;
  // a target that a step's own gap is soon below, and that the held-out interval is not within
  Ran ran = GEE("train", config, "--set=output.run_name=noise", "--set=loss.debias_only=true",
                "--set=loss.target_gap=0.01", "--set=loss.target_evals=1", "--set=train.learning_rate=1e-12",
                "--set=train.bias_eval_steps=1", "--set=train.max_steps=12");
  assert_code(ran, 0);
  expect(ran.err, "the learning rates of all steps add up to 1.2e-11");
  expect(ran.out, "12 steps. The held-out gap, with its interval, did not come");
  assert_int_equal(count_lines(run_file("noise", "metrics.jsonl")), 12);
  char *text = read_file(run_file("noise", "metrics.jsonl"), NULL), *at = NULL;
  size_t below = 0;
  for (char *line = strtok_r(text, "\n", &at); line != NULL; line = strtok_r(NULL, "\n", &at)) {
    cJSON *step = cJSON_Parse(line);
    below += cJSON_GetObjectItem(step, "entropy_gap")->valuedouble < 0.01;
    cJSON_Delete(step);
  }
  free(text);
  assert_true(below >= 3); // by which the old rule would have ended the run
}

static void debias_only_needs_a_measurement(void **state) {
  (void)state;
  Ran ran = GEE("train", config, "--set=output.run_name=unmeasured", "--set=loss.debias_only=true");
  assert_code(ran, 2);
  expect(ran.err, "loss.debias_only ends a run by the held-out gap: set train.bias_eval_steps");
  ran = GEE("train", config, "--set=output.run_name=unmeasured", "--set=loss.debias_only=true",
            "--set=train.bias_eval_steps=1", "--set=data.held_out=0");
  assert_code(ran, 2);
  expect(ran.err, "data.held_out is 0");
  assert_false(file_exists(run_file("unmeasured", "")));
  ran = GEE("train", config, "--dry-run", "--set=loss.debias_only=true", "--set=train.bias_eval_steps=1",
            "--set=data.eval_sets=1");
  assert_code(ran, 2);
  expect(ran.err, "which a single set does not have: raise data.eval_sets, which is 1");
  ran = GEE("train", config, "--dry-run", "--set=train.bias_eval_steps=1", "--set=data.eval_sets=1");
  assert_code(ran, 0);
}

/// What debias_only sets aside is said, unless it is the default or 0.
static void an_unused_em_weight_is_noted(void **state) {
  (void)state;
  static const char note[] = "loss.em_weight = 1 has no effect: loss.debias_only trains the gap alone";
  const char *const sets[] = {"--set=loss.debias_only=true", "--set=train.bias_eval_steps=1"};
  Ran ran = GEE("train", config, "--dry-run", sets[0], sets[1], "--set=loss.em_weight=1");
  assert_code(ran, 0);
  expect(ran.err, note);
  ran = GEE("train", config, "--dry-run", sets[0], sets[1]); // the file says 0
  assert_code(ran, 0);
  assert_false(test_contains(ran.err, "loss.em_weight"));
  ran = GEE("train", config, "--dry-run", sets[1], "--set=loss.em_weight=1");
  assert_code(ran, 0);
  assert_false(test_contains(ran.err, "loss.em_weight"));
}

static void nothing_to_do_is_said(void **state) {
  (void)state;
  Ran ran = GEE("train", config, "--set=output.run_name=nothing", "--set=loss.debias_only=true",
                "--set=loss.target_gap=100", "--set=train.bias_eval_steps=1");
  assert_code(ran, 0);
  expect(ran.out, "Nothing to do: before the first step, the held-out gap");
  assert_false(test_contains(ran.out, "done"));
  assert_false(file_exists(run_file("nothing", "final")));
}

static void a_collapse_fails(void **state) {
  (void)state;
  const char *const sets[] = {"--set=output.run_name=collapse", "--set=loss.em_weight=5",
                              "--set=loss.lambda_weight=0", "--set=train.learning_rate=3e-2",
                              "--set=train.max_steps=60"};
  Ran ran = GEE("train", config, sets[0], sets[1], sets[2], sets[3], sets[4]);
  assert_code(ran, 1);
  expect(ran.err, "gee-cl: warning: step ");
  expect(ran.err, "gee-cl: error: stopped after step ");
  expect(ran.err, "the mean entropy has fallen by ");
  const char *good = strstr(ran.err, "the last good checkpoint is ");
  assert_non_null(good);
  char path[512] = "";
  (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(good + 28, "\n"), good + 28);
  assert_true(file_exists(in_folder(path, "adapter_model.safetensors")));
  assert_false(test_contains(ran.out, "done"));
  assert_false(file_exists(run_file("collapse", "final")));
  char *text = read_file(run_file("collapse", "metrics.jsonl"), NULL);
  expect(text, "\"stopped_by_drift\":1");
  free(text);
  ran = GEE("train", config, sets[0], sets[1], sets[2], sets[3], sets[4], "--resume");
  assert_code(ran, 2);
  expect(ran.err, "raise train.max_drift to go on (0 turns it off)");
}

/// The parsed output of generate --json; `adapter` and `compare` may be NULL.
static cJSON *generate(const char *adapter, const char *compare) {
  const char *words[16] = {"generate", "--model",    in_folder(folder, "model"),
                           "--prompt", "She works.", "--max-new-tokens",
                           "5",        "--json"};
  size_t count = 8;
  if (adapter != NULL) words[count++] = "--adapter";
  if (adapter != NULL) words[count++] = adapter;
  words[count] = compare;
  Ran ran = run_words(words);
  assert_code(ran, 0);
  cJSON *root = cJSON_Parse(ran.out);
  assert_non_null(root);
  return root;
}

static double entropy_at(const cJSON *answer, const char *key, int index) {
  const cJSON *number = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, key), index);
  if (!cJSON_IsNumber(number)) fail_msg("%s has no number %d", key, index);
  return number->valuedouble;
}

/// An adapter before its first step is its base model, so both columns are the same. After training they are
/// not, and the base's are those that the base gives: of the first token, which follows the prompt alone.
static void compare_shows_the_base(void **state) {
  (void)state;
  assert_code(GEE("train", config, "--set=output.run_name=compared", "--set=output.save_initial=true"), 0);
  cJSON *none = generate(run_file("compared", "step_0"), "--compare"), *base = generate(NULL, NULL);
  cJSON *trained = generate(run_file("compared", "final"), "--compare"),
        *plain = generate(run_file("compared", "final"), NULL);
  int count = cJSON_GetArraySize(cJSON_GetObjectItem(none, "entropy"));
  assert_true(count > 1 && cJSON_GetArraySize(cJSON_GetObjectItem(none, "entropy_base")) == count);
  for (int i = 0; i < count; i++) {
    assert_true(fabs(entropy_at(none, "entropy", i) - entropy_at(none, "entropy_base", i)) <= 1e-5);
    assert_true(fabs(entropy_at(none, "entropy", i) - entropy_at(base, "entropy", i)) <= 1e-5);
  }
  assert_true(fabs(entropy_at(trained, "entropy_base", 0) - entropy_at(base, "entropy", 0)) <= 1e-5);
  assert_true(fabs(entropy_at(trained, "entropy_base", 0) - entropy_at(trained, "entropy", 0)) > 1e-4);
  assert_true(
      cJSON_Compare(cJSON_GetObjectItem(trained, "entropy"), cJSON_GetObjectItem(plain, "entropy"), true));
  assert_false(cJSON_HasObjectItem(plain, "entropy_base"));
  cJSON_Delete(none);
  cJSON_Delete(base);
  cJSON_Delete(trained);
  cJSON_Delete(plain);
  ASSERT_ERROR(GEE("generate", "--model", in_folder(folder, "model"), "--prompt", "x", "--compare"), 2,
               "--compare needs --adapter");
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  if (folder == NULL || directory_create(in_folder(folder, "model")) != STATUS_OK) return -1;
  tiny_model_write(in_folder(folder, "model"));
  config = in_folder(folder, "config.ini");
  write_config();
  if (GEE("selftest").code == 0) return 0;
  (void)fprintf(stderr, "skipped: there is no OpenCL device here\n");
  exit(TEST_SKIPPED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_verdict_can_be_followed),  cmocka_unit_test(the_live_line_has_the_signed_gap),
      cmocka_unit_test(noise_is_no_success),          cmocka_unit_test(debias_only_needs_a_measurement),
      cmocka_unit_test(an_unused_em_weight_is_noted), cmocka_unit_test(no_gap_without_prompts_for_it),
      cmocka_unit_test(nothing_to_do_is_said),        cmocka_unit_test(a_collapse_fails),
      cmocka_unit_test(compare_shows_the_base),       cmocka_unit_test(the_limit_of_answers_is_named),
      cmocka_unit_test(the_card_can_be_followed),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
