// Sampling. All answers of a batch decode together, each distinct prompt is computed once, an answer that
// ends leaves the batch, and the entropy at every sampled position is kept.
#pragma once

#include "model/model.h"
#include "text/tokenizer.h"
#include <stdatomic.h>

typedef struct SamplingOptions {
  size_t max_new_tokens;
  float temperature, top_p; // temperature 0: the largest logit
  size_t top_k;
  float repetition_penalty; // as in transformers, the prompt's tokens count as seen
} SamplingOptions;

/// Asks for one answer.
typedef struct AnswerRequest {
  size_t prompt;   // index
  uint32_t stream; // of its random numbers: equal streams draw equal numbers (counterfactual partners)
} AnswerRequest;

/// The distribution that a token is predicted from is softmax(z / entropy_tau), without the changes that
/// sampling makes to it.
typedef struct Answer {
  int32_t *tokens; // first EOS included
  size_t count;
  bool ended;     // with an EOS, and not because of max_new_tokens
  float *entropy; // [count] H of the distribution that each token is predicted from
  float *log_z;   // [count] log Σ exp(z / entropy_tau)
} Answer;

/// Called for each token as it is drawn. Returns false to stop that answer.
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
  bool past_end;          // an end token ends no answer: for measuring speed
  TokenCallback on_token; // may be NULL
  void *user;
  const atomic_bool *stop; // once true, sampling ends with STATUS_INTERRUPTED; may be NULL
} GenerateJob;

/// The PASS_INFERENCE that a job needs which is at most this large. prompt_tokens_total is the sum over
/// distinct prompts. prompt_rows_at_once bounds a piece of the prefill and is at least the longest prompt.
PassOptions generate_pass_options(size_t prompt_tokens_total, size_t prompt_rows_at_once, size_t answers,
                                  size_t max_new_tokens);
/// Fills answers[request_count]. The caller frees each with answer_free, also after a failure; an interrupted
/// job leaves the tokens drawn so far. The prefill runs whole prompts in pieces of at most the pass's
/// max_rows; decoding runs all live answers together. STATUS_INPUT if the job does not fit the pass or the
/// model's positions. In a plan every answer has max_new_tokens zeros.
STATUS_CHECKED Status generate(Pass *pass, const GenerateJob *job, Answer *answers);
/// Safe on a zeroed struct and twice.
void answer_free(Answer *answer);
