// From the config on a command line to the data it names.
#include "cli.h"
#include "util/log.h"

#include <stdlib.h>

ChatOptions config_chat(const Config *config) {
  return (ChatOptions){.name = config->model.chat_template, .date = config->model.chat_date};
}

/// --chat-template is short for a --set.
static Status set_template(const char *name, Config *config) {
  char *assignment = NULL;
  if (name == NULL) return STATUS_OK;
  TRY(str_format(&assignment, "model.chat_template=%s", name));
  Status status = config_set(config, assignment);
  free(assignment);
  return status;
}

Status config_open(const char *path, const TextList *sets, const char *chat_template, Config *out) {
  TRY(config_init(out));
  TRY(config_read(out, path));
  for (size_t i = 0; i < sets->count; i++) TRY(config_set(out, sets->items[i]));
  TRY(set_template(chat_template, out));
  return status_context(config_finish(out), "%s", path);
}

Status config_dataset(const Config *config, const Runtime *runtime, bool held_out, Dataset *out) {
  DataOptions options = config->data;
  bool own_file = config->eval.file != NULL;
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

Status group_names(const GroupFile *groups, Str *out) {
  for (size_t i = 0; i < groups_count(groups); i++)
    TRY(str_append_format(out, "%s%s", i > 0 ? ", " : "", groups_name(groups, i)));
  return STATUS_OK;
}
