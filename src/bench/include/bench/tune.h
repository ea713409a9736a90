// Which kernel multiplies fastest on a device, at the shapes of a model (ops/products.h). Candidates are the
// vendor's GEMM and the parameter sets of cl/gemm.cl. Each must pass the self-test's products before it is
// timed.
#pragma once

#include "arch/files.h"
#include "ops/products.h"
#include "util/spread.h"
#include <stdatomic.h>

/// The vendor's GEMM is the last candidate, those before it are gemm_sets.
enum { TUNE_VENDOR = GEMM_SETS, TUNE_CANDIDATES = GEMM_SETS + 1, TUNE_FAULT = 200, TUNE_ROWS = 512 };

typedef struct TuneCandidate {
  const char *name;
  const GemmSet *set; // NULL: the vendor's GEMM
  bool usable;
  char fault[TUNE_FAULT]; // why it is not
  double error;           // of the self-test, as a share of what is allowed; of one that was proved
} TuneCandidate;

/// A product that was timed: `rows` rows of the model's activations with a matrix [out, in].
typedef struct TuneTime {
  const TuneCandidate *candidate;
  ProductForm form;
  ProductSize size;
  size_t rows, out, in;
  size_t count;   // of such matrices in the model
  Spread seconds; // of one product
} TuneTime;

/// A product of a form and size is weighed as if TUNE_ROWS rows went through each matrix of the model.
typedef struct TuneResult {
  TuneCandidate candidates[TUNE_CANDIDATES];
  double seconds[PRODUCT_FORMS][PRODUCT_SIZES][TUNE_CANDIDATES]; // 0: not measured
  GemmChoice choice;
} TuneResult;

typedef struct TuneOptions {
  void (*candidate)(void *user,
                    const TuneCandidate *candidate); // called when it is proved, or found unusable
  void (*time)(void *user, const TuneTime *time);
  void *user;
  const atomic_bool *stop; // once true, bench_tune ends with STATUS_INTERRUPTED
} TuneOptions;

/// Proves and times the candidates and fills in *result. What is usual (ops_usual_gemm) is left only for what
/// is at least 5 % faster, since less than that is noise. `ops` keeps the choice. STATUS_FAILED if no
/// candidate multiplies correctly.
STATUS_CHECKED Status bench_tune(Ops *ops, const ModelFiles *files, const TuneOptions *options,
                                 TuneResult *result);
