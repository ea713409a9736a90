// What a resumed run reads of its trackers' files. The first byte chooses: 0 an event file, 1 W&B's log, as
// they are; 2 and 3 the same of messages, each behind its length (one byte), in frames whose checksums are
// right.
#include "fuzz.h"

#include "io/file.h"
#include "tfrecord.h"
#include "track/tracker.h"
#include "wandb_log.h"
#include <string.h>

enum { FIRST_STEP = 3 };
#define LOG_FOLDER "wandb/offline-run-20260101_000000-abcd1234"
#define LOG        LOG_FOLDER "/run-abcd1234.wandb"
#define EVENTS     "events.out.tfevents.000000001.gee-cl"

static void frame(const uint8_t *bytes, size_t size, bool is_log, Str *out) {
  if (is_log) FUZZ_CHECK(wandb_log_begin(out) == STATUS_OK);
  for (size_t at = 0; at < size;) {
    size_t length = bytes[at++];
    if (length > size - at) length = size - at;
    FUZZ_CHECK((is_log ? wandb_log_append(out, 0, bytes + at, length)
                       : tfrecord_append(out, bytes + at, length)) == STATUS_OK);
    at += length;
  }
}

static bool resume(const MetricSinkType *type) {
  Tracker tracker = {0};
  TrackedRun run = {.folder = fuzz_path("run"), .config_text = "[train]\n", .first_step = FIRST_STEP};
  MetricList list = {0};
  if (!fuzz_accepted(tracker_add(&tracker, type, &run))) {
    tracker_close(&tracker);
    return false;
  }
  metrics_add(&list, 1, "loss");
  FUZZ_CHECK(tracker_write(&tracker, &(MetricRecord){.step = FIRST_STEP, .metrics = &list}) == STATUS_OK);
  metrics_free(&list);
  tracker_close(&tracker);
  return true;
}

static size_t size_of(const char *path) {
  MappedFile file = {0};
  FUZZ_CHECK(file_map(path, &file) == STATUS_OK);
  size_t size = file.size;
  file_unmap(&file);
  return size;
}

/// What was accepted is accepted again, and is not kept twice: what a resumed run adds goes with the next
/// one.
static void try_events(void) {
  if (!resume(&metrics_tensorboard)) return;
  size_t once = size_of(fuzz_path("run/events.out.tfevents.000000002.gee-cl"));
  FUZZ_CHECK(resume(&metrics_tensorboard));
  FUZZ_CHECK(size_of(fuzz_path("run/events.out.tfevents.000000003.gee-cl")) == once);
}

/// The size of W&B's varies with the digits of the time.
static void try_log(void) {
  if (!resume(&metrics_wandb)) return;
  size_t once = size_of(fuzz_path("run/" LOG));
  FUZZ_CHECK(resume(&metrics_wandb));
  FUZZ_CHECK(size_of(fuzz_path("run/" LOG)) < once + 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size == 0) return 0;
  bool is_log = bytes[0] % 2 == 1, framed = bytes[0] / 2 % 2 == 1;
  Str text = {0};
  FUZZ_CHECK(directory_remove(fuzz_path("run")) == STATUS_OK);
  FUZZ_CHECK(directory_create(fuzz_path("run/" LOG_FOLDER)) == STATUS_OK);
  if (framed)
    frame(bytes + 1, size - 1, is_log, &text);
  else
    FUZZ_CHECK(str_append(&text, (const char *)bytes + 1, size - 1) == STATUS_OK);
  (void)fuzz_file(is_log ? "run/" LOG : "run/" EVENTS, str_text(&text), text.size);
  str_free(&text);
  is_log ? try_log() : try_events();
  return 0;
}
