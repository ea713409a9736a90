// JSON Lines that survive kills and full disks.
#include "support/test.h"

#include "io/file.h"
#include "io/json_write.h"
#include "track/jsonlines.h"
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

// An answer may hold any character of its vocabulary. U+FFFD stands for what is not UTF-8.
static void test_any_answer_can_be_read_back(void **state) {
  (void)state;
  char answer[256 + 8];
  for (int i = 0; i < 256; i++) answer[i] = (char)i;
  memcpy(answer + 256, "\xE2\x80\xA8\xF0\x9F\x98\x80\0", 8);
  JsonLines *lines = NULL;
  set_path();
  (void)remove(path);
  for (int step = 1; step <= 2; step++) {
    JsonWriter json = {0};
    assert_ok(jsonlines_open(path, step, &lines));
    assert_int_equal(jsonlines_last_step(lines), step == 1 ? -1 : 1);
    json_object_begin(&json, NULL);
    json_bytes(&json, "answer", answer, sizeof answer);
    json_integer(&json, "step", step);
    json_object_end(&json);
    assert_ok(jsonlines_write(lines, &json));
    jsonlines_close(lines);
  }
  assert_ok(jsonlines_open(path, 3, &lines));
  assert_int_equal(jsonlines_last_step(lines), 2);
  jsonlines_close(lines);
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

/// Keeps the lines that do not begin with an x, and refuses an empty one.
static Status read_any(void *user, size_t number, const char *line, size_t size, bool *keep) {
  size_t *lines = user;
  *lines += number;
  *keep = size > 0 && line[0] != 'x';
  return size > 0 ? STATUS_OK : status_fail(STATUS_INPUT, "an empty line");
}

static void test_any_lines_are_read_and_appended(void **state) {
  (void)state;
  JsonLines *lines = NULL;
  size_t seen = 0;
  set_path();
  put_text("[1]\nx\nhello\nhalf a");
  assert_ok(jsonlines_open_read(path, read_any, &seen, &lines));
  assert_int_equal(seen, 1 + 2 + 3);
  assert_ok(jsonlines_append(lines, "more than this", 4));
  assert_ok(jsonlines_sync(lines));
  jsonlines_close(lines);
  expect_text("[1]\nhello\nmore\n");
  put_text("[1]\n\nhello\n");
  assert_fails(jsonlines_open_read(path, read_any, &seen, &lines), STATUS_INPUT, "an empty line");
  expect_text("[1]\n\nhello\n");
}

static void test_last_step(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t keep_below, last;
  } cases[] = {{"", 9, -1},
               {"{\"step\":0}\n{\"step\":4}\n", 9, 4},
               {"{\"step\":0}\n{\"step\":4}\n", 4, 0},
               {"{\"step\":0}\n{\"step\":4}\n", 0, -1},
               {"{\"step\":0}\n{\"step\":4}\n", -1, -1},
               {"{\"step\":3}\n{\"step\":4", 9, 3}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    JsonLines *lines = NULL;
    set_path();
    put_text(cases[i].text);
    assert_ok(jsonlines_open(path, cases[i].keep_below, &lines));
    assert_int_equal(jsonlines_last_step(lines), cases[i].last);
    jsonlines_close(lines);
  }
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines_append_and_cut),
      cmocka_unit_test(test_lines_between_others_are_cut),
      cmocka_unit_test(test_half_line_is_cut),
      cmocka_unit_test(test_any_answer_can_be_read_back),
      cmocka_unit_test(test_foreign_lines_are_refused),
      cmocka_unit_test(test_last_step),
      cmocka_unit_test(test_any_lines_are_read_and_appended),
      cmocka_unit_test(test_kill_leaves_whole_lines),
      cmocka_unit_test(test_full_disk_leaves_whole_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
