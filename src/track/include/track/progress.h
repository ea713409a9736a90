// Progress of long work. Rule: the rooms that do the work report how far it is, but not how that is shown.
// Their caller passes a Progress (cli has one that draws on the terminal), or NULL to show nothing.
//
//   progress_begin(progress, "measuring the gap", "answer", 0, answers);
//   progress_phase(progress, "sampling answers");
//   progress_update(progress, 12);
//   progress_end(progress);
//
// Tasks nest: a task that begins inside another (an evaluation during training) is shown instead of it until
// it ends.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct Progress Progress;

/// What an implementation provides. No entry may be NULL, and none can fail: a run must not end because of
/// its display.
typedef struct ProgressType {
  void (*begin)(Progress *progress, const char *label, const char *unit, uint64_t done, uint64_t total);
  void (*update)(Progress *progress, uint64_t done);
  void (*line)(Progress *progress, uint64_t done, const char *text, bool is_result);
  void (*phase)(Progress *progress, const char *phase);
  void (*end)(Progress *progress);
} ProgressType;

/// The first member of every implementation.
struct Progress {
  const ProgressType *type;
};

/// Begins a task of `total` parts, of which `done` are done already (a resumed run). `unit` is what a part is
/// called, in the singular: "step". `label` and `unit` are borrowed until the task ends.
void progress_begin(Progress *progress, const char *label, const char *unit, uint64_t done, uint64_t total);
/// `done` parts of the innermost task are done now. Cheap enough to call for every token.
void progress_update(Progress *progress, uint64_t done);
/// The same, with a permanent line.
void progress_line(Progress *progress, uint64_t done, const char *text);
/// The same, with a highlighted line: the result of an evaluation among the lines of the steps.
void progress_result(Progress *progress, uint64_t done, const char *text);
/// Says what the innermost task is doing now.
void progress_phase(Progress *progress, const char *phase);
/// Ends the innermost task.
void progress_end(Progress *progress);
