// Sampling: a whole batch of answers decodes together, each distinct prompt is computed once, finished rows drop out, and
// every sampled position keeps its entropy.
#pragma once

#include "model/model.h"
#include "text/tokenizer.h"
#include <stdatomic.h>

typedef struct SamplingOptions {
  size_t max_new_tokens;
  float temperature, top_p; // temperature 0: the largest logit
  size_t top_k;
  float repetition_penalty; // the prompt's tokens count as seen, as in transformers
} SamplingOptions;

/// One answer wanted.
typedef struct AnswerRequest {
  size_t prompt;   // index
  uint32_t stream; // names its random numbers: equal streams draw equal numbers (counterfactual partners)
} AnswerRequest;

typedef struct Answer {
  int32_t *tokens; // first EOS included
  size_t count;
  bool ended; // by an EOS, not by max_new_tokens
  float *
      entropy; // [count] H of the distribution each token was predicted from, at tau, before any sampling warp
  float *log_z; // [count] log Σ exp(z / tau)
} Answer;

/// Called for each token as it is drawn, in order of row; return false to stop that answer.
typedef bool (*TokenCallback)(void *user, size_t request, int32_t token);

typedef struct GenerateJob {
  const TokenSpan *prompts;
  size_t prompt_count;
  const AnswerRequest *requests;
  size_t request_count;
  SamplingOptions sampling;
  float entropy_tau;
  uint64_t seed;
  uint32_t step;          // random numbers are keyed (seed, RNG_SAMPLE, step, stream, token)
  TokenCallback on_token; // may be NULL
  void *user;
  const atomic_bool *stop; // set by a signal: generation ends early with STATUS_INTERRUPTED; may be NULL
} GenerateJob;

/// The rows a PASS_INFERENCE needs for the largest such job: cache_rows, max_rows, head_tile_rows. prompt_tokens_total is
/// the sum over distinct prompts; prompt_rows_at_once, at least the longest prompt, bounds a piece of the prefill.
PassOptions generate_pass_options(size_t prompt_tokens_total, size_t prompt_rows_at_once, size_t answers,
                                  size_t max_new_tokens);
/// answers[request_count], each freed with answer_free whatever is returned (an interrupted job leaves what was drawn).
/// Prefill runs in pieces of the pass's max_rows, whole prompts; decode takes all live answers at once. STATUS_INPUT where
/// the job does not fit the pass or the model's positions. On a plan Ops every answer has max_new_tokens zeros.
STATUS_CHECKED Status generate(Pass *pass, const GenerateJob *job, Answer *answers);
/// Safe on a zeroed struct and twice.
void answer_free(Answer *answer);
