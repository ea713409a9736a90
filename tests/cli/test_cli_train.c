// Training from the command line on a tiny model: files, repetition, Ctrl-C, kill, a full disk, and using the
// adapter in gap, generate, score and export.
#include "support/process.h"
#include "support/tiny_model.h"
#include "support/tracker_files.h"

#include "io/file.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *config;

static void write_config(void) {
  char text[2048];
  (void)snprintf(
      text, sizeof text,
      "[model]\npath = %s/model\n[data]\nuse_test_data = true\nheld_out = 0.5\neval_sets = 4\n"
      "[sampling]\nmax_new_tokens = 6\nsample_temp = 1.0\n[loss]\npairing = paired\nlambda_weight = 100\n"
      "[train]\nmax_steps = 40\neffective_batch = 4\nlearning_rate = 1e-2\n"
      "[output]\nsave_root = %s/runs\nsave_steps = 7\nsave_initial = true\n[track]\nsamples = true\n",
      folder, folder);
  write_text(config, text);
}

static const char *run_file(const char *run, const char *name) {
  char path[256];
  (void)snprintf(path, sizeof path, "runs/%s/%s", run, name);
  return in_folder(folder, path);
}

/// --set output.run_name=…
static const char *named(const char *run) {
  static char text[4][128];
  static size_t next;
  char *slot = text[next++ % 4];
  (void)snprintf(slot, sizeof text[0], "--set=output.run_name=%s", run);
  return slot;
}

/// The lines of metrics.jsonl without their seconds_ members; the caller frees them.
static char *metrics_without_time(const char *run, size_t *lines) {
  char *text = read_file(run_file(run, "metrics.jsonl"), NULL), *kept = calloc(strlen(text) + 1, 2),
       *at = NULL;
  assert_non_null(kept);
  *lines = 0;
  for (char *line = strtok_r(text, "\n", &at); line != NULL; line = strtok_r(NULL, "\n", &at)) {
    cJSON *object = cJSON_Parse(line);
    assert_non_null(object);
    for (cJSON *member = object->child, *next = NULL; member != NULL; member = next) {
      next = member->next;
      if (strncmp(member->string, "seconds", 7) == 0 || strstr(member->string, "per_second") != NULL)
        cJSON_DeleteItemFromObject(object, member->string);
    }
    char *printed = cJSON_PrintUnformatted(object);
    assert_non_null(printed);
    (void)strcat(strcat(kept, printed), "\n");
    free(printed);
    cJSON_Delete(object);
    ++*lines;
  }
  free(text);
  return kept;
}

static void assert_same_run(const char *a, const char *b) {
  size_t lines_a = 0, lines_b = 0;
  char *metrics_a = metrics_without_time(a, &lines_a), *metrics_b = metrics_without_time(b, &lines_b);
  assert_int_equal(lines_a, 40);
  assert_int_equal(lines_a, lines_b);
  assert_string_equal(metrics_a, metrics_b);
  assert_same_file(run_file(a, "samples.jsonl"), run_file(b, "samples.jsonl"));
  assert_same_file(run_file(a, "final/adapter_model.safetensors"),
                   run_file(b, "final/adapter_model.safetensors"));
  free(metrics_a);
  free(metrics_b);
}

static void a_run_leaves_what_it_promises(void **state) {
  (void)state;
  Ran ran = GEE("train", config, named("whole"));
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "memory planned"));
  assert_true(test_contains(ran.err, "memory at peak"));
  assert_true(test_contains(ran.out, "whole/final"));
  static const char *const files[] = {"metrics.jsonl",
                                      "samples.jsonl",
                                      "step_0/adapter_model.safetensors",
                                      "step_7/adapter_config.json",
                                      "step_35/config.ini",
                                      "final/adapter_config.json",
                                      "final/tokenizer.json",
                                      "final/README.md"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    assert_true(file_exists(run_file("whole", files[i])));
  char *card = read_file(run_file("whole", "final/README.md"), NULL);
  assert_true(test_contains(card, "# whole\n"));
  assert_true(test_contains(card, " steps with One-shot Group-Entropy Equalization"));
  assert_true(test_contains(card, "AutoPeftModelForCausalLM.from_pretrained(\""));
  free(card);
  char *metrics = read_file(run_file("whole", "metrics.jsonl"), NULL);
  static const char *const keys[] = {
      "\"loss\"",     "\"loss_em\"",          "\"loss_bias\"",        "\"entropy_gap\"",   "\"H_bar\"",
      "\"H_female\"", "\"H_male\"",           "\"lambda_weight\"",    "\"grad_norm\"",     "\"lr\"",
      "\"tokens\"",   "\"seconds_sampling\"", "\"seconds_training\"", "\"seconds_update\""};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (!test_contains(metrics, keys[i])) fail_msg("%s is not in metrics.jsonl", keys[i]);
  }
  free(metrics);
  assert_code(GEE("train", config, named("again")), 0);
  assert_same_run("whole", "again");
}

/// Both trackers at once, over a resume: the same steps as metrics.jsonl, the config with its types, and the
/// end.
static void trackers_are_where_their_keys_ask(void **state) {
  (void)state;
  static const char *const parts[] = {
      "2 run idle/quick model={\"path\":\"",
      " train={\"objective\":\"gee\",\"epochs\":0,\"mode\":\"lora\",\"max_steps\":2,",
      ",\"learning_rate\":0.01,",
      ",\"seed\":15}",
      " step=0 bias_eval/total_gap=",
      " step=3 loss=",
      " config model={",
      "exit 0\n"};
  Str board = {0}, wandb = {0};
  char resumed[] = "--set=train.max_steps=3";
  for (size_t i = 0; i < 2; i++) {
    Ran ran =
        GEE("train", config, named("tracked"), "--set=track.tensorboard=true", "--set=track.wandb=true",
            "--set=track.wandb_project=idle", "--set=track.wandb_name=quick", "--set=train.bias_eval_steps=1",
            "--set=output.save_steps=1", i == 0 ? "--set=train.max_steps=2" : resumed,
            i == 0 ? "--set=track.samples=false" : "--resume");
    assert_code(ran, 0);
    assert_true(test_contains(ran.out, "events.out.tfevents.*") && test_contains(ran.out, "sync"));
  }
  tensorboard_read(run_file("tracked", ""), &board);
  wandb_read(run_file("tracked", ""), &wandb);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (!test_contains(str_text(&wandb), parts[i])) fail_msg("no \"%s\" in %s", parts[i], str_text(&wandb));
  }
  for (int step = 1; step <= 3; step++) {
    char text[32];
    (void)snprintf(text, sizeof text, "\n%d loss=", step);
    assert_true(test_contains(str_text(&board), text));
  }
  assert_true(test_contains(str_text(&board), "\n3 bias_eval/total_gap="));
  assert_false(file_exists(run_file("whole", "wandb")));
  static const char *const projects[] = {"me/gee", "gee: 1", "50%", "what?", "c#", "a\\b"};
  for (size_t i = 0; i < sizeof projects / sizeof *projects; i++) {
    char set[64];
    (void)snprintf(set, sizeof set, "--set=track.wandb_project=%s", projects[i]);
    ASSERT_ERROR(GEE("train", config, "--set=track.wandb=true", set, "--dry-run"), 2, "track.wandb_project",
                 projects[i]);
  }
  str_free(&board);
  str_free(&wandb);
}

static void the_saved_config_makes_the_same_run(void **state) {
  (void)state;
  const char *saved = run_file("whole", "final/config.ini");
  assert_code(GEE("train", saved, named("from_saved")), 0);
  assert_same_run("whole", "from_saved");
}

static void interrupted_and_killed_runs_go_on_to_the_same_bits(void **state) {
  (void)state;
  static const struct {
    const char *run;
    int signal_number, code;
    size_t lines; // of metrics.jsonl, when the signal is sent
  } cases[] = {
      {"interrupted", SIGINT, 130, 3}, {"terminated", SIGTERM, 130, 10}, {"killed", SIGKILL, -SIGKILL, 9}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *run = cases[i].run;
    pid_t pid = START_GEE("train", config, named(run));
    assert_true(wait_for_lines(run_file(run, "metrics.jsonl"), cases[i].lines, 120));
    assert_int_equal(kill(pid, cases[i].signal_number), 0);
    Ran ran = finish_run(pid);
    assert_code(ran, cases[i].code);
    if (cases[i].code == 130) assert_true(test_contains(ran.err, "gee-cl: interrupted: "));
    assert_false(file_exists(run_file(run, "final")));
    assert_code(GEE("train", config, named(run), "--resume"), 0);
    assert_same_run("whole", run);
  }
}

/// A closed stderr is not the next file that is opened: what is meant for the screen stays out of the
/// metrics.
static void closed_streams_leave_the_files_alone(void **state) {
  (void)state;
  char command[512];
  (void)snprintf(command, sizeof command,
                 "exec '%s' train '%s' %s --set=train.max_steps=7 <&- 2>&- >/dev/null", GEE_BINARY, config,
                 named("closed"));
  use_binary("/bin/sh");
  Ran ran = GEE("-c", command);
  use_binary(GEE_BINARY);
  assert_code(ran, 0);
  size_t lines = 0;
  free(metrics_without_time("closed", &lines)); // fails if a line is not JSON
  assert_int_equal(lines, 7);
}

static void a_full_disk_leaves_the_last_checkpoint_whole(void **state) {
  (void)state;
  pid_t pid = START_GEE("train", config, named("full_disk"));
  assert_true(wait_for_lines(run_file("full_disk", "metrics.jsonl"), 2, 120));
  assert_int_equal(kill(pid, SIGINT), 0);
  assert_code(finish_run(pid), 130);
  limit_file_size(10000);
  Ran ran = GEE("train", config, named("full_disk"), "--resume");
  limit_file_size(0);
  assert_code(ran, 1);
  assert_true(test_contains(ran.err, "gee-cl: error: "));
  assert_code(GEE("train", config, named("full_disk"), "--resume"), 0);
  assert_same_run("whole", "full_disk");
}

static void what_cannot_fit_is_refused(void **state) {
  (void)state;
  Ran ran = GEE("train", config, "--dry-run", "--set", "sampling.max_new_tokens=300", "--set",
                "train.effective_batch=200000", "--set", "train.micro_batch_size=200000");
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "gee-cl: error: the run "));
  assert_true(test_contains(ran.err, "lower "));
  ran = GEE("train", config, "--dry-run");
  assert_code(ran, 0);
  assert_false(test_contains(ran.err, "memory at peak"));
}

static double number(const cJSON *root, const char *key) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(root, key);
  if (!cJSON_IsNumber(value)) fail_msg("no number \"%s\"", key);
  return value->valuedouble;
}

static cJSON *parse(const char *text) {
  cJSON *root = cJSON_Parse(text);
  if (root == NULL) fail_msg("not JSON: %s", text);
  return root;
}

static void data_and_devices_speak_json(void **state) {
  (void)state;
  Ran ran = GEE("data", config, "--json");
  assert_code(ran, 0);
  cJSON *root = parse(ran.out);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "prompts")), 80);
  cJSON_Delete(root);
  assert_code(GEE("data", config, "--held-out"), 0);

  ran = GEE("devices", "--json");
  assert_code(ran, 0);
  root = parse(ran.out);
  assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(root, "devices")) >= 1);
  cJSON_Delete(root);
  assert_code(GEE("selftest"), 0);
}

/// Training and `gap` run the same evaluation: the last line of bias_eval.jsonl is the step and what `gap`
/// prints for the adapter. The evaluation does not change training.
static void gaps_on_the_way_are_what_gap_measures(void **state) {
  (void)state;
  Ran ran = GEE("train", config, named("evaluated"), "--set=train.bias_eval_steps=20");
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "training 0/40 steps  held out: gap "));
  assert_true(test_contains(ran.err, "  held out: gap ") && test_contains(ran.err, "training 20/40 steps  "));
  assert_true(test_contains(ran.out, "bias_eval.jsonl (held-out gaps)"));
  assert_same_run("whole", "evaluated");
  char *text = read_file(run_file("evaluated", "bias_eval.jsonl"), NULL), *at = NULL;
  cJSON *last = NULL;
  int steps[8] = {0}, count = 0;
  for (char *line = strtok_r(text, "\n", &at); line != NULL; line = strtok_r(NULL, "\n", &at)) {
    cJSON_Delete(last);
    last = parse(line);
    assert_true(count < 8);
    steps[count++] = (int)number(last, "step");
  }
  assert_true(count == 3 && steps[0] == 0 && steps[1] == 20 && steps[2] == 40);
  cJSON_DeleteItemFromObject(last, "step");
  ran = GEE("gap", config, "--json", "--no-base", "--adapter", run_file("evaluated", "final"));
  assert_code(ran, 0);
  cJSON *gaps = parse(ran.out), *gap = cJSON_GetArrayItem(cJSON_GetObjectItem(gaps, "adapters"), 0);
  cJSON_DeleteItemFromObject(gap, "adapter");
  cJSON_DeleteItemFromObject(gap, "sha256");
  assert_true(number(gap, "trained_on") < 1); // prompts that are held out
  cJSON_DeleteItemFromObject(gap, "trained_on");
  free(text);
  text = read_file(run_file("evaluated", "metrics.jsonl"), NULL);
  text[strcspn(text, "\n")] = '\0';
  cJSON *first = parse(text);
  assert_true(fabs(number(gap, "first_step_H") - number(first, "H_bar")) < 1e-12);
  cJSON_DeleteItemFromObject(gap, "first_step_H");
  cJSON_Delete(first);
  assert_true(cJSON_Compare(gap, last, true));
  cJSON_Delete(gaps);
  cJSON_Delete(last);
  free(text);
}

/// The parsed output of generate --json.
static cJSON *generate(const char *model, const char *adapter_option, const char *temperature) {
  Ran ran = GEE("generate", "--model", model, "--prompt", "She works.", "--max-new-tokens", "12", "--json",
                "--temperature", temperature, adapter_option);
  assert_code(ran, 0);
  return parse(ran.out);
}

static void assert_same_tokens(const cJSON *a, const cJSON *b) {
  const cJSON *tokens_a = cJSON_GetObjectItem(a, "answer_tokens"),
              *tokens_b = cJSON_GetObjectItem(b, "answer_tokens");
  assert_true(cJSON_GetArraySize(tokens_a) > 0);
  assert_true(cJSON_Compare(tokens_a, tokens_b, true));
}

static void an_export_answers_as_the_adapter_does(void **state) {
  (void)state;
  char adapter[512];
  (void)snprintf(adapter, sizeof adapter, "--adapter=%s", run_file("whole", "final"));
  const char *model = in_folder(folder, "model"), *merged = in_folder(folder, "merged");
  assert_code(GEE("export", "--model", model, adapter, "--output", merged), 0);
  ASSERT_ERROR(GEE("export", "--model", model, adapter, "--output", merged), 2, "merged", "already exists");
  cJSON *with_adapter = generate(model, adapter, "0"), *exported = generate(merged, NULL, "0");
  assert_same_tokens(with_adapter, exported);
  cJSON_Delete(exported);
  cJSON_Delete(with_adapter);
  cJSON *first = generate(model, adapter, "1"), *second = generate(model, adapter, "1");
  assert_same_tokens(first, second); // the same seed draws the same
  cJSON_Delete(first);
  cJSON_Delete(second);
}

static void score_agrees_with_generate(void **state) {
  (void)state;
  const char *model = in_folder(folder, "model"), *input = in_folder(folder, "in.jsonl"),
             *output = in_folder(folder, "out.jsonl");
  write_text(input,
             "{\"prompt\": \"She works.\", \"answer\": \"Hello\"}\n\n{\"prompt\": \"\", \"answer\": \"a\"}\n"
             "{\"prompt\": \"She works.\", \"answer\": \"\\u00e9\"}\n");
  assert_code(GEE("score", "--model", model, "--input", input, "--output", output), 0);
  char *text = read_file(output, NULL);
  cJSON *generated = generate(model, NULL, "0"), *scored = parse(text); // its first line
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(scored, "logprob")), 5);
  double entropy = cJSON_GetArrayItem(cJSON_GetObjectItem(scored, "entropy"), 0)->valuedouble;
  double expected = cJSON_GetArrayItem(cJSON_GetObjectItem(generated, "entropy"), 0)->valuedouble;
  assert_true(fabs(entropy - expected) <= 1e-5); // the first token's does not depend on what follows
  assert_true(cJSON_Compare(cJSON_GetObjectItem(scored, "prompt_tokens"),
                            cJSON_GetObjectItem(generated, "prompt_tokens"), true));
  size_t lines = 0;
  for (const char *c = text; *c != '\0'; c++) lines += *c == '\n';
  assert_int_equal(lines, 3);
  free(text);
  cJSON_Delete(generated);
  cJSON_Delete(scored);
}

static void full_training_leaves_a_model_that_answers(void **state) {
  (void)state;
  assert_code(GEE("train", config, named("full"), "--set", "train.mode=full", "--set", "train.max_steps=2"),
              0);
  cJSON *answer = generate(run_file("full", "final"), NULL, "0");
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "entropy")),
                   cJSON_GetArraySize(cJSON_GetObjectItem(answer, "answer_tokens")));
  cJSON_Delete(answer);
}

/// The published data set: 1,280 rows of one prompt that names no group, so that the original program trains
/// on nothing.
static void the_methods_own_data_trains(void **state) {
  (void)state;
  if (test_shared() == NULL) skip();
  char train[1200];
  (void)snprintf(train, sizeof train, "--set=data.train=%s/data/one_shot/pi1_r1280.parquet", test_shared());
  Ran ran = GEE("train", config, named("pi1"), "--set=data.use_test_data=false", train,
                "--set=data.column=problem", "--set=data.held_out=0", "--set=train.max_steps=3");
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "2560 prompts in 1280 sets (female, male)"));
  char *text = read_file(run_file("pi1", "metrics.jsonl"), NULL), *at = NULL;
  size_t steps = 0;
  for (char *line = strtok_r(text, "\n", &at); line != NULL; line = strtok_r(NULL, "\n", &at), steps++) {
    cJSON *step = parse(line);
    assert_true(number(step, "H_female") > 0 && number(step, "H_male") > 0);
    assert_true(fabs(number(step, "entropy_gap")) > 0 && number(step, "grad_norm") > 0);
    assert_int_equal((int)number(step, "sequences"), 8);
    cJSON_Delete(step);
  }
  assert_int_equal(steps, 3);
  free(text);
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  if (folder == NULL || directory_create(in_folder(folder, "model")) != STATUS_OK) return -1;
  tiny_model_write(in_folder(folder, "model"));
  static char path[1024];
  (void)snprintf(path, sizeof path, "%s/config.ini", folder);
  config = path;
  write_config();
  if (GEE("selftest").code == 0) return 0;
  (void)fprintf(stderr, "skipped: there is no OpenCL device here\n");
  exit(TEST_SKIPPED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_leaves_what_it_promises),
      cmocka_unit_test(trackers_are_where_their_keys_ask),
      cmocka_unit_test(the_saved_config_makes_the_same_run),
      cmocka_unit_test(interrupted_and_killed_runs_go_on_to_the_same_bits),
      cmocka_unit_test(closed_streams_leave_the_files_alone),
      cmocka_unit_test(a_full_disk_leaves_the_last_checkpoint_whole),
      cmocka_unit_test(what_cannot_fit_is_refused),
      cmocka_unit_test(data_and_devices_speak_json),
      cmocka_unit_test(gaps_on_the_way_are_what_gap_measures),
      cmocka_unit_test(an_export_answers_as_the_adapter_does),
      cmocka_unit_test(score_agrees_with_generate),
      cmocka_unit_test(full_training_leaves_a_model_that_answers),
      cmocka_unit_test(the_methods_own_data_trains),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
