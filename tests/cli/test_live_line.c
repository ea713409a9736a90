// The progress line in files and on terminals, colours, and numbers for people.
#include "support/test.h"

#include "live_line.h"
#include "util/clock.h"
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/// Closes `stream` (a temporary file) and returns what was written to it, in static memory until the next
/// call.
static const char *written(FILE *stream) {
  static char text[4096];
  rewind(stream);
  text[fread(text, 1, sizeof text - 1, stream)] = '\0';
  (void)fclose(stream);
  return text;
}

static FILE *temporary(LiveLine *line) {
  FILE *stream = tmpfile();
  assert_non_null(stream);
  live_line_init(line, stream);
  return stream;
}

static void a_file_gets_whole_lines(void **state) {
  (void)state;
  LiveLine line;
  FILE *stream = temporary(&line);
  Progress *progress = &line.progress;
  progress_begin(progress, "training", "step", 0, 3);
  progress_line(progress, 1, "loss 0.5");
  progress_phase(progress, "sampling");
  progress_update(progress, 2);
  progress_line(progress, 3, "loss 0.25");
  progress_end(progress);
  const char *text = written(stream);
  const char *start = "training 0/3 steps\ntraining 1/3 steps  loss 0.5\n";
  assert_true(strncmp(text, start, strlen(start)) == 0 && text[strlen(text) - 1] == '\n');
  const char *first = strstr(text, "training 1/3 steps  "), *last = strstr(text, "training 3/3 steps  ");
  assert_true(first != NULL && last != NULL);
  assert_ptr_equal(strchr(first, '\n') + 1, last); // too soon after the first for a line about 2 of 3
  assert_true(test_contains(text, "loss 0.25\n"));
  assert_false(test_contains(text, "\x1b")); // no control characters where no terminal is
  assert_false(test_contains(text, "\r"));
  assert_false(test_contains(text, "sampling"));
}

static void the_time_left_is_not_guessed_from_little(void **state) {
  (void)state;
  LiveLine line;
  FILE *stream = temporary(&line);
  progress_begin(&line.progress, "sampling", "step", 0, 1000);
  progress_line(&line.progress, 5, "few");
  progress_line(&line.progress, 20, "more");
  progress_update(&line.progress, 30);
  progress_end(&line.progress);
  const char *text = written(stream);
  assert_true(test_contains(text, "sampling 5/1000 steps  few\n"));
  assert_true(test_contains(text, "sampling 20/1000 steps  about ") && test_contains(text, " left  more\n"));
  assert_true(test_contains(text, "sampling 30/1000 steps  ")); // the end tells what was done last
}

/// The first step also compiles the kernels: it says nothing about the time of the others.
static void the_first_part_is_not_the_measure(void **state) {
  (void)state;
  LiveLine line;
  FILE *stream = temporary(&line);
  progress_begin(&line.progress, "training", "step", 4, 104); // a resumed run
  line.tasks[0].start -= 100;                                 // a first step of 100 s
  progress_line(&line.progress, 5, "first");
  line.tasks[0].from_time -= 2; // and a second of 2 s
  progress_line(&line.progress, 6, "second");
  progress_end(&line.progress);
  const char *text = written(stream);
  assert_true(test_contains(text, "training 5/104 steps  first\n"));
  assert_true(test_contains(text, "training 6/104 steps  about 3 min 16 s left  second\n"));
}

static void one_part_is_no_plural(void **state) {
  (void)state;
  LiveLine line;
  FILE *stream = temporary(&line);
  progress_begin(&line.progress, "training", "step", 0, 1);
  progress_end(&line.progress);
  assert_string_equal(written(stream), "training 0/1 step\n");
}

/// A short nested task writes nothing of its own; a line that it keeps has its label.
static void tasks_nest_in_a_file(void **state) {
  (void)state;
  LiveLine line;
  FILE *stream = temporary(&line);
  Progress *progress = &line.progress;
  progress_begin(progress, "training", "step", 2, 3);
  progress_begin(progress, "measuring", "step", 0, 10);
  for (uint64_t done = 1; done <= 10; done++) progress_update(progress, done);
  progress_end(progress);
  progress_begin(progress, "measuring", "step", 0, 10);
  progress_line(progress, 4, "halfway");
  progress_update(progress, 10);
  for (int deeper = 0; deeper < LIVE_LINE_TASKS; deeper++) progress_begin(progress, "deep", "step", 0, 1);
  progress_update(progress, 1);
  progress_phase(progress, "too deep");
  for (int deeper = 0; deeper < LIVE_LINE_TASKS; deeper++) progress_end(progress);
  progress_end(progress);
  progress_line(progress, 3, "last");
  progress_end(progress);
  const char *text = written(stream), *at = strstr(text, "training 2/3 steps\nmeasuring 4/10 steps  ");
  assert_ptr_equal(at, text);
  assert_true(test_contains(text, "halfway\nmeasuring 10/10 steps  "));
  assert_false(test_contains(text, "deep"));
  assert_true(test_contains(text, "\ntraining 3/3 steps  ") && test_contains(text, "  last\n"));
}

static void a_run_that_is_over_says_nothing(void **state) {
  (void)state;
  LiveLine line;
  FILE *stream = temporary(&line);
  progress_begin(&line.progress, "training", "step", 3, 3);
  progress_end(&line.progress);
  progress_end(&line.progress); // one too many does no harm
  assert_string_equal(written(stream), "");
  progress_begin(NULL, "silent", "step", 0, 3);
  progress_update(NULL, 1);
  progress_line(NULL, 2, "nothing");
  progress_result(NULL, 2, "nothing");
  progress_phase(NULL, "nothing");
  progress_end(NULL);
}

// ---- a terminal ----

/// A pseudo terminal: what is written to `stream` comes out of `master`.
typedef struct Screen {
  int master;
  FILE *stream;
  LiveLine line;
} Screen;

static Screen *screen_open(unsigned short width) {
  static Screen screen;
  struct winsize size = {.ws_row = 24, .ws_col = width};
  screen.master = posix_openpt(O_RDWR | O_NOCTTY);
  assert_true(screen.master >= 0);
  assert_int_equal(grantpt(screen.master), 0);
  assert_int_equal(unlockpt(screen.master), 0);
  screen.stream = fopen(ptsname(screen.master), "w");
  assert_non_null(screen.stream);
  assert_int_equal(ioctl(fileno(screen.stream), TIOCSWINSZ, &size), 0);
  live_line_init(&screen.line, screen.stream);
  return &screen;
}

/// What was written since the last call, in static memory until the next one.
static const char *screen_read(const Screen *screen) {
  static char text[8192];
  size_t size = 0;
  (void)fflush(screen->stream);
  struct pollfd wait = {.fd = screen->master, .events = POLLIN};
  while (size + 1 < sizeof text && poll(&wait, 1, 20) == 1 && (wait.revents & POLLIN) != 0) {
    ssize_t got = read(screen->master, text + size, sizeof text - 1 - size);
    if (got <= 0) break;
    size += (size_t)got;
  }
  text[size] = '\0';
  return text;
}

static void screen_close(Screen *screen) {
  (void)fclose(screen->stream);
  (void)close(screen->master);
}

static void set_terminal(const char *term, const char *no_color, const char *locale) {
  assert_int_equal(setenv("TERM", term, 1), 0);
  assert_int_equal(setenv("NO_COLOR", no_color, 1), 0);
  assert_int_equal(setenv("LC_ALL", locale, 1), 0);
}

/// The columns of the last line drawn, without escape sequences.
static size_t drawn_columns(const char *text) {
  const char *at = text;
  for (const char *next = text; (next = strstr(next, "\r\x1b[2K")) != NULL;) at = next += 5;
  size_t count = 0;
  for (; *at != '\0'; at++) {
    if (*at == '\x1b') {
      at = strchr(at, 'm');
      assert_non_null(at);
      continue;
    }
    count += ((unsigned char)*at & 0xC0) != 0x80;
  }
  return count;
}

static void a_terminal_gets_one_line_redrawn(void **state) {
  (void)state;
  set_terminal("xterm", "", "C.UTF-8");
  Screen *screen = screen_open(80);
  Progress *progress = &screen->line.progress;
  progress_begin(progress, "training", "step", 0, 10);
  const char *text = screen_read(screen);
  assert_true(test_contains(text, "\r\x1b[2Ktraining ") && test_contains(text, " 0/10"));
  assert_false(test_contains(text, "\n"));
  progress_line(progress, 5, "loss 0.5");
  text = screen_read(screen);
  assert_true(strncmp(text, "\r\x1b[2K   5/10  loss 0.5\r\n\r\x1b[2Ktraining ", 38) == 0);
  assert_true(test_contains(text, "\x1b[32m━━━━━━━━━━━━\x1b[0m            ")); // half of 24 cells
  progress_result(progress, 5, "gap 0.1");
  assert_true(test_contains(screen_read(screen), "\r\x1b[2K\x1b[1m   5/10\x1b[0m  gap 0.1\r\n"));
  double drawn = clock_seconds();
  progress_phase(progress, "sampling");
  assert_true(test_contains(screen_read(screen), "\r\x1b[2Ksampling \x1b[32m"));
  progress_update(progress, 6); // within 0.1 s of the last drawing, unless the machine is busy
  bool soon = clock_seconds() - drawn < 0.1;
  text = screen_read(screen);
  if (soon) assert_string_equal(text, "");
  progress_end(progress);
  text = screen_read(screen);
  assert_true(test_contains(text, " 6/10") && strcmp(text + strlen(text) - 2, "\r\n") == 0);
  screen_close(screen);
}

static void a_line_never_wraps(void **state) {
  (void)state;
  set_terminal("xterm", "", "C.UTF-8");
  static const unsigned short widths[] = {20, 33, 40, 60, 80, 200};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    Screen *screen = screen_open(widths[i]);
    progress_begin(&screen->line.progress, "training", "step", 0, 100000);
    (void)usleep(20000);
    progress_line(&screen->line.progress, 3000, "x");
    size_t count = drawn_columns(screen_read(screen));
    if (count >= widths[i]) fail_msg("%zu columns on a terminal of %u", count, widths[i]);
    screen_close(screen);
  }
}

/// A nested task takes over the line and gives it back.
static void tasks_nest_on_a_terminal(void **state) {
  (void)state;
  set_terminal("xterm", "", "C.UTF-8");
  Screen *screen = screen_open(80);
  Progress *progress = &screen->line.progress;
  progress_begin(progress, "training", "step", 2, 10);
  (void)screen_read(screen);
  progress_begin(progress, "measuring", "step", 0, 7);
  assert_true(test_contains(screen_read(screen), "\r\x1b[2Kmeasuring "));
  progress_update(progress, 7);
  assert_true(test_contains(screen_read(screen), " 7/7 steps  "));
  progress_end(progress);
  const char *text = screen_read(screen);
  assert_true(strncmp(text, "\r\x1b[2Ktraining ", 14) == 0 && test_contains(text, " 2/10"));
  assert_false(test_contains(text, "\n"));
  progress_end(progress);
  assert_string_equal(screen_read(screen), "\r\n");
  screen_close(screen);
}

static void say_on(LiveLine *line, const char *format, ...) {
  va_list args;
  va_start(args, format);
  live_line_say(line, format, args);
  va_end(args);
}

static void a_line_makes_room_for_others(void **state) {
  (void)state;
  set_terminal("xterm", "", "C.UTF-8");
  Screen *screen = screen_open(80);
  say_on(&screen->line, "before %d", 1);
  assert_string_equal(screen_read(screen), "before 1\r\n");
  progress_begin(&screen->line.progress, "training", "step", 0, 10);
  (void)screen_read(screen);
  say_on(&screen->line, "a warning");
  const char *text = screen_read(screen);
  assert_true(strncmp(text, "\r\x1b[2Ka warning\r\n\r\x1b[2Ktraining ", 30) == 0);
  progress_end(&screen->line.progress);
  screen_close(screen);
}

enum { SAID = 500 };

static void *warn_often(void *line) {
  for (int i = 0; i < SAID; i++) say_on(line, "warning %d", i);
  return NULL;
}

/// A driver reports faults from its own thread while the run draws.
static void another_thread_may_say_lines(void **state) {
  (void)state;
  LiveLine line;
  FILE *stream = temporary(&line);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, warn_often, &line), 0);
  progress_begin(&line.progress, "training", "step", 0, SAID);
  for (uint64_t i = 1; i <= SAID; i++) progress_line(&line.progress, i, "loss 0.5");
  progress_end(&line.progress);
  assert_int_equal(pthread_join(thread, NULL), 0);
  rewind(stream);
  size_t warnings = 0, steps = 0;
  for (char text[256]; fgets(text, sizeof text, stream) != NULL;) {
    warnings += strncmp(text, "warning ", 8) == 0;
    steps += strncmp(text, "training ", 9) == 0 && test_contains(text, "  loss 0.5\n");
  }
  assert_int_equal(warnings, SAID);
  assert_int_equal(steps, SAID);
  (void)fclose(stream);
}

static void colours_and_signs_follow_the_environment(void **state) {
  (void)state;
  static const struct {
    const char *term, *no_color, *locale;
    bool redraws, colour, utf8;
  } cases[] = {{"xterm", "", "de_DE.utf8", true, true, true},
               {"xterm", "1", "C.UTF-8", true, false, true},
               {"xterm", "", "C", true, true, false},
               {"dumb", "", "C.UTF-8", false, false, true}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    set_terminal(cases[i].term, cases[i].no_color, cases[i].locale);
    Screen *screen = screen_open(80);
    Terminal terminal = terminal_of(screen->stream);
    assert_int_equal(terminal.redraws, cases[i].redraws);
    assert_int_equal(terminal.colour, cases[i].colour);
    assert_int_equal(terminal.utf8, cases[i].utf8);
    assert_string_equal(style(screen->stream, STYLE_RED), cases[i].colour ? "\x1b[31m" : "");
    progress_begin(&screen->line.progress, "score", "step", 0, 2);
    progress_line(&screen->line.progress, 1, "half");
    const char *text = screen_read(screen);
    assert_int_equal(test_contains(text, "\r\x1b[2K"), cases[i].redraws);
    assert_int_equal(test_contains(text, "\x1b[32m"), cases[i].colour);
    assert_int_equal(test_contains(text, "━"), cases[i].redraws && cases[i].utf8);
    assert_int_equal(test_contains(text, "============\x1b[0m...."), cases[i].redraws && !cases[i].utf8);
    progress_end(&screen->line.progress);
    screen_close(screen);
  }
  FILE *file = tmpfile();
  assert_non_null(file);
  assert_false(terminal_of(file).redraws || terminal_of(file).colour);
  assert_int_equal(terminal_width(file), 80);
  (void)fclose(file);
}

static void numbers_are_short(void **state) {
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
      cmocka_unit_test(a_file_gets_whole_lines),
      cmocka_unit_test(the_time_left_is_not_guessed_from_little),
      cmocka_unit_test(the_first_part_is_not_the_measure),
      cmocka_unit_test(one_part_is_no_plural),
      cmocka_unit_test(tasks_nest_in_a_file),
      cmocka_unit_test(a_run_that_is_over_says_nothing),
      cmocka_unit_test(a_terminal_gets_one_line_redrawn),
      cmocka_unit_test(a_line_never_wraps),
      cmocka_unit_test(tasks_nest_on_a_terminal),
      cmocka_unit_test(a_line_makes_room_for_others),
      cmocka_unit_test(another_thread_may_say_lines),
      cmocka_unit_test(colours_and_signs_follow_the_environment),
      cmocka_unit_test(numbers_are_short),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
