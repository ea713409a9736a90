// The folder of a training run: what run.json says it was made from, the files that it left, and whether its
// metrics follow from one another. Rule: a checkpoint is whole or wrong; a folder or a file of data that is
// gone is not checked.
#include "io/file.h"
#include "train/bound_files.h"
#include "train/train.h"
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The run that is verified.
typedef struct RunFolder {
  const char *path;
  cJSON *record;         // run.json; NULL: there is none
  const cJSON *sessions; // its list
  const cJSON *last;     // session
  const cJSON *files;    // that it left, with their SHA-256; NULL: it did not end
} RunFolder;

// ---- run.json ----

static Status read_record(RunFolder *run) {
  char *path = NULL;
  const char *format = NULL;
  Status status = STATUS_OK;
  TRY(path_join(&path, run->path, RUN_RECORD));
  if (!file_exists(path)) goto cleanup;
  TRY_CLEAN(json_parse_file(path, &run->record));
  TRY_CLEAN(json_get_string(run->record, "format", path, &format));
  TRY_CLEAN(json_get_array(run->record, "sessions", path, &run->sessions));
  if (strcmp(format, RUN_RECORD_FORMAT) != 0)
    status = status_fail(STATUS_INPUT, "%s is \"%.60s\"; this version reads \"%s\"", path, format,
                         RUN_RECORD_FORMAT);
  int count = cJSON_GetArraySize(run->sessions);
  run->last = cJSON_GetArrayItem(run->sessions, count - 1);
  run->files = cJSON_GetObjectItemCaseSensitive(run->last, "files");
  if (status == STATUS_OK && !cJSON_IsObject(run->last))
    status = status_fail(STATUS_INPUT, "%s has no session", path);
cleanup:
  free(path);
  return status;
}

/// Says of every session how it ended.
static Status check_sessions(const RunFolder *run, Findings *findings) {
  const cJSON *session = NULL;
  int number = 0;
  cJSON_ArrayForEach(session, run->sessions) {
    char what[64];
    const char *ended = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(session, "ended"));
    (void)snprintf(what, sizeof what, RUN_RECORD ", session %d", ++number);
    TRY(ended != NULL ? finding_right(findings, what, ended)
                      : finding_unchecked(findings, what,
                                          "it was killed, or still runs: it says nothing of its files"));
  }
  return STATUS_OK;
}

/// A name of run.json stays within the folder of the run.
static bool is_inside(const char *name) {
  return name[0] != '/' && strstr(name, "..") == NULL;
}

static Status check_named(const char *folder, const cJSON *file, bool required, Findings *findings) {
  char *path = NULL;
  const char *sha256 = cJSON_GetStringValue(file);
  if (!is_inside(file->string))
    return finding_wrong(findings, file->string,
                         "it is named among the files of the run, and is outside its folder");
  TRY(path_join(&path, folder, file->string));
  Status status = required && !file_exists(path) ? finding_wrong(findings, path, "it is missing")
                                                 : verify_file(path, sha256, findings);
  free(path);
  return status;
}

static Status check_files(const RunFolder *run, Findings *findings) {
  const cJSON *file = NULL;
  cJSON_ArrayForEach(file, run->files) TRY(check_named(run->path, file, false, findings));
  return STATUS_OK;
}

// ---- checkpoints ----

/// The config that a checkpoint was made with must be that of a session.
static Status check_config(const RunFolder *run, const char *folder, Findings *findings) {
  char *path = NULL;
  MappedFile file = {0};
  const cJSON *session = NULL;
  bool known = false;
  Status status = STATUS_OK;
  TRY_CLEAN(path_join(&path, folder, "config.ini"));
  if (run->record == NULL || !file_exists(path)) goto cleanup;
  TRY_CLEAN(file_map(path, &file));
  cJSON_ArrayForEach(session, run->sessions) {
    const char *config = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(session, "config"));
    known = known ||
            (config != NULL && strlen(config) == file.size && memcmp(config, file.bytes, file.size) == 0);
  }
  status = known ? finding_right(findings, path, "it is the config of a session in " RUN_RECORD)
                 : finding_wrong(findings, path, "it is the config of no session in " RUN_RECORD);
cleanup:
  file_unmap(&file);
  free(path);
  return status;
}

/// Whether run.json binds the state of the checkpoint `name`, which binds its other files.
static Status check_bound(const RunFolder *run, const char *name, const char *state, Findings *findings) {
  char *key = NULL;
  TRY(path_join(&key, name, BOUND_FILES_STATE));
  bool bound = cJSON_GetObjectItemCaseSensitive(run->files, key) != NULL;
  free(key);
  return bound ? STATUS_OK
               : finding_unchecked(findings, state,
                                   RUN_RECORD " has no SHA-256 of it, so the whole checkpoint may be "
                                              "another one");
}

static Status check_state(const RunFolder *run, const char *name, const char *state, Findings *findings) {
  char *folder = NULL;
  cJSON *json = NULL;
  const cJSON *files = NULL, *file = NULL;
  Status status = STATUS_OK;
  TRY(path_join(&folder, run->path, name));
  status = json_parse_file(state, &json);
  if (status == STATUS_OK) status = json_get_object(json, BOUND_FILES_MEMBER, state, &files);
  if (status == STATUS_INPUT) { // the checkpoint cannot be read
    status = finding_wrong(findings, state, status_message());
    goto cleanup;
  }
  TRY_CLEAN(status);
  TRY_CLEAN(check_bound(run, name, state, findings));
  cJSON_ArrayForEach(file, files) TRY_CLEAN(check_named(folder, file, true, findings));
  status = bound_files_check_surplus(files, folder);
  if (status == STATUS_INPUT) status = finding_wrong(findings, folder, status_message());
  TRY_CLEAN(status);
  TRY_CLEAN(check_config(run, folder, findings));
cleanup:
  cJSON_Delete(json);
  free(folder);
  return status;
}

static Status check_checkpoints(const RunFolder *run, size_t *count, Findings *findings) {
  char **names = NULL, *state = NULL;
  size_t entries = 0;
  Status status = STATUS_OK;
  TRY(directory_list(run->path, &names, &entries));
  for (size_t i = 0; i < entries; i++) {
    TRY_CLEAN(str_format(&state, "%s/%s/" BOUND_FILES_STATE, run->path, names[i]));
    if (file_exists(state)) {
      ++*count;
      TRY_CLEAN(check_state(run, names[i], state, findings));
    }
    free(state);
    state = NULL;
  }
cleanup:
  free(state);
  directory_free_list(names);
  return status;
}

Status verify_run(const char *folder, Findings *findings) {
  RunFolder run = {.path = folder};
  size_t checkpoints = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(read_record(&run));
  if (run.record != NULL) {
    TRY_CLEAN(check_sessions(&run, findings));
    TRY_CLEAN(verify_data(run.last, findings));
    TRY_CLEAN(verify_model(run.last, findings));
    TRY_CLEAN(verify_settings(run.last, findings));
    TRY_CLEAN(verify_run_members(run.record, findings));
    TRY_CLEAN(check_files(&run, findings));
  }
  TRY_CLEAN(check_checkpoints(&run, &checkpoints, findings));
  if (run.record == NULL && checkpoints == 0)
    status = status_fail(STATUS_INPUT,
                         "%s has neither " RUN_RECORD " nor a checkpoint; name the folder of a run", folder);
  TRY_CLEAN(status);
  if (run.record == NULL)
    TRY_CLEAN(finding_unchecked(findings, RUN_RECORD,
                                "it is not here: neither the model, the data nor the config can be checked"));
  TRY_CLEAN(verify_metrics(folder, run.last, findings));
cleanup:
  cJSON_Delete(run.record);
  return status;
}
