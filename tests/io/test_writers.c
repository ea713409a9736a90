// Several writers of one file: each writes under a name of its own, so that the file is always one writer's
// whole text, and no writer fails because of another.
#include "support/test.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 4, WRITES = 100, SIZE = 200000 };

static char text[SIZE];

static const char *path_in(const char *folder, const char *name) {
  static char paths[4][600];
  static size_t next;
  char *path = paths[next++ % 4];
  (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static size_t entries(const char *path) {
  char **names = NULL;
  size_t count = 0;
  assert_ok(directory_list(path, &names, &count));
  directory_free_list(names);
  return count;
}

/// A writer's text is one letter, as often as it says.
static void write_again_and_again(const char *path, char letter) {
  memset(text, letter, sizeof text);
  for (size_t i = 0; i < WRITES; i++) {
    if (file_write_atomic(path, text, SIZE - (size_t)(letter - 'a')) != STATUS_OK) {
      (void)fprintf(stderr, "%s\n", status_message());
      _exit(1);
    }
  }
  _exit(0);
}

static void assert_whole(const char *path) {
  MappedFile file;
  assert_ok(file_map(path, &file));
  char letter = (char)file.bytes[0];
  assert_int_equal(file.size, SIZE - (size_t)(letter - 'a'));
  for (size_t i = 0; i < file.size; i++) assert_int_equal(file.bytes[i], letter);
  file_unmap(&file);
}

static void no_writer_disturbs_another(void **state) {
  (void)state;
  const char *folder = test_folder(), *path = path_in(folder, "result.json");
  pid_t pids[WRITERS];
  for (int i = 0; i < WRITERS; i++) {
    pids[i] = fork();
    assert_true(pids[i] >= 0);
    if (pids[i] == 0) write_again_and_again(path, (char)('a' + i));
  }
  for (int i = 0; i < WRITERS; i++) {
    int code = 0;
    assert_int_equal(waitpid(pids[i], &code, 0), pids[i]);
    assert_int_equal(code, 0);
  }
  assert_whole(path);
  assert_int_equal(entries(folder), 1);
}

/// What a killed process of this number left is neither written to nor removed.
static void a_name_that_is_taken_is_passed_over(void **state) {
  (void)state;
  char taken[700];
  const char *folder = test_folder(), *path = path_in(folder, "a");
  (void)snprintf(taken, sizeof taken, "%s.%ld-0.partial", path, (long)getpid());
  assert_ok(directory_create(taken));
  assert_ok(file_write_atomic(path, "x", 1));
  assert_true(file_is_directory(taken));
  assert_int_equal(entries(folder), 2);
}

/// A failure leaves no file of another name, and the mode is that of any new file.
static void nothing_is_left(void **state) {
  (void)state;
  const char *folder = test_folder(), *path = path_in(folder, "b");
  struct stat info;
  mode_t mask = umask(027);
  assert_ok(file_write_atomic(path, "x", 1));
  (void)umask(mask);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0640);
  assert_ok(directory_create(path_in(folder, "taken")));
  assert_fails(file_write_atomic(path_in(folder, "taken"), "x", 1), STATUS_FAILED, "cannot rename");
  assert_int_equal(entries(folder), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_writer_disturbs_another),
      cmocka_unit_test(a_name_that_is_taken_is_passed_over),
      cmocka_unit_test(nothing_is_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
