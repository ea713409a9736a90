// Where a run begins: its folder, which one process at a time may use, and the checkpoint there. Rule: a run
// is named right or refused: --resume never starts a new one because of a wrong name, and without it no
// earlier one is touched.
#include "trainer.h"

#include "io/file.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_LISTED = 8 };

// ---- a run that is not there ----

/// *names = the runs below `root`, sorted and NULL-terminated: folders with a metrics.jsonl. Free with
/// directory_free_list.
static Status list_runs(const char *root, char ***names, size_t *count) {
  char **entries = NULL;
  size_t all = 0;
  *count = 0;
  TRY(directory_list(root, &entries, &all));
  Status status = STATUS_OK;
  for (size_t i = 0; i < all; i++) {
    char *metrics = NULL;
    if (status == STATUS_OK) status = str_format(&metrics, "%s/%s/metrics.jsonl", root, entries[i]);
    bool kept = status == STATUS_OK && file_exists(metrics);
    free(metrics);
    char *name = entries[i];
    entries[i] = NULL;
    if (kept) {
      entries[(*count)++] = name;
    } else {
      free(name);
    }
  }
  *names = entries;
  return status;
}

/// Appends what there is to resume instead of `name`.
static Status append_runs(Str *out, const char *root, const char *name) {
  char **runs = NULL;
  size_t count = 0;
  if (!file_is_directory(root)) return STATUS_OK;
  Status status = list_runs(root, &runs, &count);
  if (status == STATUS_OK && count > 0) {
    const char *nearest = str_nearest(name, (const char *const *)runs);
    if (nearest != NULL) TRY_CLEAN(str_append_format(out, "; did you mean output.run_name = %s?", nearest));
    TRY_CLEAN(str_append_format(out, "%s the runs in %s are ", nearest != NULL ? "" : ";", root));
    size_t shown = size_min(count, MAX_LISTED);
    for (size_t i = 0; i < shown; i++)
      TRY_CLEAN(str_append_item(out, runs[i], i, shown, count > shown ? ", " : " and "));
    if (count > shown) TRY_CLEAN(str_append_format(out, " and %zu more", count - shown));
  }
cleanup:
  directory_free_list(runs);
  return status;
}

static Status fail_no_run(const Trainer *t) {
  Str others = {0};
  Status status = append_runs(&others, t->job->output.save_root, t->job->output.run_name);
  if (status == STATUS_OK)
    status = status_fail(STATUS_INPUT, "--resume: there is no run %s%s; to start a new run, drop --resume",
                         t->folder, str_text(&others));
  str_free(&others);
  return status;
}

Status start_find_folder(Trainer *t) {
  const TrainJob *job = t->job;
  TRY(path_join(&t->folder, job->output.save_root, job->output.run_name));
  return job->resume && !file_is_directory(t->folder) ? fail_no_run(t) : STATUS_OK;
}

// ---- one process at a time ----

static Status fail_if_in_use(const Trainer *t, Status status) {
  if (status != STATUS_INPUT) return status;
  char *held = NULL;
  TRY(str_copy(&held, status_message(), strlen(status_message())));
  status = status_fail(
      STATUS_INPUT,
      "%s is in use by another run (%s): wait until it ends, stop it, or set another output.run_name",
      t->folder, held);
  free(held);
  return status;
}

Status start_check_lock(const Trainer *t) {
  char *path = NULL;
  TRY(path_join(&path, t->folder, RUN_LOCK));
  Status status = fail_if_in_use(t, file_check_lock(path));
  free(path);
  return status;
}

Status start_lock(Trainer *t) {
  char *path = NULL;
  TRY(directory_create(t->folder));
  TRY(path_join(&path, t->folder, RUN_LOCK));
  Status status = fail_if_in_use(t, file_lock(path, &t->lock));
  free(path);
  return status == STATUS_OK ? checkpoint_recover(t->folder) : status;
}

// ---- the checkpoint ----

static bool is_final(const char *checkpoint) {
  return str_ends(checkpoint, "/final");
}

/// What a finished run also needs to go on to a larger train.max_steps.
static const char *also_extend(const Trainer *t) {
  return t->job->train.schedule == SCHEDULE_CONSTANT ? "" : " --extend";
}

static Status fail_earlier_run(const Trainer *t, const char *found) {
  if (!is_final(found))
    return status_fail(STATUS_INPUT,
                       "%s is from an earlier run: resume with --resume, or set another output.run_name",
                       found);
  return status_fail(STATUS_INPUT,
                     "%s is from an earlier run, which is finished: for more, raise train.max_steps and give "
                     "--resume%s, or set another output.run_name",
                     found, also_extend(t));
}

/// *found = the checkpoint to resume, or NULL. Refuses to overwrite an earlier run.
static Status find_start(const Trainer *t, bool warn, char **found) {
  const TrainJob *job = t->job;
  if (file_is_directory(t->folder)) TRY(checkpoint_find(t->folder, warn, found));
  if (*found != NULL && !job->resume) return fail_earlier_run(t, *found);
  if (*found != NULL || !job->extend) return STATUS_OK;
  return status_fail(STATUS_INPUT, "--extend: %s has no checkpoint to extend: drop --extend", t->folder);
}

/// Refuses to go on from where max_drift ended the run: it would end again.
static Status check_drift(const Trainer *t, const char *found) {
  double limit = (double)t->job->train.max_drift;
  DriftEstimate drifted = trainer_drift(t);
  Str text = {0};
  if (!drift_beyond(drifted, limit)) return STATUS_OK;
  TRY(describe_drift(&t->state.drift, drifted, &text));
  Status status =
      status_fail(STATUS_INPUT,
                  "%s is beyond train.max_drift = %g: %s; raise train.max_drift to go on (0 turns "
                  "it off), or set another output.run_name",
                  found, limit, str_text(&text));
  str_free(&text);
  return trainer_name_good_checkpoint(t, status);
}

Status start_prepare(Trainer *t, bool warn, char **found) {
  TRY(find_start(t, warn, found));
  TRY(run_record_read(&t->record, t->job, t->folder));
  TRY(trainer_prepare(t));
  TRY(settings_collect(t->job, t->sampling.max_new_tokens, t->weights.bias, &t->settings));
  if (*found == NULL) return STATUS_OK;
  t->settings.warn = warn;
  TRY(checkpoint_read(*found, &t->settings, &t->state));
  TRY(check_drift(t, *found));
  if (t->state.step <= t->job->train.max_steps) return STATUS_OK;
  return status_fail(
      STATUS_INPUT, "%s is at step %zu, past train.max_steps = %zu: raise it, or set another output.run_name",
      *found, t->state.step, t->job->train.max_steps);
}

static void note_finished(const Trainer *t, const char *found) {
  const TrainOptions *train = &t->job->train;
  if (t->state.step < train->max_steps) {
    log_say(LOG_NOTE, "%s is finished: it stopped by itself at step %zu of %zu", found, t->state.step,
            train->max_steps);
    return;
  }
  log_say(LOG_NOTE,
          "%s is finished: %zu step%s done, as train.max_steps says; for more, raise train.max_steps and "
          "give --resume%s",
          found, t->state.step, str_plural(t->state.step), also_extend(t));
}

Status start_restore(Trainer *t, const char *found) {
  TRY(checkpoint_load(found, &t->settings, t->model, &t->optimizer));
  t->finished_before = is_final(found) && trainer_finished(t);
  if (t->finished_before) {
    note_finished(t, found);
  } else {
    log_say(LOG_NOTE, "resuming from %s", found);
  }
  t->saved_step = t->state.step;
  return str_copy(&t->last_saved, found, strlen(found));
}
