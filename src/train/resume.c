// Finding and reading checkpoints. Rule: nothing in a run is changed until its checkpoint is known to be
// complete and to belong to this config.
#include "checkpoint.h"

#include "io/file.h"
#include "io/json.h"
#include "util/log.h"
#include "util/str.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double largest_count = 9007199254740992.0; // 2^53: JSON numbers are exact up to here

static Status read_state(const char *folder, cJSON **out) {
  char *path = NULL;
  TRY(path_join(&path, folder, CHECKPOINT_STATE));
  Status status = json_parse_file(path, out);
  free(path);
  return status;
}

/// Accepts "step_12" and "final", but no leftovers such as "step_12.partial".
static bool is_checkpoint_name(const char *name) {
  if (strcmp(name, "final") == 0) return true;
  if (!str_starts(name, "step_") || name[5] == '\0') return false;
  return strspn(name + 5, "0123456789") == strlen(name + 5);
}

/// *step = the step of the checkpoint at `path`, or −1 if it cannot be resumed. Only a bad file counts as
/// that: if a lack of memory did too, an older checkpoint would be resumed without a word.
static Status checkpoint_step(const char *path, bool warn, int64_t *step) {
  cJSON *state = NULL;
  *step = -1;
  Status status = read_state(path, &state);
  if (status == STATUS_OK) status = json_get_integer(state, "step", path, 0, (int64_t)largest_count, step);
  cJSON_Delete(state);
  if (status != STATUS_INPUT) return status;
  if (warn) log_say(LOG_WARNING, "skipping %s: %s", path, status_message());
  return STATUS_OK;
}

Status checkpoint_find(const char *folder, bool warn, char **path) {
  char **names = NULL;
  size_t count = 0;
  int64_t newest = -1;
  *path = NULL;
  TRY(directory_list(folder, &names, &count));
  Status status = STATUS_OK;
  for (size_t i = 0; status == STATUS_OK && i < count; i++) {
    if (!is_checkpoint_name(names[i])) continue;
    char *candidate = NULL;
    int64_t step = -1;
    status = path_join(&candidate, folder, names[i]);
    if (status == STATUS_OK && file_is_directory(candidate)) status = checkpoint_step(candidate, warn, &step);
    if (step > newest) {
      free(*path);
      *path = candidate;
      newest = step;
    } else {
      free(candidate);
    }
  }
  directory_free_list(names);
  return status;
}

/// Reads a number that is stored as text; the whole text must be a number.
static Status get_hex_double(const cJSON *object, const char *key, const char *name, double *out) {
  const char *text = NULL;
  char *end = NULL;
  TRY(json_get_string(object, key, name, &text));
  *out = strtod(text, &end);
  if (end != text && *end == '\0') return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" is \"%s\", not a number", name, key, text);
}

static Status check_format(const cJSON *object, const char *name) {
  const char *format = NULL;
  TRY(json_get_string(object, "format", name, &format));
  if (strcmp(format, CHECKPOINT_FORMAT) == 0) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s is \"%s\", made by another version of gee-cl; this one reads \"%s\": resume it with the "
      "version that made it, or set another output.run_name",
      name, format, CHECKPOINT_FORMAT);
}

static Status parse_state(const cJSON *object, const char *name, TrainState *state) {
  int64_t step = 0, cursor = 0, streak = 0, extended_from = 0;
  TRY(json_get_integer(object, "step", name, 0, UINT32_MAX / 2, &step));
  TRY(json_get_integer(object, "data_cursor", name, 0, (int64_t)largest_count, &cursor));
  TRY(json_get_integer(object, "steps_under_target", name, 0, (int64_t)largest_count, &streak));
  TRY(json_get_integer(object, "extended_from", name, 0, (int64_t)largest_count, &extended_from));
  TRY(get_hex_double(object, "first_gap", name, &state->first_gap));
  state->step = (size_t)step;
  state->data.cursor = (uint64_t)cursor;
  state->streak = (size_t)streak;
  state->extended_from = (size_t)extended_from;
  return STATUS_OK;
}

/// A missing file is found before any memory is taken.
static Status check_optimizer_file(const char *path) {
  char *moments = NULL;
  TRY(path_join(&moments, path, CHECKPOINT_OPTIMIZER));
  Status status = STATUS_OK;
  if (!file_exists(moments))
    status = status_fail(STATUS_INPUT,
                         "%s is missing: this checkpoint is damaged, or from another version of gee-cl; "
                         "delete its folder to resume the one before it, or set another output.run_name",
                         moments);
  free(moments);
  return status;
}

Status checkpoint_read(const char *path, const Settings *settings, bool extend, TrainState *state) {
  cJSON *object = NULL;
  size_t extended_from = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(read_state(path, &object));
  TRY_CLEAN(check_format(object, path));
  TRY_CLEAN(check_optimizer_file(path));
  TRY_CLEAN(settings_compare(settings, object, path, extend, &extended_from));
  TRY_CLEAN(parse_state(object, path, state));
  if (extended_from > 0) state->extended_from = extended_from;
cleanup:
  cJSON_Delete(object);
  return status;
}

Status checkpoint_load(const char *path, const Settings *settings, Model *model, Optimizer *optimizer) {
  cJSON *object = NULL;
  char *moments = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(read_state(path, &object));
  settings_note_rounding(settings, object);
  TRY_CLEAN(model_load_trained(model, path));
  TRY_CLEAN(path_join(&moments, path, CHECKPOINT_OPTIMIZER));
  TRY_CLEAN(optimizer_load(optimizer, model_params(model), moments));
cleanup:
  free(moments);
  cJSON_Delete(object);
  return status;
}
