// What gee-cl does with given answers (train.objective = sft): opening them, and telling of them.
#pragma once

#include "cli.h"
#include "data/examples.h"
#include "eval/evaluation.h"

/// The name of the evaluation, whose file is <name>.jsonl.
#define SFT_EVALUATION "loss_eval"

/// The rows to train on or, with `held_out`, those to measure the loss on. Says what was cut or left out.
STATUS_CHECKED Status config_examples(const Config *config, const Runtime *runtime, bool held_out,
                                      Examples *out);
/// Whether there are rows to measure the loss on.
bool config_holds_out(const Config *config);
/// The evaluation of train.bias_eval_steps; `held_out` is borrowed.
STATUS_CHECKED Status sft_evaluation_open(const Config *config, const Examples *held_out, Evaluation **out);
/// The steps that train.epochs take.
size_t sft_steps(const Config *config, const Examples *examples);

/// Tokens of all rows, and those of them that are trained on; their answers.
typedef struct ExampleTokens {
  size_t all, answered, longest, answers;
} ExampleTokens;
ExampleTokens examples_tokens(const Examples *examples);

// ---- sft_data.c ----

/// What `gee-cl data` prints: counts, then rows with the tokens that are trained on between marks.
STATUS_CHECKED Status sft_print_data(const Examples *examples, const Tokenizer *tokenizer, size_t limit);
STATUS_CHECKED Status sft_print_data_json(const Examples *examples, const Tokenizer *tokenizer);
