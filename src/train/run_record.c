// run.json. Rule: it is whole at any time, and what it says of an earlier session is never changed.
#include "run_record.h"

#include "checkpoint.h"
#include "io/file.h"
#include "io/json_write.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- the sessions so far ----

static Status read_sessions(const char *path, cJSON **out) {
  const char *format = NULL;
  const cJSON *sessions = NULL;
  if (!file_exists(path)) return STATUS_OK;
  TRY(json_parse_file(path, out));
  TRY(json_get_string(*out, "format", path, &format));
  TRY(json_get_array(*out, "sessions", path, &sessions));
  if (strcmp(format, RUN_RECORD_FORMAT) == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "%s is \"%.60s\", made by another version of gee-cl; this one writes \"%s\"", path,
                     format, RUN_RECORD_FORMAT);
}

Status run_record_read(RunRecord *record, const TrainJob *job, const char *folder) {
  char *path = NULL;
  if (!job->resume) return STATUS_OK;
  TRY(path_join(&path, folder, RUN_RECORD));
  Status status = read_sessions(path, &record->earlier);
  free(path);
  return status;
}

// ---- the files of a run ----

/// Adds the files of a checkpoint that its trainer_state.json does not bind, and that file itself.
static Status add_checkpoint(const char *folder, const char *name, const cJSON *bound, JsonWriter *json) {
  char **names = NULL, *path = NULL, *key = NULL, sha256[SHA256_TEXT];
  size_t count = 0;
  Status status = STATUS_OK;
  TRY(directory_list(folder, &names, &count));
  for (size_t i = 0; i < count; i++) {
    if (cJSON_GetObjectItemCaseSensitive(bound, names[i]) != NULL) continue;
    TRY_CLEAN(path_join(&path, folder, names[i]));
    TRY_CLEAN(path_join(&key, name, names[i]));
    TRY_CLEAN(file_sha256(path, sha256));
    json_string(json, key, sha256);
    free(path);
    free(key);
    path = key = NULL;
  }
cleanup:
  directory_free_list(names);
  free(path);
  free(key);
  return status;
}

static Status add_entry(const char *folder, const char *name, JsonWriter *json) {
  char *path = NULL, *state_path = NULL, sha256[SHA256_TEXT];
  cJSON *state = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(path_join(&path, folder, name));
  TRY_CLEAN(path_join(&state_path, path, CHECKPOINT_STATE));
  if (str_ends(name, ".jsonl")) {
    TRY_CLEAN(file_sha256(path, sha256));
    json_string(json, name, sha256);
  } else if (file_exists(state_path)) {
    TRY_CLEAN(json_parse_file(state_path, &state));
    TRY_CLEAN(add_checkpoint(path, name, cJSON_GetObjectItemCaseSensitive(state, BOUND_FILES_MEMBER), json));
  }
cleanup:
  cJSON_Delete(state);
  free(state_path);
  free(path);
  return status;
}

static Status add_files(const char *folder, JsonWriter *json) {
  char **names = NULL;
  size_t count = 0;
  TRY(directory_list(folder, &names, &count));
  Status status = STATUS_OK;
  json_object_begin(json, "files");
  for (size_t i = 0; i < count && status == STATUS_OK; i++) status = add_entry(folder, names[i], json);
  json_object_end(json);
  directory_free_list(names);
  return status;
}

// ---- writing ----

/// How a session ended.
typedef struct SessionEnd {
  const char *how, *message; // message NULL: it ended well
  size_t step;
} SessionEnd;

static Status add_end(const RunRecord *record, const SessionEnd *end, JsonWriter *json) {
  char now[CLOCK_TEXT];
  clock_utc(now);
  json_string(json, "finished", now);
  json_number(json, "seconds", clock_seconds() - record->start);
  json_string(json, "ended", end->how);
  if (end->message != NULL) json_string(json, "message", end->message);
  json_integer(json, "step", (int64_t)end->step);
  return add_files(record->folder, json);
}

/// `end` NULL: the session begins.
static Status write_record(const RunRecord *record, const SessionEnd *end) {
  JsonWriter json = {.layout = JSON_PRETTY};
  const cJSON *sessions = cJSON_GetObjectItemCaseSensitive(record->earlier, "sessions"), *item = NULL;
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  json_string(&json, "format", RUN_RECORD_FORMAT);
  json_array_begin(&json, "sessions");
  cJSON_ArrayForEach(item, sessions) json_tree(&json, NULL, item);
  json_object_begin(&json, NULL);
  cJSON_ArrayForEach(item, record->facts) json_tree(&json, item->string, item);
  json_integer(&json, "from_step", (int64_t)record->from_step);
  json_string(&json, "started", record->started);
  if (end != NULL) TRY_CLEAN(add_end(record, end, &json));
  json_object_end(&json);
  json_array_end(&json);
  json_object_end(&json);
  TRY_CLEAN(json_save(&json, record->folder, RUN_RECORD));
cleanup:
  json_free(&json);
  return status;
}

Status run_record_begin(RunRecord *record, const TrainJob *job, const char *folder, size_t step) {
  if (job->provenance == NULL) return STATUS_OK;
  TRY(json_parse(job->provenance, strlen(job->provenance), "the run", &record->facts));
  record->from_step = step;
  record->start = clock_seconds();
  clock_utc(record->started);
  record->folder = folder;
  return write_record(record, NULL);
}

Status run_record_end(RunRecord *record, TrainEnd end, size_t step, Status status) {
  static const char *const words[] = {[TRAIN_ALL_STEPS] = "all steps",
                                      [TRAIN_TARGET] = "target reached",
                                      [TRAIN_NOTHING_TO_DO] = "nothing to do"};
  char message[1024];
  if (record->folder == NULL) return status;
  (void)snprintf(message, sizeof message, "%s", status_message());
  if (status == STATUS_OK) return write_record(record, &(SessionEnd){.how = words[end], .step = step});
  const char *how = status == STATUS_INTERRUPTED ? "interrupted" : "failed";
  // if this cannot be written, what ended the run says more
  (void)!write_record(record, &(SessionEnd){how, message, step});
  return status_fail(status, "%s", message);
}

void run_record_free(RunRecord *record) {
  cJSON_Delete(record->earlier);
  cJSON_Delete(record->facts);
  *record = (RunRecord){0};
}
