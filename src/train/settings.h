// What a run depends on, by name and value, kept with each checkpoint: the settings of the config that the
// job lists, and facts that no key says.
#pragma once

#include "io/json.h"
#include "io/json_write.h"
#include "train/train.h"

enum { SETTINGS_FACTS = 6, SETTINGS_FACT_SIZE = 320 };

typedef struct Settings {
  Setting *list; // [count] the job's, then the facts
  size_t count;
  char facts[SETTINGS_FACTS][SETTINGS_FACT_SIZE]; // their values
} Settings;

/// `new_tokens` is what an answer may have at most, `type_weights` [DATA_MAX_TYPES] the weights of the prompt
/// types. The settings must not be moved in memory, and borrow from the job. Free with settings_free whatever
/// is returned.
STATUS_CHECKED Status settings_collect(const TrainJob *job, size_t new_tokens, const double *type_weights,
                                       Settings *out);
/// Safe on a zeroed struct and twice.
void settings_free(Settings *settings);
/// Adds the members "settings" and "rounding" (those of kind SETTING_ROUNDS).
void settings_write(const Settings *settings, JsonWriter *json);
/// Logs which settings of kind SETTING_ROUNDS differ from those in `saved`.
void settings_note_rounding(const Settings *now, const cJSON *saved);
/// Compares with what settings_write has written into `saved`. STATUS_INPUT names the key that differs, or
/// says why there is nothing to `extend`; `name` is the file of `saved`. *extended_from = the saved value of
/// what is extended, else 0.
STATUS_CHECKED Status settings_compare(const Settings *now, const cJSON *saved, const char *name, bool extend,
                                       size_t *extended_from);
