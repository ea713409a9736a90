// Commands to run after a training. Rule: they can be copied as they stand: every path exists, and every word
// is quoted where a shell would read it otherwise.
#include "verdict.h"

#include <stdlib.h>
#include <string.h>

/// Appends a word as a shell reads it.
static Status append_word(Str *out, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-";
  if (word[0] != '\0' && strspn(word, plain) == strlen(word)) return str_append_text(out, word);
  TRY(str_append_text(out, "'"));
  for (; *word != '\0'; word++) TRY(str_append_text(out, *word == '\'' ? "'\\''" : (char[]){*word, '\0'}));
  return str_append_text(out, "'");
}

/// A command that is being written; each part goes onto the next line if the line is full.
typedef struct CommandLine {
  Str *out;
  size_t column, width;
} CommandLine;

/// Appends "option value", or one word with NULL.
static Status append_part(CommandLine *command, const char *option, const char *value) {
  Str part = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(append_word(&part, option));
  if (value != NULL) TRY_CLEAN(str_append_text(&part, " "));
  if (value != NULL) TRY_CLEAN(append_word(&part, value));
  if (command->column == 0) {
    TRY_CLEAN(str_append_text(command->out, "  "));
    command->column = 2;
  } else if (command->column + 1 + part.size + 2 > command->width) {
    TRY_CLEAN(str_append_text(command->out, " \\\n    "));
    command->column = 4;
  } else {
    TRY_CLEAN(str_append_text(command->out, " "));
    command->column++;
  }
  TRY_CLEAN(str_append(command->out, str_text(&part), part.size));
  command->column += part.size;
cleanup:
  str_free(&part);
  return status;
}

/// The shortest prompt: an example for a command line.
static const char *example_prompt(const Dataset *prompts) {
  const char *shortest = "...";
  for (size_t i = 0; i < prompts->count; i++) {
    const char *text = prompts->prompts[i].text;
    if (i == 0 || strlen(text) < strlen(shortest)) shortest = text;
  }
  return shortest;
}

/// The gap needs counterfactual sets of prompts that were not trained on.
static bool can_measure_gap(const Config *config) {
  return (config->data.held_out > 0 || config->eval.file != NULL) &&
         config->data.counterfactual != COUNTERFACTUAL_OFF;
}

static Status append_gap(const EndedRun *run, const char *final, CommandLine command) {
  char *config = NULL, *model = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(str_format(&config, "%s/config.ini", final));
  TRY_CLEAN(str_format(&model, "model.path=%s", final));
  TRY_CLEAN(append_part(&command, run->program, "gap"));
  TRY_CLEAN(append_part(&command, config, NULL));
  TRY_CLEAN(append_part(&command, run->config->train.full ? "--set" : "--adapter",
                        run->config->train.full ? model : final));
  TRY_CLEAN(str_append_text(command.out, "\n"));
cleanup:
  free(config);
  free(model);
  return status;
}

/// What renders the prompt as the run did.
static Status append_chat(const Config *config, CommandLine *command) {
  const char *name = config->model.chat_template;
  TRY(append_part(command, "--chat", NULL));
  if (name != NULL && strcmp(name, "auto") != 0) TRY(append_part(command, "--chat-template", name));
  if (config->model.chat_date != NULL) TRY(append_part(command, "--chat-date", config->model.chat_date));
  return config->data.system != NULL ? append_part(command, "--system", config->data.system) : STATUS_OK;
}

static Status append_generate(const EndedRun *run, const char *final, CommandLine command) {
  static const char *const types[] = {[DTYPE_F16] = "f16", [DTYPE_BF16] = "bf16"};
  const Config *config = run->config;
  TRY(append_part(&command, run->program, "generate"));
  TRY(append_part(&command, "--model", config->train.full ? final : config->model.path));
  if (!config->train.full) {
    TRY(append_part(&command, "--adapter", final));
    TRY(append_part(&command, "--compare", NULL));
    TRY(append_part(&command, "--max-new-tokens", "24")); // a line each
  }
  if (config->model.dtype != DTYPE_F32) TRY(append_part(&command, "--dtype", types[config->model.dtype]));
  if (run->chat) TRY(append_chat(config, &command));
  TRY(append_part(&command, "--prompt", example_prompt(run->prompts)));
  return str_append_text(command.out, "\n");
}

Status next_steps_append(const EndedRun *run, size_t width, Str *out) {
  char *final = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(str_format(&final, "%s/final", run->folder));
  if (can_measure_gap(run->config))
    TRY_CLEAN(append_gap(run, final, (CommandLine){.out = out, .width = width}));
  TRY_CLEAN(append_generate(run, final, (CommandLine){.out = out, .width = width}));
cleanup:
  free(final);
  return status;
}
