// Trackers' files that were cut, damaged, killed in the middle of a write, or met a full disk: what is whole
// is kept, what is not understood is refused and stays as it is.
#include "support/tracked_run.h"

#include "io/file.h"
#include "wandb_log.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- damage ----

/// Quicker than file_write_atomic, which waits for the disk.
static void write_file(const char *path, const char *bytes, size_t size) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

/// Puts the first `size` bytes of a run's file back and resumes it.
static Status resume_from(const TrackerKind *kind, const char *bytes, size_t size, size_t first_step) {
  Tracker tracker = {0};
  TrackedRun run = tracked_run(first_step);
  write_file(kind->path(tracked_folder), bytes, size);
  Status status = tracker_add(&tracker, kind->type, &run);
  tracker_close(&tracker);
  return status;
}

/// Wherever the file ends, a resumed run keeps what is whole. W&B's log needs its first records, which a run
/// writes all at once.
static void half_a_record_is_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    size_t size = 0, steps = 0, refused = 0;
    tracked_new_run();
    tracked_write_steps(tracker_kinds[i], 0, 2);
    char *bytes = tracked_bytes(tracker_kinds[i]->path(tracked_folder), &size);
    for (size_t cut = 0; cut <= size; cut++) {
      if (resume_from(tracker_kinds[i], bytes, cut, 10) != STATUS_OK) {
        assert_true(cut == refused++);
        continue;
      }
      size_t now = tracked_count(tracker_kinds[i], i == 0 ? " loss=" : "row ");
      assert_true(now == steps || now == steps + 1);
      steps = now;
    }
    assert_int_equal(steps, 2);
    assert_true(i == 0 ? refused == 0 : refused > 50 && refused < 150);
    free(bytes);
  }
}

/// A run that is killed while it begins a new event file has not emptied the old one, which is the whole one.
static void an_event_file_that_was_begun_is_not_gone_on_with(void **state) {
  (void)state;
  char first[600];
  size_t size = 0, next_size = 0;
  tracked_new_run();
  tracked_write_steps(tracker_kinds[0], 0, 3);
  char *bytes = tracked_bytes(tensorboard_path(tracked_folder), &size);
  (void)snprintf(first, sizeof first, "%s", tensorboard_path(tracked_folder));
  tracked_write_steps(tracker_kinds[0], 3, 4);
  char *next = tracked_bytes(tensorboard_path(tracked_folder), &next_size);
  for (size_t cut = 0; cut < next_size; cut += 40) {
    write_file(tensorboard_path(tracked_folder), next, cut);
    write_file(first, bytes, size);
    tracked_write_steps(tracker_kinds[0], 2, 3);
    tracked_expect(tracker_kinds[0],
                   "version brain.Event:2\nstart 0\n0 config (text)     [model]\n0 loss=0\n1 loss=0.5\n"
                   "start 2\n2 config (text)     [model]\n2 loss=1\n");
    assert_ok(directory_empty(tracked_folder));
    tracked_write_steps(tracker_kinds[0], 0, 0);
    tracked_write_steps(tracker_kinds[0], 3, 4);
  }
  free(bytes);
  free(next);
}

/// Zeros behind the last record are what a power cut leaves.
static void zeros_at_the_end_are_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    size_t size = 0;
    tracked_new_run();
    tracked_write_steps(tracker_kinds[i], 0, 2);
    char *bytes = tracked_bytes(tracker_kinds[i]->path(tracked_folder), &size), padded[8192] = {0};
    assert_true(size + 4000 < sizeof padded);
    memcpy(padded, bytes, size);
    for (size_t zeros = 1; zeros <= 4000; zeros = 2 * zeros + 1) {
      assert_ok(resume_from(tracker_kinds[i], padded, size + zeros, 10));
      assert_int_equal(tracked_count(tracker_kinds[i], i == 0 ? " loss=" : "row "), 2);
    }
    free(bytes);
  }
}

/// An offline run of W&B's own, in the folder of a run: it is not cut where gee-cl finds no steps.
static void a_log_of_another_program_is_refused(void **state) {
  (void)state;
  static const char header[] = "\xaa\x01\x0a\x0a\x08\x0a\x06"
                               "0.31.0",
                    run[] = "\x8a\x01\x0a\x0a\x08"
                            "abcd1234";
  Str text = {0};
  tracked_new_run();
  tracked_write_steps(tracker_kinds[1], 0, 1);
  assert_ok(wandb_log_begin(&text));
  assert_ok(wandb_log_append(&text, 0, header, sizeof header - 1));
  assert_ok(wandb_log_append(&text, 0, run, sizeof run - 1));
  assert_fails(resume_from(tracker_kinds[1], text.data, text.size, 3), STATUS_INPUT,
               "the file is not by gee-cl; move the file away");
  tracked_expect_bytes(text.data, text.size, wandb_path(tracked_folder));
  str_free(&text);
}

/// A changed byte in a record that is not the last is never taken for a record, and the file stays as it is.
static void a_damaged_file_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    size_t size = 0, refused = 0;
    tracked_new_run();
    tracked_write_steps(tracker_kinds[i], 0, 3);
    char *bytes = tracked_bytes(tracker_kinds[i]->path(tracked_folder), &size);
    for (size_t at = 0; at < size; at++) {
      bytes[at] = (char)(bytes[at] ^ 0x55);
      if (resume_from(tracker_kinds[i], bytes, size, 10) == STATUS_OK) {
        // a length that leads beyond the end of the file is that of a record that was cut short
        assert_true(tracked_count(tracker_kinds[i], " loss=") < (i == 0 ? 3 : 6));
      } else {
        refused++;
        assert_true(test_contains(status_message(), "move the file away to resume without it"));
        assert_true(test_contains(status_message(), tracker_kinds[i]->path(tracked_folder)));
        tracked_expect_bytes(bytes, size, tracker_kinds[i]->path(tracked_folder));
      }
      bytes[at] = (char)(bytes[at] ^ 0x55);
    }
    assert_true(refused > size / 2);
    free(bytes);
  }
}

// ---- kills and full disks ----

/// Writes until it is killed or the disk is full.
static int write_on(const TrackerKind *kind) {
  Tracker tracker = {0};
  TrackedRun run = tracked_run(0);
  if (tracker_add(&tracker, kind->type, &run) != STATUS_OK) return 1;
  for (size_t step = 0; step < 1000000; step++) {
    if (tracked_write_step(&tracker, step) == STATUS_OK) continue;
    return test_contains(status_message(), kind->path(tracked_folder)) ? 2 : 3;
  }
  return 4;
}

static void a_kill_leaves_whole_records(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    for (unsigned wait = 0; wait < 3; wait++) {
      tracked_new_run();
      pid_t child = fork();
      assert_true(child >= 0);
      if (child == 0) _exit(write_on(tracker_kinds[i]));
      (void)usleep(1000 + 4000 * wait);
      assert_int_equal(kill(child, SIGKILL), 0);
      assert_int_equal(waitpid(child, NULL, 0), child);
      tracked_write_steps(tracker_kinds[i], 5, 6);
      assert_true(tracked_count(tracker_kinds[i], i == 0 ? " loss=" : "row ") <= 6);
      assert_int_equal(tracked_count(tracker_kinds[i], i == 0 ? "5 loss=" : " step=5 "), i == 0 ? 1 : 2);
    }
  }
}

static void a_full_disk_leaves_whole_records(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    int result = 0;
    tracked_new_run();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      struct rlimit limit = {.rlim_cur = 1700, .rlim_max = 1700};
      (void)signal(SIGXFSZ, SIG_IGN);
      _exit(setrlimit(RLIMIT_FSIZE, &limit) != 0 ? 5 : write_on(tracker_kinds[i]));
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 2);
    assert_true(tracked_count(tracker_kinds[i], i == 0 ? " loss=" : "row ") >
                3); // and the reader finds nothing else
  }
}

int main(void) {
  tracker_files_in_memory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(half_a_record_is_cut),
      cmocka_unit_test(an_event_file_that_was_begun_is_not_gone_on_with),
      cmocka_unit_test(zeros_at_the_end_are_cut),
      cmocka_unit_test(a_log_of_another_program_is_refused),
      cmocka_unit_test(a_damaged_file_is_refused),
      cmocka_unit_test(a_kill_leaves_whole_records),
      cmocka_unit_test(a_full_disk_leaves_whole_records),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
