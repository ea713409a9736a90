// --output: once it is being written, Ctrl-C lets it be finished.
#include "support/test.h"

#include "args.h"
#include "io/file.h"
#include "terminal.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void ctrl_c_does_not_cut_a_file(void **state) {
  (void)state;
  char path[300];
  (void)snprintf(path, sizeof path, "%s/out.json", test_folder());
  assert_ok(args_write_output("-", "\n", 1)); // the screen can be left at any time
  struct sigaction before, after;
  assert_int_equal(sigaction(SIGINT, NULL, &before), 0);
  assert_true(before.sa_handler == SIG_DFL);
  assert_ok(args_write_output(path, "{}\n", 3));
  assert_int_equal(sigaction(SIGINT, NULL, &after), 0);
  assert_true(after.sa_handler != SIG_DFL);
  assert_int_equal(raise(SIGINT), 0);
  assert_true(stop_requested);
  assert_true(file_exists(path));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(ctrl_c_does_not_cut_a_file)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
