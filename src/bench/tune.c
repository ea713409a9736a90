// Proving, timing and choosing the kernel of products. Rule: what is compared was measured one after the
// other on the same tensors, and nothing is timed that was not proved.
#include "bench/tune.h"

#include "run.h"
#include "tune_choice.h"
#include "util/clock.h"
#include "util/memory.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LORA_RANK = 8, MOST_SHAPES = MOST_MATRICES + 2, MOST_BATCH = 64 };
static const size_t tuned_rows[] = {8, 64, TUNE_ROWS};
static const double batch_seconds = 2e-3;  // of products that are queued together
static const double budget_seconds = 2e-2; // of all of them
static const double slow_seconds = 5e-2;   // of one: what takes longer is no matter of noise
static const double hopeless = 3;          // times the fastest: one batch is enough
static const double margin = 0.95;         // of the usual one's time: what replaces it takes less

typedef struct Tune {
  Ops *ops;
  const TuneOptions *options;
  TuneResult *result;
  size_t layers;
} Tune;

static Status check_stop(const Tune *tune) {
  if (tune->options->stop == NULL || !*tune->options->stop) return STATUS_OK;
  return status_fail(STATUS_INTERRUPTED, "nothing is kept of what was measured so far");
}

/// All products by one candidate.
static GemmChoice choice_of(size_t candidate) {
  GemmChoice choice = {0};
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    choice.vendor[form] = candidate == TUNE_VENDOR;
    for (size_t size = 0; size < PRODUCT_SIZES && candidate != TUNE_VENDOR; size++)
      choice.set[form][size] = (unsigned char)candidate;
  }
  return choice;
}

// ---- proving ----

static void set_fault(TuneCandidate *candidate, const char *fault) {
  (void)snprintf(candidate->fault, sizeof candidate->fault, "%s", fault);
}

/// A candidate that does not compile or gives wrong numbers is unusable; it does not end the tuning.
static void prove(const Tune *tune, size_t index) {
  TuneCandidate *candidate = &tune->result->candidates[index];
  const GemmChoice choice = choice_of(index);
  const char *fault = candidate->set != NULL ? gemm_set_fault(candidate->set, tune->ops) : NULL;
  if (candidate->set == NULL && ops_vendor_gemm(tune->ops) == NULL) fault = "there is none for this device";
  if (fault != NULL) {
    set_fault(candidate, fault);
    return;
  }
  Status status = ops_choose_gemm(tune->ops, &choice);
  if (status == STATUS_OK) status = ops_selftest_products(tune->ops, &candidate->error);
  candidate->usable = status == STATUS_OK && candidate->error <= 1;
  if (status != STATUS_OK)
    set_fault(candidate, status_message());
  else if (!candidate->usable)
    set_fault(candidate, "it gives wrong numbers");
}

static Status prove_all(const Tune *tune) {
  bool any = false;
  const char *vendor = ops_vendor_gemm(tune->ops);
  for (size_t i = 0; i < TUNE_CANDIDATES; i++) {
    TuneCandidate *candidate = &tune->result->candidates[i];
    *candidate = (TuneCandidate){.name = vendor != NULL ? vendor : "vendor"};
    if (i != TUNE_VENDOR) *candidate = (TuneCandidate){.name = gemm_sets[i].name, .set = &gemm_sets[i]};
    TRY(check_stop(tune));
    prove(tune, i);
    tune->options->candidate(tune->options->user, candidate);
    any = any || (candidate->usable && i != TUNE_VENDOR);
  }
  if (any) return STATUS_OK;
  return status_fail(STATUS_FAILED, "none of gee-cl's own products is right on this device: %s",
                     tune->result->candidates[0].fault);
}

// ---- timing ----

/// *seconds = those of one of `count` products that are queued together.
static Status time_batch(const Tune *tune, BenchProduct *product, size_t count, double *seconds) {
  double unused;
  TRY(ops_finish(tune->ops));
  double start = clock_seconds();
  for (size_t i = 0; i < count; i++) TRY(bench_product_run(product, &unused));
  TRY(ops_finish(tune->ops));
  *seconds = (clock_seconds() - start) / (double)count;
  return STATUS_OK;
}

/// Times a product, for which `fastest` is the shortest median so far, or 0.
static Status time_product(const Tune *tune, BenchProduct *product, double fastest, Spread *out) {
  double seconds[MOST_RUNS], spent = 0;
  size_t runs = 0;
  TRY(time_batch(tune, product, 1, &seconds[0])); // the first call compiles and chooses
  TRY(time_batch(tune, product, 1, &seconds[0]));
  if (seconds[0] > slow_seconds) {
    *out = spread_of(seconds, 1);
    return check_stop(tune);
  }
  double batch = fmin(fmax(batch_seconds / seconds[0], 1), MOST_BATCH);
  do {
    TRY(check_stop(tune));
    TRY(time_batch(tune, product, (size_t)batch, &seconds[runs]));
    spent += seconds[runs++] * (double)(size_t)batch;
    if (fastest > 0 && seconds[0] > hopeless * fastest) break;
  } while (runs < LEAST_RUNS || (runs < MOST_RUNS && spent < budget_seconds));
  *out = spread_of(seconds, runs);
  return STATUS_OK;
}

/// The rows and columns of C decide the size.
static ProductSize size_of(const BenchMatrix *matrix, size_t rows, ProductForm form) {
  if (form == PRODUCT_DW) return product_size(matrix->n, matrix->k);
  return product_size(rows, form == PRODUCT_DX ? matrix->k : matrix->n);
}

/// Times every usable candidate at one product.
static Status time_candidates(const Tune *tune, const BenchMatrix *matrix, size_t rows, ProductForm form) {
  static const BenchForm forms[] = {BENCH_FORWARD, BENCH_DX, BENCH_DW};
  TuneTime time = {.form = form,
                   .size = size_of(matrix, rows, form),
                   .rows = rows,
                   .out = matrix->n,
                   .in = matrix->k,
                   .count = matrix->count};
  BenchProduct product;
  double fastest = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(bench_product_create(tune->ops, matrix, tune->layers, rows, forms[form], &product));
  for (size_t i = 0; i < TUNE_CANDIDATES; i++) {
    const GemmChoice choice = choice_of(i);
    time.candidate = &tune->result->candidates[i];
    if (!time.candidate->usable) continue;
    TRY_CLEAN(ops_choose_gemm(tune->ops, &choice));
    TRY_CLEAN(time_product(tune, &product, fastest, &time.seconds));
    if (fastest == 0 || time.seconds.median < fastest) fastest = time.seconds.median;
    tune->result->seconds[form][time.size][i] +=
        time.seconds.median * (double)matrix->count * TUNE_ROWS / (double)rows;
    tune->options->time(tune->options->user, &time);
  }
cleanup:
  bench_product_free(&product);
  return status;
}

static Status time_matrix(const Tune *tune, const BenchMatrix *matrix) {
  for (size_t i = 0; i < sizeof tuned_rows / sizeof *tuned_rows; i++) {
    size_t rows =
        matrix->head ? size_min(tuned_rows[i], HEAD_ROWS) : tuned_rows[i]; // logits are made in tiles
    TRY(time_candidates(tune, matrix, rows, PRODUCT_FORWARD));
    TRY(time_candidates(tune, matrix, rows, PRODUCT_DX));
    if (tuned_rows[i] == TUNE_ROWS) TRY(time_candidates(tune, matrix, rows, PRODUCT_DW));
  }
  return STATUS_OK;
}

/// The model's matrices, and LoRA's two thin ones beside those of the layers.
static size_t list_shapes(const ModelFiles *files, BenchMatrix out[MOST_SHAPES]) {
  size_t width = model_files_config(files)->width, count = bench_matrices(files, DTYPE_F32, out), layers = 0;
  for (size_t i = 0; i < count; i++) layers += out[i].head ? 0 : out[i].count;
  out[count++] = (BenchMatrix){.n = LORA_RANK, .k = width, .count = layers, .type = DTYPE_F32};
  out[count++] = (BenchMatrix){.n = width, .k = LORA_RANK, .count = layers, .type = DTYPE_F32};
  return count;
}

// ---- choosing ----

/// The fastest set at a form and size; the usual one where nothing was measured.
static size_t best_set(const TuneResult *result, size_t usual, const double seconds[TUNE_CANDIDATES]) {
  size_t best = usual;
  for (size_t set = 0; set < GEMM_SETS; set++) {
    if (!result->candidates[set].usable || seconds[set] == 0) continue;
    double least = best == usual ? margin : 1; // of the best one's time
    if (!result->candidates[best].usable || seconds[set] < least * seconds[best]) best = set;
  }
  return best;
}

/// Whether the vendor's GEMM is to compute the products of a form, whose own ones take `own` seconds.
static bool takes_vendor(const TuneResult *result, bool usual, double own, double vendors) {
  if (!result->candidates[TUNE_VENDOR].usable) return false;
  return usual ? own >= margin * vendors : vendors < margin * own;
}

void tune_choose(const GemmChoice *usual, TuneResult *result) {
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    double own = 0, vendors = 0;
    for (size_t size = 0; size < PRODUCT_SIZES; size++) {
      const double *seconds = result->seconds[form][size];
      size_t set = best_set(result, usual->set[form][size], seconds);
      result->choice.set[form][size] = (unsigned char)set;
      own += seconds[set];
      vendors += seconds[TUNE_VENDOR];
    }
    result->choice.vendor[form] = takes_vendor(result, usual->vendor[form], own, vendors);
  }
}

Status bench_tune(Ops *ops, const ModelFiles *files, const TuneOptions *options, TuneResult *result) {
  BenchMatrix shapes[MOST_SHAPES];
  const Tune tune = {
      .ops = ops, .options = options, .result = result, .layers = model_files_config(files)->layers};
  *result = (TuneResult){0};
  TRY(prove_all(&tune));
  size_t count = list_shapes(files, shapes);
  for (size_t i = 0; i < count; i++) TRY(time_matrix(&tune, &shapes[i]));
  const GemmChoice usual = ops_usual_gemm(ops);
  tune_choose(&usual, result);
  return ops_choose_gemm(ops, &result->choice);
}
