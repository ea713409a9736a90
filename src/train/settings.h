// What a run depends on, as names and values that each checkpoint keeps: the settings that the job lists, and
// facts that no config key states.
#pragma once

#include "io/json.h"
#include "io/json_write.h"
#include "train/train.h"

enum { SETTINGS_FACTS = 7 };

/// What an evaluation measures, as evaluation.h describes it.
typedef struct Measured {
  char *name; // the evaluation's
  Str what;
} Measured;

typedef struct Settings {
  Setting *list; // [count] those of the job, then the facts
  size_t count;
  bool extend, force;                    // the job's
  bool warn;                             // of a difference that `force` allows
  char facts[SETTINGS_FACTS][FACT_SIZE]; // their values
  // Now or, after settings_compare, before: what a run has measured once is compared ever after.
  Measured *measured;
  size_t measured_count, measured_capacity;
} Settings;

/// `new_tokens` is the longest an answer may be; `type_weights` [DATA_MAX_TYPES] are the weights of the
/// prompt types. The settings borrow from the job and must not be moved in memory. Call settings_free in any
/// case, also after a failure.
STATUS_CHECKED Status settings_collect(const TrainJob *job, size_t new_tokens, const double *type_weights,
                                       Settings *out);
/// Safe on a zeroed struct and twice.
void settings_free(Settings *settings);
/// Adds three members: "rounding" with the settings of kind SETTING_ROUNDS, "settings" with all others, and
/// "measured".
void settings_write(const Settings *settings, JsonWriter *json);
/// Logs which settings of kind SETTING_ROUNDS differ from those in `saved`.
void settings_note_rounding(const Settings *now, const cJSON *saved);
/// Compares with what settings_write wrote into `saved`, which messages call `name`. STATUS_INPUT names the
/// key that differs, or says why there is nothing to extend. *extended_from = the saved value of the
/// extended setting, or 0. Adds to now->measured what was measured before and is not now.
STATUS_CHECKED Status settings_compare(Settings *now, const cJSON *saved, const char *name,
                                       size_t *extended_from);
