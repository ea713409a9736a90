// A Progress drawn on a stream. On a terminal the innermost task is one line that is redrawn in place, at
// most 10 times a second and cut to the terminal's width; elsewhere a line is written every few seconds and
// at the end of a task.
#pragma once

#include "terminal.h"

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

typedef struct LiveLine {
  Progress progress;
  FILE *stream;
  Terminal terminal;
  LiveTask tasks[LIVE_LINE_TASKS];
  size_t depth; // tasks that have begun and not ended
  bool drawn;   // the terminal shows our line now
} LiveLine;

/// `stream` must outlive it. Nothing is to be freed.
void live_line_init(LiveLine *line, FILE *stream);
/// Takes the line off a terminal so that others can write there; false where none was drawn.
bool live_line_hide(LiveLine *line);
/// Draws it again.
void live_line_show(LiveLine *line);
