// metrics.jsonl. Rule: one line per training step, "step" first, then the metrics in the order of their list.
#include "track/tracker.h"

#include "io/file.h"
#include "io/json_write.h"
#include "track/jsonlines.h"
#include "util/log.h"
#include "util/memory.h"
#include <stdlib.h>

typedef struct JsonlSink {
  MetricSink sink;
  JsonLines *lines;
} JsonlSink;

/// A checkpoint is saved after the lines of its steps are on the disk, so that one is gone only if somebody
/// took it away.
static void warn_of_lost_lines(const char *path, const JsonLines *lines, size_t first_step) {
  if (first_step <= 1 || jsonlines_last_step(lines) == (int64_t)first_step - 1) return;
  log_say(LOG_WARNING, "%s lacks lines of steps before %zu, which the run goes on from: they are lost", path,
          first_step);
}

static Status open_sink(const TrackedRun *run, MetricSink **out) {
  JsonlSink *jsonl = NULL;
  char *path = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&jsonl, 1, "metrics.jsonl"));
  TRY_CLEAN(path_join(&path, run->folder, "metrics.jsonl"));
  TRY_CLEAN(jsonlines_open(path, (int64_t)run->first_step, &jsonl->lines));
  warn_of_lost_lines(path, jsonl->lines, run->first_step);
  *out = &jsonl->sink;
  jsonl = NULL;
cleanup:
  free(path);
  free(jsonl);
  return status;
}

static Status write_record(MetricSink *sink, const MetricRecord *record) {
  const JsonlSink *jsonl = (const JsonlSink *)sink;
  JsonWriter json = {0};
  Status status = STATUS_OK;
  if (record->source != NULL) return STATUS_OK;
  json_object_begin(&json, NULL);
  json_integer(&json, "step", (int64_t)record->step);
  TRY_CLEAN(metrics_write_json(record->metrics, &json));
  json_object_end(&json);
  TRY_CLEAN(jsonlines_write(jsonl->lines, &json));
cleanup:
  json_free(&json);
  return status;
}

static Status sync_sink(MetricSink *sink) {
  const JsonlSink *jsonl = (const JsonlSink *)sink;
  return jsonlines_sync(jsonl->lines);
}

static void close_sink(MetricSink *sink) {
  JsonlSink *jsonl = (JsonlSink *)sink;
  jsonlines_close(jsonl->lines);
  free(jsonl);
}

const MetricSinkType metrics_jsonl = {
    .open = open_sink, .write = write_record, .sync = sync_sink, .close = close_sink};
