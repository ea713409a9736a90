// Reading answers again under prompts that they were not sampled from, while the pass's cache still holds
// these prompts. Only the answers' own rows are computed.
#pragma once

#include "gen/generate.h"

/// An answer to read under a prompt; both are indices in the job that generate has run.
typedef struct Reading {
  size_t answer, prompt;
} Reading;

typedef struct RereadJob {
  const GenerateJob *generated; // the last job that this pass has run
  const Answer *answers;        // [generated->request_count] its answers
  const Reading *readings;      // [count] each prompt has at least one answer sampled from it
  size_t count;
  void (*on_read)(void *user, size_t readings); // called with the number of readings done; may be NULL
  void *user;
} RereadJob;

/// entropy and log_z hold, reading after reading, a number for each token of the reading's answer: H and log
/// Z of the distribution that the token is predicted from, at the job's entropy_tau. The keys and values of
/// the sampled answers are overwritten. Runs as many whole readings together as the pass has rows for.
/// STATUS_INPUT if one does not fit.
STATUS_CHECKED Status reread_answers(Pass *pass, const RereadJob *job, float *entropy, float *log_z);
