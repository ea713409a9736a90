// The one place through which warnings leave the rooms.
#include "util/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static LogSink current_sink;
static void *current_user;

void log_set_sink(LogSink sink, void *user) {
  current_sink = sink;
  current_user = user;
}

void log_say(LogLevel level, const char *format, ...) {
  if (current_sink == NULL) return;
  char line[1024];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  current_sink(level, line, current_user);
}
