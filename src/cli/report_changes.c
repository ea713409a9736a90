// Comparing each result with the first.
#include "report_changes.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

/// What is wrong with the input becomes the reason; other failures stay.
static Status keep_reason(Status status, char **reason) {
  if (status != STATUS_INPUT) return status;
  const char *message = status_message();
  return str_copy(reason, message, strlen(message));
}

/// Compares a result with the first, which is open if there is no reason against it.
static Status compare_with_first(const char *path, size_t index, CollectedChanges *out) {
  if (out->reasons[0] != NULL)
    return str_copy(&out->reasons[index], out->reasons[0], strlen(out->reasons[0]));
  TRY(results_open(path, NULL, &out->results[index]));
  const Results *pair[] = {&out->results[0], &out->results[index]};
  return results_compare(pair, 2, &out->pairs[index]);
}

static Status list_changes(const Comparison *pair, ReportChanges *out) {
  ReportChange *list = NULL;
  TRY(mem_array(&list, pair->count, "the changes"));
  for (size_t i = 0; i < pair->count; i++) {
    const ComparedMetric *metric = &pair->list[i];
    const ComparedValue *value = &metric->values[1];
    list[i] = (ReportChange){metric->type->name, metric->name,       value->change.value,
                             value->change.low,  value->change.high, value->p_holm};
  }
  out->list = list;
  out->count = pair->count;
  return STATUS_OK;
}

Status changes_collect(const char *const *results, size_t count, CollectedChanges *out) {
  if (count < 2) return STATUS_OK;
  out->count = count;
  TRY(mem_array(&out->results, count, "results"));
  TRY(mem_array(&out->pairs, count, "comparisons"));
  TRY(mem_array(&out->reasons, count, "reasons"));
  TRY(mem_array(&out->changes, count, "changes"));
  TRY(keep_reason(results_open(results[0], NULL, &out->results[0]), &out->reasons[0]));
  for (size_t i = 1; i < count; i++) {
    TRY(keep_reason(compare_with_first(results[i], i, out), &out->reasons[i]));
    if (out->reasons[i] == NULL) TRY(list_changes(&out->pairs[i], &out->changes[i]));
    out->changes[i].reason = out->reasons[i];
  }
  return STATUS_OK;
}

void changes_free(CollectedChanges *changes) {
  for (size_t i = 0; i < changes->count; i++) {
    if (changes->changes != NULL) free(changes->changes[i].list);
    if (changes->pairs != NULL) comparison_free(&changes->pairs[i]);
    if (changes->results != NULL) results_free(&changes->results[i]);
    if (changes->reasons != NULL) free(changes->reasons[i]);
  }
  free(changes->changes);
  free(changes->pairs);
  free(changes->results);
  free(changes->reasons);
  *changes = (CollectedChanges){0};
}
