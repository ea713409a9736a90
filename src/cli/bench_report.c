// The tables and the JSON of gee-cl bench. Rule: a rate is that of the median time, and every number printed
// is computed from what is in the JSON.
#include "bench_report.h"

#include "cli.h"
#include "io/file.h"
#include "util/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Status bench_open_model(const char *model, ModelFiles **files, char **made) {
  if (model != NULL) return model_files_open(model, files);
  TRY(directory_create_temporary("gee-cl-model", made));
  TRY(status_context(bench_write_random(*made), "random weights (--model takes a model instead)"));
  return model_files_open(*made, files);
}

Status bench_close_model(char *made, Status status) {
  if (made == NULL) return status;
  Status removed = directory_remove(made);
  free(made);
  return status != STATUS_OK ? status : removed;
}

const char *bench_model_name(const char *model) {
  return model != NULL ? model : "random weights, SmolLM2-135M's shape";
}

static const char *form_name(BenchForm form) {
  return form == BENCH_FORWARD ? "forward" : form == BENCH_DX ? "dx" : NULL;
}

static double per_second(const BenchResult *result, double amount) {
  return result->seconds.median > 0 ? amount / result->seconds.median : 0;
}

// ---- tables ----

static void print_limit(const char *what, Spread rate, const char *unit) {
  printf("%-36s %9.2f %9.2f %9.2f  %s\n", what, 1e-9 * rate.minimum, 1e-9 * rate.median, 1e-9 * rate.maximum,
         unit);
}

void bench_print_limits(const BenchReporter *reporter) {
  const DeviceInfo *info = reporter->device;
  printf("%s: %s (%s)\n\n", info->platform, info->name, info->driver);
  printf("%s%-36s %9s %9s %9s%s\n", style(stdout, STYLE_BOLD), "limits", "minimum", "median", "maximum",
         style(stdout, STYLE_PLAIN));
  print_limit("float32 fma in registers", reporter->limits.flops, "GFLOP/s");
  print_limit("memory, read", reporter->limits.read, "GB/s");
  print_limit("memory, triad", reporter->limits.triad, "GB/s");
  (void)fflush(stdout);
}

static void print_head(bool product) {
  const char *bold = style(stdout, STYLE_BOLD), *plain = style(stdout, STYLE_PLAIN);
  if (product)
    printf("\n%s%-4s%-7s%5s %6s %5s %9s %9s %9s %7s %5s %6s%s\n", bold, "", "weights", "rows", "out", "in",
           "ms, min", "median", "max", "GFLOP/s", "GB/s", "limit", plain);
  else
    printf("\n%s%-21s%5s %9s %9s %9s %9s %8s%s\n", bold, "model", "batch", "ms, min", "median", "max",
           "tokens/s", "of limit", plain);
}

static void print_times(const BenchResult *result) {
  printf(" %9.3f %9.3f %9.3f", 1e3 * result->seconds.minimum, 1e3 * result->seconds.median,
         1e3 * result->seconds.maximum);
}

static void print_line(const BenchResult *result) {
  double share = 100 * per_second(result, result->limit);
  if (result->form != BENCH_NO_PRODUCT) {
    printf("%-4s%-7s%5zu %6zu %5zu", result->form == BENCH_DX ? "dx" : "out", dtype_name(result->type),
           result->m, result->n, result->k);
    print_times(result);
    printf(" %7.1f %5.1f %4.0f %%\n", 1e-9 * per_second(result, result->work.flops),
           1e-9 * per_second(result, result->work.bytes), share);
  } else {
    printf("%-21s%5zu", result->name, result->batch);
    print_times(result);
    printf(" %9.1f %6.0f %%\n", per_second(result, result->tokens), share);
  }
  (void)fflush(stdout);
}

void bench_print_result(void *user, const BenchResult *result) {
  BenchReporter *reporter = user;
  const BenchResult *before = reporter->count > 0 ? &reporter->results[reporter->count - 1] : NULL;
  bool product = result->form != BENCH_NO_PRODUCT;
  if (before == NULL || (before->form != BENCH_NO_PRODUCT) != product) print_head(product);
  print_line(result);
  if (mem_reserve(&reporter->results, &reporter->capacity, reporter->count + 1, "results") == STATUS_OK)
    reporter->results[reporter->count++] = *result;
  else
    reporter->failed = true;
}

// ---- JSON ----

void bench_add_spread(JsonWriter *json, const char *key, Spread spread) {
  json_object_begin(json, key);
  json_number(json, "minimum", spread.minimum);
  json_number(json, "median", spread.median);
  json_number(json, "maximum", spread.maximum);
  json_integer(json, "runs", (int64_t)spread.count);
  json_object_end(json);
}

void bench_add_device(JsonWriter *json, const DeviceInfo *info) {
  json_object_begin(json, "device");
  json_string(json, "backend", info->backend);
  json_string(json, "platform", info->platform);
  json_string(json, "name", info->name);
  json_string(json, "driver", info->driver);
  json_integer(json, "compute_units", info->compute_units);
  json_object_end(json);
}

static void add_result(JsonWriter *json, const BenchResult *result) {
  json_object_begin(json, NULL);
  json_string(json, "part", bench_part_name(result->part));
  json_string(json, "name", result->name);
  if (result->form != BENCH_NO_PRODUCT) {
    json_string(json, "form", form_name(result->form));
    json_string(json, "weights", dtype_name(result->type));
    json_integer(json, "rows", (int64_t)result->m);
    json_integer(json, "out", (int64_t)result->n);
    json_integer(json, "in", (int64_t)result->k);
  } else {
    json_integer(json, "batch", (int64_t)result->batch);
    json_number(json, "tokens", result->tokens);
    json_number(json, "tokens_per_second", per_second(result, result->tokens));
  }
  bench_add_spread(json, "seconds", result->seconds);
  json_number(json, "flops", result->work.flops);
  json_number(json, "bytes", result->work.bytes);
  json_number(json, "flops_per_second", per_second(result, result->work.flops));
  json_number(json, "bytes_per_second", per_second(result, result->work.bytes));
  json_number(json, "limit_seconds", result->limit);
  json_number(json, "share_of_limit", per_second(result, result->limit));
  json_object_end(json);
}

Status bench_render_json(const BenchReporter *reporter, bool complete, Str *out) {
  JsonWriter json = {.layout = JSON_PRETTY};
  if (reporter->failed) return status_fail(STATUS_FAILED, "out of memory for the results");
  json_object_begin(&json, NULL);
  json_string(&json, "version", GEE_VERSION);
  bench_add_device(&json, reporter->device);
  json_string(&json, "model", bench_model_name(reporter->model));
  json_string(&json, "dtype", dtype_name(reporter->options->dtype));
  json_string(&json, "compute", compute_name(reporter->compute));
  json_bool(&json, "quick", reporter->options->quick);
  json_bool(&json, "complete", complete);
  json_object_begin(&json, "limits");
  bench_add_spread(&json, "flops_per_second", reporter->limits.flops);
  bench_add_spread(&json, "bytes_read_per_second", reporter->limits.read);
  bench_add_spread(&json, "bytes_triad_per_second", reporter->limits.triad);
  json_object_end(&json);
  json_array_begin(&json, "results");
  for (size_t i = 0; i < reporter->count; i++) add_result(&json, &reporter->results[i]);
  json_array_end(&json);
  json_object_end(&json);
  return json_finish(&json, "the benchmark", out);
}

void bench_reporter_free(BenchReporter *reporter) {
  free(reporter->results);
  reporter->results = NULL;
}
