// An adapter beside its base model: the entropy of every token of one answer, with and without the adapter.
#pragma once

#include "cli.h"
#include "gen/generate.h"

/// entropy[answer->count] = what the model without its adapter says of an answer to `prompt`. Replaces the
/// runtime's model by its base.
STATUS_CHECKED Status compare_read_base(Runtime *runtime, const Tokens *prompt, const Answer *answer,
                                        float *entropy);
/// Prints both side by side, a line for each token, and their means.
STATUS_CHECKED Status compare_print(const Runtime *runtime, const Answer *answer, const float *base);
