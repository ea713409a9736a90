// What a process has read is known, of however many files, so that no output destroys an input.
#include "support/test.h"

#include "io/file.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { FILES = 1500 };

static const char *path_of(size_t number) {
  static const char *folder;
  static char path[400];
  if (folder == NULL) folder = test_folder();
  (void)snprintf(path, sizeof path, "%s/%zu", folder, number);
  return path;
}

static void every_file_is_kept_in_mind(void **state) {
  (void)state;
  for (size_t i = 0; i < FILES; i++) {
    int descriptor = open(path_of(i), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(descriptor >= 0 && close(descriptor) == 0);
    assert_false(file_was_read(path_of(i)));
    MappedFile file = {0};
    assert_ok(file_map(path_of(i), &file));
    file_unmap(&file);
  }
  for (size_t i = 0; i < FILES; i++) assert_true(file_was_read(path_of(i)));
  assert_false(file_was_read(path_of(FILES)));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_file_is_kept_in_mind)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
