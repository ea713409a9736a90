// The file of a W&B offline run. Rule: its records are in the order of their steps, so that a resumed run
// keeps a first part of the file as it is; what is not understood is refused and left as it is.
#include "wandb_run.h"

#include "io/file.h"
#include "proto_message.h"
#include "util/clock.h"
#include "util/memory.h"
#include "wandb_log.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { ID_SIZE = 9 }; // eight letters and digits
static const char folder_prefix[] = "offline-run-";
#define PRODUCER "gee-cl " // and the version

// ---- records ----

Status wandb_items_create(size_t count, WandbItems *out) {
  *out = (WandbItems){.count = count};
  Status status = mem_array(&out->items, count, "W&B's values");
  if (status == STATUS_OK) status = mem_array(&out->list, count, "W&B's values");
  for (size_t i = 0; status == STATUS_OK && i < count; i++) {
    out->items[i] = (Wb__Item)WB__ITEM__INIT;
    out->list[i] = &out->items[i];
  }
  if (status != STATUS_OK) wandb_items_free(out);
  return status;
}

void wandb_items_free(WandbItems *items) {
  free(items->list);
  free(items->items);
  *items = (WandbItems){0};
}

Status wandb_run_append(WandbRun *run, Str *out, Wb__Record *record) {
  Str bytes = {0};
  record->num = ++run->records;
  Status status = proto_append(&bytes, &record->base);
  if (status == STATUS_OK) status = wandb_log_append(out, run->file.size, str_text(&bytes), bytes.size);
  str_free(&bytes);
  return status;
}

Status wandb_run_write(WandbRun *run, Wb__Record *record) {
  Str bytes = {0};
  Status status = wandb_run_append(run, &bytes, record);
  if (status == STATUS_OK) status = growing_append(&run->file, str_text(&bytes), bytes.size);
  str_free(&bytes);
  return status;
}

/// The sections of the config. They are borrowed.
static Status list_config(const TrackedRun *run, WandbItems *out) {
  TRY(wandb_items_create(run->section_count, out));
  for (size_t i = 0; i < run->section_count; i++) {
    out->items[i].key = (char *)(uintptr_t)run->sections[i].name;
    out->items[i].value_json = (char *)(uintptr_t)run->sections[i].json;
  }
  return STATUS_OK;
}

static Status append_header(WandbRun *run, Str *out) {
  static char producer[] = PRODUCER GEE_VERSION;
  Wb__Record record = WB__RECORD__INIT;
  Wb__Header header = WB__HEADER__INIT;
  Wb__Version version = WB__VERSION__INIT;
  version.producer = producer;
  header.version_info = &version;
  record.type_case = WB__RECORD__TYPE_HEADER;
  record.header = &header;
  return wandb_run_append(run, out, &record);
}

static Status append_run(WandbRun *wandb, const TrackedRun *run, char *id, Str *out) {
  Wb__Record record = WB__RECORD__INIT;
  Wb__Run message = WB__RUN__INIT;
  Wb__Items config = WB__ITEMS__INIT;
  Wb__Time start = WB__TIME__INIT;
  WandbItems sections = {0};
  TRY(list_config(run, &sections));
  config.n_update = sections.count;
  config.update = sections.list;
  start.seconds = (int64_t)wandb->started;
  start.nanos = (int32_t)(1e9 * (wandb->started - (double)start.seconds));
  message.run_id = id;
  if (run->project != NULL) message.project = (char *)(uintptr_t)run->project;
  if (run->name != NULL) message.display_name = (char *)(uintptr_t)run->name;
  message.config = &config;
  message.start_time = &start;
  record.type_case = WB__RECORD__TYPE_RUN;
  record.run = &message;
  Status status = wandb_run_append(wandb, out, &record);
  wandb_items_free(&sections);
  return status;
}

/// Every metric has "step" as its horizontal axis.
static Status append_axis(WandbRun *run, Str *out) {
  static char every[] = "*", axis[] = "step";
  Wb__Record record = WB__RECORD__INIT;
  Wb__Metric metric = WB__METRIC__INIT;
  Wb__Options options = WB__OPTIONS__INIT;
  options.step_sync = options.defined = true;
  metric.glob_name = every;
  metric.step_metric = axis;
  metric.options = &options;
  record.type_case = WB__RECORD__TYPE_METRIC;
  record.metric = &metric;
  return wandb_run_append(run, out, &record);
}

static Status write_config(WandbRun *wandb, const TrackedRun *run) {
  Wb__Record record = WB__RECORD__INIT;
  Wb__Items config = WB__ITEMS__INIT;
  WandbItems sections = {0};
  TRY(list_config(run, &sections));
  config.n_update = sections.count;
  config.update = sections.list;
  record.type_case = WB__RECORD__TYPE_CONFIG;
  record.config = &config;
  Status status = wandb_run_write(wandb, &record);
  wandb_items_free(&sections);
  return status;
}

// ---- a new run ----

static Status make_id(char out[ID_SIZE]) {
  static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  uint8_t random[ID_SIZE - 1];
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
    return status_fail(STATUS_FAILED, "the system gives no random numbers for the id of a W&B run: %s",
                       strerror(errno));
  for (size_t i = 0; i < sizeof random; i++) out[i] = letters[random[i] % (sizeof letters - 1)];
  out[sizeof random] = '\0';
  return STATUS_OK;
}

/// *out = <parent>/offline-run-<local time>-<id>
static Status name_folder(char **out, const char *parent, const char *id, double now) {
  time_t seconds = (time_t)now;
  struct tm parts = {0};
  char time[32] = "";
  if (localtime_r(&seconds, &parts) == NULL || strftime(time, sizeof time, "%Y%m%d_%H%M%S", &parts) == 0)
    return status_fail(STATUS_FAILED, "the system's time is out of range");
  return str_format(out, "%s/%s%s-%s", parent, folder_prefix, time, id);
}

static Status begin(const TrackedRun *run, const char *parent, WandbRun *out) {
  char id[ID_SIZE], *folder = NULL, *path = NULL;
  Str bytes = {0};
  Status status = STATUS_OK;
  out->started = clock_unix_seconds();
  TRY(make_id(id));
  TRY_CLEAN(name_folder(&folder, parent, id, out->started));
  TRY_CLEAN(str_format(&path, "%s/run-%s.wandb", folder, id));
  TRY_CLEAN(wandb_log_begin(&bytes));
  TRY_CLEAN(append_header(out, &bytes));
  TRY_CLEAN(append_run(out, run, id, &bytes));
  TRY_CLEAN(append_axis(out, &bytes));
  TRY_CLEAN(directory_create(folder));
  TRY_CLEAN(file_write_atomic(path, str_text(&bytes), bytes.size));
  TRY_CLEAN(growing_open(path, &out->file));
cleanup:
  str_free(&bytes);
  free(folder);
  free(path);
  return status;
}

// ---- a resumed run ----

/// What is kept of a file.
typedef struct Kept {
  size_t size;
  int64_t records, rows;
  double runtime; // of the last row
  bool is_ours;   // the header says so
  bool has_run;   // the record that says which run it is
} Kept;

/// The number of that key in a row; `fallback` if it has none.
static double number_in(const Wb__Row *row, const char *key, double fallback) {
  for (size_t i = 0; i < row->n_item; i++) {
    const Wb__Item *item = row->item[i];
    if (strcmp(item->key, key) == 0) return strtod(item->value_json, NULL);
  }
  return fallback;
}

typedef enum Fate {
  KEPT,
  KEPT_WITH_NEXT, // if anything behind it is kept: a config, which every resumed run writes again
  DROPPED,        // with all that is behind it: a row of `first_step` or later, or the run's end
} Fate;

static Fate judge(const Wb__Record *record, size_t first_step) {
  switch (record->type_case) {
  case WB__RECORD__TYPE_HISTORY:
    return number_in(record->history, "step", INFINITY) < (double)first_step ? KEPT : DROPPED;
  case WB__RECORD__TYPE_CONFIG:
    return KEPT_WITH_NEXT;
  case WB__RECORD__TYPE_EXIT:
    return DROPPED;
  default:
    return KEPT;
  }
}

static bool is_by_us(const Wb__Header *header) {
  return header->version_info != NULL && str_starts(header->version_info->producer, PRODUCER);
}

/// *fate = what becomes of the record in `bytes`. Notes what is kept.
static Status look_at(const Str *bytes, size_t first_step, Kept *kept, Fate *fate) {
  ProtobufCMessage *message = NULL;
  TRY(proto_read(&wb__record__descriptor, (const uint8_t *)str_text(bytes), bytes->size, &message));
  const Wb__Record *record = (const Wb__Record *)message;
  *fate = judge(record, first_step);
  if (*fate == KEPT && record->type_case == WB__RECORD__TYPE_HISTORY) {
    kept->rows++;
    kept->runtime = number_in(record->history, "_runtime", kept->runtime);
  }
  if (record->type_case == WB__RECORD__TYPE_HEADER) kept->is_ours = is_by_us(record->header);
  kept->has_run = kept->has_run || record->type_case == WB__RECORD__TYPE_RUN;
  proto_free(message);
  return STATUS_OK;
}

static Status scan(const char *path, size_t first_step, Kept *kept) {
  MappedFile file = {0};
  Str record = {0};
  TRY(file_map(path, &file));
  Status status = STATUS_OK;
  size_t at = 0, next = 0;
  Fate fate = KEPT;
  *kept = (Kept){0};
  TRY_CLEAN(wandb_log_open(&file, &next));
  kept->size = next;
  for (int64_t number = 1; fate != DROPPED; number++) {
    bool found = false;
    at = next;
    TRY_CLEAN(wandb_log_read(&file, &next, &record, &found));
    if (!found) break;
    TRY_CLEAN(look_at(&record, first_step, kept, &fate));
    if (fate != KEPT) continue;
    kept->size = next;
    kept->records = number;
  }
  if (!kept->is_ours || !kept->has_run)
    status = status_fail(STATUS_INPUT,
                         kept->is_ours ? "the record of the run is not there" : "the file is not by gee-cl");
cleanup:
  str_free(&record);
  file_unmap(&file);
  return growing_refuse(status, path, at);
}

/// A run that W&B has taken has a file beside it that says so; it is to be taken again.
static Status remove_mark(const char *path) {
  char *mark = NULL;
  TRY(str_format(&mark, "%s.synced", path));
  Status status = directory_remove(mark);
  free(mark);
  return status;
}

static Status go_on(const TrackedRun *run, const char *path, WandbRun *out) {
  Kept kept;
  TRY(scan(path, run->first_step, &kept));
  if (truncate(path, (off_t)kept.size) != 0) return file_fail(STATUS_FAILED, path, "cut");
  TRY(remove_mark(path));
  TRY(growing_open(path, &out->file));
  out->records = kept.records;
  out->rows = kept.rows;
  out->started = clock_unix_seconds() - kept.runtime;
  return write_config(out, run);
}

// ---- which one ----

/// *out = <parent>/<name>/run-<id>.wandb, if there is such a file, else NULL.
static Status find_file(const char *parent, const char *name, char **out) {
  const char *id = strrchr(name, '-') + 1; // there is one in folder_prefix
  TRY(str_format(out, "%s/%s/run-%s.wandb", parent, name, id));
  if (file_exists(*out)) return STATUS_OK;
  free(*out);
  *out = NULL;
  return STATUS_OK;
}

/// *out = the file of the run that began last, or NULL. With `remove`, all are removed instead.
static Status look_for_runs(const char *parent, bool remove, char **out) {
  char **names = NULL;
  size_t count = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(directory_list(parent, &names, &count));
  for (size_t i = count; i-- > 0 && *out == NULL;) { // the names are sorted, and begin with the time
    char *folder = NULL;
    if (!str_starts(names[i], folder_prefix)) continue;
    if (!remove) {
      TRY_CLEAN(find_file(parent, names[i], out));
      continue;
    }
    TRY_CLEAN(path_join(&folder, parent, names[i]));
    status = directory_remove(folder);
    free(folder);
    if (status != STATUS_OK) goto cleanup;
  }
cleanup:
  directory_free_list(names);
  return status;
}

Status wandb_run_open(const TrackedRun *run, WandbRun *out) {
  char *parent = NULL, *path = NULL;
  Status status = STATUS_OK;
  *out = (WandbRun){0};
  TRY_CLEAN(path_join(&parent, run->folder, "wandb"));
  TRY_CLEAN(directory_create(parent));
  TRY_CLEAN(look_for_runs(parent, run->first_step == 0, &path));
  TRY_CLEAN(path != NULL ? go_on(run, path, out) : begin(run, parent, out));
cleanup:
  if (status != STATUS_OK) growing_close(&out->file);
  free(parent);
  free(path);
  return status;
}
