// All warnings of the rooms go through here. Rule: the sink runs on one thread at a time, because a driver
// may report a fault from a thread of its own while ours logs a line.
#include "util/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static LogSink current_sink;
static void *current_user;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // protects both, and is held while the sink runs

void log_set_sink(LogSink sink, void *user) {
  (void)pthread_mutex_lock(&lock);
  current_sink = sink;
  current_user = user;
  (void)pthread_mutex_unlock(&lock);
}

void log_say(LogLevel level, const char *format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  (void)pthread_mutex_lock(&lock);
  if (current_sink != NULL) current_sink(level, line, current_user);
  (void)pthread_mutex_unlock(&lock);
}
