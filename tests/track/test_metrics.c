// The list of metrics, its JSON, and the tracker, which gives the same records to every sink.
#include "support/test.h"

#include "io/file.h"
#include "io/json_write.h"
#include "track/tracker.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The JSON of a list; the caller frees it.
static char *json_of(const MetricList *list) {
  JsonWriter json = {0};
  Str text = {0};
  json_object_begin(&json, NULL);
  assert_ok(metrics_write_json(list, &json));
  json_object_end(&json);
  assert_ok(json_finish(&json, "the list", &text));
  return text.data;
}

static void assert_json(const MetricList *list, const char *expected) {
  char *text = json_of(list);
  assert_string_equal(text, expected);
  free(text);
}

static void a_list_keeps_order_and_intervals(void **state) {
  (void)state;
  MetricList list = {0};
  assert_json(&list, "{}");
  metrics_add(&list, 1, "b");
  metrics_add_interval(&list, (Interval){0.5, 0.25, 0.75}, "a_%s", "share");
  metrics_add(&list, NAN, "nothing");
  metrics_add_interval(&list, (Interval){-2, NAN, NAN}, "one");
  metrics_add(&list, 1e300, "H_%s", "a \"group\"");
  assert_ok(metrics_check(&list));
  assert_json(&list, "{\"b\":1,\"a_share\":0.5,\"a_share_low\":0.25,\"a_share_high\":0.75,\"nothing\":null,"
                     "\"one\":-2,\"one_low\":null,\"one_high\":null,\"H_a \\\"group\\\"\":1e+300}");
  Interval share = metrics_get(&list, "a_%s", "share"), single = metrics_get(&list, "b");
  assert_true(share.value == 0.5 && share.low == 0.25 && share.high == 0.75);
  assert_true(single.value == 1 && isnan(single.low) && isnan(single.high));
  assert_true(isnan(metrics_get(&list, "a").value)); // a part of a name is no name
  metrics_add_estimate(&list, (Interval){3, 2, 4}, 17, "of_%d", 17);
  assert_int_equal(list.items[5].n, 17);
  assert_true(list.items[5].has_interval && list.items[0].n == 0);
  for (int i = 0; i < 1000; i++) metrics_add(&list, i, "m%d", i);
  assert_ok(metrics_check(&list));
  assert_int_equal(list.count, 1006);
  assert_true(metrics_get(&list, "m%d", 999).value == 999);
  metrics_free(&list);
  assert_json(&list, "{}");
  metrics_free(&list);
  metrics_free(NULL);
}

// ---- metrics.jsonl ----

static const char *folder;

static void expect_lines(const char *expected) {
  char *path = NULL;
  MappedFile file = {0};
  assert_ok(path_join(&path, folder, "metrics.jsonl"));
  assert_ok(file_map(path, &file));
  if (file.size != strlen(expected) || memcmp(file.bytes, expected, file.size) != 0)
    fail_msg("metrics.jsonl holds \"%.*s\", not \"%s\"", (int)file.size, (const char *)file.bytes, expected);
  file_unmap(&file);
  free(path);
}

static void write_step(Tracker *tracker, size_t step, const char *source, double value) {
  MetricList list = {0};
  metrics_add(&list, value, "loss");
  assert_ok(tracker_write(tracker, &(MetricRecord){step, source, &list}));
  metrics_free(&list);
}

/// A line that the version before there were lists of metrics wrote, from the values in it.
static void a_line_keeps_its_bytes(void **state) {
  (void)state;
  static const char line[] =
      "{\"step\":2,\"loss\":5.1210984020394044,\"loss_em\":5.1004107097784681,"
      "\"loss_bias\":0.00020687692260936091,\"entropy_gap\":0.014383216698964141,"
      "\"gap_relative\":0.0028200114691526211,\"H_bar\":5.1004107097784681,\"H_female\":5.0932191014289856,"
      "\"H_male\":5.10760231812795,\"lambda_weight\":100,\"grad_norm\":0.4046547821251617,"
      "\"lr\":0.00999999977648258,\"tokens\":24,\"tokens_scored\":48,\"answers\":4,\"answers_ended\":0,"
      "\"sequences\":8}\n";
  static const struct {
    const char *name;
    double value;
  } values[] = {{"loss", 5.1210984020394044},
                {"loss_em", 5.1004107097784681},
                {"loss_bias", 0.00020687692260936091},
                {"entropy_gap", 0.014383216698964141},
                {"gap_relative", 0.0028200114691526211},
                {"H_bar", 5.1004107097784681},
                {"H_female", 5.0932191014289856},
                {"H_male", 5.10760231812795},
                {"lambda_weight", 100},
                {"grad_norm", 0.4046547821251617},
                {"lr", (double)1e-2f},
                {"tokens", 24},
                {"tokens_scored", 48},
                {"answers", 4},
                {"answers_ended", 0},
                {"sequences", 8}};
  Tracker tracker = {0};
  MetricList list = {0};
  folder = test_folder();
  assert_ok(tracker_add(&tracker, &metrics_jsonl, &(TrackedRun){.folder = folder}));
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    metrics_add(&list, values[i].value, "%s", values[i].name);
  assert_ok(tracker_write(&tracker, &(MetricRecord){.step = 2, .metrics = &list}));
  assert_ok(tracker_sync(&tracker));
  expect_lines(line);
  metrics_free(&list);
  tracker_close(&tracker);
}

static void a_resumed_run_drops_what_comes_again(void **state) {
  (void)state;
  folder = test_folder();
  TrackedRun run = {.folder = folder, .name = "run"};
  for (size_t first = 0; first < 8; first += 3) {
    Tracker tracker = {0};
    run.first_step = first;
    assert_ok(tracker_add(&tracker, &metrics_jsonl, &run));
    for (size_t step = first; step < first + 4; step++) write_step(&tracker, step, NULL, (double)first);
    write_step(&tracker, first, "bias_eval", 100); // has a file of its own
    tracker_close(&tracker);
  }
  expect_lines(
      "{\"step\":0,\"loss\":0}\n{\"step\":1,\"loss\":0}\n{\"step\":2,\"loss\":0}\n"
      "{\"step\":3,\"loss\":3}\n{\"step\":4,\"loss\":3}\n{\"step\":5,\"loss\":3}\n"
      "{\"step\":6,\"loss\":6}\n{\"step\":7,\"loss\":6}\n{\"step\":8,\"loss\":6}\n{\"step\":9,\"loss\":6}\n");
}

// ---- other sinks ----

/// A sink that appends what it receives to `received`, and fails on demand.
static Str received;
static const char *failing; // "open", "write", "sync", "finish", or NULL

typedef struct RecordingSink {
  MetricSink sink;
  int number;
} RecordingSink;

static int recorders;

static Status fail_if(const char *what) {
  if (failing == NULL || strcmp(failing, what) != 0) return STATUS_OK;
  return status_fail(STATUS_FAILED, "the recorder cannot %s", what);
}

static Status recorder_open(const TrackedRun *run, MetricSink **out) {
  TRY(fail_if("open"));
  RecordingSink *recorder = calloc(1, sizeof *recorder);
  assert_non_null(recorder);
  recorder->number = ++recorders;
  assert_ok(
      str_append_format(&received, "%d: open %s from %zu\n", recorder->number, run->name, run->first_step));
  *out = &recorder->sink;
  return STATUS_OK;
}

static Status recorder_write(MetricSink *sink, const MetricRecord *record) {
  TRY(fail_if("write"));
  char *json = json_of(record->metrics);
  assert_ok(str_append_format(&received, "%d: %zu %s %s\n", ((RecordingSink *)sink)->number, record->step,
                              record->source != NULL ? record->source : "-", json));
  free(json);
  return STATUS_OK;
}

static Status recorder_sync(MetricSink *sink) {
  TRY(fail_if("sync"));
  return str_append_format(&received, "%d: sync\n", ((RecordingSink *)sink)->number);
}

static Status recorder_finish(MetricSink *sink) {
  TRY(fail_if("finish"));
  return str_append_format(&received, "%d: finish\n", ((RecordingSink *)sink)->number);
}

static void recorder_close(MetricSink *sink) {
  assert_ok(str_append_format(&received, "%d: close\n", ((RecordingSink *)sink)->number));
  free(sink);
}

static const MetricSinkType recorder_type = {recorder_open, recorder_write, recorder_sync, recorder_finish,
                                             recorder_close};

static void every_sink_gets_the_same(void **state) {
  (void)state;
  Tracker tracker = {0};
  TrackedRun run = {.name = "run", .first_step = 5};
  recorders = 0;
  for (int i = 0; i < 2; i++) assert_ok(tracker_add(&tracker, &recorder_type, &run));
  write_step(&tracker, 5, NULL, 0.5);
  write_step(&tracker, 5, "gap", 2);
  assert_ok(tracker_sync(&tracker));
  assert_ok(tracker_finish(&tracker));
  tracker_close(&tracker);
  tracker_close(&tracker);
  tracker_close(NULL);
  assert_string_equal(str_text(&received), "1: open run from 5\n2: open run from 5\n"
                                           "1: 5 - {\"loss\":0.5}\n2: 5 - {\"loss\":0.5}\n"
                                           "1: 5 gap {\"loss\":2}\n2: 5 gap {\"loss\":2}\n"
                                           "1: sync\n2: sync\n1: finish\n2: finish\n1: close\n2: close\n");
  str_free(&received);
}

static void a_failure_is_returned(void **state) {
  (void)state;
  Tracker tracker = {0};
  TrackedRun run = {.name = "run"};
  MetricList list = {0};
  recorders = 0;
  failing = "open";
  assert_fails(tracker_add(&tracker, &recorder_type, &run), STATUS_FAILED, "the recorder cannot open");
  failing = NULL;
  assert_ok(tracker_add(&tracker, &recorder_type, &run));
  failing = "write";
  assert_fails(tracker_write(&tracker, &(MetricRecord){1, NULL, &list}), STATUS_FAILED, "cannot write");
  failing = "sync";
  assert_fails(tracker_sync(&tracker), STATUS_FAILED, "cannot sync");
  failing = "finish";
  assert_fails(tracker_finish(&tracker), STATUS_FAILED, "cannot finish");
  failing = NULL;
  list.failed = true; // as when memory was out: something is missing in it, so no sink sees it
  assert_fails(tracker_write(&tracker, &(MetricRecord){1, NULL, &list}), STATUS_FAILED, "out of memory");
  assert_string_equal(str_text(&received), "1: open run from 0\n");
  tracker_close(&tracker);
  str_free(&received);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_list_keeps_order_and_intervals),
      cmocka_unit_test(a_line_keeps_its_bytes),
      cmocka_unit_test(a_resumed_run_drops_what_comes_again),
      cmocka_unit_test(every_sink_gets_the_same),
      cmocka_unit_test(a_failure_is_returned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
