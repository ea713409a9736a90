// How results of gee-cl eval differ from the first of them, item by item, as gee-cl compare says. Rule: a
// result that cannot be compared has a reason, which the page gives.
#pragma once

#include "cli.h"
#include "eval/results.h"
#include "report/report.h"

typedef struct CollectedChanges {
  Results *results;       // [count]
  Comparison *pairs;      // [count] of the first and this one; [0] is empty
  char **reasons;         // [count] why there is no pair; NULL: there is one
  ReportChanges *changes; // [count] the same for the report
  size_t count;
} CollectedChanges;

/// Compares each of the results with the first. Zero-initialise `out`, and call changes_free in any case.
STATUS_CHECKED Status changes_collect(const char *const *results, size_t count, CollectedChanges *out);
/// Safe on a zeroed struct and twice.
void changes_free(CollectedChanges *changes);
