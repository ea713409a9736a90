// Finding and reading checkpoints. Rule: nothing in a run is changed until its checkpoint is known to be
// complete and to belong to this config.
#include "checkpoint.h"

#include "io/file.h"
#include "io/json.h"
#include "train/bound_files.h"
#include "util/log.h"
#include "util/str.h"
#include <errno.h>
#include <math.h>
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

/// Accepts "step_12" and "final", but no leftovers such as "step_12" PARTIAL_END.
static bool is_checkpoint_name(const char *name) {
  if (strcmp(name, "final") == 0) return true;
  if (!str_starts(name, "step_") || name[5] == '\0') return false;
  return strspn(name + 5, "0123456789") == strlen(name + 5);
}

Status checkpoint_recover(const char *folder) {
  static const char *const endings[] = {PARTIAL_END, OLD_END};
  char **names = NULL;
  size_t count = 0;
  TRY(directory_list(folder, &names, &count));
  Status status = STATUS_OK;
  for (size_t i = 0; i < 2 * count; i++) {
    char *name = names[i / 2], *path = NULL;
    if (!str_ends(name, endings[i % 2])) continue;
    name[strlen(name) - strlen(endings[i % 2])] = '\0';
    if (!is_checkpoint_name(name)) continue;
    TRY_CLEAN(path_join(&path, folder, name));
    status = atomic_dir_recover(path);
    free(path);
    if (status != STATUS_OK) break;
  }
cleanup:
  directory_free_list(names);
  return status;
}

/// Reads a finite number that is stored as text; the whole text must be one. NULL is no text.
static Status parse_bits(const char *text, const char *key, const char *name, double *out) {
  char *end = NULL;
  if (text != NULL) *out = strtod(text, &end);
  if (text != NULL && end != text && *end == '\0' && isfinite(*out)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" is \"%s\", not a number", name, key, text != NULL ? text : "");
}

static Status get_bits(const cJSON *object, const char *key, const char *name, double *out) {
  const char *text = NULL;
  TRY(json_get_string(object, key, name, &text));
  return parse_bits(text, key, name, out);
}

static Status get_count(const cJSON *object, const char *key, const char *name, size_t *out) {
  int64_t value = 0;
  TRY(json_get_integer(object, key, name, 0, (int64_t)largest_count, &value));
  *out = (size_t)value;
  return STATUS_OK;
}

static Status parse_trend(const cJSON *state, const char *name, GapTrend *trend) {
  const cJSON *object = NULL, *deviations = NULL, *item = NULL;
  TRY(json_get_object(state, CHECKPOINT_TREND, name, &object));
  TRY(get_count(object, "steps", name, &trend->steps));
  TRY(get_bits(object, "first", name, &trend->first));
  TRY(json_get_array(object, "deviations", name, &deviations));
  cJSON_ArrayForEach(item, deviations) {
    if (trend->groups == LOSS_MAX_GROUPS)
      return status_fail(STATUS_INPUT, "%s: \"deviations\" has more than %d entries", name, LOSS_MAX_GROUPS);
    TRY(parse_bits(cJSON_GetStringValue(item), "deviations", name, &trend->deviation[trend->groups++]));
  }
  return STATUS_OK;
}

static Status parse_drift(const cJSON *state, const char *name, Drift *drift) {
  const cJSON *object = NULL;
  TRY(json_get_object(state, CHECKPOINT_DRIFT, name, &object));
  int64_t freedom = 0, variances = 0;
  TRY(json_get_integer(object, "freedom", name, 0, DRIFT_FREEDOM, &freedom));
  TRY(json_get_integer(object, "variances", name, 0, DRIFT_VARIANCES, &variances));
  drift->freedom = (size_t)freedom;
  drift->variances = (size_t)variances;
  TRY(get_bits(object, "first", name, &drift->first));
  TRY(get_bits(object, "smoothed", name, &drift->smoothed));
  TRY(get_bits(object, "last", name, &drift->last));
  return get_bits(object, "variance", name, &drift->variance);
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
  int64_t step = 0, cursor = 0;
  *state = (TrainState){0};
  TRY(json_get_integer(object, "step", name, 0, UINT32_MAX / 2, &step));
  TRY(json_get_integer(object, "data_cursor", name, 0, (int64_t)largest_count, &cursor));
  TRY(parse_trend(object, name, &state->trend));
  TRY(parse_drift(object, name, &state->drift));
  TRY(get_count(object, "measurements_within_target", name, &state->within));
  TRY(json_get_integer(object, "last_measurement", name, -1, UINT32_MAX / 2, &state->judged));
  TRY(get_count(object, "extended_from", name, &state->extended_from));
  state->step = (size_t)step;
  state->data.cursor = (uint64_t)cursor;
  return STATUS_OK;
}

Status train_first_entropy(const char *folder, double *out) {
  cJSON *object = NULL;
  TrainState state = {0};
  *out = NAN;
  Status status = read_state(folder, &object);
  if (status == STATUS_OK) status = parse_state(object, folder, &state);
  if (status == STATUS_OK && state.drift.first > 0) *out = state.drift.first;
  cJSON_Delete(object);
  return status == STATUS_INPUT ? STATUS_OK : status;
}

// ---- finding ----

/// Which checkpoints are looked for.
typedef struct Search {
  bool warn;        // about those that cannot be read
  size_t before;    // only those of fewer steps that pass is_good; 0: all
  double max_drift; // for is_good
} Search;

/// Whether training went on well from there (checkpoint_find_good). A state that cannot be read is not good.
static bool is_good(const cJSON *object, const char *path, const Search *search) {
  TrainState state;
  return parse_state(object, path, &state) == STATUS_OK && state.step < search->before &&
         drift_is_good(&state.drift, search->max_drift);
}

/// *step = the step of the checkpoint at `path`, or −1 if it is not looked for. Only a bad file counts as
/// that: if a lack of memory did too, an older checkpoint would be resumed without a word.
static Status checkpoint_step(const char *path, const Search *search, int64_t *step) {
  cJSON *state = NULL;
  *step = -1;
  Status status = read_state(path, &state);
  if (status == STATUS_OK) status = json_get_integer(state, "step", path, 0, (int64_t)largest_count, step);
  if (status == STATUS_OK && search->before > 0 && !is_good(state, path, search)) *step = -1;
  cJSON_Delete(state);
  if (status != STATUS_INPUT) return status;
  if (search->warn) log_say(LOG_WARNING, "skipping %s: %s", path, status_message());
  return STATUS_OK;
}

static Status find_newest(const char *folder, const Search *search, char **path) {
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
    if (status == STATUS_OK && file_is_directory(candidate))
      status = checkpoint_step(candidate, search, &step);
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

Status checkpoint_find(const char *folder, bool warn, char **path) {
  return find_newest(folder, &(Search){.warn = warn}, path);
}

Status checkpoint_find_good(const char *folder, size_t before, double max_drift, char **path) {
  *path = NULL;
  if (before == 0) return STATUS_OK;
  return find_newest(folder, &(Search){.before = before, .max_drift = max_drift}, path);
}

// ---- reading ----

/// What to do about a checkpoint that lacks a file or has one that cannot be read.
#define DAMAGED                                                                                              \
  "this checkpoint is damaged, or from another version of gee-cl; delete its folder to resume the one "      \
  "before it, or set another output.run_name"

/// A missing file is found before any memory is taken.
static Status check_optimizer_file(const char *path) {
  char *moments = NULL;
  TRY(path_join(&moments, path, CHECKPOINT_OPTIMIZER));
  Status status = STATUS_OK;
  if (!file_exists(moments)) status = status_fail(STATUS_INPUT, "%s is missing: " DAMAGED, moments);
  free(moments);
  return status;
}

Status checkpoint_read(const char *path, Settings *settings, TrainState *state) {
  cJSON *object = NULL;
  size_t extended_from = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(read_state(path, &object));
  TRY_CLEAN(check_format(object, path));
  TRY_CLEAN(check_optimizer_file(path));
  TRY_CLEAN(settings_compare(settings, object, path, &extended_from));
  TRY_CLEAN(parse_state(object, path, state));
  TRY_CLEAN(bound_files_check(object, path));
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
  if (status == STATUS_INPUT) status = status_fail(status, "%s: " DAMAGED, status_message());
  free(moments);
  cJSON_Delete(object);
  return status;
}
