// From the config on a command line to the data it names.
#include "cli.h"

Status config_open(const char *path, const TextList *sets, Config *out) {
  TRY(config_init(out));
  TRY(config_read(out, path));
  for (size_t i = 0; i < sets->count; i++) TRY(config_set(out, sets->items[i]));
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
  if (held_out) options.target_size = 0;
  return dataset_build(&options, runtime->tokenizer, runtime->chat, out);
}

Status group_names(const GroupFile *groups, Str *out) {
  for (size_t i = 0; i < groups_count(groups); i++)
    TRY(str_append_format(out, "%s%s", i > 0 ? ", " : "", groups_name(groups, i)));
  return STATUS_OK;
}
