// What gee-cl bench prints and writes.
#pragma once

#include "bench/bench.h"
#include "device/device.h"
#include "ops/tensor.h"
#include "util/str.h"

/// Zero-initialise, and free with bench_reporter_free.
typedef struct BenchReporter {
  const BenchOptions *options;
  const char *model; // NULL: random weights
  Compute compute;   // model.compute
  const DeviceInfo *device;
  OpsLimits limits;
  bool measured; // limits are there
  BenchResult *results;
  size_t count, capacity;
  bool failed; // memory ran out: a result is missing
} BenchReporter;

void bench_print_limits(const BenchReporter *reporter);
/// A BenchReport: prints the result as a line of a table, below the table's head if it is the first of it,
/// and keeps it.
void bench_print_result(void *reporter, const BenchResult *result);
/// Everything as one JSON object. `complete`: nothing was left out because the user stopped it.
STATUS_CHECKED Status bench_render_json(const BenchReporter *reporter, bool complete, Str *out);
void bench_reporter_free(BenchReporter *reporter);
