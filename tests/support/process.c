// Child processes for tests: stdout and stderr go to files, so a child never blocks on a full pipe.
#include "support/process.h"

#include "util/str.h"

#include "io/file.h"
#include "util/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { MAX_WORDS = 64, KEPT = 2 };

static char *kept[KEPT][2]; // stdout and stderr of the last runs
static size_t runs;
static size_t file_limit;
static const char *output_folder;
static const char *binary = GEE_BINARY;

void use_binary(const char *path) {
  binary = path;
}

void limit_file_size(size_t bytes) {
  file_limit = bytes;
}

static void run_child(char *const *argv, const char *out, const char *err) {
  int out_file = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600),
      err_file = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  struct rlimit limit = {file_limit, file_limit};
  bool ready = out_file >= 0 && err_file >= 0 && dup2(out_file, STDOUT_FILENO) >= 0 &&
               dup2(err_file, STDERR_FILENO) >= 0;
  if (file_limit > 0) ready = ready && setrlimit(RLIMIT_FSIZE, &limit) == 0;
  if (ready) (void)execv(binary, argv);
  _exit(126);
}

static const char *output_path(const char *name) {
  return in_folder(output_folder, name);
}

/// Starts a run whose stdout and stderr are `out` and `err`, or the files of outputs where these are NULL.
static pid_t start_run(const char *const *words, const char *out, const char *err) {
  char *argv[MAX_WORDS + 2] = {(char *)(uintptr_t)binary};
  for (size_t i = 0; words[i] != NULL && i < MAX_WORDS; i++) argv[i + 1] = (char *)(uintptr_t)words[i];
  if (output_folder == NULL) output_folder = test_folder();
  assert_non_null(output_folder);
  (void)unlink(output_path("out")); // what is there at first is not an earlier run's
  pid_t pid = fork();
  if (pid == 0)
    run_child(argv, out != NULL ? out : output_path("out"), err != NULL ? err : output_path("err"));
  assert_true(pid > 0);
  return pid;
}

pid_t start_words(const char *const *words) {
  return start_run(words, NULL, NULL);
}

const char *started_output(void) {
  return output_path("out");
}

/// What a run left that ended with `status`.
static Ran take_run(int status) {
  char **slot = kept[runs++ % KEPT];
  free(slot[0]);
  free(slot[1]);
  slot[0] = read_file(output_path("out"), NULL);
  slot[1] = read_file(output_path("err"), NULL);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return (Ran){code, slot[0], slot[1]};
}

Ran finish_run(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) assert_int_equal(errno, EINTR);
  return take_run(status);
}

/// A pseudo-terminal that passes bytes as they are; `end` is what a program opens, and stays open here, so
/// that reading does not fail before the program has begun.
static int open_terminal(int *end) {
  struct termios raw;
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
    print_message("no pseudo-terminal can be opened here\n");
    skip();
  }
  *end = open(ptsname(terminal), O_RDWR | O_NOCTTY);
  assert_true(*end >= 0 && tcgetattr(*end, &raw) == 0);
  cfmakeraw(&raw);
  assert_int_equal(tcsetattr(*end, TCSANOW, &raw), 0);
  return terminal;
}

Ran terminal_words(const char *const *words, bool errors) {
  int end = -1, status = 0, terminal = open_terminal(&end);
  Str shown = {0};
  bool ended = false;
  pid_t pid = start_run(words, errors ? NULL : ptsname(terminal), errors ? ptsname(terminal) : NULL);
  for (;;) {
    char bytes[1024];
    struct pollfd wait = {.fd = terminal, .events = POLLIN};
    if (poll(&wait, 1, 10) > 0) {
      ssize_t count = read(terminal, bytes, sizeof bytes);
      assert_true(count > 0);
      assert_ok(str_append(&shown, bytes, (size_t)count));
    } else if (ended) {
      break; // what it wrote last is read too
    } else {
      ended = waitpid(pid, &status, WNOHANG) == pid;
    }
  }
  (void)close(end);
  (void)close(terminal);
  write_file(output_path(errors ? "err" : "out"), str_text(&shown), shown.size);
  str_free(&shown);
  return take_run(status);
}

Ran run_words(const char *const *words) {
  return finish_run(start_words(words));
}

void assert_code(Ran ran, int code) {
  if (ran.code != code) fail_msg("exit code %d, not %d; stderr: %s", ran.code, code, ran.err);
}

void assert_error(Ran ran, int code, const char *const *parts) {
  assert_code(ran, code);
  static const char start[] = "gee-cl: error: ";
  const char *line_end = strchr(ran.err, '\n');
  bool one_line = strncmp(ran.err, start, sizeof start - 1) == 0 && line_end != NULL && line_end[1] == '\0';
  if (!one_line) fail_msg("stderr is not one line of an error: %s", ran.err);
  for (; *parts != NULL; parts++) {
    if (!test_contains(ran.err, *parts)) fail_msg("\"%s\" is not in: %s", *parts, ran.err);
  }
}

const char *in_folder(const char *folder, const char *name) {
  static char paths[256][1024];
  static size_t next;
  char *path = paths[next++ % 256];
  (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

void write_file(const char *path, const void *bytes, size_t size) {
  assert_ok(file_write_atomic(path, bytes, size));
}

void write_text(const char *path, const char *text) {
  write_file(path, text, strlen(text));
}

char *read_file(const char *path, size_t *size) {
  MappedFile file = {0};
  assert_ok(file_map(path, &file));
  char *copy = calloc(file.size + 1, 1);
  assert_non_null(copy);
  memcpy(copy, file.bytes, file.size);
  if (size != NULL) *size = file.size;
  file_unmap(&file);
  return copy;
}

static size_t count_lines(const char *path) {
  FILE *file = fopen(path, "r");
  size_t lines = 0;
  if (file == NULL) return 0;
  for (int c = fgetc(file); c != EOF; c = fgetc(file)) lines += c == '\n';
  (void)fclose(file);
  return lines;
}

bool wait_for_lines(const char *path, size_t lines, double seconds) {
  double end = clock_seconds() + seconds;
  while (clock_seconds() < end) {
    if (count_lines(path) >= lines) return true;
    (void)usleep(2000);
  }
  return false;
}

void assert_same_file(const char *a, const char *b) {
  size_t size_a = 0, size_b = 0;
  char *bytes_a = read_file(a, &size_a), *bytes_b = read_file(b, &size_b);
  if (size_a != size_b || memcmp(bytes_a, bytes_b, size_a) != 0) fail_msg("%s and %s differ", a, b);
  free(bytes_a);
  free(bytes_b);
}

void copy_changed(const char *folder, const char *name, const char *copy, const char *from, const char *to) {
  char *text = read_file(in_folder(folder, name), NULL), *at = strstr(text, from);
  Str out = {0};
  assert_non_null(at);
  assert_ok(str_append(&out, text, (size_t)(at - text)));
  assert_ok(str_append_text(&out, to));
  assert_ok(str_append_text(&out, at + strlen(from)));
  write_file(in_folder(folder, copy), out.data, out.size);
  str_free(&out);
  free(text);
}
