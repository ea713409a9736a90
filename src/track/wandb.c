// W&B's offline runs. Rule: the file is whole after each record, so `wandb sync` takes it at any time; a run
// that has not come to its end has no exit record, and W&B shows it as crashed.
//
// A record is a row: the metrics by their names, an evaluation's behind "<source>/", and "step", which is the
// horizontal axis. It cannot be W&B's own "_step", which must rise from row to row: an evaluation has the
// step of the training step before it. With a row goes a summary, W&B's list of the last values.
#include "track/tracker.h"

#include "io/json_write.h"
#include "util/clock.h"
#include "util/memory.h"
#include "wandb_run.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct WandbSink {
  MetricSink sink;
  WandbRun run;
} WandbSink;

static Status open_sink(const TrackedRun *run, MetricSink **out) {
  WandbSink *wandb = NULL;
  TRY(mem_array(&wandb, 1, "W&B's file"));
  Status status = wandb_run_open(run, &wandb->run);
  if (status == STATUS_OK)
    *out = &wandb->sink;
  else
    free(wandb);
  return status;
}

/// A value in W&B's JSON, which has words for what is not finite.
static void print_value(char out[JSON_NUMBER_SIZE], double value) {
  if (isfinite(value))
    json_print_number(out, value);
  else
    (void)snprintf(out, JSON_NUMBER_SIZE, "%s", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

/// Lists what a row has, in its order.
static void list_row(const WandbRun *run, const MetricRecord *record, MetricList *out) {
  double now = clock_unix_seconds();
  metrics_add(out, (double)run->rows, "_step");
  metrics_add(out, now - run->started, "_runtime");
  metrics_add(out, now, "_timestamp");
  metrics_add(out, (double)record->step, "step");
  metrics_flatten(record->metrics, record->source, out);
}

/// Appends the row and its summary.
static Status append_row(WandbRun *run, const WandbItems *items, Str *out) {
  Wb__Record history = WB__RECORD__INIT, summary = WB__RECORD__INIT;
  Wb__Row row = WB__ROW__INIT;
  Wb__Step step = WB__STEP__INIT;
  Wb__Items last = WB__ITEMS__INIT;
  row.n_item = last.n_update = items->count;
  row.item = last.update = items->list;
  step.num = run->rows++;
  row.step = &step;
  history.type_case = WB__RECORD__TYPE_HISTORY;
  history.history = &row;
  summary.type_case = WB__RECORD__TYPE_SUMMARY;
  summary.summary = &last;
  TRY(wandb_run_append(run, out, &history));
  return wandb_run_append(run, out, &summary);
}

static Status write_record(MetricSink *sink, const MetricRecord *record) {
  WandbSink *wandb = (WandbSink *)sink;
  MetricList row = {0};
  WandbItems items = {0};
  char(*values)[JSON_NUMBER_SIZE] = NULL;
  Str bytes = {0};
  Status status = STATUS_OK;
  list_row(&wandb->run, record, &row);
  TRY_CLEAN(metrics_check(&row));
  TRY_CLEAN(wandb_items_create(row.count, &items));
  TRY_CLEAN(mem_array(&values, row.count, "W&B's values"));
  for (size_t i = 0; i < row.count; i++) {
    print_value(values[i], row.items[i].value);
    items.items[i].key = row.items[i].name;
    items.items[i].value_json = values[i];
  }
  TRY_CLEAN(append_row(&wandb->run, &items, &bytes));
  TRY_CLEAN(growing_append(&wandb->run.file, str_text(&bytes), bytes.size));
cleanup:
  wandb_items_free(&items);
  metrics_free(&row);
  free(values);
  str_free(&bytes);
  return status;
}

static Status sync_sink(MetricSink *sink) {
  const WandbSink *wandb = (const WandbSink *)sink;
  return growing_sync(&wandb->run.file);
}

/// Writes the exit record: the run has come to its end, with exit code 0.
static Status finish_sink(MetricSink *sink) {
  WandbSink *wandb = (WandbSink *)sink;
  Wb__Record record = WB__RECORD__INIT;
  Wb__Exit message = WB__EXIT__INIT;
  record.type_case = WB__RECORD__TYPE_EXIT;
  record.exit = &message;
  return wandb_run_write(&wandb->run, &record);
}

static void close_sink(MetricSink *sink) {
  WandbSink *wandb = (WandbSink *)sink;
  growing_close(&wandb->run.file);
  free(wandb);
}

const MetricSinkType metrics_wandb = {
    .open = open_sink, .write = write_record, .sync = sync_sink, .finish = finish_sink, .close = close_sink};
