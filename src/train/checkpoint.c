// Writing checkpoints. Rule: a folder step_N or final is complete or does not exist, and it holds everything
// that the next step depends on.
#include "checkpoint.h"

#include "io/file.h"
#include "text/export.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Status write_text(const char *folder, const char *name, const char *text) {
  char *path = NULL;
  FileWriter *writer = NULL;
  TRY(path_join(&path, folder, name));
  Status status = writer_open(path, &writer);
  free(path);
  if (status != STATUS_OK) return status;
  status = writer_append(writer, text, strlen(text));
  if (status == STATUS_OK) return writer_close(writer);
  writer_abandon(writer);
  return status;
}

static Status write_state(const Checkpoint *checkpoint, const char *folder) {
  const TrainState *state = checkpoint->state;
  JsonWriter json = {.layout = JSON_PRETTY};
  char gap[40]; // as %a prints it: every bit survives
  (void)snprintf(gap, sizeof gap, "%a", state->first_gap);
  json_object_begin(&json, NULL);
  json_string(&json, "format", CHECKPOINT_FORMAT);
  json_integer(&json, "step", (int64_t)state->step);
  json_integer(&json, "data_cursor", (int64_t)state->data.cursor);
  json_string(&json, "first_gap", gap);
  json_integer(&json, "steps_under_target", (int64_t)state->streak);
  json_integer(&json, "extended_from", (int64_t)state->extended_from);
  settings_write(checkpoint->settings, &json);
  json_object_end(&json);
  return json_save(&json, folder, CHECKPOINT_STATE);
}

static Status write_optimizer(const Checkpoint *checkpoint, const char *folder) {
  char *path = NULL;
  TRY(path_join(&path, folder, CHECKPOINT_OPTIMIZER));
  Status status = optimizer_save(checkpoint->optimizer, model_params(checkpoint->model), path);
  free(path);
  return status;
}

static Status write_files(const Checkpoint *checkpoint, const char *folder) {
  TRY(model_save_trained(checkpoint->model, folder));
  if (checkpoint->tokenizer_of != NULL) TRY(tokenizer_export(checkpoint->tokenizer_of, folder));
  TRY(write_optimizer(checkpoint, folder));
  if (checkpoint->config_text != NULL) TRY(write_text(folder, "config.ini", checkpoint->config_text));
  return write_state(checkpoint, folder);
}

Status checkpoint_save(const Checkpoint *checkpoint, const char *folder, const char *name, char **path) {
  AtomicDir dir = {0};
  Status status = STATUS_OK;
  *path = NULL;
  TRY_CLEAN(path_join(path, folder, name));
  TRY_CLEAN(atomic_dir_begin(*path, &dir));
  TRY_CLEAN(write_files(checkpoint, dir.partial));
  TRY_CLEAN(atomic_dir_commit(&dir));
  return STATUS_OK;

cleanup:
  atomic_dir_abort(&dir);
  free(*path);
  *path = NULL;
  return status_context(status, "saving %s", name);
}
