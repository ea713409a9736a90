// From the config on a command line to the data it names.
#include "cli.h"
#include "util/log.h"

ChatOptions config_chat(const Config *config) {
  return (ChatOptions){.name = config->model.chat_template, .date = config->model.chat_date};
}

Status config_open(const char *path, const TextList *sets, const char *chat_template, Config *out) {
  TRY(config_init(out));
  TRY(config_read(out, path));
  for (size_t i = 0; i < sets->count; i++) TRY(config_set(out, sets->items[i]));
  if (chat_template != NULL)
    TRY(config_set_by(out, "--chat-template", "model", "chat_template", chat_template));
  return status_context(config_finish(out), "%s", path);
}

Status config_dataset(const Config *config, const Runtime *runtime, bool held_out, Dataset *out) {
  DataOptions options = config->data;
  bool own_file = config->eval.file != NULL;
  if (config->objective == TRAIN_SFT)
    return status_fail(STATUS_INPUT,
                       "train.objective = sft trains on given answers, and knows no groups: a gap is "
                       "measured with a config of train.objective = gee, also that of the model or "
                       "adapter that sft has left");
  options.split = own_file || options.held_out <= 0 ? DATA_ALL : held_out ? DATA_HELD_OUT : DATA_TRAIN;
  if (held_out && own_file) {
    options.train = config->eval.file;
    options.use_test_data = false;
    options.column = config->eval.column;
    options.fallback_column = config->data.column;
  } else if (held_out && options.split == DATA_ALL) {
    return status_fail(STATUS_INPUT,
                       "data.held_out is 0, so there is no prompt to measure the gap on; raise it, or name "
                       "a file in data.eval");
  }
  if (held_out) {
    options.target_size = 0;
    options.max_sets = config->eval.sets;
  }
  return dataset_build(&options, runtime->tokenizer, runtime->chat, out);
}

void warn_equal_sets(const Dataset *dataset) {
  size_t dropped = dataset->equal_sets, sets = dataset->stages[2].prompts / groups_count(dataset->groups);
  if (dropped == 0) return;
  log_say(LOG_WARNING,
          "%zu of %zu sets of prompts %s left out: two of their groups have the same tokens, cut by "
          "data.max_prompt_tokens or not told apart by the tokenizer",
          dropped, sets, dropped == 1 ? "is" : "are");
}

/// Appends "2 with no group, 1 with several"; of `why` those that are not 0.
static Status append_reasons(const StageCount *detected, const ReadCounts *read, bool templates, Str *out) {
  const struct {
    size_t count;
    const char *what;
  } why[] = {{templates ? 0 : detected->unnamed, "with no group"},
             {templates ? 0 : detected->several, "with several groups"},
             {templates ? 0 : detected->unswappable, "with a word that cannot be swapped"},
             {templates ? detected->told : 0, "with a group in a message of the system"},
             {read->empty + read->without_user, "without words of a user"}};
  for (size_t i = 0; i < sizeof why / sizeof *why; i++) {
    if (why[i].count > 0)
      TRY(str_append_format(out, "%s%zu %s", out->size > 0 ? ", " : "", why[i].count, why[i].what));
  }
  return STATUS_OK;
}

Status note_left_out(const Config *config, const Dataset *held_out) {
  const StageCount *detected = &held_out->stages[1], *expanded = &held_out->stages[2];
  const char *file = config->eval.file != NULL ? config->eval.file : config->data.train;
  size_t per_set = held_out->counterfactual ? groups_count(held_out->groups) : 1;
  size_t rows = held_out->read.rows, left_out = rows - expanded->prompts / per_set;
  bool templates = config->data.counterfactual == COUNTERFACTUAL_TEMPLATE ||
                   config->data.counterfactual == COUNTERFACTUAL_AUTO;
  Str why = {0};
  if (left_out == 0) return STATUS_OK;
  Status status = append_reasons(detected, &held_out->read, templates, &why);
  if (status == STATUS_OK)
    log_say(LOG_NOTE, "%zu of %zu prompts of %s are left out: %s (gee-cl data shows more)", left_out, rows,
            file != NULL ? file : "the built-in file", str_text(&why));
  str_free(&why);
  return status;
}

Status group_names(const GroupFile *groups, Str *out) {
  for (size_t i = 0; i < groups_count(groups); i++)
    TRY(str_append_format(out, "%s%s", i > 0 ? ", " : "", groups_name(groups, i)));
  return STATUS_OK;
}
