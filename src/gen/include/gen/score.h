// Scoring: entropies and log probabilities of given answers under given prompts, in batches that fit a pass.
#pragma once

#include "model/model.h"

typedef struct ScoreJob {
  const TokenSpan *prompts;
  size_t prompt_count;
  const BatchAnswer *answers; // ordered by prompt
  size_t answer_count;
  float tau;
  const atomic_bool *stop; // once true, scoring ends with STATUS_INTERRUPTED; may be NULL
} ScoreJob;

/// entropy and logprob hold, answer after answer, a number for each token: the entropy of the distribution
/// that it is predicted from, and the token's log probability in it, at tau. Either may be NULL. Runs batches
/// of at most the pass's max_rows rows, each answer together with its prompt. STATUS_INPUT if one answer with
/// its prompt does not fit.
STATUS_CHECKED Status score_answers(Pass *pass, const ScoreJob *job, float *entropy, float *logprob);
/// kl holds in the same way, of the distribution that each token is predicted from, its KL divergence from
/// that of the base model (pass_forward_base): KL(model ‖ base) in nats, at tau. The pass keeps as many rows
/// as it has (kept_rows).
STATUS_CHECKED Status score_divergences(Pass *pass, const ScoreJob *job, float *kl);
