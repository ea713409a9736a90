// Benchmarks of the real SmolLM2, for comparison with the numbers in the shared golden folder, which
// lm-evaluation-harness and transformers gave (golden/PROTOCOLS.md). Without GEE_WHOLE_BENCHMARKS only the
// first items are run.
#pragma once

#include "support/process.h"

#include "io/json.h"

/// False if the model or the shared folder is not here; says so. *whole = whether all items are run.
bool benchmarks_open(bool *whole);

/// A file of the golden folder; free with cJSON_Delete.
cJSON *read_shared(const char *name);
/// A number in a list.
double number(const cJSON *list, size_t index);

/// What a task measured: its metrics, and the rows of --items. Free with measured_free.
typedef struct Measured {
  cJSON *metrics;
  cJSON **rows;
  size_t count;
} Measured;

/// Runs a task on its first `limit` items.
Measured measure_first(const char *task, const char *limit);
/// The same, or on all with GEE_WHOLE_BENCHMARKS.
Measured measure(const char *task, const char *limit);
void measured_free(Measured *m);
/// The value of a metric, which must be there.
double metric(const Measured *m, const char *name);
