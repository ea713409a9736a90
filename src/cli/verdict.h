// What `gee-cl train` says at its end: what changed, whether it worked as far as the intervals tell, and what
// to do next.
#pragma once

#include "cli.h"

/// A run that has ended well; all borrowed.
typedef struct EndedRun {
  const char *program; // how it was called: "build/gee-cl"
  const Config *config;
  const char *folder;     // save_root/run_name
  const Dataset *prompts; // to suggest one of
  bool chat;              // they are wrapped in a chat template
  TrainOutcome outcome;
  double seconds;
} EndedRun;

/// Appends it, from the run's files, in lines of at most `width` columns where no path is longer.
/// STATUS_INPUT if a file cannot be read.
STATUS_CHECKED Status verdict_append(const EndedRun *run, size_t width, Str *out);

// ---- next_steps.c ----

/// Appends commands that measure and show what the run has made, ready for a shell.
STATUS_CHECKED Status next_steps_append(const EndedRun *run, size_t width, Str *out);
