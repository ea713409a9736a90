// How fast a model runs on a device, beside what the device can do at most (ops/limits.h). Everything is
// timed as it runs for a user: the operations of ops, generate, passes, train_run. Times are wall time, with
// the device idle before and after.
#pragma once

#include "arch/files.h"
#include "ops/limits.h"
#include "util/spread.h"
#include <stdatomic.h>

typedef enum BenchPart {
  BENCH_GEMM,     // a layer's matrix products, and the head's
  BENCH_DECODE,   // tokens of answers, several answers at once
  BENCH_PREFILL,  // a prompt up to its first token
  BENCH_GRADIENT, // forward, entropies and backward with LoRA
  BENCH_STEP,     // whole training steps
  BENCH_PARTS
} BenchPart;
const char *bench_part_name(BenchPart part); // "gemm"

typedef enum BenchForm { BENCH_NO_PRODUCT, BENCH_FORWARD, BENCH_DX, BENCH_DW } BenchForm;

typedef struct BenchOptions {
  DType dtype; // of the weights, or DTYPE_STORED
  bool quick;  // fewer runs and sizes
  bool parts[BENCH_PARTS];
  const atomic_bool *stop; // once true, bench_run ends with STATUS_INTERRUPTED; may be NULL
} BenchOptions;

/// One thing that was measured.
typedef struct BenchResult {
  BenchPart part;
  const char *name; // "decode", "step, sampling": a constant
  BenchForm form;   // of a product: m rows of x, n of the weights, k columns of both
  DType type;       // of its weights
  size_t m, n, k;
  size_t batch;   // answers at once; 0: not said
  double tokens;  // of a run; 0: a product
  Spread seconds; // of a run
  OpsWork work;   // of a run
  double limit;   // seconds: the least that the device could take, operation by operation
} BenchResult;

typedef void (*BenchReport)(void *user, const BenchResult *result);

/// About how long bench_run will take, by the device's limits; slower devices than most take longer.
double bench_estimate(const ModelFiles *files, const BenchOptions *options, const OpsLimits *limits);
/// Measures the parts that are asked for and reports each result as it is there. STATUS_INPUT if the model
/// has too few positions. `ops` has no profile.
STATUS_CHECKED Status bench_run(Ops *ops, const ModelFiles *files, const BenchOptions *options,
                                const OpsLimits *limits, BenchReport report, void *user);

/// Writes a Hugging Face folder with the shape of SmolLM2-135M and random weights in bfloat16 (270 MB),
/// without a tokenizer.
STATUS_CHECKED Status bench_write_random(const char *folder);
