// The model card and .eval_results. Rule: only results of this adapter, by its hash, are given out as its
// results.
#include "card.h"
#include "io/file.h"
#include "util/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Appends text as Markdown shows it, in one line.
static Status append_plain(Str *out, const char *text) {
  for (; *text != '\0'; text++) {
    char c = (unsigned char)*text < 0x20 ? ' ' : *text;
    if (strchr("\\`*_{}[]<>|#&", c) != NULL) TRY(str_append_text(out, "\\"));
    TRY(str_append(out, &c, 1));
  }
  return STATUS_OK;
}

/// Appends the number at `key` with its interval; `plus`: with a sign.
static Status append_estimate(Str *out, const cJSON *estimate, const char *key, bool plus) {
  double value = NUMBER_AT(estimate, key), low = NUMBER_AT(estimate, "low"),
         high = NUMBER_AT(estimate, "high");
  if (!isfinite(value)) return str_append_text(out, "not measured");
  TRY(str_append_format(out, plus ? "%+.4f" : "%.4f", value));
  return isfinite(low) && isfinite(high)
             ? str_append_format(out, plus ? " [%+.4f, %+.4f]" : " [%.4f, %.4f]", low, high)
             : STATUS_OK;
}

static Status append_gap_row(Str *out, const char *name, const cJSON *before, const cJSON *after,
                             const char *kind) {
  TRY(str_append_format(out, "| %s | ", name));
  TRY(append_estimate(out, JSON_AT(before, kind), "gap", true));
  TRY(str_append_text(out, " | "));
  TRY(append_estimate(out, JSON_AT(after, kind), "gap", true));
  TRY(str_append_text(out, " | "));
  TRY(append_estimate(out, JSON_AT(after, "change", kind), "gap", true));
  return str_append_text(out, " |\n");
}

/// Figures that were not computed in float32 say so.
static Status append_compute(const cJSON *json, Str *out) {
  const char *compute = TEXT_AT(json, "sha256", "compute");
  if (compute == NULL) return STATUS_OK;
  TRY(str_append_text(out, "These figures were computed with model.compute = "));
  TRY(append_plain(out, compute));
  return str_append_text(out, ", and differ from those of float32.\n\n");
}

static Status append_gaps(const Report *report, Str *out) {
  const cJSON *before = record_before(report->record), *after = record_after(report->record, report->input);
  if (before == NULL || after == NULL)
    return str_append_text(out, "The gap before and after was not measured.\n\n");
  TRY(str_append_format(out, "On %.0f sets of prompts, in nats with 95 %% intervals",
                        NUMBER_AT(after, "sets")));
  if (group_count(report) == 2) {
    TRY(str_append_text(out, "; gap = H "));
    TRY(append_plain(out, group_label(report, 1)));
    TRY(str_append_text(out, " \xe2\x88\x92 H "));
    TRY(append_plain(out, group_label(report, 0)));
  }
  TRY(str_append_text(out, ":\n\n| | before | after | change |\n|---|---|---|---|\n"));
  TRY(append_gap_row(out, "paired gap", before, after, "paired"));
  TRY(append_gap_row(out, "total gap", before, after, "total"));
  TRY(str_append_format(out, "| mean entropy | %.4f | %.4f | %+.4f |\n\n", NUMBER_AT(before, "H_bar"),
                        NUMBER_AT(after, "H_bar"), NUMBER_AT(after, "change", "H_bar", "change")));
  TRY(append_compute(report->record->gap, out));
  double kl = NUMBER_AT(after, "kl", "mean");
  if (!isfinite(kl)) return STATUS_OK;
  return str_append_format(out, "Training moved the model by a KL divergence of %.4f nats a token.\n\n", kl);
}

// ---- results of this adapter ----

/// Whether results were made with the adapter that has the hash.
static bool is_own(const cJSON *results, const char *hash) {
  const char *adapter = TEXT_AT(results, "sha256", "adapter");
  return hash[0] != '\0' && adapter != NULL && strcmp(adapter, hash) == 0;
}

/// hash = that of the run's adapter; "" if it has none.
static Status hash_adapter(const Report *report, char hash[SHA256_TEXT]) {
  char *path = NULL;
  Status status = STATUS_OK;
  hash[0] = '\0';
  TRY(path_join(&path, report->input->checkpoint, "adapter_model.safetensors"));
  if (file_exists(path)) status = file_sha256(path, hash);
  free(path);
  return status;
}

static Status append_task(const cJSON *task, Str *out) {
  const cJSON *metric = NULL;
  cJSON_ArrayForEach(metric, JSON_AT(task, "metrics")) {
    TRY(str_append_text(out, "| "));
    TRY(append_plain(out, task->string));
    TRY(str_append_text(out, " | "));
    TRY(append_plain(out, metric->string));
    TRY(str_append_text(out, " | "));
    TRY(append_estimate(out, metric, "value", false));
    TRY(str_append_text(out, " | "));
    if (isfinite(NUMBER_AT(metric, "n"))) TRY(str_append_format(out, "%.0f", NUMBER_AT(metric, "n")));
    TRY(str_append_text(out, " |\n"));
  }
  return STATUS_OK;
}

static Status append_results(const cJSON *results, Str *out) {
  const cJSON *task = NULL;
  double limit = NUMBER_AT(results, "limit");
  if (limit > 0)
    TRY(str_append_format(out,
                          "Of each task the first %.0f items at most were asked (--limit): these are no "
                          "results of the whole benchmarks.\n\n",
                          limit));
  TRY(str_append_text(out, "| task | metric | value, 95 % interval | n |\n|---|---|---|---|\n"));
  cJSON_ArrayForEach(task, JSON_AT(results, "tasks")) TRY(append_task(task, out));
  TRY(str_append_text(out, "\n"));
  return append_compute(results, out);
}

static Status append_benchmarks(const Report *report, Str *out) {
  char hash[SHA256_TEXT];
  size_t count = 0;
  TRY(hash_adapter(report, hash));
  for (size_t r = 0; r < report->input->result_count; r++) {
    if (!is_own(report->record->results[r], hash)) continue;
    TRY(append_results(report->record->results[r], out));
    count++;
  }
  if (count > 0) return STATUS_OK;
  return str_append_text(out, "No benchmark of bias or skill was run on this adapter.\n\n");
}

Status card_append(const Report *report, Str *out) {
  if (report->record->readme == NULL) return STATUS_OK;
  TRY(str_append_text(out, report->record->readme));
  TRY(str_append_text(out, "\n## Evaluation\n\n"));
  TRY(append_gaps(report, out));
  TRY(append_benchmarks(report, out));
  return str_append_text(
      out, "## Bias, Risks, and Limitations\n\n"
           "Equal entropies do not mean equal answers, and say nothing about decisions that are made with "
           "the model. People who belong to none of the measured groups are not represented. The intervals "
           "speak of prompts like the measured ones, in one language, and of one run. `report.html` has the "
           "method, the data with their hashes, and everything that was measured.\n");
}

// ---- .eval_results ----

/// Where a task's data are on the Hub, how many items the whole of them has, and the metric that stands for
/// it. A part of a benchmark (--limit, a subset) is no result of it.
static const struct {
  const char *task, *dataset, *task_id, *metric;
  double items;
} HUB[] = {{"gsm8k", "openai/gsm8k", "main", "strict", 1319},
           {"mmlu", "cais/mmlu", "all", "acc", 14042},
           {"crows_pairs", "nyu-mll/crows_pairs", "crows_pairs", "pct_stereotype", 1508},
           {"stereoset", "McGill-NLP/stereoset", "intrasentence", "ICAT", 2106}};

/// A time as gee-cl writes it, which needs no escaping; else NULL.
static const char *date_of(const cJSON *results) {
  const char *date = TEXT_AT(results, "finished");
  return date != NULL && strspn(date, "0123456789-:TZ") == strlen(date) ? date : NULL;
}

static Status append_result(const cJSON *results, size_t hub, const cJSON *metric, Str *out) {
  const char *date = date_of(results);
  TRY(str_append_format(
      out,
      "# For a folder .eval_results of the model on the Hub, which shows it where the dataset is a\n"
      "# benchmark with this task_id (its eval.yaml says).\n"
      "- dataset:\n    id: %s\n    task_id: %s\n  value: %.17g\n",
      HUB[hub].dataset, HUB[hub].task_id, NUMBER_AT(metric, "value")));
  if (date != NULL) TRY(str_append_format(out, "  date: \"%s\"\n", date));
  TRY(str_append_format(out, "  notes: \"%s by gee-cl %s", metric->string, GEE_VERSION));
  if (isfinite(NUMBER_AT(metric, "n"))) TRY(str_append_format(out, ", n %.0f", NUMBER_AT(metric, "n")));
  if (isfinite(NUMBER_AT(metric, "low")))
    TRY(str_append_format(out, ", 95 %% interval %.6g to %.6g", NUMBER_AT(metric, "low"),
                          NUMBER_AT(metric, "high")));
  const char *compute = TEXT_AT(results, "sha256", "compute");
  if (compute != NULL) // gee-cl's words are of letters and digits
    TRY(str_append_format(out, ", computed in %.*s",
                          (int)strspn(compute, "abcdefghijklmnopqrstuvwxyz0123456789"), compute));
  return str_append_text(out, "\"\n");
}

static Status add_result(const cJSON *results, size_t hub, ReportOutput *output) {
  const cJSON *metric = JSON_AT(results, "tasks", HUB[hub].task, "metrics", HUB[hub].metric);
  bool whole = fabs(NUMBER_AT(results, "tasks", HUB[hub].task, "items") - HUB[hub].items) < 0.5;
  if (metric == NULL || !isfinite(NUMBER_AT(metric, "value")) || !whole) return STATUS_OK;
  ReportResult *result = &output->results[output->result_count];
  TRY(str_format(&result->name, "%s.yaml", HUB[hub].task));
  output->result_count++;
  return append_result(results, hub, metric, &result->text);
}

/// Of a task that was measured twice the last results count.
Status card_results(const Report *report, ReportOutput *output) {
  char hash[SHA256_TEXT];
  size_t tasks = sizeof HUB / sizeof *HUB;
  TRY(hash_adapter(report, hash));
  TRY(mem_array(&output->results, tasks, "results"));
  for (size_t i = 0; i < tasks; i++) {
    const cJSON *last = NULL;
    for (size_t r = 0; r < report->input->result_count; r++) {
      const cJSON *results = report->record->results[r];
      if (is_own(results, hash) && JSON_AT(results, "tasks", HUB[i].task) != NULL) last = results;
    }
    if (last != NULL) TRY(add_result(last, i, output));
  }
  return STATUS_OK;
}
