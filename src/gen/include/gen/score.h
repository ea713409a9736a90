// Scoring: entropies and log probabilities of given answers under given prompts, in batches that fit a pass.
#pragma once

#include "model/model.h"

typedef struct ScoreJob {
  const TokenSpan *prompts;
  size_t prompt_count;
  const BatchAnswer *answers; // ordered by prompt
  size_t answer_count;
  float tau;
} ScoreJob;

/// entropy and logprob hold, answer after answer, a number for each token: the entropy of the distribution
/// that it is predicted from, and the token's log probability in it, at tau. Either may be NULL. Runs batches
/// of at most the pass's max_rows rows, each answer together with its prompt. STATUS_INPUT if one answer with
/// its prompt does not fit.
STATUS_CHECKED Status score_answers(Pass *pass, const ScoreJob *job, float *entropy, float *logprob);
