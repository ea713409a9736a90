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
  KEY_TEXT,   // const char *, one line: empty is NULL; one of `choices` if there are any
  KEY_LINES,  // the same, of any number of lines
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
enum { CONFIG_MAX_KEYS = 100, GIVEN_OUTSIDE = -1 };
/// The key of that name, or NULL.
const ConfigKey *config_find_key(const char *section, const char *name);

/// What is trained for (train.objective).
typedef enum TrainFor { TRAIN_GEE, TRAIN_SFT } TrainFor;

typedef struct Config {
  struct {
    const char *path, *chat_template, *chat_date;
    int dtype, quantise, compute; // the words' places; the functions below say what they are
  } model;
  DataOptions data;
  struct {
    const char *file, *column;
    size_t sets, answers;
  } eval;
  struct {
    const char *tasks, *data; // names between commas; a folder
    size_t limit;             // items of a task; 0: all
  } benchmarks;
  SamplingOptions sampling;
  LossOptions loss;
  bool task_weights_em;
  LoraOptions lora;
  TrainFor objective;
  size_t epochs; // of sft; 0: train.max_steps says when a run ends
  int mode;      // 0 lora, 1 full
  TrainOptions train;
  OutputOptions output;
  struct {
    bool samples, tensorboard, wandb;
    const char *wandb_project, *wandb_name;
  } track;
  DeviceOptions device;
  const char *gemm;
  TaskWeight *task_weights; // [task_weights]; names owned
  size_t task_weight_count, task_weight_capacity;
  // Values as given, parallel to config_keys; the KEY_TEXT and KEY_LINES fields above point into them.
  // `lines` holds the line of the file that set each, GIVEN_OUTSIDE if something else did last, or 0: it is
  // the default.
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
/// The same of a text that is not empty, which is not changed; `name` is that of the file in messages.
STATUS_CHECKED Status config_parse(Config *config, char *text, const char *name);
/// Applies "section.key=value".
STATUS_CHECKED Status config_set(Config *config, const char *assignment);
/// The same of an option that is short for a key; messages name it.
STATUS_CHECKED Status config_set_by(Config *config, const char *option, const char *section, const char *name,
                                    const char *value);
/// Checks values against each other, and sets the fields that follow from others. Call it once, after reading
/// and setting.
STATUS_CHECKED Status config_finish(Config *config);

/// Warns of every key that has no effect beside the others. Call it after config_finish.
void config_warn_unused(const Config *config);

/// How the model's matrices are kept: the type of model.dtype's word. Trained ones are float32.
static inline DType config_dtype(const Config *config) {
  static const DType types[] = {DTYPE_STORED, DTYPE_F32, DTYPE_F16, DTYPE_BF16}; // stored|f32|f16|bf16
  DType type = types[config->model.dtype];
  return config->mode == 1 && type == DTYPE_STORED ? DTYPE_F32 : type;
}

/// What matrices are quantised to: the type of model.quantise's word, or DTYPE_STORED for none.
static inline DType config_quantise(const Config *config) {
  static const DType types[] = {DTYPE_STORED, DTYPE_Q8_0, DTYPE_Q4_K, DTYPE_NF4}; // none|q8_0|q4_k|nf4
  return types[config->model.quantise];
}

/// How products with frozen weights are computed (ops_use_compute).
static inline Compute config_compute(const Config *config) {
  return (Compute)config->model.compute; // f32|bf16|f16|int8
}

/// The value that the file or something after it gave the key, or NULL: it has its default. Borrowed.
const char *config_given(const Config *config, const char *section, const char *name);

/// The values of a Config that a resume compares, in the form TrainJob takes.
typedef struct ConfigSettings {
  Setting list[CONFIG_MAX_KEYS + 1]; // of the keys, and one more; keys and values are owned
  size_t count;
} ConfigSettings;
/// Lists the settings by the effects in the table. Each value has one spelling, so that 2e-5 and 0.00002 are
/// equal. `out` needs no initialisation. Call config_settings_free in any case, also after a failure.
STATUS_CHECKED Status config_settings(const Config *config, ConfigSettings *out);
/// Appends one that is no key.
STATUS_CHECKED Status config_settings_add(const char *key, const char *value, SettingKind kind,
                                          ConfigSettings *out);
/// Safe on a zeroed struct and twice.
void config_settings_free(ConfigSettings *settings);

/// The sections of the config with every value as JSON has it, for trackers.
typedef struct ConfigSections {
  TrackedSection *list; // names are constants or the config's; texts are owned
  size_t count, capacity;
} ConfigSections;
/// Lists the sections; `out` is zeroed, and freed with config_sections_free in any case.
STATUS_CHECKED Status config_sections(const Config *config, ConfigSections *out);
/// Safe on a zeroed struct and twice.
void config_sections_free(ConfigSections *sections);

/// Appends the whole config as a valid .ini that reads back as the same values.
STATUS_CHECKED Status config_render(const Config *config, Str *out);
/// Appends a valid .ini of all keys with their defaults, each below a comment that explains it.
STATUS_CHECKED Status config_help(Str *out);
