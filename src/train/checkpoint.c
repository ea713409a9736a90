// Checkpoints. Rule: a folder step_N or final is whole or not there, and holds all that the next step depends on.
//
//   step_N/   adapter_config.json, adapter_model.safetensors   or, fully trained, a Hugging Face folder with its tokenizer
//             optimiser.safetensors                            m and v of AdamW
//             trainer_state.json                               step, data cursor, seed, annealing, settings
//             config.ini                                       as run
#include "trainer.h"

#include "io/file.h"
#include "io/json_write.h"
#include "text/export.h"
#include "util/str.h"
#include <inttypes.h>
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

/// Numbers that JSON's doubles would round are text: the seed in decimal, the first gap as C's %a.
static Status write_state(const Trainer *t, const char *folder) {
  const TrainState *state = &t->state;
  char seed[32], gap[40];
  (void)snprintf(seed, sizeof seed, "%" PRIu64, t->job->train.seed);
  (void)snprintf(gap, sizeof gap, "%a", state->first_gap);
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  json_string(&json, "format", "gee-cl training state 1");
  json_integer(&json, "step", (int64_t)state->step);
  json_integer(&json, "data_cursor", (int64_t)state->data.cursor);
  json_string(&json, "seed", seed);
  json_string(&json, "first_gap", gap);
  json_integer(&json, "steps_under_target", (int64_t)state->streak);
  settings_write(t, &json);
  json_object_end(&json);
  return json_save(&json, folder, CHECKPOINT_STATE);
}

static Status write_optimiser(const Trainer *t, const char *folder) {
  char *path = NULL;
  TRY(path_join(&path, folder, CHECKPOINT_OPTIMISER));
  Status status = optimizer_save(&t->optimizer, model_params(t->model), path);
  free(path);
  return status;
}

static Status write_all(Trainer *t, const char *folder) {
  const TrainJob *job = t->job;
  TRY(model_save_trained(t->model, folder));
  if (job->train.full && job->tokenizer != NULL) TRY(tokenizer_export(model_files_path(job->files), folder));
  TRY(write_optimiser(t, folder));
  if (job->config_text != NULL) TRY(write_text(folder, "config.ini", job->config_text));
  return write_state(t, folder);
}

Status checkpoint_save(Trainer *t, const char *name) {
  AtomicDir dir = {0};
  char *path = NULL;
  Status status = STATUS_OK;
  report_phase(t, "saving");
  TRY_CLEAN(report_sync(t));
  TRY_CLEAN(path_join(&path, t->folder, name));
  TRY_CLEAN(atomic_dir_begin(path, &dir));
  TRY_CLEAN(write_all(t, dir.partial));
  TRY_CLEAN(atomic_dir_commit(&dir));
  free(t->last_saved);
  t->last_saved = path;
  t->saved_step = t->state.step;
  return STATUS_OK;

cleanup:
  atomic_dir_abort(&dir);
  free(path);
  return status_context(status, "saving %s", name);
}

Status checkpoint_save_step(Trainer *t) {
  char *name = NULL;
  TRY(str_format(&name, "step_%zu", t->state.step));
  Status status = checkpoint_save(t, name);
  free(name);
  return status;
}
