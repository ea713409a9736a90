// The terminal. Rule: only terminal_of decides whether a stream has colours and whether lines are redrawn in
// place.
#include "terminal.h"
#include "live_line.h"
#include "visible.h"
#include "wrap.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool is_set(const char *variable) {
  const char *value = getenv(variable);
  return value != NULL && value[0] != '\0';
}

/// A locale that is set and not UTF-8 gets ASCII. If none is set, the terminal most likely takes UTF-8.
static bool locale_is_utf8(void) {
  static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    const char *value = getenv(variables[i]);
    if (value == NULL || value[0] == '\0') continue;
    return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
  }
  return true;
}

Terminal terminal_of(FILE *stream) {
  const char *name = getenv("TERM");
  Terminal terminal = {.utf8 = locale_is_utf8()};
  terminal.redraws = isatty(fileno(stream)) == 1 && (name == NULL || strcmp(name, "dumb") != 0);
  terminal.colour = terminal.redraws && !is_set("NO_COLOR");
  return terminal;
}

size_t terminal_width(FILE *stream) {
  struct winsize size;
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

size_t text_width(FILE *stream) {
  size_t width = terminal_width(stream);
  return width < TEXT_COLUMNS ? width : TEXT_COLUMNS;
}

size_t message_width(FILE *stream) {
  return terminal_of(stream).redraws ? text_width(stream) : SIZE_MAX;
}

const char *style(FILE *stream, Style style) {
  static const char *const escapes[] = {"\033[0m", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m"};
  return terminal_of(stream).colour ? escapes[style] : "";
}

// ---- lines on stderr ----

static LiveLine screen_line;

static void init_screen(void) {
  live_line_init(&screen_line, stderr);
}

static LiveLine *screen(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, init_screen);
  return &screen_line;
}

Progress *screen_progress(void) {
  return &screen()->progress;
}

void say(const char *format, ...) {
  va_list args;
  va_start(args, format);
  live_line_say(screen(), format, args);
  va_end(args);
}

Status print_json(JsonWriter *json, const char *what) {
  Str text = {0};
  TRY(json_finish(json, what, &text));
  Status status = str_append_text(&text, "\n");
  if (status == STATUS_OK) status = visible_print(stdout, str_text(&text), text.size);
  str_free(&text);
  return status;
}

// ---- Ctrl-C ----

atomic_bool stop_requested = false; // lock-free: a handler may run on any thread

/// A terminal that closes may send SIGHUP twice, and a machine that goes down SIGTERM after it, so only a
/// second SIGINT or SIGTERM is a wish to quit at once.
static void on_signal(int signal_number) {
  static const char note[] = "\ngee-cl: finishing what is being computed; once more quits at once\n";
  static atomic_bool asked = false;
  if (signal_number != SIGHUP && atomic_exchange(&asked, true)) _exit(130); // STATUS_INTERRUPTED
  if (atomic_exchange(&stop_requested, true)) return;
  if (write(STDERR_FILENO, note, sizeof note - 1) < 0) return; // there is nothing else to try
}

static bool hangup_ignored; // at the program's start, as under nohup

void remember_signals(void) {
  struct sigaction hangup;
  hangup_ignored = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
}

void stop_on_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGTERM, &action, NULL);
  if (hangup_ignored) action.sa_handler = SIG_IGN;
  (void)sigaction(SIGHUP, &action, NULL);
}
