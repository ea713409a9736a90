// Results of eval and of gap: their files, and every figure from the items. Rule: a figure counts as right
// only if it was computed again.
#include "verify.h"

#include <stdio.h>
#include <string.h>

static Status check_binding(const char *items, bool bound, Findings *findings) {
  return bound ? finding_right(findings, items, "its SHA-256")
               : finding_unchecked(findings, items, "no SHA-256 of the items is given");
}

/// *same becomes false where the data are here and are others.
static Status check_data(const cJSON *json, bool *same, Findings *findings) {
  size_t wrong = findings->wrong;
  TRY(verify_data(json, findings));
  *same = *same && findings->wrong == wrong;
  return STATUS_OK;
}

static Status say_other_data(Findings *findings) {
  return finding_unchecked(findings, "which items the data give", "they are not the data of the measurement");
}

// ---- eval ----

static Status check_metrics(const ResultTask *task, Findings *findings) {
  Str differences = {0}, detail = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(results_differences(task, &differences));
  TRY_CLEAN(str_append_format(&detail, "%zu metrics, computed again from %zu items", task->metrics.count,
                              task->count));
  TRY_CLEAN(finding_lines(findings, task->type->name, &differences, str_text(&detail)));
cleanup:
  str_free(&differences);
  str_free(&detail);
  return status;
}

/// A task that this program does not know is named, as nothing of it is checked.
static Status name_unknown_tasks(const Results *results, Findings *findings) {
  const cJSON *task = NULL;
  cJSON_ArrayForEach(task, cJSON_GetObjectItemCaseSensitive(results->json, "tasks")) {
    if (results_task(results, task->string) == NULL)
      TRY(finding_unchecked(findings, task->string, "it is no task of this program that is here"));
  }
  return STATUS_OK;
}

/// What a task says that is no figure.
static Status check_texts(const Results *results, const ResultTask *task, Findings *findings) {
  if (task->type->prompts) TRY(verify_has_data(results->json, "the prompts", findings));
  if (task->type->files[0] != NULL) TRY(verify_has_data(task->json, task->type->name, findings));
  return verify_limits(results, task, findings);
}

static Status check_results(const Results *results, Findings *findings) {
  const cJSON *adapter = cJSON_GetObjectItemCaseSensitive(results->json, "adapter_path");
  bool same_data = true;
  TRY(check_binding(results->items_path, results->bound, findings));
  for (size_t t = 0; t < results->task_count; t++) {
    TRY(check_metrics(&results->tasks[t], findings));
    TRY(check_data(results->tasks[t].json, &same_data, findings));
    TRY(check_texts(results, &results->tasks[t], findings));
  }
  TRY(name_unknown_tasks(results, findings));
  TRY(check_data(results->json, &same_data, findings));
  TRY(verify_model(results->json, findings));
  if (cJSON_IsString(adapter)) TRY(verify_adapter(results->json, adapter->valuestring, findings));
  TRY(verify_settings(results->json, findings));
  TRY(verify_members(results, findings));
  TRY(same_data ? verify_items(results, findings) : say_other_data(findings));
  return finding_unchecked(findings, "the answers, and that config, device and times are true",
                           "no item is asked again");
}

Status verify_results(const char *path, const char *items, Findings *findings) {
  Results results = {0};
  Status status = results_open(path, items, &results);
  // the result and its items are here, and do not fit: that is a finding
  if (status == STATUS_INPUT && results.items_path != NULL)
    status = finding_wrong(findings, results.items_path, status_message());
  else if (status == STATUS_OK)
    status = check_results(&results, findings);
  results_free(&results);
  return status;
}

// ---- gap ----

static Status check_figures(const GapRecord *record, const GapRecordModel *model, Findings *findings) {
  Str differences = {0}, detail = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(gap_record_differences(model, &differences));
  TRY_CLEAN(str_append_format(&detail, "every figure, computed again from the entropies in %s",
                              record->items_path));
  TRY_CLEAN(finding_lines(findings, model->name, &differences, str_text(&detail)));
cleanup:
  str_free(&differences);
  str_free(&detail);
  return status;
}

static Status check_items(GapRecord *record, const char *items, Findings *findings) {
  if (items == NULL && !json_has(record->json, "items"))
    return finding_unchecked(findings, "the figures",
                             "no items are named: measure again with gap --items FILE");
  Status status = gap_record_compute(record, items);
  if (status == STATUS_INPUT && record->items_path == NULL && items == NULL)
    return finding_unchecked(findings, "the figures", status_message());
  if (status == STATUS_INPUT && record->items_path != NULL)
    return finding_wrong(findings, record->items_path, status_message());
  TRY(status);
  TRY(check_binding(record->items_path, record->bound, findings));
  for (size_t m = 0; m < record->count; m++) TRY(check_figures(record, &record->models[m], findings));
  return finding_unchecked(findings, "distinct_sets, trained_on and first_step_H",
                           "they follow from the prompts and the training, and not from the items");
}

static Status check_gap(GapRecord *record, const char *items, Findings *findings) {
  const cJSON *adapter = NULL;
  bool same_data = true;
  TRY(check_items(record, items, findings));
  TRY(check_data(record->json, &same_data, findings));
  TRY(verify_model(record->json, findings));
  cJSON_ArrayForEach(adapter, cJSON_GetObjectItemCaseSensitive(record->json, "adapters")) TRY(verify_adapter(
      adapter, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(adapter, "adapter")), findings));
  TRY(verify_settings(record->json, findings));
  TRY(verify_gap_members(record, findings));
  TRY(same_data ? verify_sets(record, findings) : say_other_data(findings));
  return finding_unchecked(findings, "the answers, and that config, device and times are true",
                           "no answer is sampled or read again");
}

Status verify_gap(const char *path, const char *items, Findings *findings) {
  GapRecord record = {0};
  Status status = gap_record_open(path, &record);
  if (status == STATUS_OK) status = check_gap(&record, items, findings);
  gap_record_free(&record);
  return status;
}
