// A Progress drawn on a stream. On a terminal the innermost task is one line that is redrawn in place, at
// most 10 times a second and cut to the terminal's width; elsewhere a line is written every few seconds and
// at the end of a task.
#pragma once

#include "terminal.h"
#include <pthread.h>
#include <stdarg.h>

enum { LIVE_LINE_TASKS = 4 }; // tasks deeper than this are not shown

/// A task that has begun.
typedef struct LiveTask {
  const char *label;
  char phase[32];              // stands in the label's place while it is set
  uint64_t total, first, done; // done ≥ first
  bool said;                   // something of it has been written
  bool said_all;               // what was done last has been written
  double start, last;          // seconds of the clock: when it began, when something was last written
} LiveTask;

/// A driver's fault is said from a thread of its own, so every function takes the lock.
typedef struct LiveLine {
  Progress progress;
  pthread_mutex_t lock; // of all that follows
  FILE *stream;
  Terminal terminal;
  LiveTask tasks[LIVE_LINE_TASKS];
  size_t depth; // tasks that have begun and not ended
  bool drawn;   // the terminal shows our line now
} LiveLine;

/// `stream` must outlive it. Nothing is to be freed.
void live_line_init(LiveLine *line, FILE *stream);
/// Writes a line that stays, above the live line where one is drawn.
void live_line_say(LiveLine *line, const char *format, va_list args);
