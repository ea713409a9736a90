// What gee-cl eval writes and prints.
#pragma once

#include "eval/benchmark.h"
#include "io/file.h"
#include "provenance.h"

/// A model that is measured: the base, or an adapter on it.
typedef struct EvalModel {
  UsedAdapter adapter; // its path NULL: the base model
  char *output;        // results.json, or "-"
  char *items;         // NULL: not asked for
  char *work;          // the folder of the rows while the run lasts; NULL: none
  ItemFile *rows;      // in it; NULL: none
  char *items_work;    // beside the items, with the lock on them; NULL: `work` is that
  FileLock items_lock;
  char *owner;         // a line of JSON: what the rows belong to
  MetricList *metrics; // [tasks]
  double seconds;      // of this process
} EvalModel;

/// What all models share.
typedef struct EvalRun {
  const Config *config;
  const Runtime *runtime;
  Evaluation *const *tasks;
  size_t task_count;
  const GapOptions *gap; // how answers are sampled; NULL: none are
  bool all_metrics;      // printed, and not the headlines alone
} EvalRun;

/// *out = what the rows of a model belong to: everything that their numbers depend on.
STATUS_CHECKED Status eval_owner(const EvalRun *run, const UsedAdapter *adapter, char **out);
/// Writes results.json.
STATUS_CHECKED Status eval_write(const EvalRun *run, const EvalModel *model);
/// Prints the headlines of each task, or all its metrics, with their intervals, and its limits.
STATUS_CHECKED Status eval_print(const EvalRun *run, const EvalModel *model);
