// What `gee-cl train` says at its end: what changed, whether it worked as far as the intervals tell, and what
// to do next.
#pragma once

#include "cli.h"
#include "data/examples.h"
#include "io/json.h"

/// A run that has ended well; all borrowed.
typedef struct EndedRun {
  const char *program; // how it was called: "build/gee-cl"
  const Config *config;
  const char *folder;     // save_root/run_name
  const Dataset *prompts; // to suggest one of; not empty
  const Examples *rows;   // of sft, in its place
  bool chat;              // they are wrapped in a chat template
  size_t positions;       // of the model
  bool measurable;        // gap finds sets to measure with the run's config
  TrainOutcome outcome;
  double seconds;
} EndedRun;

/// Appends it, from the run's files, in lines of at most `width` columns where no path is longer.
/// STATUS_INPUT if a file cannot be read.
STATUS_CHECKED Status verdict_append(const EndedRun *run, size_t width, Str *out);

// ---- verdict_sft.c, and what it shares with verdict.c ----

/// The same for a run on given answers.
STATUS_CHECKED Status verdict_sft_append(const EndedRun *run, size_t width, Str *out);
/// *first, *last = the objects in the first and last lines of a file of the run; NULL if it has none.
STATUS_CHECKED Status verdict_read_ends(const char *folder, const char *name, cJSON **first, cJSON **last);
/// Appends a paragraph, wrapped.
STATUS_CHECKED Status verdict_paragraph(Str *out, const char *text, size_t width);
/// Appends "done in 3 min: 20 steps".
STATUS_CHECKED Status verdict_steps(const EndedRun *run, Str *out);
/// Appends the names of the files; `measured` is that of the held-out measurements, with what it has.
STATUS_CHECKED Status verdict_files(const EndedRun *run, const char *measured, size_t width, Str *out);

// ---- next_steps.c ----

/// Appends commands that measure and show what the run has made, ready for a shell.
STATUS_CHECKED Status next_steps_append(const EndedRun *run, size_t width, Str *out);
