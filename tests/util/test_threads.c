// The log and status messages may be used from any thread. Built with ThreadSanitizer (preset tsan), this
// also finds races that do not change the counts.
#include "support/test.h"

#include "util/log.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, LINES = 2000 };

/// What the sink has received. It needs no lock, because log_say calls it on one thread at a time.
typedef struct Seen {
  size_t lines, warnings;
  char last[64];
} Seen;

static void keep(LogLevel level, const char *line, void *user) {
  Seen *seen = user;
  seen->lines++;
  if (level == LOG_WARNING) seen->warnings++;
  (void)snprintf(seen->last, sizeof seen->last, "%s", line);
}

static void *say_lines(void *number) {
  for (int i = 0; i < LINES; i++) log_say(i % 2 == 0 ? LOG_NOTE : LOG_WARNING, "%d of %d", i, *(int *)number);
  return NULL;
}

static void lines_of_all_threads_arrive_whole(void **state) {
  (void)state;
  Seen seen = {0};
  pthread_t threads[THREADS];
  int numbers[THREADS];
  log_set_sink(keep, &seen);
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    assert_int_equal(pthread_create(&threads[i], NULL, say_lines, &numbers[i]), 0);
  }
  int main_thread = THREADS;
  (void)say_lines(&main_thread);
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  log_set_sink(NULL, NULL);
  log_say(LOG_NOTE, "nobody hears this");
  assert_int_equal(seen.lines, (THREADS + 1) * LINES);
  assert_int_equal(seen.warnings, (THREADS + 1) * LINES / 2);
  assert_true(strncmp(seen.last, "1999 of ", 8) == 0);
}

static void *fail_elsewhere(void *user) {
  bool *own = user;
  *own = status_fail(STATUS_FAILED, "in another thread") == STATUS_FAILED &&
         strcmp(status_message(), "in another thread") == 0;
  return NULL;
}

static void each_thread_has_its_own_message(void **state) {
  (void)state;
  pthread_t thread;
  bool own = false;
  (void)status_fail(STATUS_INPUT, "here");
  assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &own), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(own);
  assert_string_equal(status_message(), "here");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_of_all_threads_arrive_whole),
      cmocka_unit_test(each_thread_has_its_own_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
