// Checkpoints. Rule: a folder step_N or final is whole or not there, and holds all that the next step depends on.
//
//   step_N/   adapter_config.json, adapter_model.safetensors   or, fully trained, a Hugging Face folder with its tokenizer
//             optimiser.safetensors                            m and v of AdamW
//             trainer_state.json                               step, data cursor, seed, annealing, settings
//             config.ini                                       as run
#include "trainer.h"

#include "io/file.h"
#include "io/json.h"
#include "text/export.h"
#include "util/str.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/// Numbers that JSON's doubles would round are text: the seed in decimal, the first gap as C's %a.
static cJSON *describe_state(const Trainer *t) {
  const TrainState *state = &t->state;
  char seed[32], gap[40];
  (void)snprintf(seed, sizeof seed, "%" PRIu64, t->job->train.seed);
  (void)snprintf(gap, sizeof gap, "%a", state->first_gap);
  cJSON *object = cJSON_CreateObject(), *settings = settings_describe(t);
  bool made = cJSON_AddStringToObject(object, "format", "gee-cl training state 1") != NULL &&
              cJSON_AddNumberToObject(object, "step", (double)state->step) != NULL &&
              cJSON_AddNumberToObject(object, "data_cursor", (double)state->data.cursor) != NULL &&
              cJSON_AddStringToObject(object, "seed", seed) != NULL &&
              cJSON_AddStringToObject(object, "first_gap", gap) != NULL &&
              cJSON_AddNumberToObject(object, "steps_under_target", (double)state->streak) != NULL &&
              settings != NULL && cJSON_AddItemToObject(object, "settings", settings);
  if (made) return object;
  cJSON_Delete(settings);
  cJSON_Delete(object);
  return NULL;
}

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

static Status write_state(const Trainer *t, const char *folder) {
  cJSON *object = describe_state(t);
  char *text = NULL;
  if (object == NULL) return status_fail(STATUS_FAILED, "out of memory for %s", CHECKPOINT_STATE);
  Status status = json_print(object, true, &text);
  cJSON_Delete(object);
  if (status == STATUS_OK) status = write_text(folder, CHECKPOINT_STATE, text);
  free(text);
  return status;
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
