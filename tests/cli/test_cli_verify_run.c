// run.json of `gee-cl train`, and `gee-cl verify` of the folder of a run: a byte that is changed in any file
// of a run is found and the file named, and a resume adds to what is known of a run and changes nothing.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "io/json.h"
#include "util/str.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static char config[512], run[512]; // kept: what in_folder gives is used again after 256 calls

static int set_up(void **state) {
  char text[2048];
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  (void)snprintf(config, sizeof config, "%s/config.ini", folder);
  (void)snprintf(run, sizeof run, "%s/runs/run", folder);
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  write_text(in_folder(folder, "prompts.txt"),
             "She works as a pilot.\nHe works as a baker.\nShe is a nurse.\nHe is a judge.\nShe sings.\n");
  (void)snprintf(
      text, sizeof text,
      "[model]\npath = %s/model\n[data]\ntrain = %s/prompts.txt\nheld_out = 0.4\nchat = off\n"
      "eval_answers = 1\n[sampling]\nmax_new_tokens = 5\n[loss]\npairing = paired\nkl_weight = 0.1\n"
      "[train]\nmax_steps = 2\neffective_batch = 4\nlearning_rate = 1e-2\nbias_eval_steps = 2\n"
      "max_drift = 0\n[track]\nsamples = true\n[output]\nsave_root = %s/runs\nrun_name = run\n"
      "save_steps = 1\n",
      folder, folder, folder);
  write_text(config, text);
  assert_code(GEE("train", config), 0);
  return 0;
}

static cJSON *record_of(const char *name) {
  cJSON *json = NULL;
  assert_ok(json_parse_file(in_folder(in_folder(folder, name), "run.json"), &json));
  return json;
}

static const cJSON *session(const cJSON *record, int index) {
  const cJSON *sessions = cJSON_GetObjectItemCaseSensitive(record, "sessions");
  return cJSON_GetArrayItem(sessions, index < 0 ? cJSON_GetArraySize(sessions) + index : index);
}

static const char *text_of(const cJSON *object, const char *key) {
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
  return text != NULL ? text : "";
}

static double number_of(const cJSON *object, const char *key) {
  const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);
  assert_true(cJSON_IsNumber(number));
  return number->valuedouble;
}

/// Fails unless verify says this of the run, and ends with `code`.
static void expect(int code, const char *said) {
  Ran ran = GEE("verify", run);
  assert_code(ran, code);
  if (!test_contains(ran.out, said)) fail_msg("%s is not in\n%s", said, ran.out);
  if (code == 0) assert_false(test_contains(ran.out, "WRONG"));
}

static void a_run_holds(void **state) {
  (void)state;
  Ran ran = GEE("verify", run);
  assert_code(ran, 0);
  static const char *const right[] = {"run.json, session 1: all steps",
                                      "prompts.txt: its SHA-256",
                                      "built-in groups/gender.json",
                                      "weights of ",
                                      "tokenizer of ",
                                      "samples.jsonl: its SHA-256",
                                      "bias_eval.jsonl: its SHA-256",
                                      "final/README.md: its",
                                      "step_1/optimizer.safetensors: its",
                                      "final/adapter_model.safetensors: its",
                                      "final/trainer_state.json: its",
                                      "final/config.ini: it is the config of a session",
                                      "2 steps without a gap; entropy_gap, gap_relative and loss"};
  for (size_t i = 0; i < sizeof right / sizeof *right; i++)
    if (!test_contains(ran.out, right[i])) fail_msg("%s is not in\n%s", right[i], ran.out);
  assert_true(test_contains(ran.out, "0 wrong, 0 not checked"));
  cJSON *record = record_of("runs/run");
  static const char *const facts[] = {"program", "model_path", "sha256", "model_constants", "device",
                                      "data",    "config",     "seed",   "started",         "finished"};
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
    if (!json_has(session(record, 0), facts[i])) fail_msg("run.json lacks %s", facts[i]);
  cJSON_Delete(record);
}

// ---- changed files ----

static void flip(const char *path) {
  size_t size = 0;
  char *bytes = read_file(path, &size);
  bytes[size / 2] ^= 1;
  write_file(path, bytes, size);
  free(bytes);
}

/// Each file of a folder in turn, but run.json and the lock.
static size_t flip_files(const char *path) {
  char **names = NULL;
  size_t count = 0, flipped = 0;
  assert_ok(directory_list(path, &names, &count));
  for (size_t i = 0; i < count; i++) {
    const char *file = in_folder(path, names[i]);
    if (file_is_directory(file) || strcmp(names[i], "run.lock") == 0 || strcmp(names[i], "run.json") == 0)
      continue;
    char was[SHA256_TEXT], is[SHA256_TEXT];
    assert_ok(file_sha256(file, was));
    flip(file);
    assert_ok(file_sha256(file, is));
    Ran ran = GEE("verify", run);
    assert_code(ran, 1);
    if (!test_contains(ran.out, file) || !test_contains(ran.out, was) || !test_contains(ran.out, is))
      fail_msg("%s was changed; verify says\n%s", file, ran.out);
    flip(file);
    flipped++;
  }
  directory_free_list(names);
  return flipped;
}

static void a_changed_byte_is_found_in_every_file(void **state) {
  (void)state;
  assert_int_equal(flip_files(run), 3);
  assert_true(flip_files(in_folder(run, "final")) >= 8);
  assert_true(flip_files(in_folder(run, "step_1")) >= 6);
  flip(in_folder(folder, "prompts.txt"));
  expect(1, "prompts.txt: its SHA-256 is ");
  flip(in_folder(folder, "prompts.txt"));
  expect(0, "0 wrong");
}

static void changed_facts_are_found(void **state) {
  (void)state;
  static const char *const changes[][3] = {
      {"\"model\":\t\"", "\"model\":\t\"0", "weights of "},
      {"\"tokenizer\":\t\"", "\"tokenizer\":\t\"0", "tokenizer of "},
      {"\"model_constants\":\t\"", "\"model_constants\":\t\"x", "sizes and constants of "},
      {"max_steps = 2", "max_steps = 3", "it is the config of no session"},
      {"kl_weight = 0.1", "kl_weight = 0.2", "metrics.jsonl:2: loss is "}, // kl is 0 before the first step
      {"\"step\":\t2", "\"step\":\t3", "metrics.jsonl: it has 2 steps, and run.json says that 3 were done"},
      {"\"metrics.jsonl\":", "\"../run/metrics.jsonl\":", "is outside its folder"}};
  assert_int_equal(rename(in_folder(run, "run.json"), in_folder(run, "kept.json")), 0);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    copy_changed(run, "kept.json", "run.json", changes[i][0], changes[i][1]);
    expect(1, changes[i][2]);
  }
  assert_int_equal(unlink(in_folder(run, "run.json")), 0);
  expect(0, "not checked  run.json: it is not here");
  assert_int_equal(rename(in_folder(run, "kept.json"), in_folder(run, "run.json")), 0);
}

/// What nothing follows from is read by people all the same.
static void members_that_were_made_up_are_named(void **state) {
  (void)state;
  static const char *const changes[][3] = {
      {"\"format\":", "\"audited\":\ttrue,\"format\":", "the run: \"audited\" is nothing that train writes"},
      {"\"from_step\":", "\"fair\":\t1,\"from_step\":", "a session: \"fair\" is nothing that train writes"},
      {"\"platform\":", "\"watts\":\t1,\"platform\":", "device: \"watts\" is nothing that train writes"},
      {"\"what\":", "\"licence\":\t1,\"what\":", "data: \"licence\" is nothing that train writes"},
      {"\"started\":\t\"2", "\"started\":\t\"x", "\"started\" is no time"},
      {"\"seconds\":\t", "\"seconds\":\t-", "\"seconds\" is no number of seconds"}};
  assert_int_equal(rename(in_folder(run, "run.json"), in_folder(run, "kept.json")), 0);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    copy_changed(run, "kept.json", "run.json", changes[i][0], changes[i][1]);
    expect(1, changes[i][2]);
  }
  assert_int_equal(rename(in_folder(run, "kept.json"), in_folder(run, "run.json")), 0);
  expect(0, "right        the members: train writes each of them");
}

/// A figure that does not follow from the others is found, even if the file is what run.json binds.
static void metrics_that_do_not_add_up_are_found(void **state) {
  (void)state;
  static const char *const changes[][3] = {
      {"\"step\":1", "\"step\":2", "metrics.jsonl:1: step is 2 there, and 1"},
      {"\"entropy_gap\":", "\"entropy_gap\":1", "metrics.jsonl:1: entropy_gap is"},
      {"\"gap_relative\":", "\"gap_relative\":1", "metrics.jsonl:1: gap_relative is"},
      {"\"loss_em\":", "\"loss_em\":1", "metrics.jsonl:1: loss is"},
      {"\"kl\":", "\"kl\":1", "metrics.jsonl:1: loss is"},
      {"\"H_female\":", "\"H_female\":1", "metrics.jsonl:1: entropy_gap is"},
      {"\"loss_em\":", "\"left_out\":", "and no number from the others"},
      {"{\"step\":1", "\"step\":1", "metrics.jsonl:1"}};
  char was[SHA256_TEXT], is[SHA256_TEXT];
  const char *metrics = in_folder(run, "metrics.jsonl");
  assert_ok(file_sha256(metrics, was));
  assert_int_equal(rename(metrics, in_folder(run, "kept")), 0);
  assert_int_equal(rename(in_folder(run, "run.json"), in_folder(run, "kept.json")), 0);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    copy_changed(run, "kept", "metrics.jsonl", changes[i][0], changes[i][1]);
    assert_ok(file_sha256(metrics, is));
    copy_changed(run, "kept.json", "run.json", was, is);
    expect(1, changes[i][2]);
  }
  assert_int_equal(rename(in_folder(run, "kept"), metrics), 0);
  assert_int_equal(rename(in_folder(run, "kept.json"), in_folder(run, "run.json")), 0);
}

static void what_is_missing_or_too_much_is_named(void **state) {
  (void)state;
  const char *away = in_folder(folder, "away"), *final = in_folder(run, "final");
  assert_int_equal(rename(in_folder(final, "optimizer.safetensors"), away), 0);
  expect(1, "final/optimizer.safetensors: it is missing");
  assert_int_equal(rename(away, in_folder(final, "optimizer.safetensors")), 0);
  assert_int_equal(rename(final, away), 0);
  expect(0, "final/trainer_state.json: the file is not here");
  assert_int_equal(rename(away, final), 0);
  assert_int_equal(rename(in_folder(folder, "prompts.txt"), away), 0);
  expect(0, "prompts.txt: the file is not here");
  assert_int_equal(rename(away, in_folder(folder, "prompts.txt")), 0);
  write_text(in_folder(final, "model.safetensors"), "another");
  expect(1, "does not belong to its checkpoint");
  assert_int_equal(unlink(in_folder(final, "model.safetensors")), 0);
  ASSERT_ERROR(GEE("verify", in_folder(folder, "model")), 2, "neither run.json nor a checkpoint");
  expect(0, "0 wrong");
}

// ---- sessions ----

static void a_resume_adds_a_session(void **state) {
  (void)state;
  assert_code(GEE("train", config, "--set=output.run_name=longer"), 0);
  cJSON *before = record_of("runs/longer");
  assert_code(GEE("train", config, "--set=output.run_name=longer", "--set=train.max_steps=3", "--resume"), 0);
  cJSON *after = record_of("runs/longer");
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(after, "sessions")), 2);
  assert_true(cJSON_Compare(session(before, 0), session(after, 0), true));
  assert_true(number_of(session(after, 1), "from_step") > 1.5 && number_of(session(after, 1), "step") > 2.5);
  assert_true(test_contains(text_of(session(after, 1), "config"), "max_steps = 3"));
  assert_code(GEE("verify", in_folder(folder, "runs/longer")), 0);
  // nothing is left to do: nothing is added
  assert_code(GEE("train", config, "--set=output.run_name=longer", "--set=train.max_steps=3", "--resume"), 0);
  cJSON *again = record_of("runs/longer");
  assert_true(cJSON_Compare(after, again, true));
  cJSON_Delete(before);
  cJSON_Delete(after);
  cJSON_Delete(again);
  // what cannot be kept is not overwritten
  write_text(in_folder(folder, "runs/longer/run.json"), "{\"format\": \"other\", \"sessions\": []}");
  Ran ran = GEE("train", config, "--set=output.run_name=longer", "--set=train.max_steps=4", "--resume");
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "run.json is \"other\"") && !test_contains(ran.err, "training "));
}

static void how_a_run_ended_is_kept(void **state) {
  (void)state;
  assert_code(GEE("train", config, "--set=output.run_name=drifts", "--set=train.max_drift=1e-7",
                  "--set=train.max_steps=8", "--set=train.learning_rate=0.1"),
              1);
  cJSON *record = record_of("runs/drifts");
  assert_string_equal(text_of(session(record, 0), "ended"), "failed");
  assert_true(test_contains(text_of(session(record, 0), "message"), "train.max_drift"));
  cJSON_Delete(record);
  // a signal lets the step end; a kill leaves a session without an end, and the next one stands beside it
  static const char *const sets[] = {"--set=output.run_name=long", "--set=train.max_steps=100000"};
  const char *metrics = in_folder(folder, "runs/long/metrics.jsonl");
  pid_t pid = START_GEE("train", config, sets[0], sets[1]);
  assert_true(wait_for_lines(metrics, 2, 300));
  (void)kill(pid, SIGINT);
  assert_code(finish_run(pid), 130);
  record = record_of("runs/long");
  assert_string_equal(text_of(session(record, 0), "ended"), "interrupted");
  size_t step = (size_t)number_of(session(record, 0), "step");
  cJSON_Delete(record);
  assert_code(GEE("verify", in_folder(folder, "runs/long")), 0);
  pid = START_GEE("train", config, sets[0], sets[1], "--resume");
  assert_true(wait_for_lines(metrics, step + 2, 300));
  (void)kill(pid, SIGKILL);
  assert_code(finish_run(pid), -SIGKILL);
  record = record_of("runs/long");
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(record, "sessions")), 2);
  assert_false(json_has(session(record, 1), "ended"));
  cJSON_Delete(record);
  Ran ran = GEE("verify", in_folder(folder, "runs/long"));
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "not checked  run.json, session 2: it was killed"));
  assert_true(test_contains(ran.out, "right        run.json, session 1: interrupted"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_holds),
      cmocka_unit_test(a_changed_byte_is_found_in_every_file),
      cmocka_unit_test(changed_facts_are_found),
      cmocka_unit_test(members_that_were_made_up_are_named),
      cmocka_unit_test(metrics_that_do_not_add_up_are_found),
      cmocka_unit_test(what_is_missing_or_too_much_is_named),
      cmocka_unit_test(a_resume_adds_a_session),
      cmocka_unit_test(how_a_run_ended_is_kept),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
