// Keys that have no effect beside other keys, or no meaning. Rule: a key that the user set is never ignored
// without a word: what contradicts another is refused, what is only idle is warned of. A key counts as set if
// its value is not the default, since the config that is saved with a run names every key.
#include "config_value.h"

#include "util/log.h"
#include <stdlib.h>
#include <string.h>

static bool is_given(const Config *config, const ConfigKey *key) {
  const char *text = config->texts[key - config_keys];
  if (key->type == KEY_NUMBER || key->type == KEY_SIZE)
    return strtod(text, NULL) != strtod(key->fallback, NULL);
  return strcmp(text, key->fallback) != 0;
}

/// Keys that only one objective has a use for; without a name, all of the section.
typedef struct Owned {
  TrainFor objective;
  const char *section, *name;
} Owned;

static const Owned owned[] = {{TRAIN_GEE, "loss", NULL},
                              {TRAIN_GEE, "sampling", NULL},
                              {TRAIN_GEE, "groups", NULL},
                              {TRAIN_GEE, "data", "use_test_data"},
                              {TRAIN_GEE, "data", "balance_dataset"},
                              {TRAIN_GEE, "data", "target_size"},
                              {TRAIN_GEE, "data", "eval_answers"},
                              {TRAIN_GEE, "data", "max_prompt_tokens"},
                              {TRAIN_GEE, "data", "types"},
                              {TRAIN_GEE, "train", "max_drift"},
                              {TRAIN_GEE, "track", "samples"},
                              {TRAIN_SFT, "data", "answer_column"},
                              {TRAIN_SFT, "train", "epochs"}};

static const Owned *owner_of(const ConfigKey *key) {
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    if (strcmp(owned[i].section, key->section) == 0 &&
        (owned[i].name == NULL || strcmp(owned[i].name, key->name) == 0))
      return &owned[i];
  }
  return NULL;
}

/// Refuses what only the other objective would read.
static Status check_objective(const Config *config) {
  static const char *const names[] = {[TRAIN_GEE] = "gee", [TRAIN_SFT] = "sft"};
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) {
    const Owned *owner = owner_of(key);
    if (owner == NULL || owner->objective == config->objective || !is_given(config, key)) continue;
    return status_fail(
        STATUS_INPUT,
        "%s.%s is set, which only train.objective = %s uses, and this config has %s: leave one of "
        "them out",
        key->section, key->name, names[owner->objective], names[config->objective]);
  }
  if (config->objective == TRAIN_SFT && config->task_weight_count > 0)
    return status_fail(STATUS_INPUT,
                       "[task_weights] has a line, which only train.objective = gee uses, and this "
                       "config has sft: leave one of them out");
  if (config->epochs > 0 && is_given(config, config_find_key("train", "max_steps")))
    return status_fail(STATUS_INPUT,
                       "train.epochs = %zu and train.max_steps = %zu both say when the run ends: "
                       "leave one of them out",
                       config->epochs, config->train.max_steps);
  return STATUS_OK;
}

Status config_check_contradictions(const Config *config) {
  TRY(check_objective(config));
  if (config->data.use_test_data && config->data.train != NULL)
    return status_fail(
        STATUS_INPUT,
        "data.train = %s, but data.use_test_data = true takes the built-in prompts in its place; "
        "leave one of them out",
        config->data.train);
  if (config->eval.column != NULL && config->eval.file == NULL)
    return status_fail(
        STATUS_INPUT,
        "data.eval_column = %s names a column of data.eval, which is not set; name that file, or "
        "leave data.eval_column out",
        config->eval.column);
  if (config->loss.debias_only && config->loss.lambda_weight == 0)
    return status_fail(STATUS_INPUT, "loss.lambda_weight = 0, but loss.debias_only = true trains nothing but "
                                     "the gap, which it weighs; raise it, or set loss.debias_only = false");
  return STATUS_OK;
}

/// A key and, while it is idle, why.
typedef struct Idle {
  const char *section, *name;
  bool is_idle;
  const char *why;
} Idle;

void config_warn_unused(const Config *config) {
  bool greedy = config->sampling.temperature == 0, chatless = strcmp(config->data.chat, "off") == 0,
       full = config->mode == 1, free_loss = !config->loss.debias_only;
  static const char likeliest[] = "sampling.sample_temp = 0 always takes the likeliest token";
  static const char all_weights[] = "train.mode = full trains every weight";
  static const char not_annealed[] = "loss.auto_anneal = false";
  static const char no_target[] = "only loss.debias_only = true ends a run by the gap";
  static const char no_template[] = "data.chat = off renders no template";
  static const char no_run[] = "track.wandb = false";
  const Idle all[] = {
      {"model", "chat_template", chatless, no_template},
      {"model", "chat_date", chatless, no_template},
      {"data", "held_out", config->eval.file != NULL,
       "data.eval has the prompts that the gap is measured on"},
      {"data", "balance_dataset", config->data.counterfactual != COUNTERFACTUAL_OFF,
       "a counterfactual set has a prompt of every group"},
      {"data", "eval_answers", greedy, "sampling.sample_temp = 0 gives the same answer every time"},
      {"sampling", "top_p", greedy, likeliest},
      {"sampling", "top_k", greedy, likeliest},
      {"loss", "auto_anneal", config->loss.lambda_weight == 0, "loss.lambda_weight = 0"},
      {"loss", "anneal_min", !config->loss.auto_anneal, not_annealed},
      {"loss", "anneal_max", !config->loss.auto_anneal, not_annealed},
      {"loss", "target_gap", free_loss, no_target},
      {"loss", "target_evals", free_loss, no_target},
      {"loss", "task_weights_em", config->task_weight_count == 0, "[task_weights] has no line"},
      {"lora", "rank", full, all_weights},
      {"lora", "alpha", full, all_weights},
      {"lora", "dropout", full, all_weights},
      {"lora", "targets", full, all_weights},
      {"track", "wandb_project", !config->track.wandb, no_run},
      {"track", "wandb_name", !config->track.wandb, no_run},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i].is_idle && is_given(config, config_find_key(all[i].section, all[i].name)))
      log_say(LOG_WARNING, "%s.%s has no effect: %s", all[i].section, all[i].name, all[i].why);
}
