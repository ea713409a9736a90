// Writing checkpoints. Rule: a folder step_N or final is complete or does not exist, and it holds everything
// that the next step depends on.
#include "checkpoint.h"

#include "io/file.h"
#include "text/export.h"
#include "train/bound_files.h"
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

/// As %a prints it: every bit survives.
static void write_bits(JsonWriter *json, const char *key, double value) {
  char text[40];
  (void)snprintf(text, sizeof text, "%a", value);
  json_string(json, key, text);
}

static void write_trend(const GapTrend *trend, JsonWriter *json) {
  json_object_begin(json, CHECKPOINT_TREND);
  json_integer(json, "steps", (int64_t)trend->steps);
  write_bits(json, "first", trend->first);
  json_array_begin(json, "deviations");
  for (size_t g = 0; g < trend->groups; g++) write_bits(json, NULL, trend->deviation[g]);
  json_array_end(json);
  json_object_end(json);
}

static void write_drift(const Drift *drift, JsonWriter *json) {
  json_object_begin(json, CHECKPOINT_DRIFT);
  json_integer(json, "freedom", (int64_t)drift->freedom);
  json_integer(json, "variances", (int64_t)drift->variances);
  write_bits(json, "first", drift->first);
  write_bits(json, "smoothed", drift->smoothed);
  write_bits(json, "last", drift->last);
  write_bits(json, "variance", drift->variance);
  json_object_end(json);
}

/// Binds the state to the files that are in the folder already: those that a resume reads with it.
static Status write_state(const Checkpoint *checkpoint, const char *folder) {
  const TrainState *state = checkpoint->state;
  JsonWriter json = {.layout = JSON_PRETTY};
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  json_string(&json, "format", CHECKPOINT_FORMAT);
  json_integer(&json, "step", (int64_t)state->step);
  json_integer(&json, "data_cursor", (int64_t)state->data.cursor);
  write_trend(&state->trend, &json);
  write_drift(&state->drift, &json);
  json_integer(&json, "measurements_within_target", (int64_t)state->within);
  json_integer(&json, "last_measurement", state->judged);
  json_integer(&json, "extended_from", (int64_t)state->extended_from);
  settings_write(checkpoint->settings, &json);
  TRY_CLEAN(bound_files_write(folder, &json));
  json_object_end(&json);
  TRY_CLEAN(json_save(&json, folder, CHECKPOINT_STATE));
cleanup:
  json_free(&json);
  return status;
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
  TRY(write_optimizer(checkpoint, folder));
  TRY(write_state(checkpoint, folder));
  if (checkpoint->base != NULL) TRY(identity_write(checkpoint->base, checkpoint->model_path, folder));
  if (checkpoint->tokenizer_of != NULL) TRY(tokenizer_export(checkpoint->tokenizer_of, folder));
  if (checkpoint->card != NULL) TRY(write_text(folder, "README.md", checkpoint->card));
  if (checkpoint->config_text != NULL) return write_text(folder, "config.ini", checkpoint->config_text);
  return STATUS_OK;
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
