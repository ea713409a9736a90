// A Progress drawn on a stream. On a terminal, the innermost task is a line that is redrawn in place, at most
// 10 times a second, and cut to the terminal's width. Elsewhere, a line is written every few seconds and at
// the end of a task.
#pragma once

#include "terminal.h"
#include <pthread.h>
#include <stdarg.h>

enum { LIVE_LINE_TASKS = 4 }; // tasks deeper than this are not shown

/// A task that has begun.
typedef struct LiveTask {
  const char *label, *unit;
  char phase[32];              // shown instead of the label, unless empty
  uint64_t total, first, done; // done ≥ first
  // The end of the first parts, from which the time left is estimated: those before it also took the work
  // that comes once, such as compiling kernels. `from` = first until then.
  uint64_t from;
  double from_time;
  bool was_written;   // something was written
  bool is_current;    // the latest `done` was written
  double start, last; // clock_seconds() when it began, and when something was last written
} LiveTask;

/// Drivers report faults on threads of their own, so every function takes the lock.
typedef struct LiveLine {
  Progress progress;
  pthread_mutex_t lock; // of all that follows
  FILE *stream;
  Terminal terminal;
  LiveTask tasks[LIVE_LINE_TASKS];
  size_t depth; // tasks that have begun and not ended
  bool drawn;   // the terminal shows the live line now
} LiveLine;

/// `stream` must outlive `line`. There is nothing to free.
void live_line_init(LiveLine *line, FILE *stream);
/// Writes a permanent line, above the live line if one is drawn.
void live_line_say(LiveLine *line, const char *format, va_list args);
