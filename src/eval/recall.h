// The answers to an item's requests as its row tells them, so that the task can decide again. Private to
// eval.
#pragma once

#include "eval/task.h"
#include "requests.h"

/// Zero-initialise; free with recalled_free.
typedef struct Recalled {
  TaskAnswers answers; // points into what follows
  double *numbers;     // loglikelihoods or entropies
  size_t *tokens;
  TaskGeneration *generations; // own their texts and ids
} Recalled;

/// Reads the answers to the requests of item `index` from its row; `type` is of the task that asked. How many
/// tokens an answer has is what was asked. STATUS_INPUT if the row has another number of answers.
STATUS_CHECKED Status recall_answers(const TaskType *type, const TaskRequests *requests, size_t index,
                                     const TaskItem *item, Recalled *out);
/// Safe on a zeroed struct and twice.
void recalled_free(Recalled *recalled);
