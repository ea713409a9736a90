// Runs that are killed at any moment or meet a full disk. Each is a process: this program, started again with
// a folder, the name of the run and a file size limit. A killed run that is resumed has the bits of an
// uninterrupted one.
#include "support/train_fixture.h"

#include "io/file.h"
#include "io/tensors.h"
#include "util/rng.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS = 12, KILLS = 6 };

static const char *program;

// ---- the process that trains ----

/// argv: program, folder, run, largest file in bytes (0: no limit). Exits with the run's status.
static int train_here(char **argv) {
  TrainFixture f;
  void *state = NULL;
  if (ops_fixture_open(&state) != 0) return 1;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.output.save_root = argv[1];
  f.job.output.run_name = argv[2];
  f.job.output.save_steps = 1;
  f.job.output.save_initial = true;
  f.job.train.max_steps = STEPS;
  f.job.lora.dropout = 0.1f;
  f.job.loss.auto_anneal = true;
  char run[512];
  (void)snprintf(run, sizeof run, "%s/%s", argv[1], argv[2]);
  f.job.resume = file_is_directory(run);
  rlim_t bytes = (rlim_t)strtoull(argv[3], NULL, 10);
  struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
  (void)signal(SIGXFSZ, SIG_IGN); // like a full disk: the write fails
  if (bytes > 0 && setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
  Status status = train_run(&f.job, NULL);
  if (status != STATUS_OK) (void)fprintf(stderr, "%s\n", status_message());
  train_fixture_close(&f);
  (void)ops_fixture_close(&state);
  _exit((int)status); // skips what drivers do at exit, which must not change the result
}

static pid_t start(const char *folder, const char *run, const char *bytes, const char *errors) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    // its temporary folder is inside ours, which is removed however the child ends
    if (setenv("TMPDIR", folder, 1) != 0 || freopen(errors, "w", stderr) == NULL) _exit(126);
    (void)execl(program, program, folder, run, bytes, (char *)NULL);
    _exit(127);
  }
  return child;
}

static int finish(pid_t child) {
  int result = 0;
  assert_int_equal(waitpid(child, &result, 0), child);
  return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

static void run_whole(const TrainFixture *f, const char *run) {
  int result = finish(start(f->folder, run, "0", "/dev/null"));
  if (result == TEST_SKIPPED) exit(TEST_SKIPPED);
  assert_int_equal(result, 0);
}

// ---- the tests ----

static size_t steps_reported(const TrainFixture *f, const char *run) {
  MappedFile file = {0};
  size_t lines = 0;
  const char *path = train_path(f, run, "metrics.jsonl");
  if (!file_exists(path) || file_map(path, &file) != STATUS_OK) return 0;
  for (size_t i = 0; i < file.size; i++) lines += file.bytes[i] == '\n';
  file_unmap(&file);
  return lines;
}

/// Kills the run `moment` µs after it reported step `step`, which is somewhere in the next step.
static void kill_after(const TrainFixture *f, size_t step, useconds_t moment) {
  pid_t child = start(f->folder, "killed", "0", "/dev/null");
  for (int wait = 0; wait < 60000 && steps_reported(f, "killed") < step; wait++) {
    (void)usleep(500);
    if (waitpid(child, NULL, WNOHANG) == child) fail_msg("the run ended before it was killed");
  }
  (void)usleep(moment);
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_killed_runs_resume_with_the_same_bits(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", NULL);
  run_whole(&f, "whole");
  for (size_t i = 0; i < KILLS; i++) {
    // a step takes about 30 ms here, most of it saving
    kill_after(&f, 1 + i * (STEPS - 3) / KILLS, 1000 * rng_below(30, 7, RNG_DATA, (uint32_t)i, 0, 0));
  }
  run_whole(&f, "killed");
  train_same_run(&f, "whole", &f, "killed");
  train_fixture_close(&f);
}

static void expect_whole(const char *path) {
  TensorFile *file = NULL;
  assert_ok(tensors_open(path, &file));
  tensors_close(file);
}

/// The limit stops the checkpoint: its adapter takes about 20 kB.
static void test_full_disk(void **state) {
  (void)state;
  TrainFixture f;
  char errors[320], message[1024] = {0};
  train_fixture_open(&f, "llama", NULL);
  (void)snprintf(errors, sizeof errors, "%s/errors", f.folder);
  kill_after(&f, 2, 0);
  size_t saved = steps_reported(&f, "killed") - 1;
  assert_int_equal(finish(start(f.folder, "killed", "12000", errors)), STATUS_FAILED);
  FILE *file = fopen(errors, "r");
  assert_non_null(file);
  (void)fread(message, 1, sizeof message - 1, file);
  (void)fclose(file);
  assert_true(test_contains(message, strerror(EFBIG)));
  assert_ptr_equal(strchr(message, '\n'), message + strlen(message) - 1); // one line
  char name[64];
  (void)snprintf(name, sizeof name, "step_%zu/adapter_model.safetensors", saved);
  expect_whole(train_path(&f, "killed", name));
  (void)snprintf(name, sizeof name, "step_%zu/optimizer.safetensors", saved);
  expect_whole(train_path(&f, "killed", name));
  run_whole(&f, "killed"); // there is room again
  run_whole(&f, "whole");
  train_same_run(&f, "whole", &f, "killed");
  train_fixture_close(&f);
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 4) return train_here(argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_killed_runs_resume_with_the_same_bits),
      cmocka_unit_test(test_full_disk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
