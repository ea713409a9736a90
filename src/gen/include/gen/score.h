// Scoring: what a model says of given answers under given prompts, in micro batches that fit a pass.
#pragma once

#include "model/model.h"

typedef struct ScoreJob {
  const TokenSpan *prompts;
  size_t prompt_count;
  const BatchAnswer *answers; // ordered by prompt
  size_t answer_count;
  float tau;
} ScoreJob;

/// entropy[i][t] and logprob[i][t] at the predicting positions, at tau. The arrays are parallel to the answers' tokens,
/// concatenated: offset of answer i = Σ_{j<i} count_j. Either may be NULL. Splits into micro batches of at most the pass's
/// max_rows rows, never splitting an answer from its prompt; STATUS_INPUT where one answer with its prompt does not fit.
STATUS_CHECKED Status score_answers(Pass *pass, const ScoreJob *job, float *entropy, float *logprob);
