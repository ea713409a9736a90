// TensorBoard's event files and W&B's offline runs: every byte of small runs, decoded by another reader
// (support/tracker_files.h), also of resumed ones; names and values of every kind.
#include "support/tracked_run.h"

#include "io/file.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- what is written ----

static void checksums_are_the_formats_own(void **state) {
  (void)state;
  const uint8_t *digits = (const uint8_t *)"123456789"; // the check values of the catalogue of CRCs
  assert_int_equal(tracker_crc(0x82f63b78, digits, 9), 0xe3069283);
  assert_int_equal(tracker_crc(0xedb88320, digits, 9), 0xcbf43926);
}

static void a_run(const TrackerKind *kind) {
  tracked_new_run();
  Tracker tracker = tracked_open(kind, 0);
  assert_ok(tracked_write_evaluation(&tracker, 0));
  assert_ok(tracked_write_step(&tracker, 1));
  assert_ok(tracked_write_step(&tracker, 2));
  assert_ok(tracked_write_evaluation(&tracker, 2));
  assert_ok(tracker_sync(&tracker));
  assert_ok(tracker_finish(&tracker));
  tracker_close(&tracker);
}

static void tensorboard_has_scalars_and_the_config(void **state) {
  (void)state;
  a_run(tracker_kinds[0]);
  tracked_expect(tracker_kinds[0], "version brain.Event:2\nstart 0\n0 config (text)     [model]\n"
                                   "0 bias_eval/gap=0.25 bias_eval/gap_low=-0.5 bias_eval/gap_high=nan\n"
                                   "1 loss=0.5\n2 loss=1\n"
                                   "2 bias_eval/gap=0.25 bias_eval/gap_low=-0.5 bias_eval/gap_high=nan\n");
}

#define GAP "bias_eval/gap=0.25 bias_eval/gap_low=-0.5 bias_eval/gap_high=NaN\n"
#define WANDB_BEGIN                                                                                          \
  "1 header gee-cl\n2 run gee/a run model={\"path\":\"m\"} train={\"seed\":15}\n"                            \
  "3 metric * step\n"

static void wandb_has_rows_and_their_summaries(void **state) {
  (void)state;
  a_run(tracker_kinds[1]);
  tracked_expect(tracker_kinds[1],
                 WANDB_BEGIN "4 row 0 _step=0 step=0 " GAP "5 summary _step=0 step=0 " GAP
                             "6 row 1 _step=1 step=1 loss=0.5\n7 summary _step=1 step=1 loss=0.5\n"
                             "8 row 2 _step=2 step=2 loss=1\n9 summary _step=2 step=2 loss=1\n"
                             "10 row 3 _step=3 step=2 " GAP "11 summary _step=3 step=2 " GAP "12 exit 0\n");
}

static void names_and_values_of_every_kind(void **state) {
  (void)state;
  static const char *const expected[] = {
      "version brain.Event:2\nstart 0\n1 H_d'été=nan H_\xef\xbf\xbd=inf H_a \"b\"\n=-inf large=inf zero=0\n",
      "1 header gee-cl\n2 run /\n3 metric * step\n"
      "4 row 0 _step=0 step=1 H_d'été=NaN H_\xef\xbf\xbd=Infinity H_a \"b\"\n=-Infinity large=1e+300 zero=0\n"
      "5 summary _step=0 step=1 H_d'été=NaN H_\xef\xbf\xbd=Infinity H_a \"b\"\n=-Infinity large=1e+300 "
      "zero=0\n"};
  MetricList list = {0};
  metrics_add(&list, NAN, "H_d'été");
  metrics_add(&list, INFINITY, "H_\xff");
  metrics_add(&list, -INFINITY, "H_a \"b\"\n");
  metrics_add(&list, 1e300, "large");
  metrics_add(&list, 0, "zero");
  for (size_t i = 0; i < 2; i++) {
    Tracker tracker = {0};
    tracked_new_run();
    TrackedRun run = {.folder = tracked_folder};
    assert_ok(tracker_add(&tracker, tracker_kinds[i]->type, &run));
    assert_ok(tracker_write(&tracker, &(MetricRecord){.step = 1, .metrics = &list}));
    tracker_close(&tracker);
    tracked_expect(tracker_kinds[i], expected[i]);
  }
  metrics_free(&list);
}

/// Records of W&B's log at every place in a block, and longer than one.
static void records_cross_blocks(void **state) {
  (void)state;
  char name[40000];
  tracked_new_run();
  Tracker tracker = tracked_open(tracker_kinds[1], 0);
  for (size_t i = 0; i < 400; i++) {
    MetricList list = {0};
    size_t length = i == 399 ? sizeof name - 1 : 60 + i * 7 % 331;
    memset(name, 'a', length);
    name[length] = '\0';
    metrics_add(&list, 1, "%s", name);
    assert_ok(tracker_write(&tracker, &(MetricRecord){.step = i, .metrics = &list}));
    metrics_free(&list);
  }
  tracker_close(&tracker);
  Str text = {0};
  wandb_read(tracked_folder, &text);
  assert_true(test_contains(str_text(&text), "\n802 row 399 _step=399 step=399 aaa"));
  assert_true(test_contains(str_text(&text), "\n803 summary _step=399 step=399 aaa"));
  str_clear(&text);
  tracked_write_steps(tracker_kinds[1], 399, 400);
  wandb_read(tracked_folder, &text);
  assert_true(str_ends(str_text(&text), "aaa=1\n802 config model={\"path\":\"m\"} train={\"seed\":15}\n"
                                        "803 row 399 _step=399 step=399 loss=199.5\n"
                                        "804 summary _step=399 step=399 loss=199.5\n"));
  str_free(&text);
}

// ---- resuming ----

static void a_resumed_run_drops_what_comes_again(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    tracked_new_run();
    Tracker tracker = tracked_open(tracker_kinds[i], 0);
    for (size_t step = 1; step <= 3; step++) assert_ok(tracked_write_step(&tracker, step));
    assert_ok(tracked_write_evaluation(&tracker, 3));
    assert_ok(tracker_finish(&tracker));
    tracker_close(&tracker);
    tracked_write_steps(tracker_kinds[i], 4, 6); // 4 and 5
    tracked_write_steps(tracker_kinds[i], 3, 5); // 3 and 4
    tracked_expect(tracker_kinds[i],
                   i == 0 ? "version brain.Event:2\nstart 0\n0 config (text)     [model]\n1 loss=0.5\n"
                            "2 loss=1\nstart 3\n3 config (text)     [model]\n3 loss=1.5\n4 loss=2\n"
                          : WANDB_BEGIN
                       "4 row 0 _step=0 step=1 loss=0.5\n5 summary _step=0 step=1 loss=0.5\n"
                       "6 row 1 _step=1 step=2 loss=1\n7 summary _step=1 step=2 loss=1\n"
                       "8 config model={\"path\":\"m\"} train={\"seed\":15}\n"
                       "9 row 2 _step=2 step=3 loss=1.5\n10 summary _step=2 step=3 loss=1.5\n"
                       "11 row 3 _step=3 step=4 loss=2\n12 summary _step=3 step=4 loss=2\n");
  }
}

static void an_extended_run_keeps_all_but_its_end(void **state) {
  (void)state;
  a_run(tracker_kinds[1]);
  tracked_write_steps(tracker_kinds[1], 3, 4);
  Str text = {0};
  wandb_read(tracked_folder, &text);
  assert_null(strstr(str_text(&text), "exit"));
  assert_true(str_ends(str_text(&text), GAP "12 config model={\"path\":\"m\"} train={\"seed\":15}\n"
                                            "13 row 4 _step=4 step=3 loss=1.5\n"
                                            "14 summary _step=4 step=3 loss=1.5\n"));
  str_free(&text);
}

/// A run that begins anew has the folder for itself, but what is not a tracker's stays.
static void a_new_run_starts_empty(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    char other[600];
    tracked_new_run();
    (void)snprintf(other, sizeof other, "%s/%s/notes.txt", tracked_folder, i == 0 ? "." : "wandb");
    tracked_write_steps(tracker_kinds[i], 0, 4);
    assert_ok(file_write_atomic(other, "mine", 4));
    tracked_write_steps(tracker_kinds[i], 0, 1);
    tracked_expect_bytes("mine", 4, other);
    tracked_expect(tracker_kinds[i],
                   i == 0 ? "version brain.Event:2\nstart 0\n0 config (text)     [model]\n0 loss=0\n"
                          : WANDB_BEGIN "4 row 0 _step=0 step=0 loss=0\n5 summary _step=0 step=0 loss=0\n");
  }
}

/// A tracker that was turned on by a resumed run has the steps from there on.
static void a_resumed_run_may_begin(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    tracked_new_run();
    tracked_write_steps(tracker_kinds[i], 7, 8);
    tracked_expect(tracker_kinds[i],
                   i == 0
                       ? "version brain.Event:2\nstart 0\nstart 7\n7 config (text)     [model]\n7 loss=3.5\n"
                       : WANDB_BEGIN "4 row 0 _step=0 step=7 loss=3.5\n5 summary _step=0 step=7 loss=3.5\n");
  }
}

/// W&B's mark that it has taken a run goes, so that the longer run is taken again.
static void a_synced_run_is_synced_again(void **state) {
  (void)state;
  char mark[1100];
  tracked_new_run();
  tracked_write_steps(tracker_kinds[1], 0, 2);
  (void)snprintf(mark, sizeof mark, "%s.synced", wandb_path(tracked_folder));
  assert_ok(file_write_atomic(mark, "", 0));
  tracked_write_steps(tracker_kinds[1], 2, 3);
  assert_false(file_exists(mark));
}

/// Both at once, beside metrics.jsonl, in the same folder.
static void trackers_do_not_meet(void **state) {
  (void)state;
  tracked_new_run();
  for (size_t first = 0; first < 4; first += 2) {
    Tracker tracker = {0};
    TrackedRun run = tracked_run(first);
    assert_ok(tracker_add(&tracker, &metrics_jsonl, &run));
    for (size_t i = 0; i < 2; i++) assert_ok(tracker_add(&tracker, tracker_kinds[i]->type, &run));
    for (size_t step = first; step < first + 3; step++) assert_ok(tracked_write_step(&tracker, step));
    assert_ok(tracker_finish(&tracker));
    assert_ok(tracker_sync(&tracker));
    tracker_close(&tracker);
  }
  for (size_t i = 0; i < 2; i++)
    assert_int_equal(tracked_count(tracker_kinds[i], i == 0 ? " loss=" : "row "), 5);
  char path[600];
  (void)snprintf(path, sizeof path, "%s/metrics.jsonl", tracked_folder);
  static const char lines[] = "{\"step\":0,\"loss\":0}\n{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":1}\n"
                              "{\"step\":3,\"loss\":1.5}\n{\"step\":4,\"loss\":2}\n";
  tracked_expect_bytes(lines, strlen(lines), path);
}

int main(void) {
  tracker_files_in_memory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(checksums_are_the_formats_own),
      cmocka_unit_test(tensorboard_has_scalars_and_the_config),
      cmocka_unit_test(wandb_has_rows_and_their_summaries),
      cmocka_unit_test(names_and_values_of_every_kind),
      cmocka_unit_test(records_cross_blocks),
      cmocka_unit_test(a_resumed_run_drops_what_comes_again),
      cmocka_unit_test(an_extended_run_keeps_all_but_its_end),
      cmocka_unit_test(a_new_run_starts_empty),
      cmocka_unit_test(a_resumed_run_may_begin),
      cmocka_unit_test(a_synced_run_is_synced_again),
      cmocka_unit_test(trackers_do_not_meet),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
