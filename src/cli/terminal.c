// The terminal: colours only where they are wanted, results as JSON, and Ctrl-C.
#include "cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *style(FILE *stream, Style style) {
  static const char *const escapes[] = {"\033[0m", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m"};
  const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
  bool plain = (refused != NULL && refused[0] != '\0') || (terminal != NULL && strcmp(terminal, "dumb") == 0);
  return !plain && isatty(fileno(stream)) ? escapes[style] : "";
}

void say(const char *format, ...) {
  if (isatty(STDERR_FILENO)) (void)fputs("\r\033[K", stderr); // over a progress line
  va_list args;
  va_start(args, format);
  (void)vfprintf(stderr, format, args);
  va_end(args);
  (void)fputc('\n', stderr);
}

Status print_json(JsonWriter *json, const char *what) {
  Str text = {0};
  TRY(json_finish(json, what, &text));
  printf("%s\n", str_text(&text));
  str_free(&text);
  return STATUS_OK;
}

volatile bool stop_requested = false;

static void on_signal(int signal_number) {
  (void)signal_number;
  static const char note[] = "\ngee-cl: finishing this step and saving; once more quits at once\n";
  if (stop_requested) _exit(STATUS_INTERRUPTED);
  stop_requested = true;
  if (write(STDERR_FILENO, note, sizeof note - 1) < 0) return; // nobody to tell
}

void stop_on_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGTERM, &action, NULL);
}
