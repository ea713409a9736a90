// TensorBoard's event files. Rule: every opening writes a new file with what it keeps, and then empties the
// others, the newest of them first. So the first file that is not empty is whole, whenever the process is
// killed; and a TensorBoard that reads the folder meanwhile goes on to the new file, whose first event tells
// it to forget what it has read. (It would stop for good at a file that is gone: an emptied one stays until
// the next opening.)
//
// A training step's metrics have their names as tags, an evaluation's "<source>/<name>". The config as run is
// the text "config".
#include "track/tracker.h"

#include "growing_file.h"
#include "io/file.h"
#include "proto_message.h"
#include "tb_event.pb-c.h"
#include "tfrecord.h"
#include "util/clock.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SESSION_START = 1, DATA_TENSOR = 2, TYPE_STRING = 7 }; // of SessionLog, Metadata and Tensor
static char file_version[] = "brain.Event:2";                 // from 2 on, readers look for SESSION_START

typedef struct TensorboardSink {
  MetricSink sink;
  GrowingFile file;
} TensorboardSink;

// ---- events ----

/// Appends the event as a record. Sets its time.
static Status append_event(Str *out, Tb__Event *event) {
  Str bytes = {0};
  event->wall_time = clock_unix_seconds();
  Status status = proto_append(&bytes, &event->base);
  if (status == STATUS_OK) status = tfrecord_append(out, str_text(&bytes), bytes.size);
  str_free(&bytes);
  return status;
}

static Status append_version(Str *out) {
  Tb__Event event = TB__EVENT__INIT;
  event.what_case = TB__EVENT__WHAT_FILE_VERSION;
  event.file_version = file_version;
  return append_event(out, &event);
}

/// Makes readers forget what they have read of `step` and later ones.
static Status append_start(Str *out, size_t step) {
  Tb__Event event = TB__EVENT__INIT;
  Tb__SessionLog log = TB__SESSION_LOG__INIT;
  log.status = SESSION_START;
  event.step = (int64_t)step;
  event.what_case = TB__EVENT__WHAT_SESSION_LOG;
  event.session_log = &log;
  return append_event(out, &event);
}

static Status append_summary(Str *out, size_t step, Tb__Value **values, size_t count) {
  Tb__Event event = TB__EVENT__INIT;
  Tb__Summary summary = TB__SUMMARY__INIT;
  summary.n_value = count;
  summary.value = values;
  event.step = (int64_t)step;
  event.what_case = TB__EVENT__WHAT_SUMMARY;
  event.summary = &summary;
  return append_event(out, &event);
}

/// Panels show Markdown, where lines indented by four columns stay as they are.
static Status append_code_block(Str *out, const char *text) {
  Str valid = {0};
  Status status = utf8_append_lossy(&valid, text, strlen(text));
  const char *line = str_text(&valid);
  while (status == STATUS_OK && *line != '\0') {
    size_t size = strcspn(line, "\n");
    status = str_append_format(out, "    %.*s\n", (int)size, line);
    line += size + (line[size] == '\n');
  }
  str_free(&valid);
  return status;
}

/// Appends `text` as the text "config".
static Status append_text(Str *out, size_t step, const Str *text) {
  char tag[] = "config", plugin_name[] = "text";
  ProtobufCBinaryData string = {text->size, (uint8_t *)text->data};
  Tb__Shape shape = TB__SHAPE__INIT;
  Tb__Tensor tensor = TB__TENSOR__INIT;
  Tb__Plugin plugin = TB__PLUGIN__INIT;
  Tb__Metadata metadata = TB__METADATA__INIT;
  Tb__Value value = TB__VALUE__INIT, *values[] = {&value};
  tensor.dtype = TYPE_STRING;
  tensor.tensor_shape = &shape;
  tensor.n_string_val = 1;
  tensor.string_val = &string;
  plugin.plugin_name = plugin_name;
  metadata.plugin_data = &plugin;
  metadata.data_class = DATA_TENSOR;
  value.tag = tag;
  value.metadata = &metadata;
  value.content_case = TB__VALUE__CONTENT_TENSOR;
  value.tensor = &tensor;
  return append_summary(out, step, values, 1);
}

static Status append_config(Str *out, size_t step, const char *text) {
  Str block = {0};
  Status status = append_code_block(&block, text);
  if (status == STATUS_OK) status = append_text(out, step, &block);
  str_free(&block);
  return status;
}

// ---- opening ----

/// A file's name; readers take the files of a folder in the order of their names.
static void name_file(char out[64], uint32_t number) {
  (void)snprintf(out, 64, "events.out.tfevents.%09" PRIu32 ".gee-cl", number);
}

/// The number in a name that name_file made; 0: it made no such name.
static uint32_t number_of(const char *name) {
  uint32_t number = 0;
  char again[64] = "";
  if (sscanf(name, "events.out.tfevents.%9" SCNu32, &number) == 1) name_file(again, number);
  return strcmp(name, again) == 0 ? number : 0;
}

/// *is_kept = whether the record at `offset` comes before `first_step`.
static Status judge(const TfRecord *record, size_t offset, size_t first_step, bool *is_kept) {
  ProtobufCMessage *message = NULL;
  TRY(proto_read(&tb__event__descriptor, record->bytes, record->size, &message));
  const Tb__Event *event = (const Tb__Event *)message;
  *is_kept = event->step >= 0 && (uint64_t)event->step < first_step;
  bool is_event_file = offset > 0 || event->what_case == TB__EVENT__WHAT_FILE_VERSION;
  proto_free(message);
  return is_event_file ? STATUS_OK : status_fail(STATUS_INPUT, "the version of the format is not there");
}

/// Appends the records before the first one of `first_step` or later; the file's records are in the order of
/// their steps.
static Status append_kept(const char *path, size_t first_step, Str *out) {
  MappedFile file = {0};
  TRY(file_map(path, &file));
  Status status = STATUS_OK;
  size_t offset = 0;
  for (bool is_kept = true; is_kept;) {
    TfRecord record = {0};
    TRY_CLEAN(tfrecord_read(&file, offset, &record));
    if (record.bytes == NULL) break;
    TRY_CLEAN(judge(&record, offset, first_step, &is_kept));
    if (is_kept) offset = record.next;
  }
  TRY_CLEAN(str_append(out, (const char *)file.bytes, offset));
cleanup:
  file_unmap(&file);
  return growing_refuse(status, path, offset);
}

/// Those of the run's folder.
typedef struct EventFiles {
  char **paths; // in the order of their numbers; [count]
  size_t count, capacity;
  uint32_t newest; // number; 0: there is none
} EventFiles;

static void files_free(EventFiles *files) {
  for (size_t i = 0; i < files->count; i++) free(files->paths[i]);
  free(files->paths);
}

static Status list_files(const char *folder, EventFiles *out) {
  char **names = NULL;
  size_t count = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(directory_list(folder, &names, &count));
  for (size_t i = 0; i < count; i++) {
    uint32_t number = number_of(names[i]);
    if (number == 0) continue;
    TRY_CLEAN(mem_reserve(&out->paths, &out->capacity, out->count + 1, "TensorBoard's files"));
    TRY_CLEAN(path_join(&out->paths[out->count], folder, names[i]));
    out->count++;
    out->newest = number;
  }
cleanup:
  directory_free_list(names);
  return status;
}

static bool is_empty(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && info.st_size == 0;
}

/// The file that is whole; NULL if all are empty.
static const char *whole_file(const EventFiles *files) {
  for (size_t i = 0; i < files->count; i++) {
    if (!is_empty(files->paths[i])) return files->paths[i];
  }
  return NULL;
}

/// Empties the files, and removes those that are empty.
static Status retire_files(const EventFiles *files) {
  for (size_t i = files->count; i-- > 0;) {
    const char *path = files->paths[i];
    if (is_empty(path))
      TRY(directory_remove(path));
    else if (truncate(path, 0) != 0)
      return file_fail(STATUS_FAILED, path, "empty");
  }
  return STATUS_OK;
}

/// Appends what a file begins with. `last` is the file so far, or NULL.
static Status append_begin(const TrackedRun *run, const char *last, Str *out) {
  if (run->first_step > 0 && last != NULL) TRY(append_kept(last, run->first_step, out));
  if (out->size == 0) {
    TRY(append_version(out));
    TRY(append_start(out, 0));
  }
  if (run->first_step > 0) TRY(append_start(out, run->first_step));
  return run->config_text != NULL ? append_config(out, run->first_step, run->config_text) : STATUS_OK;
}

static Status begin_file(const char *path, const Str *begin, GrowingFile *out) {
  TRY(growing_open(path, out));
  TRY(growing_append(out, str_text(begin), begin->size));
  TRY(growing_sync(out));
  return file_sync_name(path);
}

static Status open_file(const TrackedRun *run, GrowingFile *out) {
  EventFiles files = {0};
  Str begin = {0};
  char name[64], *path = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(list_files(run->folder, &files));
  name_file(name, files.newest + 1);
  TRY_CLEAN(path_join(&path, run->folder, name));
  TRY_CLEAN(append_begin(run, whole_file(&files), &begin));
  TRY_CLEAN(begin_file(path, &begin, out));
  TRY_CLEAN(retire_files(&files));
cleanup:
  if (status != STATUS_OK) growing_close(out);
  files_free(&files);
  str_free(&begin);
  free(path);
  return status;
}

// ---- the sink ----

static Status open_sink(const TrackedRun *run, MetricSink **out) {
  TensorboardSink *board = NULL;
  TRY(mem_array(&board, 1, "TensorBoard's file"));
  Status status = open_file(run, &board->file);
  if (status == STATUS_OK)
    *out = &board->sink;
  else
    free(board);
  return status;
}

/// The curves have float32.
static Status append_metrics(Str *out, size_t step, const MetricList *flat) {
  Tb__Value *values = NULL, **list = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&values, flat->count, "TensorBoard's values"));
  TRY_CLEAN(mem_array(&list, flat->count, "TensorBoard's values"));
  for (size_t i = 0; i < flat->count; i++) {
    values[i] = (Tb__Value)TB__VALUE__INIT;
    values[i].tag = flat->items[i].name;
    values[i].content_case = TB__VALUE__CONTENT_SIMPLE_VALUE;
    values[i].simple_value = (float)flat->items[i].value;
    list[i] = &values[i];
  }
  TRY_CLEAN(append_summary(out, step, list, flat->count));
cleanup:
  free(list);
  free(values);
  return status;
}

static Status write_record(MetricSink *sink, const MetricRecord *record) {
  TensorboardSink *board = (TensorboardSink *)sink;
  MetricList flat = {0};
  Str bytes = {0};
  Status status = STATUS_OK;
  metrics_flatten(record->metrics, record->source, &flat);
  TRY_CLEAN(metrics_check(&flat));
  TRY_CLEAN(append_metrics(&bytes, record->step, &flat));
  TRY_CLEAN(growing_append(&board->file, str_text(&bytes), bytes.size));
cleanup:
  metrics_free(&flat);
  str_free(&bytes);
  return status;
}

static Status sync_sink(MetricSink *sink) {
  const TensorboardSink *board = (const TensorboardSink *)sink;
  return growing_sync(&board->file);
}

static void close_sink(MetricSink *sink) {
  TensorboardSink *board = (TensorboardSink *)sink;
  growing_close(&board->file);
  free(board);
}

const MetricSinkType metrics_tensorboard = {
    .open = open_sink, .write = write_record, .sync = sync_sink, .close = close_sink};
