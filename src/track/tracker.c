// The sinks of a run. Rule: each gets the same records in the same order. The first failure ends the run:
// metrics that go missing silently are worse than a run that stops and can be resumed.
#include "track/tracker.h"

#include "util/memory.h"
#include <stdlib.h>

Status tracker_add(Tracker *tracker, const MetricSinkType *type, const TrackedRun *run) {
  MetricSink *sink = NULL;
  TRY(mem_reserve(&tracker->sinks, &tracker->capacity, tracker->count + 1, "sinks of metrics"));
  TRY(type->open(run, &sink));
  sink->type = type;
  tracker->sinks[tracker->count++] = sink;
  return STATUS_OK;
}

Status tracker_write(Tracker *tracker, const MetricRecord *record) {
  TRY(metrics_check(record->metrics));
  for (size_t i = 0; i < tracker->count; i++) TRY(tracker->sinks[i]->type->write(tracker->sinks[i], record));
  return STATUS_OK;
}

Status tracker_sync(Tracker *tracker) {
  for (size_t i = 0; i < tracker->count; i++) TRY(tracker->sinks[i]->type->sync(tracker->sinks[i]));
  return STATUS_OK;
}

Status tracker_finish(Tracker *tracker) {
  for (size_t i = 0; i < tracker->count; i++) {
    MetricSink *sink = tracker->sinks[i];
    if (sink->type->finish != NULL) TRY(sink->type->finish(sink));
  }
  return STATUS_OK;
}

void tracker_close(Tracker *tracker) {
  if (tracker == NULL) return;
  for (size_t i = 0; i < tracker->count; i++) tracker->sinks[i]->type->close(tracker->sinks[i]);
  free(tracker->sinks);
  *tracker = (Tracker){0};
}
