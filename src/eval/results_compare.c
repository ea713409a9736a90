// Results files compared. Rule: only figures that follow from their items, of tasks that were asked in the
// same way.
#include "eval/results.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

static Status check_figures(const Results *results) {
  for (size_t t = 0; t < results->task_count; t++) {
    Str differences = {0};
    Status status = results_differences(&results->tasks[t], &differences);
    if (status == STATUS_OK && differences.size > 0)
      status =
          status_fail(STATUS_INPUT, "%s is not what its items give: %s/%.*s", results->path,
                      results->tasks[t].type->name, (int)strcspn(differences.data, "\n"), differences.data);
    str_free(&differences);
    TRY(status);
  }
  return STATUS_OK;
}

/// *all = whether every result has the task; rows[count] are then its rows in each.
static Status find_rows(const Results *const *results, size_t count, const TaskType *type, ComparedRows *rows,
                        bool *all) {
  *all = true;
  for (size_t i = 0; i < count && *all; i++) {
    const ResultTask *task = results_task(results[i], type->name);
    *all = task != NULL;
    if (task != NULL) rows[i] = (ComparedRows){{task->type, task->items, task->count}, &task->metrics};
  }
  for (size_t i = 1; i < count && *all; i++) TRY(results_check_same(results[0], results[i], type));
  return STATUS_OK;
}

static Status compare_tasks(const Results *const *results, ComparedRows *rows, Comparison *out) {
  for (size_t t = 0; t < results[0]->task_count; t++) {
    bool all = false;
    TRY(find_rows(results, out->models, results[0]->tasks[t].type, rows, &all));
    if (all) TRY(comparison_add(out, rows));
  }
  if (out->count == 0) return status_fail(STATUS_INPUT, "the results have no task in common");
  return comparison_finish(out);
}

Status results_compare(const Results *const *results, size_t count, Comparison *out) {
  ComparedRows *rows = NULL;
  out->models = count;
  for (size_t i = 0; i < count; i++) TRY(check_figures(results[i]));
  TRY(mem_array(&rows, count, "the results"));
  Status status = compare_tasks(results, rows, out);
  free(rows);
  return status;
}
