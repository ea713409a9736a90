// Small runs of trackers.
#include "support/tracked_run.h"

#include "io/file.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const TrackerKind tensorboard = {&metrics_tensorboard, tensorboard_read, tensorboard_path};
static const TrackerKind wandb = {&metrics_wandb, wandb_read, wandb_path};
const TrackerKind *const tracker_kinds[TRACKER_KINDS] = {&tensorboard, &wandb};

static const TrackedSection sections[] = {{"model", "{\"path\":\"m\"}"}, {"train", "{\"seed\":15}"}};

char tracked_folder[512];

void tracked_new_run(void) {
  static int count;
  (void)snprintf(tracked_folder, sizeof tracked_folder, "%s/run_%d", test_folder(), count++);
  assert_ok(directory_create(tracked_folder));
}

TrackedRun tracked_run(size_t first_step) {
  return (TrackedRun){.folder = tracked_folder,
                      .name = "a run",
                      .project = "gee",
                      .config_text = "[model]\npath = m\n",
                      .sections = sections,
                      .section_count = 2,
                      .first_step = first_step};
}

Tracker tracked_open(const TrackerKind *kind, size_t first_step) {
  Tracker tracker = {0};
  TrackedRun run = tracked_run(first_step);
  assert_ok(tracker_add(&tracker, kind->type, &run));
  return tracker;
}

Status tracked_write_step(Tracker *tracker, size_t step) {
  MetricList list = {0};
  metrics_add(&list, 0.5 * (double)step, "loss");
  Status status = tracker_write(tracker, &(MetricRecord){.step = step, .metrics = &list});
  metrics_free(&list);
  return status;
}

Status tracked_write_evaluation(Tracker *tracker, size_t step) {
  MetricList list = {0};
  metrics_add_interval(&list, (Interval){0.25, -0.5, NAN}, "gap");
  Status status = tracker_write(tracker, &(MetricRecord){step, "bias_eval", &list});
  metrics_free(&list);
  return status;
}

void tracked_write_steps(const TrackerKind *kind, size_t first_step, size_t end) {
  Tracker tracker = tracked_open(kind, first_step);
  for (size_t step = first_step; step < end; step++) assert_ok(tracked_write_step(&tracker, step));
  assert_ok(tracker_sync(&tracker));
  tracker_close(&tracker);
}

void tracked_expect(const TrackerKind *kind, const char *expected) {
  Str text = {0};
  kind->read(tracked_folder, &text);
  assert_string_equal(str_text(&text), expected);
  str_free(&text);
}

void tracked_expect_bytes(const char *bytes, size_t size, const char *path) {
  MappedFile file = {0};
  assert_ok(file_map(path, &file));
  assert_int_equal(file.size, size);
  assert_memory_equal(file.bytes, bytes, size);
  file_unmap(&file);
}

char *tracked_bytes(const char *path, size_t *size) {
  MappedFile file = {0};
  char *bytes = NULL;
  assert_ok(file_map(path, &file));
  assert_ok(str_copy(&bytes, (const char *)file.bytes, file.size));
  *size = file.size;
  file_unmap(&file);
  return bytes;
}

size_t tracked_count(const TrackerKind *kind, const char *part) {
  Str text = {0};
  size_t count = 0;
  kind->read(tracked_folder, &text);
  for (const char *at = str_text(&text); (at = strstr(at, part)) != NULL; at++) count++;
  str_free(&text);
  return count;
}
