// Something that is measured on a model, in the same way for every caller: training, `gee-cl gap`, a suite of
// benchmarks. The result is a MetricList, which goes to screens, files and trackers. docs/EXTENDING.md says
// how to add one.
//
//   Evaluation *gap = NULL;
//   MetricList metrics = {0};
//   TRY_CLEAN(gap_evaluation_create("gap", &dataset, &options, &gap));
//   TRY_CLEAN(evaluation_run(gap, &(EvaluationRun){.model = model}, &metrics));
//   ...
//   cleanup: metrics_free(&metrics); evaluation_free(gap);
#pragma once

#include "model/model.h"
#include "track/metrics.h"
#include "track/progress.h"
#include "util/str.h"
#include <stdatomic.h>

typedef struct Evaluation Evaluation;

/// What an evaluation runs with; all borrowed.
typedef struct EvaluationRun {
  Model *model;
  Progress *progress;      // NULL is silent
  const atomic_bool *stop; // set by a signal; may be NULL
} EvaluationRun;

/// What a kind of evaluation provides; only summarize, write_json and describe may be NULL.
typedef struct EvaluationType {
  /// Does on `model`, which is on a plan Ops, what a run does at its largest, so that all its memory is
  /// counted, the scratch of operations included. On a plan nothing is computed.
  Status (*plan)(Evaluation *evaluation, Model *model);
  /// Measures, and appends to the empty list. Leaves the model unchanged; the numbers depend only on the
  /// model and the evaluation. Returns STATUS_INTERRUPTED soon after `stop` is set.
  Status (*run)(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics);
  /// Appends a line for people about what was measured. NULL: the name and all metrics.
  Status (*summarize)(const Evaluation *evaluation, const MetricList *metrics, Str *out);
  /// Adds what was measured to an open object, as members. NULL: metrics_write_json.
  Status (*write_json)(const Evaluation *evaluation, const MetricList *metrics, struct JsonWriter *json);
  void (*free)(Evaluation *evaluation);
  /// Appends everything that the numbers depend on besides the model, as a line for people: two measurements
  /// may be compared only if it is the same. A run keeps it, and a resume with another one is refused. NULL:
  /// it is not compared.
  Status (*describe)(const Evaluation *evaluation, Str *out);
} EvaluationType;

/// The first member of every evaluation.
struct Evaluation {
  const EvaluationType *type;
  const char *name; // letters, digits and _: it becomes part of file names; borrowed
};

/// Counts the memory of a run. STATUS_FAILED if the model is not on a plan.
STATUS_CHECKED Status evaluation_plan(Evaluation *evaluation, Model *model);
/// Fills `metrics`, which is complete on STATUS_OK. The caller frees it in any case, also after a failure.
STATUS_CHECKED Status evaluation_run(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics);
STATUS_CHECKED Status evaluation_summarize(const Evaluation *evaluation, const MetricList *metrics, Str *out);
STATUS_CHECKED Status evaluation_write_json(const Evaluation *evaluation, const MetricList *metrics,
                                            struct JsonWriter *json);
/// Safe on NULL.
void evaluation_free(Evaluation *evaluation);
