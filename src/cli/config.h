// The configuration of a run. One table has every key (config_keys.c): reading and checking files, `--set`,
// `gee-cl train --help-config` and the saved config all follow it. Rule: a key exists only in the table; the
// other rooms get plain structs and never see a key.
#pragma once

#include "data/data.h"
#include "device/device.h"
#include "gen/generate.h"
#include "loss/loss.h"
#include "model/model.h"
#include "train/train.h"
#include "util/str.h"

typedef enum KeyType {
  KEY_BOOL,   // bool: true, false, yes, no, on, off, 1, 0
  KEY_SIZE,   // size_t: a whole number
  KEY_SEED,   // uint64_t
  KEY_NUMBER, // float
  KEY_CHOICE, // an enum: the index of the word in `choices`
  KEY_TEXT,   // const char *: empty is NULL; one of `choices` if there are any
} KeyType;

/// How another value of a key affects the numbers of a run, and so what a resume does. Every row of the table
/// states it: 0 is not a valid effect, and the macros of config_keys.c have no default.
typedef enum KeyEffectKind {
  EFFECT_DECIDES = 1, // other numbers: a resume is refused
  EFFECT_EXTENDS,     // other numbers from the next step on: refused too, but --extend takes a larger value
  EFFECT_LEADS,       // determines what is compared instead; `note` is its name in messages
  EFFECT_ROUNDS,      // the same numbers, but rounded differently
  EFFECT_FREE,        // the same bits at each step
} KeyEffectKind;

typedef struct KeyEffect {
  KeyEffectKind kind;
  const char *note; // why, unless that is obvious; else ""
  // When the key is used: "train.mode=lora", "train.schedule=linear|cosine"; NULL: always.
  const char *only;
} KeyEffect;

typedef struct ConfigKey {
  const char *section, *name;
  KeyType type;
  size_t offset;        // of the field in Config
  const char *fallback; // the default, as text
  double low, high;     // allowed range of KEY_SIZE and KEY_NUMBER, both ends included
  const char *choices;  // "own|paired"
  KeyEffect effect;
  const char *help;
} ConfigKey;

/// Every key, in the order in which help lists them; ends with a NULL section.
extern const ConfigKey config_keys[];
enum { CONFIG_MAX_KEYS = 80, GIVEN_OUTSIDE = -1 };
/// The key of that name, or NULL.
const ConfigKey *config_find_key(const char *section, const char *name);

typedef struct Config {
  struct {
    const char *path, *chat_template, *chat_date;
    DType dtype;
  } model;
  DataOptions data;
  struct {
    const char *file, *column;
    size_t sets, answers;
  } eval;
  SamplingOptions sampling;
  LossOptions loss;
  bool task_weights_em;
  LoraOptions lora;
  int mode; // 0 lora, 1 full
  TrainOptions train;
  OutputOptions output;
  bool track_samples;
  DeviceOptions device;
  const char *gemm;
  TaskWeight *task_weights; // [task_weights]; names owned
  size_t task_weight_count, task_weight_capacity;
  // Values as given, parallel to config_keys; the KEY_TEXT fields above point into them. `lines` holds the
  // line of the file that set each, GIVEN_OUTSIDE if something else did last, or 0: it is the default.
  char *texts[CONFIG_MAX_KEYS];
  int lines[CONFIG_MAX_KEYS];
} Config;

/// Sets the defaults. `config` needs no initialisation. Call config_free in any case, also after a failure.
STATUS_CHECKED Status config_init(Config *config);
/// Safe on a zeroed struct and twice.
void config_free(Config *config);
/// Reads an .ini file over the values so far. STATUS_INPUT names file, line and key, what was found and what
/// is allowed; for an unknown key it suggests the nearest one.
STATUS_CHECKED Status config_read(Config *config, const char *path);
/// Applies "section.key=value".
STATUS_CHECKED Status config_set(Config *config, const char *assignment);
/// Checks values against each other, and sets the fields that follow from others. Call it once, after reading
/// and setting.
STATUS_CHECKED Status config_finish(Config *config);

/// The value that the file or something after it gave the key, or NULL: it has its default. Borrowed.
const char *config_given(const Config *config, const char *section, const char *name);

/// The values of a Config that a resume compares, in the form TrainJob takes.
typedef struct ConfigSettings {
  Setting list[CONFIG_MAX_KEYS]; // keys and values are owned
  size_t count;
} ConfigSettings;
/// Lists the settings by the effects in the table. Each value has one spelling, so that 2e-5 and 0.00002 are
/// equal. `out` needs no initialisation. Call config_settings_free in any case, also after a failure.
STATUS_CHECKED Status config_settings(const Config *config, ConfigSettings *out);
/// Safe on a zeroed struct and twice.
void config_settings_free(ConfigSettings *settings);

/// Appends the whole config as a valid .ini that reads back as the same values.
STATUS_CHECKED Status config_render(const Config *config, Str *out);
/// Appends a valid .ini of all keys with their defaults, each below a comment that explains it.
STATUS_CHECKED Status config_help(Str *out);
