// A benchmark task as an Evaluation: reads its data, asks a model in batches, keeps a row for each item, and
// computes metrics from the rows. eval/task.h has the tasks.
//
//   TRY_CLEAN(benchmark_create(type, &options, &benchmark));      reads the data; no device yet
//   TRY_CLEAN(item_file_open("results.json.unfinished", ..., &items));
//   benchmark_keep_items(benchmark, items);
//   TRY_CLEAN(evaluation_run(benchmark, &(EvaluationRun){.model = model}, &metrics));
//
// Items are asked in the order of the data, in batches that depend on the items alone. A run that goes on
// repeats the batch that it was stopped in, so its numbers have the same bits whatever the matrix products do
// with a row's neighbours.
#pragma once

#include "eval/evaluation.h"
#include "eval/gap.h"
#include "eval/items.h"
#include "eval/task.h"
#include "util/hash.h"
#include "util/str.h"

typedef struct BenchmarkOptions {
  const char *data_folder;
  const char *argument; // of the task, or NULL
  size_t limit;         // items at most; 0: all
  const Tokenizer *tokenizer;
  const ChatTemplate *chat;
  size_t max_positions; // of the model; 0: any
  // For tasks that are made of counterfactual prompts; NULL for others. Borrowed.
  const Dataset *prompts;
  const GapOptions *gap;
} BenchmarkOptions;

/// A file that a benchmark read.
typedef struct BenchmarkFile {
  const char *path;
  char sha256[SHA256_TEXT];
} BenchmarkFile;

/// *out = the evaluation, called by the task's name. Reads all data. STATUS_INPUT names a file that is
/// missing and where it is published, or the line that is malformed.
STATUS_CHECKED Status benchmark_create(const TaskType *type, const BenchmarkOptions *options,
                                       Evaluation **out);

// For these, `evaluation` must be a benchmark.

/// The next runs take rows from the file, if there are some left, and append the others; NULL: keep none.
void benchmark_keep_items(Evaluation *evaluation, ItemFile *items);
const TaskType *benchmark_type(const Evaluation *evaluation);
/// What stood behind the task's name, or NULL.
const char *benchmark_argument(const Evaluation *evaluation);
/// The SHA-256 of the items with their inputs: equal if and only if two runs asked the same.
const char *benchmark_sha256(const Evaluation *evaluation);
size_t benchmark_items(const Evaluation *evaluation);
/// The inputs of an item as JSON: what its row begins with.
const Str *benchmark_inputs(const Evaluation *evaluation, size_t item);
/// Appends the whole row of an item as the answers in `row` give it, decided by the task as a run decides.
/// STATUS_INPUT if `row` does not have the answers to what is asked.
STATUS_CHECKED Status benchmark_decide_again(const Evaluation *evaluation, size_t item, const TaskItem *row,
                                             Str *out);
const BenchmarkFile *benchmark_files(const Evaluation *evaluation, size_t *count);
