// What gee-cl bench prints and writes.
#pragma once

#include "bench/bench.h"
#include "device/device.h"
#include "io/json_write.h"
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

// ---- what gee-cl tune writes too ----

/// Opens the model that --model names, or one with random weights in a temporary folder, *made, which is for
/// bench_close_model.
STATUS_CHECKED Status bench_open_model(const char *model, ModelFiles **files, char **made);
/// Removes the folder, if one was made, and returns `status`, or how that failed.
STATUS_CHECKED Status bench_close_model(char *made, Status status);
const char *bench_model_name(const char *model);
void bench_add_spread(JsonWriter *json, const char *key, Spread spread);
void bench_add_device(JsonWriter *json, const DeviceInfo *info);

// ---- gee-cl bench ----

void bench_print_limits(const BenchReporter *reporter);
/// A BenchReport: prints the result as a line of a table, below the table's head if it is the first of it,
/// and keeps it.
void bench_print_result(void *reporter, const BenchResult *result);
/// Everything as one JSON object. `complete`: nothing was left out because the user stopped it.
STATUS_CHECKED Status bench_render_json(const BenchReporter *reporter, bool complete, Str *out);
void bench_reporter_free(BenchReporter *reporter);
