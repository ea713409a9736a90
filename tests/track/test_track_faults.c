// Memory runs out while trackers begin, go on with or write their files: a message about memory, no leak, and
// a file that a reader takes as it stands.
#include "support/alloc_faults.h"
#include "support/tracker_files.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const MetricSinkType *const types[] = {&metrics_tensorboard, &metrics_wandb};
static const TrackedSection section = {"train", "{\"seed\":15}"};
static char folder[512];

static TrackedRun describe(size_t first_step) {
  return (TrackedRun){.folder = folder,
                      .name = "a run",
                      .project = "gee",
                      .config_text = "[train]\nseed = 15\n",
                      .sections = &section,
                      .section_count = 1,
                      .first_step = first_step};
}

static Status write_step(Tracker *tracker, size_t step, const char *source) {
  MetricList list = {0};
  metrics_add_interval(&list, (Interval){0.5, 0.25, 0.75}, "gap");
  Status status = tracker_write(tracker, &(MetricRecord){step, source, &list});
  metrics_free(&list);
  return status;
}

/// A run with both sinks: `first_step`, an evaluation and the end.
static Status run_from(size_t first_step) {
  Tracker tracker = {0};
  TrackedRun run = describe(first_step);
  Status status = STATUS_OK;
  for (size_t i = 0; i < 2; i++) TRY_CLEAN(tracker_add(&tracker, types[i], &run));
  TRY_CLEAN(write_step(&tracker, first_step, NULL));
  TRY_CLEAN(write_step(&tracker, first_step, "bias_eval"));
  TRY_CLEAN(tracker_finish(&tracker));
cleanup:
  tracker_close(&tracker);
  return status;
}

static Status begin(void *user) {
  (void)user;
  return run_from(0);
}

static Status go_on(void *user) {
  (void)user;
  return run_from(1);
}

/// Whatever failed, the next run goes on with what is there, and the readers find nothing amiss.
static void check_files(void *user, bool failed, FaultMode mode) {
  Str text = {0};
  (void)user;
  (void)failed;
  (void)mode;
  assert_ok(run_from(1));
  tensorboard_read(folder, &text);
  wandb_read(folder, &text);
  assert_true(test_contains(str_text(&text), "1 gap=0.5 gap_low=0.25 gap_high=0.75\n"));
  assert_true(test_contains(str_text(&text), "step=1 bias_eval/gap=0.5"));
  str_free(&text);
}

static void trackers_run_out_of_memory(void **state) {
  (void)state;
  FaultSweep begins = {.name = "beginning with trackers", .run = begin, .check = check_files};
  FaultSweep goes_on = {.name = "going on with trackers", .run = go_on, .check = check_files};
  (void)snprintf(folder, sizeof folder, "%s", test_folder());
  faults_sweep(&begins);
  assert_ok(run_from(0));
  faults_sweep(&goes_on);
}

int main(void) {
  tracker_files_in_memory();
  const struct CMUnitTest tests[] = {cmocka_unit_test(trackers_run_out_of_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
