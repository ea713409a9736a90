// The effective batch of a step of sft: which examples, and which of them share a micro batch.
#pragma once

#include "eval/given.h"

/// The arrays are allocated once.
typedef struct GivenBatch {
  const Examples *examples; // borrowed
  size_t count;             // rows of a step: train.effective_batch
  size_t micro;             // most rows in the training pass at a time
  bool share;               // rows of a prompt are computed once for all its answers in a micro batch
  size_t *drawn;            // [count]
  GivenRow *rows;           // [count] by prompt
  size_t tokens, answered;  // of all rows, and those of them that count
} GivenBatch;

/// Call given_batch_free in any case, also after a failure.
STATUS_CHECKED Status given_batch_create(const Examples *examples, size_t count, size_t micro, bool share,
                                         GivenBatch *batch);
/// Safe on a zeroed struct and twice.
void given_batch_free(GivenBatch *batch);
/// Draws the rows from `state` on, and advances it.
STATUS_CHECKED Status given_batch_draw(GivenBatch *batch, uint64_t seed, SamplerState *state);
/// For a memory plan, instead of a draw: takes the rows that need the most memory, by themselves.
STATUS_CHECKED Status given_batch_draw_largest(GivenBatch *batch);
/// *rows = the most rows of the training pass that `micro` of `count` drawn examples take.
STATUS_CHECKED Status given_batch_most_rows(const Examples *examples, size_t count, size_t micro,
                                            size_t *rows);
