// The order of a benchmark, repeating, and counting the work.
#include "run.h"

#include "util/clock.h"
#include "util/memory.h"
#include "util/rng.h"
#include <string.h>

const char *bench_part_name(BenchPart part) {
  static const char *const names[] = {"gemm", "decode", "prefill", "gradient", "step"};
  return part < BENCH_PARTS ? names[part] : "unknown";
}

double bench_budget(const BenchOptions *options) {
  return options->quick ? 0.1 : 0.4;
}

Status bench_check_stop(const Bench *bench) {
  if (bench->options->stop == NULL || !*bench->options->stop) return STATUS_OK;
  return status_fail(STATUS_INTERRUPTED, "what is measured so far is above");
}

Status bench_tokens(const ModelConfig *config, uint64_t seed, size_t count, int32_t **out) {
  TRY(mem_array(out, count, "tokens"));
  for (size_t i = 0; i < count; i++)
    (*out)[i] = (int32_t)rng_below((uint32_t)config->vocab, seed, RNG_DATA, (uint32_t)i, 0, 0);
  return STATUS_OK;
}

// ---- work ----

/// Whether the span is in a phase of that name, or is one.
static bool is_in(const OpsSpan *spans, size_t index, const char *phase) {
  if (phase == NULL) return true;
  for (; index != OPS_NO_SPAN; index = spans[index].parent) {
    if (strcmp(spans[index].name, phase) == 0) return true;
  }
  return false;
}

Status bench_add_work(void *user, const OpsRecord *record) {
  const OpsSpan *spans = record->spans;
  WorkSum *sum = user;
  for (size_t i = 0; i < record->span_count; i++) {
    if (!spans[i].is_operation || !is_in(spans, i, sum->phase)) continue;
    sum->work.flops += spans[i].work.flops;
    sum->work.bytes += spans[i].work.bytes;
    sum->limit += ops_limit_seconds(sum->limits, spans[i].work);
  }
  return STATUS_OK;
}

// ---- repeating ----

static Status time_run(const Bench *bench, const Repeated *work, double *seconds) {
  double part = -1;
  TRY(bench_check_stop(bench));
  TRY(ops_finish(bench->ops));
  double start = clock_seconds();
  TRY(work->run(work->user, &part));
  TRY(ops_finish(bench->ops));
  *seconds = part >= 0 ? part : clock_seconds() - start;
  return STATUS_OK;
}

static Status count_work(const Bench *bench, const Repeated *work, BenchResult *result) {
  WorkSum sum = {.limits = bench->limits, .phase = work->phase};
  double seconds = 0;
  TRY(ops_profile_begin(bench->ops, bench_add_work, &sum));
  Status status = time_run(bench, work, &seconds), ended = ops_profile_end(bench->ops);
  result->work = sum.work;
  result->limit = sum.limit;
  return status != STATUS_OK ? status : ended;
}

Status bench_repeat(const Bench *bench, const Repeated *work, BenchResult *result) {
  double seconds[MOST_RUNS];
  size_t runs = 0;
  TRY(count_work(bench, work, result));
  double start = clock_seconds();
  while (runs < LEAST_RUNS || (runs < MOST_RUNS && clock_seconds() - start < bench_budget(bench->options))) {
    TRY(time_run(bench, work, &seconds[runs]));
    runs++;
  }
  result->seconds = spread_of(seconds, runs);
  bench->report(bench->user, result);
  return STATUS_OK;
}

// ---- all parts ----

static Status check_model(const Bench *bench) {
  bool only_gemm = true;
  for (int part = 0; part < BENCH_PARTS; part++)
    only_gemm = only_gemm && (part == BENCH_GEMM || !bench->options->parts[part]);
  if (only_gemm || bench->config->max_positions >= BENCH_POSITIONS) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "%s takes %zu positions, and a benchmark needs %d: take another model, or --only gemm",
                     model_files_path(bench->files), bench->config->max_positions, BENCH_POSITIONS);
}

Status bench_run(Ops *ops, const ModelFiles *files, const BenchOptions *options, const OpsLimits *limits,
                 BenchReport report, void *user) {
  const Bench bench = {.ops = ops,
                       .files = files,
                       .config = model_files_config(files),
                       .options = options,
                       .limits = limits,
                       .report = report,
                       .user = user};
  TRY(check_model(&bench));
  if (options->parts[BENCH_GEMM]) TRY(bench_products(&bench));
  if (options->parts[BENCH_DECODE] || options->parts[BENCH_PREFILL]) TRY(bench_inference(&bench));
  if (options->parts[BENCH_GRADIENT]) TRY(bench_gradient(&bench));
  return options->parts[BENCH_STEP] ? bench_step(&bench) : STATUS_OK;
}
