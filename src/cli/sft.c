// Given answers on the command line. Rule: what is cut or left out is said with its number.
#include "sft.h"

#include "eval/given_loss.h"
#include "util/log.h"
#include "util/memory.h"
#include <stdlib.h>

bool config_holds_out(const Config *config) {
  return config->eval.file != NULL || config->data.held_out > 0;
}

/// Says what became of rows.
static void note_examples(const char *file, size_t max_tokens, const Examples *examples) {
  if (examples->too_long > 0)
    log_say(LOG_WARNING,
            "%zu of %zu rows of %s %s left out: their prompts take all of the %zu tokens that a sequence may "
            "have (train.max_sequence_tokens, or the model's positions)",
            examples->too_long, examples->read.rows, file, examples->too_long == 1 ? "is" : "are",
            max_tokens);
  if (examples->cut > 0)
    log_say(LOG_WARNING,
            "%zu of %zu rows %s cut to %zu tokens, so their answers do not end there "
            "(train.max_sequence_tokens, or the model's positions)",
            examples->cut, examples->count, examples->cut == 1 ? "is" : "are", max_tokens);
  if (examples->read.empty > 0)
    log_say(LOG_NOTE, "%zu of %zu rows of %s have no prompt and are left out", examples->read.empty,
            examples->read.rows, file);
}

Status config_examples(const Config *config, const Runtime *runtime, bool held_out, Examples *out) {
  DataOptions options = config->data;
  bool own_file = config->eval.file != NULL;
  size_t max_tokens =
      size_min(config->train.max_sequence_tokens, model_files_config(runtime->files)->max_positions);
  if (held_out && !config_holds_out(config))
    return status_fail(STATUS_INPUT,
                       "data.held_out is 0, so there is no row to measure the loss on; raise it, or "
                       "name a file in data.eval");
  options.split = own_file || options.held_out <= 0 ? DATA_ALL : held_out ? DATA_HELD_OUT : DATA_TRAIN;
  options.max_prompt_tokens = 0;
  options.max_sets = held_out ? config->eval.sets : 0;
  if (held_out && own_file) {
    options.train = config->eval.file;
    options.column = config->eval.column;
    options.fallback_column = config->data.column;
  }
  TRY(examples_build(&options, max_tokens, runtime->tokenizer, runtime->chat, out));
  if (!held_out || own_file) note_examples(options.train, max_tokens, out);
  return STATUS_OK;
}

Status sft_evaluation_open(const Config *config, const Examples *held_out, Evaluation **out) {
  const GivenLossOptions options = {.head_tile_rows = config->train.head_tile_rows};
  return given_loss_create(SFT_EVALUATION, held_out, &options, out);
}

size_t sft_steps(const Config *config, const Examples *examples) {
  size_t batch = config->train.effective_batch, rows = config->epochs * examples->count;
  return (rows + batch - 1) / batch;
}

ExampleTokens examples_tokens(const Examples *examples) {
  ExampleTokens out = {0};
  for (size_t i = 0; i < examples->count; i++) {
    const Example *example = &examples->list[i];
    out.all += example->tokens.count;
    out.answered += example->answered;
    out.answers += example->turns;
    out.longest = example->tokens.count > out.longest ? example->tokens.count : out.longest;
  }
  return out;
}
