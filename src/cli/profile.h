// --profile FILE: a table of what the time of a command went to, and a trace that Perfetto (ui.perfetto.dev)
// and Chrome open.
#pragma once

#include "ops/limits.h"

typedef struct ProfileReport ProfileReport;

// A row of an Option table.
#define PROFILE_OPTION(path)                                                                                 \
  {                                                                                                          \
    "profile", OPTION_TEXT, &(path), "FILE",                                                                 \
        "Time every operation: print a table at the end, and write a trace for Perfetto.", 0, 0              \
  }

/// STATUS_INPUT if the trace could not be written to `path`.
STATUS_CHECKED Status profile_check(const char *path);
/// Measures the device's limits, then records what `ops` does, whose device was opened to be timed.
STATUS_CHECKED Status profile_begin(Ops *ops, const char *path, ProfileReport **out);
/// Ends it: prints the table on stderr and writes the trace. Safe on NULL.
STATUS_CHECKED Status profile_end(ProfileReport *report);
/// Ends it without either, also while `ops` are gone; safe on NULL.
void profile_drop(ProfileReport *report);
