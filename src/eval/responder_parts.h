// The parts of a responder. Private to responder*.c.
#pragma once

#include "gen/generate.h"
#include "responder.h"

struct Responder {
  Pass *pass;
  const TaskRequests *requests;
  const atomic_bool *stop; // may be NULL
  ItemRange batch;
  double *loglikelihoods; // [score requests of the batch]
  size_t *tokens;         // [score requests of the batch]
  TaskGeneration *generations;
  size_t generation_count;
  double *entropies; // [reading requests of the batch][own prompt][answer][prompt read under]
};

/// Takes the answer's tokens as the next generation, with its text up to the first stop string.
STATUS_CHECKED Status responder_keep_text(Responder *responder, Answer *answer, const char *const *stops);
/// Asks the reading requests of the batch. An item has one at most, and then nothing else.
STATUS_CHECKED Status responder_ask_readings(Responder *responder);
TaskAnswers responder_readings(const Responder *responder, size_t item);
