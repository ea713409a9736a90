// results.json of gee-cl eval with its items, read back. Rule: the items are the truth. A results file is
// only used together with the very items that it was computed from, and its metrics are computed again from
// them.
#pragma once

#include "eval/benchmark.h"
#include "eval/compare.h"
#include "eval/user_task.h"

#define RESULTS_FORMAT "gee-cl results 1"

/// A line of the items file.
typedef struct ResultRow {
  char *place; // "items.jsonl:12"
  cJSON *json;
} ResultRow;

/// The rows of a task in a results file, and what follows from them.
typedef struct ResultTask {
  const TaskType *type;
  UserTask *own;     // whose type it is; NULL: a built-in task
  const cJSON *json; // tasks.<name>
  ResultRow *rows;   // [count] in the order of the file
  TaskItem *items;   // [count] the same, for measure
  size_t count, row_capacity, item_capacity;
  MetricList metrics; // measured again from the rows
} ResultTask;

typedef struct Results {
  char *path, *items_path;
  cJSON *json;
  bool bound; // the items' SHA-256 is in the results file, and is right
  ResultTask *tasks;
  size_t task_count;
} Results;

/// Reads a results file alone: every command that takes one refuses the same. STATUS_INPUT if it is not
/// there, is malformed, says a thing twice, or is of another format. Zero-initialise *out, and delete it in
/// any case.
STATUS_CHECKED Status results_parse(const char *path, cJSON **out);
/// Reads the results file, its items, and measures each task again. `items` is the items file, or NULL: the
/// one that the results name, where they say it is, or else beside them. STATUS_INPUT if a file is not there,
/// is malformed, or the items are not those that the results were computed from. Zero-initialise `out`, and
/// call results_free in any case.
STATUS_CHECKED Status results_open(const char *path, const char *items, Results *out);
/// Safe on a zeroed struct and twice.
void results_free(Results *results);
/// The task called `name`, or NULL.
const ResultTask *results_task(const Results *results, const char *name);

/// Appends a line for each metric of the task that the results file gives otherwise than its rows do: another
/// value, end of the interval or number of items, a metric too many or too few. Numbers are the same within
/// 1e-9 of their size, as another machine's exp and log may round otherwise.
STATUS_CHECKED Status results_differences(const ResultTask *task, Str *out);
/// Appends a line where the task's rows are not the items that `benchmark`, the same task opened from its
/// data, has: a row too many or too few, the first row with other inputs, with another decision than the task
/// makes of the answers in it, or with a member that no such row has; another "items_sha256".
STATUS_CHECKED Status results_compare_items(const ResultTask *task, const Evaluation *benchmark, Str *out);
/// STATUS_INPUT unless both results asked the task in the same way; says what differs.
STATUS_CHECKED Status results_check_same(const Results *a, const Results *b, const TaskType *type);
/// Compares the metrics of the tasks that all results have. out is zeroed; free it with comparison_free in
/// any case, before the results. STATUS_INPUT if the figures of one are not what its items give, if a task
/// was not asked in the same way, or if they have no task in common.
STATUS_CHECKED Status results_compare(const Results *const *results, size_t count, Comparison *out);
