// Measuring the loss of given answers. Rule: the mean is over tokens, as in training; the interval is over
// rows, whose tokens belong together.
#include "eval/given_loss.h"

#include "estimate.h"
#include "eval/given.h"
#include "util/memory.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { PASS_ROWS = 1024, TILE_ROWS = 128 };

typedef struct GivenLoss {
  Evaluation evaluation;
  const Examples *examples;
  GivenLossOptions options;
} GivenLoss;

/// A measurement at work.
typedef struct Work {
  const GivenLoss *given;
  Pass *pass;
  GivenRow *rows;       // [examples] by prompt
  ClusterSum *clusters; // [examples] −log p of each
  GivenSum sum;
} Work;

// ---- one pass over the examples ----

static size_t pass_rows(const GivenLoss *given) {
  size_t rows = given->options.pass_rows > 0 ? given->options.pass_rows : PASS_ROWS, all = 0;
  for (size_t i = 0; i < given->examples->count; i++) {
    size_t size = given_size(&given->examples->list[i]);
    rows = size > rows ? size : rows;
    all += size;
  }
  return size_min(rows, all);
}

static Status create_work(const GivenLoss *given, Model *model, Work *work) {
  size_t count = given->examples->count;
  size_t tile = given->options.head_tile_rows > 0 ? given->options.head_tile_rows : TILE_ROWS;
  const PassOptions options = {
      .kind = PASS_INFERENCE, .max_rows = pass_rows(given), .head_tile_rows = tile, .targets = true};
  work->given = given;
  TRY(mem_array(&work->rows, count, "held-out rows"));
  TRY(mem_array(&work->clusters, count, "held-out rows"));
  for (size_t i = 0; i < count; i++) work->rows[i] = (GivenRow){.example = i};
  TRY(given_sort(given->examples, work->rows, count));
  return pass_create(model, &options, &work->pass);
}

static void free_work(Work *work) {
  pass_free(work->pass);
  free(work->rows);
  free(work->clusters);
}

/// The end of the rows from `begin` on that fit the pass.
static size_t find_end(const Work *work, size_t begin) {
  const Examples *examples = work->given->examples;
  size_t end = begin, rows = 0, most = pass_options(work->pass)->max_rows;
  for (; end < examples->count; end++) {
    rows += given_size(&examples->list[work->rows[end].example]);
    if (rows > most && end > begin) break;
  }
  return end;
}

static Status measure_rows(Work *work, size_t begin, size_t end) {
  Batch batch = {0};
  HeadTargets targets = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(given_pack(work->given->examples, work->rows + begin, end - begin, true, &batch));
  TRY_CLEAN(targets_list(&batch, &targets));
  TRY_CLEAN(pass_forward(work->pass, &batch, (DropoutDraw){0}));
  TRY_CLEAN(pass_targets(work->pass, &batch, &targets));
  for (size_t i = begin; i < end; i++) {
    GivenSum row = {0};
    given_add(&targets, batch.answer_start[i - begin], batch.answer_start[i - begin + 1], &row);
    work->clusters[i] = (ClusterSum){row.nll, (double)row.tokens};
    work->sum.nll += row.nll;
    work->sum.entropy += row.entropy;
    work->sum.tokens += row.tokens;
    work->sum.likeliest += row.likeliest;
  }
cleanup:
  targets_free(&targets);
  batch_free(&batch);
  return status;
}

static Status measure_all(Work *work, const EvaluationRun *run) {
  size_t count = work->given->examples->count;
  Status status = STATUS_OK;
  progress_begin(run->progress, "measuring the held-out loss", "row", 0, count);
  for (size_t begin = 0, end = 0; status == STATUS_OK && begin < count; begin = end) {
    end = find_end(work, begin);
    status = run->stop != NULL && *run->stop
                 ? status_fail(STATUS_INTERRUPTED, "stopped while measuring the held-out loss")
                 : measure_rows(work, begin, end);
    progress_update(run->progress, end);
  }
  progress_end(run->progress);
  return status;
}

// ---- as an evaluation ----

static Status plan_given(Evaluation *evaluation, Model *model) {
  Work work = {0};
  Status status = create_work((const GivenLoss *)evaluation, model, &work);
  if (status == STATUS_OK) status = measure_all(&work, &(EvaluationRun){.model = model});
  free_work(&work);
  return status;
}

static Status add_metrics(const Work *work, MetricList *metrics) {
  Interval loss;
  size_t tokens = work->sum.tokens;
  TRY(estimate_clustered(work->clusters, work->given->examples->count, &loss));
  metrics_add_estimate(metrics, loss, tokens, "loss");
  metrics_add_estimate(metrics, (Interval){exp(loss.value), exp(loss.low), exp(loss.high)}, tokens,
                       "perplexity");
  metrics_add(metrics, (double)work->sum.likeliest / (double)tokens, "token_accuracy");
  metrics_add(metrics, work->sum.entropy / (double)tokens, "entropy");
  return STATUS_OK;
}

static Status run_given(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics) {
  Work work = {0};
  Status status = create_work((const GivenLoss *)evaluation, run->model, &work);
  if (status == STATUS_OK) status = measure_all(&work, run);
  if (status == STATUS_OK) status = add_metrics(&work, metrics);
  free_work(&work);
  return status;
}

static Status summarize_given(const Evaluation *evaluation, const MetricList *metrics, Str *out) {
  Interval loss = metrics_get(metrics, "loss");
  (void)evaluation;
  TRY(str_append_format(out, "held-out loss %.4f ", loss.value));
  if (isnan(loss.low))
    TRY(str_append_text(out, "(one row: no interval)"));
  else
    TRY(str_append_format(out, "[%.4f, %.4f]", loss.low, loss.high));
  return str_append_format(out, "  perplexity %.2f  accuracy %.1f %%",
                           metrics_get(metrics, "perplexity").value,
                           100 * metrics_get(metrics, "token_accuracy").value);
}

static Status describe_given(const Evaluation *evaluation, Str *out) {
  const Examples *examples = ((const GivenLoss *)evaluation)->examples;
  return str_append_format(out, "the loss of %zu rows, %016" PRIx64, examples->count,
                           examples_hash(examples));
}

static void free_given(Evaluation *evaluation) {
  free(evaluation);
}

Status given_loss_create(const char *name, const Examples *examples, const GivenLossOptions *options,
                         Evaluation **out) {
  static const EvaluationType type = {.plan = plan_given,
                                      .run = run_given,
                                      .summarize = summarize_given,
                                      .free = free_given,
                                      .describe = describe_given};
  GivenLoss *given = NULL;
  *out = NULL;
  if (examples->count == 0) return status_fail(STATUS_INPUT, "%s: there is no row to measure", name);
  TRY(mem_array(&given, 1, "the held-out loss"));
  *given = (GivenLoss){.evaluation = {&type, name}, .examples = examples, .options = *options};
  *out = &given->evaluation;
  return STATUS_OK;
}
