// What a run depends on. Rule: a checkpoint is resumed only with the settings it was made with. Two
// differences are allowed: one that only changes rounding, and one that the user asks for (--extend). What is
// measured beside the training may begin or end with a resume, but not become another measurement.
#include "settings.h"

#include "facts.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// ---- facts ----

/// Adds a fact and returns the buffer for its value.
static char *add_fact(Settings *s, size_t job_settings, const char *key, SettingKind kind) {
  char *value = s->facts[s->count - job_settings];
  s->list[s->count++] = (Setting){key, value, kind};
  return value;
}

/// *what = the empty text of a measurement that is not listed yet.
static Status add_measured(Settings *s, const char *name, Str **what) {
  TRY(mem_reserve(&s->measured, &s->measured_capacity, s->measured_count + 1, "settings"));
  Measured *measured = &s->measured[s->measured_count];
  *measured = (Measured){0};
  TRY(str_copy(&measured->name, name, strlen(name)));
  *what = &measured->what;
  s->measured_count++;
  return STATUS_OK;
}

static Status collect_measured(const TrainJob *job, Settings *out) {
  if (job->train.bias_eval_steps == 0) return STATUS_OK;
  for (size_t i = 0; i < job->evaluation_count; i++) {
    const Evaluation *evaluation = job->evaluations[i];
    Str *what = NULL;
    if (evaluation->type->describe == NULL) continue;
    TRY(add_measured(out, evaluation->name, &what));
    TRY(evaluation->type->describe(evaluation, what));
  }
  return STATUS_OK;
}

Status settings_collect(const TrainJob *job, size_t new_tokens, const double *type_weights, Settings *out) {
  const ModelConfig *model = model_files_config(job->files);
  size_t given = job->setting_count;
  *out = (Settings){.count = given, .extend = job->extend, .force = job->force};
  TRY(mem_array(&out->list, given + SETTINGS_FACTS, "settings"));
  if (given > 0) memcpy(out->list, job->settings, given * sizeof *out->list);
  fact_shape(model, add_fact(out, given, "model (shape)", SETTING_DECIDES));
  char *constants = add_fact(out, given, "model (constants)", SETTING_DECIDES);
  fact_constants(model, constants);
  fact_end_tokens(model, constants);
  fact_append(add_fact(out, given, "model (weights)", SETTING_IDENTIFIES), "SHA-256 %s",
              job->identity->weights);
  fact_append(add_fact(out, given, "model (tokenizer)", SETTING_IDENTIFIES), "SHA-256 %s",
              job->identity->tokenizer);
  char *contents = add_fact(out, given, "data (contents)", SETTING_DECIDES);
  if (job->examples != NULL) {
    fact_append(contents, "%zu rows, %016" PRIx64, job->examples->count, examples_hash(job->examples));
    return collect_measured(job, out);
  }
  fact_append(contents, "%zu prompts, %016" PRIx64, job->dataset->count, dataset_hash(job->dataset));
  fact_append(add_fact(out, given, "[task_weights]", SETTING_DECIDES), "%016" PRIx64,
              hash_bytes(HASH_START, type_weights, DATA_MAX_TYPES * sizeof *type_weights));
  fact_append(
      add_fact(out, given, "sampling.max_new_tokens (within train.max_sequence_tokens)", SETTING_DECIDES),
      "%zu", new_tokens);
  return collect_measured(job, out);
}

void settings_free(Settings *settings) {
  for (size_t i = 0; i < settings->measured_count; i++) {
    free(settings->measured[i].name);
    str_free(&settings->measured[i].what);
  }
  free(settings->measured);
  free(settings->list);
  *settings = (Settings){0};
}

// ---- in a checkpoint ----

#define MEMBER_SETTINGS "settings"
#define MEMBER_ROUNDING "rounding"
#define MEMBER_MEASURED "measured"

static void write_member(const Settings *settings, bool rounding, JsonWriter *json) {
  json_object_begin(json, rounding ? MEMBER_ROUNDING : MEMBER_SETTINGS);
  for (size_t i = 0; i < settings->count; i++) {
    const Setting *setting = &settings->list[i];
    if ((setting->kind == SETTING_ROUNDS) == rounding) json_string(json, setting->key, setting->value);
  }
  json_object_end(json);
}

void settings_write(const Settings *settings, JsonWriter *json) {
  write_member(settings, false, json);
  write_member(settings, true, json);
  json_object_begin(json, MEMBER_MEASURED);
  for (size_t i = 0; i < settings->measured_count; i++)
    json_string(json, settings->measured[i].name, str_text(&settings->measured[i].what));
  json_object_end(json);
}

// ---- comparing ----

/// The saved value of a key, or NULL.
static const char *saved_value(const cJSON *object, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool is_listed(const Settings *settings, const char *key) {
  for (size_t i = 0; i < settings->count; i++) {
    if (strcmp(settings->list[i].key, key) == 0) return true;
  }
  return false;
}

/// `was` is NULL if the checkpoint lacks the setting, `is` if the config does.
static Status fail_differs(const char *name, const char *key, const char *was, const char *is) {
  return status_fail(
      STATUS_INPUT,
      "%s was made with %s = %s, the config has %s: resume with the config it was made with (config.ini "
      "in that folder), or set another output.run_name",
      name, key, was != NULL ? was : "nothing", is != NULL ? is : "nothing");
}

/// An identity that differs: model.path may name another place, but not another model.
static Status check_identity(const Settings *now, const char *name, const char *was, const Setting *setting) {
  Str text = {0};
  TRY(str_append_format(&text, "was made with %s = %.20s..., model.path has %.20s...", setting->key, was,
                        setting->value));
  Status status = STATUS_OK;
  if (now->force) {
    if (now->warn)
      log_say(LOG_WARNING, "%s %s; it goes on with this one, as --force says", name, str_text(&text));
  } else {
    status =
        status_fail(STATUS_INPUT, "%s %s: name the model it was made with, or go on with this one by --force",
                    name, str_text(&text));
  }
  str_free(&text);
  return status;
}

/// Refuses any difference in the settings that decide, except an extension: that one is returned in
/// *extension.
static Status compare_deciding(const Settings *now, const cJSON *saved, const char *name,
                               const Setting **extension) {
  // a key that only one side has is there because another key differs, which both have: name that one first
  for (size_t i = 0; i < now->count; i++) {
    const Setting *setting = &now->list[i];
    if (setting->kind == SETTING_ROUNDS) continue;
    const char *was = saved_value(saved, setting->key);
    if (was == NULL || strcmp(was, setting->value) == 0) continue;
    if (setting->kind == SETTING_DECIDES) return fail_differs(name, setting->key, was, setting->value);
    if (setting->kind == SETTING_IDENTIFIES) TRY(check_identity(now, name, was, setting));
    if (setting->kind == SETTING_EXTENDS) *extension = setting;
  }
  for (size_t i = 0; i < now->count; i++) {
    const Setting *setting = &now->list[i];
    if (setting->kind != SETTING_ROUNDS && saved_value(saved, setting->key) == NULL)
      return fail_differs(name, setting->key, NULL, setting->value);
  }
  for (const cJSON *item = saved->child; item != NULL; item = item->next) {
    if (!is_listed(now, item->string))
      return fail_differs(name, item->string, cJSON_GetStringValue(item), NULL);
  }
  return STATUS_OK;
}

static Status parse_count(const char *text, const char *name, const char *key, size_t *out) {
  char *end = NULL;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > SIZE_MAX)
    return status_fail(STATUS_INPUT, "%s: %s is \"%s\", not a whole number", name, key, text);
  *out = (size_t)value;
  return STATUS_OK;
}

/// Checks a SETTING_EXTENDS that differs.
static Status extend_from(const Settings *now, const Setting *setting, const cJSON *saved, const char *name,
                          size_t *extended_from) {
  const char *was = saved_value(saved, setting->key);
  size_t before = 0, after = 0;
  TRY(parse_count(was, name, setting->key, &before));
  TRY(parse_count(setting->value, "the config", setting->key, &after));
  if (after < before)
    return status_fail(
        STATUS_INPUT,
        "%s was made with %s = %s, the config has %s: a run can be extended but not shortened; "
        "resume with %s, or set another output.run_name",
        name, setting->key, was, setting->value, was);
  if (!now->extend)
    return status_fail(
        STATUS_INPUT,
        "%s was made with %s = %s, the config has %s, which gives another learning rate curve: "
        "resume with %s, or switch to the new curve from here on with --resume --extend",
        name, setting->key, was, setting->value, was);
  *extended_from = before;
  return STATUS_OK;
}

static Status fail_nothing_to_extend(const Settings *now, const char *name) {
  for (size_t i = 0; i < now->count; i++) {
    const Setting *setting = &now->list[i];
    if (setting->kind == SETTING_EXTENDS)
      return status_fail(STATUS_INPUT,
                         "--extend: %s already has %s = %s: raise it in the config, or drop --extend", name,
                         setting->key, setting->value);
  }
  return status_fail(STATUS_INPUT,
                     "--extend: %s was made with train.schedule = constant, so train.max_steps can be raised "
                     "without it: drop --extend",
                     name);
}

void settings_note_rounding(const Settings *now, const cJSON *saved) {
  const cJSON *rounding = cJSON_GetObjectItemCaseSensitive(saved, MEMBER_ROUNDING);
  for (size_t i = 0; i < now->count; i++) {
    const Setting *setting = &now->list[i];
    const char *was = saved_value(rounding, setting->key);
    if (setting->kind != SETTING_ROUNDS || was == NULL || strcmp(was, setting->value) == 0) continue;
    log_say(LOG_NOTE, "%s is now %s, was %s: the same run, but its numbers are rounded differently",
            setting->key, setting->value, was);
  }
}

// ---- what is measured ----

static const Measured *find_measured(const Settings *settings, const char *name) {
  for (size_t i = 0; i < settings->measured_count; i++) {
    if (strcmp(settings->measured[i].name, name) == 0) return &settings->measured[i];
  }
  return NULL;
}

/// Keeps what the run measured before and does not measure now, for a later resume that measures it again.
static Status keep_measured(Settings *now, const cJSON *item, const char *name) {
  Str *what = NULL;
  if (cJSON_GetStringValue(item) == NULL)
    return status_fail(STATUS_INPUT, "%s: \"%s\" of \"" MEMBER_MEASURED "\" is not a text", name,
                       item->string);
  TRY(add_measured(now, item->string, &what));
  return str_append_text(what, cJSON_GetStringValue(item));
}

/// Refuses to go on in the file of an evaluation with numbers of another measurement: its lines are compared
/// with each other, by people and by loss.debias_only.
static Status compare_measured(Settings *now, const cJSON *saved, const char *name) {
  const cJSON *before = cJSON_GetObjectItemCaseSensitive(saved, MEMBER_MEASURED), *item = NULL;
  if (before == NULL && now->measured_count > 0)
    log_say(
        LOG_NOTE,
        "%s does not say what was measured (its trainer_state.json has no \"%s\"), so that is not compared",
        name, MEMBER_MEASURED);
  cJSON_ArrayForEach(item, before) {
    const Measured *is = find_measured(now, item->string);
    const char *was = cJSON_GetStringValue(item);
    if (is == NULL) {
      TRY(keep_measured(now, item, name));
    } else if (was == NULL || strcmp(was, str_text(&is->what)) != 0) {
      return status_fail(
          STATUS_INPUT,
          "%s was made with %s = %s, which is now %s: the two cannot be compared; measure as "
          "before (data.eval and what is set beside it, or the file itself, has changed), or set "
          "another output.run_name",
          name, is->name, was != NULL ? was : "nothing", str_text(&is->what));
    }
  }
  return STATUS_OK;
}

Status settings_compare(Settings *now, const cJSON *saved, const char *name, size_t *extended_from) {
  const cJSON *deciding = NULL;
  const Setting *extension = NULL;
  *extended_from = 0;
  TRY(json_get_object(saved, MEMBER_SETTINGS, name, &deciding));
  Status status = compare_deciding(now, deciding, name, &extension);
  if (status != STATUS_OK && now->extend)
    return status_context(status, "--extend only allows a larger train.max_steps");
  TRY(status);
  if (extension != NULL) {
    TRY(extend_from(now, extension, deciding, name, extended_from));
  } else if (now->extend) {
    return fail_nothing_to_extend(now, name);
  }
  return compare_measured(now, saved, name);
}
