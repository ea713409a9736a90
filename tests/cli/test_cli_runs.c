// The folder of a run: one process at a time, a wrong name is noticed, a finished run says so; and the
// signals that end a run.
#include "support/stopped_run.h"

#include "io/file.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *folder;
static const char *const resume[] = {"--resume", NULL};
/// Of a run that does not end by itself, not by drift either, however many steps a busy machine gives it.
static const char *const endless[] = {"train.max_steps=1000000", "train.max_drift=0", NULL};

static const char *path_of(const char *run, const char *name) {
  char path[200];
  (void)snprintf(path, sizeof path, "runs/%s/%s", run, name);
  return in_folder(folder, path);
}

static void assert_says(Ran ran, int code, const char *const *parts) {
  assert_code(ran, code);
  for (; *parts != NULL; parts++) {
    if (!test_contains(ran.err, *parts)) fail_msg("\"%s\" is not in: %s", *parts, ran.err);
  }
}
#define ASSERT_SAYS(ran, code, ...) assert_says((ran), (code), (const char *const[]){__VA_ARGS__, NULL})

/// Starts an endless run; its shell first does `before`. Returns once it has done two steps.
static pid_t start_long(const char *run, const char *before) {
  char command[2000];
  (void)snprintf(command, sizeof command,
                 "%s exec '%s' train '%s' --set=output.save_root='%s' --set=output.run_name=%s "
                 "--set=%s --set=%s 2>'%s'",
                 before, GEE_BINARY, in_folder(folder, "run.ini"), in_folder(folder, "runs"), run, endless[0],
                 endless[1], in_folder(folder, "long_err"));
  use_binary("/bin/sh");
  pid_t pid = START_GEE("-c", command);
  use_binary(GEE_BINARY);
  assert_true(wait_for_lines(path_of(run, "metrics.jsonl"), 2, 120));
  return pid;
}

static int end(pid_t pid) {
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void one_process_at_a_time(void **state) {
  (void)state;
  char holder[64];
  pid_t pid = start_long("shared", "");
  (void)snprintf(holder, sizeof holder, "run.lock is held by process %ld on ", (long)pid);
  ASSERT_SAYS(stopped_train(NULL, "shared", endless, resume), 2, "runs/shared is in use by another run (",
              holder, "another output.run_name");
  ASSERT_SAYS(stopped_train(NULL, "shared", endless, NULL), 2, "is in use by another run");
  assert_code(stopped_train(NULL, "beside", NULL, NULL), 0); // another folder is free
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(end(pid), -SIGKILL);
  assert_code(stopped_train(NULL, "shared", endless, (const char *const[]){"--resume", "--dry-run", NULL}),
              0);
}

static void leftovers_are_cleaned(void **state) {
  (void)state;
  stopped_make("whole", NULL);
  stopped_copy("whole", NULL, "left");
  assert_ok(directory_create(path_of("left", "step_4" PARTIAL_END "/deep")));
  assert_ok(directory_create(path_of("left", "final" PARTIAL_END)));
  assert_ok(directory_create(path_of("left", "step_2" OLD_END))); // step_2 is there: the old one goes
  assert_ok(directory_create(path_of("left", "notes" PARTIAL_END)));
  assert_code(stopped_train(NULL, "left", NULL, (const char *const[]){"--resume", "--dry-run", NULL}), 0);
  assert_true(file_exists(path_of("left", "final" PARTIAL_END))); // a dry run changes nothing
  assert_code(stopped_train(NULL, "left", NULL, resume), 0);
  assert_false(file_exists(path_of("left", "step_4" PARTIAL_END)));
  assert_false(file_exists(path_of("left", "final" PARTIAL_END)));
  assert_false(file_exists(path_of("left", "step_2" OLD_END)));
  assert_true(file_exists(path_of("left", "notes" PARTIAL_END))); // not ours
  stopped_assert_same(NULL, "whole", NULL, "left");
}

/// A kill between two renames left only step_2.old, which is put back.
static void an_old_checkpoint_is_put_back(void **state) {
  (void)state;
  stopped_make("first", NULL);
  stopped_copy("first", NULL, "renamed");
  assert_int_equal(rename(path_of("renamed", "step_2"), path_of("renamed", "step_2" OLD_END)), 0);
  Ran ran = stopped_train(NULL, "renamed", NULL, resume);
  ASSERT_SAYS(ran, 0, "resuming from ", "renamed/step_2");
  stopped_assert_same(NULL, "first", NULL, "renamed");
}

static void a_wrong_name_is_noticed(void **state) {
  (void)state;
  stopped_make("quickstart", NULL);
  assert_ok(directory_create(path_of("not_a_run", ""))); // has no metrics
  ASSERT_SAYS(stopped_train(NULL, "quikstart", NULL, resume), 2, "--resume: there is no run ",
              "runs/quikstart", "did you mean output.run_name = quickstart? the runs in ", "quickstart",
              "drop --resume");
  assert_false(file_exists(path_of("quikstart", "")));
  Ran ran = stopped_train(NULL, "entirely_different", NULL, resume);
  ASSERT_SAYS(ran, 2, "; the runs in ", "quickstart");
  assert_false(test_contains(ran.err, "did you mean"));
  assert_false(test_contains(ran.err, "not_a_run"));
  ran = stopped_train(in_folder(folder, "nowhere"), "quickstart", NULL, resume);
  ASSERT_SAYS(ran, 2, "there is no run ", "nowhere/quickstart; to start a new run, drop --resume");
  ASSERT_SAYS(stopped_train(NULL, "quikstart", NULL, (const char *const[]){"--resume", "--dry-run", NULL}), 2,
              "did you mean");
  // a run that was stopped before its first checkpoint is there, and begins again
  assert_ok(directory_remove(path_of("quickstart", "final")));
  assert_ok(directory_remove(path_of("quickstart", "step_2")));
  assert_ok(directory_remove(path_of("quickstart", "step_4")));
  ASSERT_SAYS(stopped_train(NULL, "quickstart", NULL, resume), 0,
              "has no checkpoint yet: starting at step 1");
}

static void many_runs_are_not_all_listed(void **state) {
  (void)state;
  const char *root = in_folder(folder, "many");
  for (int i = 0; i < 12; i++) {
    char name[64];
    (void)snprintf(name, sizeof name, "many/r%02d", i);
    assert_ok(directory_create(in_folder(folder, name)));
    write_text(in_folder(in_folder(folder, name), "metrics.jsonl"), "");
  }
  ASSERT_SAYS(stopped_train(root, "nothing_like_it", NULL, resume), 2,
              "r00, r01, r02, r03, r04, r05, r06, r07 and 4 more");
}

static void a_finished_run_says_so(void **state) {
  (void)state;
  const char *const linear[] = {"train.schedule=linear", NULL};
  stopped_make("done", NULL);
  ASSERT_SAYS(stopped_train(NULL, "done", NULL, NULL), 2,
              "done/final is from an earlier run, which is finished");
  char *before = read_file(path_of("done", "final/trainer_state.json"), NULL);
  Ran ran = stopped_train(NULL, "done", NULL, resume);
  ASSERT_SAYS(ran, 0,
              "done/final is finished: 4 steps done, as train.max_steps says; for more, raise "
              "train.max_steps and give --resume");
  assert_false(test_contains(ran.err, "--extend"));
  char *after = read_file(path_of("done", "final/trainer_state.json"), NULL);
  assert_string_equal(before, after);
  free(before);
  free(after);
  assert_true(test_contains(stopped_train(NULL, "done", NULL, NULL).err,
                            "for more, raise train.max_steps and give --resume, or set"));
  stopped_make("falling", linear);
  // without --resume, the advice is the same
  ASSERT_SAYS(stopped_train(NULL, "falling", linear, NULL), 2,
              "raise train.max_steps and give --resume --extend, or set");
  ASSERT_SAYS(stopped_train(NULL, "falling", linear, resume), 0,
              "raise train.max_steps and give --resume --extend");
  // all steps done but killed before final was there: it is made
  assert_ok(directory_remove(path_of("done", "final")));
  ASSERT_SAYS(stopped_train(NULL, "done", NULL, resume), 0, "resuming from ", "step_4");
  assert_true(file_exists(path_of("done", "final/adapter_model.safetensors")));
}

static void a_closed_terminal_saves(void **state) {
  (void)state;
  pid_t pid = start_long("hung_up", "");
  assert_int_equal(kill(pid, SIGHUP), 0); // a closing terminal may send it twice
  assert_int_equal(kill(pid, SIGHUP), 0);
  assert_int_equal(end(pid), 130);
  char *err = read_file(in_folder(folder, "long_err"), NULL);
  assert_true(test_contains(err, "is done and saved as "));
  free(err);
  ASSERT_SAYS(stopped_train(NULL, "hung_up", endless, (const char *const[]){"--resume", "--dry-run", NULL}),
              0, "model");
}

static void nohup_keeps_a_run_going(void **state) {
  (void)state;
  pid_t pid = start_long("nohup", "trap '' HUP;");
  size_t lines = 0;
  assert_int_equal(kill(pid, SIGHUP), 0);
  char *metrics = read_file(path_of("nohup", "metrics.jsonl"), NULL);
  for (const char *c = metrics; *c != '\0'; c++) lines += *c == '\n';
  free(metrics);
  if (!wait_for_lines(path_of("nohup", "metrics.jsonl"), lines + 3, 20)) {
    char *err = read_file(in_folder(folder, "long_err"), NULL);
    fail_msg("the run ended: %s", err);
  }
  assert_int_equal(kill(pid, SIGTERM), 0);
  assert_int_equal(end(pid), 130);
}

/// A run whose screen goes into a pipe goes on when the reader is gone.
static void a_closed_pipe_does_not_end_a_run(void **state) {
  (void)state;
  char command[2000];
  (void)snprintf(command, sizeof command, "'%s' train '%s' --set=output.run_name=piped 2>&1 | true",
                 GEE_BINARY, in_folder(folder, "run.ini"));
  use_binary("/bin/sh");
  Ran ran = GEE("-c", command);
  use_binary(GEE_BINARY);
  assert_code(ran, 0);
  assert_true(file_exists(path_of("piped", "final/adapter_model.safetensors")));
}

static int set_up(void **state) {
  (void)state;
  folder = stopped_open();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_process_at_a_time),
      cmocka_unit_test(leftovers_are_cleaned),
      cmocka_unit_test(an_old_checkpoint_is_put_back),
      cmocka_unit_test(a_wrong_name_is_noticed),
      cmocka_unit_test(many_runs_are_not_all_listed),
      cmocka_unit_test(a_finished_run_says_so),
      cmocka_unit_test(a_closed_terminal_saves),
      cmocka_unit_test(nohup_keeps_a_run_going),
      cmocka_unit_test(a_closed_pipe_does_not_end_a_run),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
