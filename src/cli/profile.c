// The table and the trace of --profile. Rule: every command of the device is in one row of the table and in
// the trace once; a span lasts from the start of its first command to the end of its last.
#include "profile.h"

#include "cli.h"
#include "io/file.h"
#include "io/json_write.h"
#include "util/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// What an operation took in a phase.
typedef struct Row {
  const char *phase, *operation; // constants
  size_t calls, commands;
  double seconds, limit; // of the device; at least
  OpsWork work;
} Row;

struct ProfileReport {
  Ops *ops;
  OpsLimits limits;
  char *path, *partial; // the trace, and where it is written first
  FileWriter *writer;
  Row *rows;
  size_t row_count, row_capacity;
  size_t commands;
  double origin, end; // of the first command and the last, on the device's clock
};

Status profile_check(const char *path) {
  TRY(args_check_output("--profile", path, "", "nothing"));
  return args_check_unread("--profile", path);
}

// ---- the table ----

static Status find_row(ProfileReport *report, const char *phase, const char *operation, Row **out) {
  for (size_t i = 0; i < report->row_count; i++) {
    *out = &report->rows[i];
    if (strcmp((*out)->phase, phase) == 0 && strcmp((*out)->operation, operation) == 0) return STATUS_OK;
  }
  TRY(mem_reserve(&report->rows, &report->row_capacity, report->row_count + 1, "a profile's rows"));
  *out = &report->rows[report->row_count++];
  **out = (Row){.phase = phase, .operation = operation};
  return STATUS_OK;
}

/// The row of the operation that the span is or is in, by the innermost phase around it.
static Status row_of(ProfileReport *report, const OpsRecord *record, size_t span, Row **out) {
  const char *operation = "(other)", *phase = "-";
  while (span != OPS_NO_SPAN && !record->spans[span].is_operation) span = record->spans[span].parent;
  if (span != OPS_NO_SPAN) operation = record->spans[span].name;
  while (span != OPS_NO_SPAN && record->spans[span].is_operation) span = record->spans[span].parent;
  if (span != OPS_NO_SPAN) phase = record->spans[span].name;
  return find_row(report, phase, operation, out);
}

static Status add_operations(ProfileReport *report, const OpsRecord *record) {
  Row *row = NULL;
  for (size_t i = 0; i < record->span_count; i++) {
    if (!record->spans[i].is_operation) continue;
    TRY(row_of(report, record, i, &row));
    row->calls++;
    row->work.flops += record->spans[i].work.flops;
    row->work.bytes += record->spans[i].work.bytes;
    row->limit += ops_limit_seconds(&report->limits, record->spans[i].work);
  }
  return STATUS_OK;
}

// ---- the trace ----

typedef struct Event {
  const char *name, *category;
  double start, end;   // seconds on the device's clock
  const OpsWork *work; // NULL: none
} Event;

/// Whole nanoseconds, so that what is inside something stays inside; in microseconds, as the format has them.
static double microseconds(const ProfileReport *report, double time) {
  return round(1e9 * (time - report->origin)) / 1e3;
}

static Status append(ProfileReport *report, JsonWriter *json) {
  Str text = {0};
  Status status = json_finish(json, "the trace", &text);
  if (status == STATUS_OK) status = writer_append(report->writer, ",\n", 2);
  if (status == STATUS_OK) status = writer_append(report->writer, text.data, text.size);
  str_free(&text);
  return status;
}

static Status write_event(ProfileReport *report, const Event *event) {
  JsonWriter json = {.layout = JSON_COMPACT};
  double start = microseconds(report, event->start), end = microseconds(report, event->end);
  json_object_begin(&json, NULL);
  json_string(&json, "name", event->name);
  json_string(&json, "cat", event->category);
  json_string(&json, "ph", "X");
  json_number(&json, "ts", start);
  json_number(&json, "dur", round(1e3 * (end - start)) / 1e3);
  json_integer(&json, "pid", 1);
  json_integer(&json, "tid", 1);
  if (event->work != NULL) {
    json_object_begin(&json, "args");
    json_number(&json, "flops", event->work->flops);
    json_number(&json, "bytes", event->work->bytes);
    json_object_end(&json);
  }
  json_object_end(&json);
  return append(report, &json);
}

static Status write_span(ProfileReport *report, const OpsRecord *record, const OpsSpan *span) {
  if (span->first == span->end) return STATUS_OK; // the device did nothing for it
  return write_event(report, &(Event){.name = span->name,
                                      .category = span->is_operation ? "operation" : "phase",
                                      .start = record->commands[span->first].start,
                                      .end = record->commands[span->end - 1].end,
                                      .work = span->is_operation ? &span->work : NULL});
}

/// A parent before its children, so that those that begin at the same time nest.
static Status add_commands(ProfileReport *report, const OpsRecord *record) {
  size_t next = 0, span = OPS_NO_SPAN;
  Row *row = NULL;
  for (size_t i = 0; i < record->command_count; i++) {
    const DeviceCommand *command = &record->commands[i];
    if (report->commands++ == 0) report->origin = command->start;
    report->end = command->end;
    for (; next < record->span_count && record->spans[next].first <= i; next++) {
      TRY(write_span(report, record, &record->spans[next]));
      span = next;
    }
    while (span != OPS_NO_SPAN && record->spans[span].end <= i) span = record->spans[span].parent;
    TRY(row_of(report, record, span, &row));
    row->commands++;
    row->seconds += command->end - command->start;
    TRY(write_event(report, &(Event){.name = command->name,
                                     .category = "command",
                                     .start = command->start,
                                     .end = command->end}));
  }
  return STATUS_OK;
}

static Status record_all(void *user, const OpsRecord *record) {
  TRY(add_operations(user, record));
  return add_commands(user, record);
}

static Status write_head(ProfileReport *report) {
  static const char head[] =
      "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
      "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"gee-cl\"}},\n"
      "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":1,\"args\":{\"name\":\"device\"}}";
  return writer_append(report->writer, head, sizeof head - 1);
}

// ---- begin and end ----

void profile_drop(ProfileReport *report) {
  if (report == NULL) return;
  writer_abandon(report->writer);
  if (report->partial != NULL) (void)remove(report->partial);
  free(report->path);
  free(report->partial);
  free(report->rows);
  free(report);
}

Status profile_begin(Ops *ops, const char *path, ProfileReport **out) {
  ProfileReport *report = NULL;
  Status status = STATUS_OK;
  TRY(mem_array(&report, 1, "profile"));
  report->ops = ops;
  TRY_CLEAN(file_follow(path, &report->path));
  TRY_CLEAN(ops_measure_limits(ops, &report->limits));
  TRY_CLEAN(writer_open_beside(report->path, &report->partial, &report->writer));
  TRY_CLEAN(write_head(report));
  TRY_CLEAN(ops_profile_begin(ops, record_all, report));
  *out = report;
cleanup:
  if (status != STATUS_OK) profile_drop(report);
  return status;
}

static int by_seconds(const void *a, const void *b) {
  double x = ((const Row *)a)->seconds, y = ((const Row *)b)->seconds;
  return (x < y) - (x > y);
}

static void print_row(const Row *row, double all) {
  double seconds = row->seconds > 0 ? row->seconds : INFINITY;
  say("%-10s %-19s %7zu %8.3f %5.1f %% %8.1f %6.1f %5.0f %%", row->phase, row->operation, row->calls,
      row->seconds, 100 * row->seconds / all, 1e-9 * row->work.flops / seconds,
      1e-9 * row->work.bytes / seconds, 100 * row->limit / seconds);
}

static void print_table(ProfileReport *report) {
  double all = 0, limit = 0;
  (void)fflush(stdout); // before the lines on stderr
  const char *bold = style(stderr, STYLE_BOLD), *plain = style(stderr, STYLE_PLAIN);
  qsort(report->rows, report->row_count, sizeof *report->rows, by_seconds);
  for (size_t i = 0; i < report->row_count; i++) {
    all += report->rows[i].seconds;
    limit += report->rows[i].limit;
  }
  say("%s%-10s %-19s %7s %8s %7s %8s %6s %8s%s", bold, "phase", "operation", "calls", "seconds", "share",
      "GFLOP/s", "GB/s", "of limit", plain);
  for (size_t i = 0; i < report->row_count; i++) print_row(&report->rows[i], all);
  say("%zu commands took the device %.3f s, %.0f %% of %.3f s; at its limits (%.1f GFLOP/s, %.1f GB/s) %.3f "
      "s",
      report->commands, all, 100 * all / (report->end - report->origin), report->end - report->origin,
      1e-9 * report->limits.flops.maximum,
      1e-9 * fmax(report->limits.read.maximum, report->limits.triad.maximum), limit);
}

Status profile_end(ProfileReport *report) {
  Status status = STATUS_OK;
  if (report == NULL) return STATUS_OK;
  TRY_CLEAN(ops_profile_end(report->ops));
  if (report->commands > 0) print_table(report);
  TRY_CLEAN(writer_append(report->writer, "\n]}\n", 4));
  status = writer_close(report->writer);
  report->writer = NULL;
  if (status != STATUS_OK) goto cleanup;
  if (rename(report->partial, report->path) != 0)
    status = file_fail(STATUS_FAILED, report->path, "write the trace to");
  else
    say("trace: %s, for ui.perfetto.dev", report->path);
cleanup:
  profile_drop(report);
  return status;
}
