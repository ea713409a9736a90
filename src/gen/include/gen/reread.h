// Reading answers again, under prompts that they were not sampled from, while the pass's cache still holds these prompts:
// only the answers' own rows are computed.
#pragma once

#include "gen/generate.h"

/// An answer read under a prompt, both by index in the job that generate has run.
typedef struct Reading {
  size_t answer, prompt;
} Reading;

typedef struct RereadJob {
  const GenerateJob *generated; // what this pass has generated last
  const Answer *answers;        // [generated->request_count] its answers
  const Reading *readings;      // under any prompt that has an answer of its own
  size_t count;
  void (*on_read)(void *user, size_t readings); // how many are done; may be NULL
  void *user;
} RereadJob;

/// entropy[i][t] and log_z[i][t] of the distribution that token t of reading i is predicted from, at the job's entropy_tau:
/// concatenated, a reading having its answer's tokens. The answers' own keys and values are overwritten. Runs as many whole
/// readings together as the pass has rows; STATUS_INPUT where one does not fit.
STATUS_CHECKED Status reread_answers(Pass *pass, const RereadJob *job, float *entropy, float *log_z);
