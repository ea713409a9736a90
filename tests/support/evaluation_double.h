// An Evaluation that measures nothing: it counts how often it is asked, takes memory, and fails or asks to
// stop when told to. What it finds is "score" = the number of the run with an interval around it, and "sum",
// of the model's first trained values, which tells whether the model is the one that was trained.
#pragma once

#include "eval/evaluation.h"
#include <stdatomic.h>

typedef struct EvaluationDouble {
  Evaluation evaluation;
  size_t cache_rows; // rows of 1,000 numbers that it takes while it runs
  size_t planned, runs;
  atomic_bool *stop; // set in run number `stop_at` (1: the first), as a signal would
  size_t stop_at;
  bool give_up;   // ... and that run returns STATUS_INTERRUPTED, as a long one does
  size_t fail_at; // the run that fails
} EvaluationDouble;

/// Lives in the caller's memory; nothing is to be freed.
EvaluationDouble evaluation_double(const char *name);
