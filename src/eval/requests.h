// What a task asks a model, as tokens. Private to eval.
#pragma once

#include "eval/gap.h"
#include "eval/task.h"

/// A continuation to score behind a context.
typedef struct ScoreRequest {
  size_t context; // index
  Tokens tokens;
  size_t in_context; // the context ends with so many of the first tokens
} ScoreRequest;

typedef struct WriteRequest {
  Tokens prompt;
  size_t max_new_tokens;
  const char *const *stops;
} WriteRequest;

/// Prompts of one counterfactual set.
typedef struct ReadingRequest {
  Tokens *prompts; // [count]
  size_t count, set;
} ReadingRequest;

/// Where the requests of an item begin; they end where those of the next one begin.
typedef struct RequestStart {
  size_t context, score, write, reading;
} RequestStart;

/// The requests of all items of a task. Zero-initialise, set the first fields, and free with requests_free.
struct TaskRequests {
  const Tokenizer *tokenizer;
  const ChatTemplate *chat;
  size_t max_positions; // of the model; 0: any
  Tokens *contexts;     // those of an item are distinct
  size_t context_count, context_capacity;
  ScoreRequest *scores;
  size_t score_count, score_capacity;
  WriteRequest *writes;
  size_t write_count, write_capacity;
  const GapOptions *gap; // how answers are sampled for readings; NULL where there are none
  ReadingRequest *readings;
  size_t reading_count, reading_capacity;
  RequestStart *starts; // [items + 1]
  size_t items, start_capacity;
  size_t cut; // contexts and prompts that lost tokens at their front, to fit max_positions
};

/// Ends an item: later requests are those of the next one. Tokens that all continuations of a context begin
/// with move into the context, where that saves rows.
STATUS_CHECKED Status requests_next_item(TaskRequests *requests);
/// Safe on a zeroed struct and twice.
void requests_free(TaskRequests *requests);
