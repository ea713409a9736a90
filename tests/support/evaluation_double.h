// A test double of an Evaluation: it counts its calls, takes memory, and fails or asks to stop on demand. Its
// metrics are "score", the number of the run with an interval around it, and "sum", the sum of the model's
// first trained values, which shows whether the model is the trained one.
#pragma once

#include "eval/evaluation.h"
#include <stdatomic.h>

typedef struct EvaluationDouble {
  Evaluation evaluation;
  size_t cache_rows; // rows of 1,000 numbers that it takes while it runs
  size_t planned, runs;
  atomic_bool *stop; // set in run number `stop_at` (1: the first), as a signal would
  size_t stop_at;
  bool give_up;   // ... and that run returns STATUS_INTERRUPTED, as a long evaluation does
  size_t fail_at; // the run that fails
  // paired_gap of each run, the last of which stays; NULL: none is measured
  const Interval *gaps;
  size_t gap_count;
  size_t void_until; // the first runs, whose gap says nothing (GapVoid)
} EvaluationDouble;

/// Lives in the caller's memory; there is nothing to free.
EvaluationDouble evaluation_double(const char *name);
