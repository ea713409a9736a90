// The loss of given answers as an Evaluation: how likely a model finds answers that it was not trained on.
// Metrics: loss (nats a token) and perplexity with intervals, token_accuracy (the share of tokens than which
// none is likelier) and entropy (mean over tokens, nats); docs/METRICS.md.
#pragma once

#include "data/examples.h"
#include "eval/evaluation.h"

typedef struct GivenLossOptions {
  size_t pass_rows;      // most rows at a time, unless an example needs more
  size_t head_tile_rows; // 0: a default
} GivenLossOptions;

/// `examples` are borrowed. Free with evaluation_free.
STATUS_CHECKED Status given_loss_create(const char *name, const Examples *examples,
                                        const GivenLossOptions *options, Evaluation **out);
