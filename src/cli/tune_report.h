// What gee-cl tune prints and writes.
#pragma once

#include "bench/tune.h"
#include "device/device.h"

/// Zero-initialise, and free with tune_reporter_free.
typedef struct TuneReporter {
  const char *model; // NULL: random weights
  const Device *device;
  bool nothing; // a CPU: there are no candidates
  TuneResult result;
  TuneTime *times;
  size_t count, capacity;
  bool failed;      // memory ran out: a time is missing
  const char *path; // where the choice is kept; NULL: nowhere
} TuneReporter;

/// For TuneOptions: print a candidate, and keep a time.
void tune_print_candidate(void *reporter, const TuneCandidate *candidate);
void tune_keep_time(void *reporter, const TuneTime *time);
/// Prints the times by form and size, and what was chosen.
STATUS_CHECKED Status tune_print_result(const TuneReporter *reporter);
STATUS_CHECKED Status tune_render_json(const TuneReporter *reporter, Str *out);
void tune_reporter_free(TuneReporter *reporter);
