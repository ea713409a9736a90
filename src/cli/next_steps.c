// Commands to run after a training. Rule: they can be copied as they stand: every path exists, and every word
// is quoted where a shell would read it otherwise.
#include "verdict.h"

#include "util/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// A command that is being written; each part goes onto the next line if the line is full.
typedef struct CommandLine {
  Str *out;
  size_t column, width;
} CommandLine;

/// Appends "option value", or one word with NULL.
static Status append_part(CommandLine *command, const char *option, const char *value) {
  Str part = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(str_append_shell(&part, option));
  if (value != NULL) TRY_CLEAN(str_append_text(&part, " "));
  if (value != NULL) TRY_CLEAN(str_append_shell(&part, value));
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

/// An example for a command line.
typedef struct Shown {
  const char *text;
  size_t tokens; // of the prompt
} Shown;

/// The shortest prompt.
static Shown example_prompt(const EndedRun *run) {
  Shown shortest = {NULL, 0};
  if (run->config->objective == TRAIN_SFT) {
    for (size_t i = 0; i < run->rows->count; i++) {
      const Example *row = &run->rows->list[i];
      if (shortest.text == NULL || strlen(row->asked) < strlen(shortest.text))
        shortest = (Shown){row->asked, row->prompt};
    }
    return shortest;
  }
  for (size_t i = 0; i < run->prompts->count; i++) {
    const Prompt *prompt = &run->prompts->prompts[i];
    if (shortest.text == NULL || strlen(prompt->text) < strlen(shortest.text))
      shortest = (Shown){prompt->text, prompt->tokens.count};
  }
  return shortest;
}

/// A line of tokens, or as many as the model has room for after the prompt.
static Status append_length(const EndedRun *run, Shown prompt, CommandLine *command) {
  enum { LINE = 24 };
  size_t used = prompt.tokens, room = run->positions > used ? run->positions - used : 1;
  char count[24];
  (void)snprintf(count, sizeof count, "%zu", size_min(room, LINE));
  return append_part(command, "--max-new-tokens", count);
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
  static const char *const types[] = {"stored", "f32", "f16", "bf16"};
  static const char *const quantised[] = {"none", "q8_0", "q4_k", "nf4"};
  const Config *config = run->config;
  const Shown prompt = example_prompt(run);
  TRY(append_part(&command, run->program, "generate"));
  TRY(append_part(&command, "--model", config->train.full ? final : config->model.path));
  if (!config->train.full) {
    TRY(append_part(&command, "--adapter", final));
    TRY(append_part(&command, "--compare", NULL));
  }
  TRY(append_length(run, prompt, &command));
  if (config->model.dtype != 0) TRY(append_part(&command, "--dtype", types[config->model.dtype]));
  if (config->model.quantise != 0)
    TRY(append_part(&command, "--quantise", quantised[config->model.quantise]));
  if (config_compute(config) != COMPUTE_F32)
    TRY(append_part(&command, "--compute", compute_name(config_compute(config))));
  if (run->chat) TRY(append_chat(config, &command));
  TRY(append_part(&command, "--prompt", prompt.text));
  return str_append_text(command.out, "\n");
}

Status next_steps_append(const EndedRun *run, size_t width, Str *out) {
  char *final = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(str_format(&final, "%s/final", run->folder));
  if (run->measurable) TRY_CLEAN(append_gap(run, final, (CommandLine){.out = out, .width = width}));
  TRY_CLEAN(append_generate(run, final, (CommandLine){.out = out, .width = width}));
cleanup:
  free(final);
  return status;
}
