// Sequences packed into rows: each distinct prompt once, then the answers, which attend to the rows of their
// prompt.
//
//   prompts   p p p p | q q q |                rows 0–3, 4–6
//   answers                   a a | b b b | c  of p, p, q
//
// The last row of a prompt predicts token 0 of its answers; the row of token t predicts token t + 1. The last
// token of an answer has no row, because nothing is predicted from it. Of an answer that goes on with turns
// of a user, only the tokens that are `scored` are predicted.
//
// A prompt may end with tokens that its answers begin with, if these are to be predicted too: such rows of
// the prompt predict, and stand there once instead of in each answer.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TokenSpan {
  const int32_t *ids;
  size_t count;
} TokenSpan;

/// An answer to a prompt, given by its index.
typedef struct BatchAnswer {
  size_t prompt;
  TokenSpan tokens; // ≥ 1 token
  uint32_t row_id;  // identifies the answer's rows to dropout, whatever the micro batch
  size_t in_prompt; // the prompt ends with so many of the first tokens; fewer than all of either's
  // [tokens.count] the tokens that are predicted, the first and the last among them; NULL: all. None is then
  // in the prompt
  const bool *scored;
} BatchAnswer;

typedef struct Batch {
  size_t rows;        // M
  int32_t *ids;       // [M]
  int32_t *positions; // [M]
  int32_t *spans;     // [M,4] key rows that a row sees, see op_attention
  int32_t *key_spans; // [M,4]
  int32_t *row_ids;   // [M] for dropout
  // Rows that predict something: first the last row of each prompt with answers, and those before it that
  // predict tokens in the prompt, then the rows of the answers. Ascending and distinct.
  size_t head_rows;  // R
  int32_t *head_row; // [R]
  // Predictions, in order of answer and token.
  size_t predictions;   // Σ answer tokens that are scored
  int32_t *pred_head;   // [predictions] index into head_row
  int32_t *pred_target; // [predictions] token id
  size_t answers;
  size_t *answer_start; // [answers + 1] first prediction of each answer
} Batch;

/// Packs prompts and answers. Answers must be ordered by prompt. If `share` is false, each answer gets a copy
/// of its prompt (for tests). A prompt without answers is kept: its rows are computed but predict nothing.
STATUS_CHECKED Status batch_build(const TokenSpan *prompts, size_t prompt_count, const BatchAnswer *answers,
                                  size_t answer_count, bool share, Batch *out);
void batch_free(Batch *batch);
/// The number of rows that batch_build would make.
size_t batch_rows(const TokenSpan *prompts, size_t prompt_count, const BatchAnswer *answers,
                  size_t answer_count, bool share);
