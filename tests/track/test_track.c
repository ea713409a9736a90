// JSON Lines that survive kills and full disks, the progress line as files get it, and numbers for people.
#include "support/test.h"

#include "io/file.h"
#include "io/json_write.h"
#include "track/track.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[512];

static void set_path(void) {
  (void)snprintf(path, sizeof path, "%s/lines.jsonl", test_folder());
}

static void put_text(const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static void expect_text(const char *expected) {
  MappedFile file = {0};
  assert_ok(file_map(path, &file));
  if (file.size != strlen(expected) || memcmp(file.bytes, expected, file.size) != 0) {
    fail_msg("the file holds \"%.*s\", not \"%s\"", (int)file.size, (const char *)file.bytes, expected);
  }
  file_unmap(&file);
}

static Status write_step(JsonLines *lines, int step) {
  JsonWriter json = {0};
  json_object_begin(&json, NULL);
  json_integer(&json, "step", step);
  json_object_end(&json);
  return jsonlines_write(lines, &json);
}

static void write_steps(int64_t keep_below, int first, int end) {
  JsonLines *lines = NULL;
  assert_ok(jsonlines_open(path, keep_below, &lines));
  for (int step = first; step < end; step++) assert_ok(write_step(lines, step));
  assert_ok(jsonlines_sync(lines));
  jsonlines_close(lines);
}

static void test_lines_append_and_cut(void **state) {
  (void)state;
  set_path();
  write_steps(-1, 1, 4);
  expect_text("{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
  write_steps(3, 3, 3);
  expect_text("{\"step\":1}\n{\"step\":2}\n");
  write_steps(100, 7, 8);
  expect_text("{\"step\":1}\n{\"step\":2}\n{\"step\":7}\n");
  write_steps(0, 0, 0);
  expect_text("");
  write_steps(5, 1, 2);
  write_steps(-1, 9, 10);
  expect_text("{\"step\":9}\n");
}

static void test_lines_between_others_are_cut(void **state) {
  (void)state;
  set_path();
  put_text("{\"step\":1,\"a\":[1,2]}\n{\"step\":5}\n{\"step\":2}\n");
  write_steps(3, 0, 0);
  expect_text("{\"step\":1,\"a\":[1,2]}\n{\"step\":2}\n");
}

static void test_half_line_is_cut(void **state) {
  (void)state;
  static const char whole[] = "{\"step\":1}\n{\"step\":2}\n";
  for (size_t size = 0; size < sizeof whole; size++) {
    set_path();
    char part[sizeof whole] = {0};
    memcpy(part, whole, size);
    put_text(part);
    write_steps(10, 3, 4);
    expect_text(size < 11   ? "{\"step\":3}\n"
                : size < 22 ? "{\"step\":1}\n{\"step\":3}\n"
                            : "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
  }
}

static void test_foreign_lines_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {"{\"step\":1}\nnot json\n", "[1]\n", "{\"steps\":1}\n",
                                      "{\"step\":\"1\"}\n", "\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    JsonLines *lines = NULL;
    set_path();
    put_text(texts[i]);
    assert_fails(jsonlines_open(path, 5, &lines), STATUS_INPUT, i == 0 ? "line 2" : "line 1");
    assert_null(lines);
    expect_text(texts[i]); // what is not understood is not touched
  }
  JsonLines *lines = NULL;
  assert_fails(jsonlines_open("/nonexistent/folder/lines", -1, &lines), STATUS_FAILED,
               "/nonexistent/folder/lines");
}

/// A writer killed at any moment leaves whole lines, and at most a half one that opening cuts.
static void test_kill_leaves_whole_lines(void **state) {
  (void)state;
  for (unsigned wait = 0; wait < 5; wait++) {
    set_path();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      JsonLines *lines = NULL;
      if (jsonlines_open(path, -1, &lines) != STATUS_OK) _exit(1);
      for (int step = 0; step < 1000000; step++) {
        if (write_step(lines, step) != STATUS_OK) _exit(1);
      }
      _exit(0);
    }
    (void)usleep(1000 + 3000 * wait);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    write_steps(5, 5, 6);
    MappedFile file = {0};
    assert_ok(file_map(path, &file));
    assert_true(file.size % 11 == 0 && file.size <= 66); // steps 0 … 5 at most, whole
    file_unmap(&file);
  }
}

/// In a child, because a limit on file sizes is for a whole process.
static int write_beyond_limit(void) {
  struct rlimit limit = {.rlim_cur = 25, .rlim_max = 25};
  JsonLines *lines = NULL;
  (void)signal(SIGXFSZ, SIG_IGN);
  if (jsonlines_open(path, -1, &lines) != STATUS_OK || setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
  for (int step = 1; step <= 2; step++) {
    if (write_step(lines, step) != STATUS_OK) return 2;
  }
  if (write_step(lines, 3) != STATUS_FAILED) return 3;
  return test_contains(status_message(), "lines.jsonl") ? 0 : 4;
}

static void test_full_disk_leaves_whole_lines(void **state) {
  (void)state;
  set_path();
  pid_t child = fork();
  if (child == 0) _exit(write_beyond_limit());
  int result = 0;
  assert_int_equal(waitpid(child, &result, 0), child);
  assert_true(WIFEXITED(result));
  assert_int_equal(WEXITSTATUS(result), 0);
  expect_text("{\"step\":1}\n{\"step\":2}\n");
}

static void test_progress_in_a_file(void **state) {
  (void)state;
  char text[4096] = {0};
  FILE *stream = tmpfile();
  assert_non_null(stream);
  Progress *progress = NULL;
  assert_ok(progress_create(stream, "training", 3, &progress));
  progress_update(progress, 0);
  progress_line(progress, 1, "loss 0.5");
  progress_phase(progress, "sampling");
  progress_update(progress, 2);
  progress_line(progress, 3, "loss 0.25");
  progress_clear(progress);
  progress_free(progress);
  rewind(stream);
  size_t size = fread(text, 1, sizeof text - 1, stream);
  (void)fclose(stream);
  assert_true(size > 0 && text[size - 1] == '\n');
  const char *first = strstr(text, "training 1/3  "), *last = strstr(text, "training 3/3  ");
  assert_true(first != NULL && last != NULL && test_contains(first, "left  loss 0.5\n"));
  assert_ptr_equal(strchr(first, '\n') + 1, last); // too soon after the first for a line about 2 of 3
  assert_true(test_contains(text, "loss 0.25\n"));
  assert_false(test_contains(text, "\x1b")); // no control characters where no terminal is
  assert_false(test_contains(text, "\r"));
  assert_false(test_contains(text, "sampling"));
  assert_ok(progress_create(stream = tmpfile(), "sampling", 1000, &progress));
  progress_update(progress, 0);
  progress_line(progress, 5, "few");
  progress_line(progress, 20, "more");
  progress_free(progress);
  rewind(stream);
  text[fread(text, 1, sizeof text - 1, stream)] = '\0';
  (void)fclose(stream);
  assert_true(test_contains(text, "sampling 5/1000  few\n")); // too early to guess
  assert_true(test_contains(text, "sampling 20/1000  ") && test_contains(text, " left  more\n"));
  assert_ok(progress_create(NULL, "silent", 3, &progress));
  progress_line(progress, 3, "nothing");
  progress_free(progress);
  progress_free(NULL);
}

static void test_formats(void **state) {
  (void)state;
  static const struct {
    uint64_t bytes;
    const char *text;
  } sizes[] = {{0, "0 B"},
               {999, "999 B"},
               {1000, "1.00 kB"},
               {12345678, "12.3 MB"},
               {1200000000, "1.20 GB"},
               {999999, "1.00 MB"},
               {99949999, "99.9 MB"},
               {99950000, "100 MB"},
               {9995, "10.0 kB"},
               {UINT64_MAX, "18.4 EB"}};
  static const struct {
    double seconds;
    const char *text;
  } durations[] = {{0.04, "0.0 s"},      {9.94, "9.9 s"},        {12, "12 s"},
                   {59.7, "1 min 00 s"}, {65, "1 min 05 s"},     {3599, "59 min 59 s"},
                   {3600, "1 h 00 min"}, {90000, "25 h 00 min"}, {-1, "?"}};
  char out[32];
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    format_bytes(out, sizes[i].bytes);
    assert_string_equal(out, sizes[i].text);
  }
  for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
    format_duration(out, durations[i].seconds);
    assert_string_equal(out, durations[i].text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines_append_and_cut),    cmocka_unit_test(test_lines_between_others_are_cut),
      cmocka_unit_test(test_half_line_is_cut),        cmocka_unit_test(test_foreign_lines_are_refused),
      cmocka_unit_test(test_kill_leaves_whole_lines), cmocka_unit_test(test_full_disk_leaves_whole_lines),
      cmocka_unit_test(test_progress_in_a_file),      cmocka_unit_test(test_formats),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
