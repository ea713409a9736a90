// How long a benchmark will take: each result's runs at the share of the limit that devices reach at least.
#include "run.h"

static const double poor_share = 0.3; // of the limit

/// Seconds of all runs of something, and of the first.
static double runs_of(const BenchOptions *options, double seconds) {
  double least = LEAST_RUNS * seconds, budget = bench_budget(options);
  return seconds + (least > budget ? least : budget);
}

typedef struct Estimate {
  const BenchOptions *options;
  const OpsLimits *limits;
  double weights, bytes; // of all matrices: elements, and what they take
} Estimate;

static double matrix_bytes(const BenchMatrix *matrix) {
  return (double)dtype_bytes(matrix->type, matrix->n * matrix->k);
}

/// Passes over all weights, with so many rows in all.
static double passes(const Estimate *e, double rows, double count) {
  OpsWork work = {.flops = 2 * e->weights * rows, .bytes = e->bytes * count};
  return ops_limit_seconds(e->limits, work) / poor_share;
}

static double estimate_products(const Estimate *e, const BenchMatrix *matrices, size_t count) {
  double seconds = 0;
  for (const size_t *rows = bench_rows(e->options); *rows > 0; rows++) {
    for (size_t i = 0; i < count; i++) {
      if (matrices[i].head && *rows > HEAD_ROWS) continue;
      double m = (double)*rows, n = (double)matrices[i].n, k = (double)matrices[i].k;
      OpsWork work = {.flops = 2 * m * n * k, .bytes = matrix_bytes(&matrices[i]) + 4 * m * (n + k)};
      seconds += 2 * runs_of(e->options, ops_limit_seconds(e->limits, work) / poor_share);
    }
  }
  return seconds;
}

double bench_estimate(const ModelFiles *files, const BenchOptions *options, const OpsLimits *limits) {
  BenchMatrix matrices[MOST_MATRICES];
  size_t count = bench_matrices(files, options->dtype, matrices);
  Estimate e = {.options = options, .limits = limits};
  double seconds = 0;
  for (size_t i = 0; i < count; i++) e.weights += (double)(matrices[i].n * matrices[i].k * matrices[i].count);
  if (options->parts[BENCH_GEMM]) seconds += estimate_products(&e, matrices, count);
  for (size_t batch = 1; options->parts[BENCH_DECODE] && batch <= 64; batch *= 8)
    seconds += runs_of(options, passes(&e, (double)batch * DECODE_TOKENS + DECODE_PROMPT, DECODE_TOKENS));
  if (options->parts[BENCH_PREFILL]) seconds += runs_of(options, passes(&e, PREFILL_TOKENS, 1));
  // forward and dx, and the head's logits again
  double gradient = passes(&e, 2.5 * (GRADIENT_PROMPT + GRADIENT_ANSWERS * GRADIENT_TOKENS), 3);
  if (options->parts[BENCH_GRADIENT]) seconds += runs_of(options, gradient);
  // answers are sampled, and read and differentiated under two prompts
  double step = passes(&e, STEP_ANSWERS * STEP_TOKENS, STEP_TOKENS) +
                passes(&e, 2 * 3.5 * STEP_ANSWERS * STEP_TOKENS, 6);
  if (options->parts[BENCH_STEP]) seconds += runs_of(options, step);
  return seconds;
}
