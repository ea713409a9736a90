// What the parts of a benchmark share. Private to the room.
#pragma once

#include "bench/bench.h"
#include "model/batch.h"

typedef struct Bench {
  Ops *ops;
  const ModelFiles *files;
  const ModelConfig *config;
  const BenchOptions *options;
  const OpsLimits *limits;
  BenchReport report;
  void *user;
} Bench;

/// Work that is repeated. The first run warms up, and its operations are counted.
typedef struct Repeated {
  Status (*run)(void *user, double *seconds); // sets *seconds if it measures only a part of itself
  void *user;
  const char *phase; // of a profile: what is counted, and timed if `run` measures; NULL: everything
} Repeated;

enum { LEAST_RUNS = 3, MOST_RUNS = 100 };
/// How long a result's runs are repeated, in seconds, beyond LEAST_RUNS.
double bench_budget(const BenchOptions *options);
/// Repeats the work, fills in the result's seconds, work and limit, and reports it.
STATUS_CHECKED Status bench_repeat(const Bench *bench, const Repeated *work, BenchResult *result);
/// STATUS_INTERRUPTED if the user asked to stop.
STATUS_CHECKED Status bench_check_stop(const Bench *bench);

/// Adds up the work of operations: an OpsRecorder's user.
typedef struct WorkSum {
  const OpsLimits *limits;
  const char *phase; // NULL: all
  OpsWork work;
  double limit; // seconds
} WorkSum;
Status bench_add_work(void *sum, const OpsRecord *record);

/// Tokens of the vocabulary, the same on every call with the same seed.
STATUS_CHECKED Status bench_tokens(const ModelConfig *config, uint64_t seed, size_t count, int32_t **out);

// Sizes. A model needs BENCH_POSITIONS positions.
enum {
  PREFILL_TOKENS = 256,
  DECODE_PROMPT = 32,
  DECODE_TOKENS = 32,
  GRADIENT_PROMPT = 36,
  GRADIENT_ANSWERS = 4,
  GRADIENT_TOKENS = 120, // with the prompt, 512 rows
  STEP_PROMPT = 64,
  STEP_ANSWERS = 8,
  STEP_TOKENS = 32,
  BENCH_POSITIONS = PREFILL_TOKENS + 2,
};

STATUS_CHECKED Status bench_products(const Bench *bench);
STATUS_CHECKED Status bench_inference(const Bench *bench);
STATUS_CHECKED Status bench_gradient(const Bench *bench);
STATUS_CHECKED Status bench_step(const Bench *bench);

/// The distinct matrices that a pass multiplies with, [n, k], and how many of each there are.
typedef struct BenchMatrix {
  size_t n, k, count;
  DType type; // on the device
  bool head;
} BenchMatrix;
enum { MOST_MATRICES = (LINEARS + 1) * DTYPE_COUNT };
size_t bench_matrices(const ModelFiles *files, DType dtype, BenchMatrix out[MOST_MATRICES]);
/// A product with the next of as many matrices as a model has layers at each call, so that they come from
/// memory, as in a run. BENCH_DW writes the matrices.
enum { BENCH_COPIES = 64 };
typedef struct BenchProduct {
  BenchForm form;
  Tensor in, out, weights[BENCH_COPIES];
  size_t copies, next;
} BenchProduct;
/// Free it with bench_product_free, also if this fails.
STATUS_CHECKED Status bench_product_create(Ops *ops, const BenchMatrix *matrix, size_t layers, size_t rows,
                                           BenchForm form, BenchProduct *product);
/// Queues one product.
STATUS_CHECKED Status bench_product_run(void *product, double *seconds);
void bench_product_free(BenchProduct *product);
/// The numbers of rows that products are measured at, ended by 0. The head's are those of a tile at most.
const size_t *bench_rows(const BenchOptions *options);
enum { HEAD_ROWS = 256 };
