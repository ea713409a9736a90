// Given answers to train on (train.objective = sft): the rows of a file as tokens, with those that count. A
// token counts if it is an answer's or ends the answer's turn, as in the assistant mask of transformers: what
// the template writes around the answers, and what the user says, is read but not learnt.
//
//   <|im_start|>user↵ 2+2? <|im_end|>↵ <|im_start|>assistant↵ 4 <|im_end|> ↵<|im_start|>user↵ …
//   prompt …………………………………………………………………………………………………… ✓ ✓           …
#pragma once

#include "data/data.h"

/// One row: a prompt, and what follows it up to the last token that counts.
typedef struct Example {
  Tokens tokens;
  size_t prompt;   // tokens before the first that counts, > 0
  bool *scored;    // [tokens.count − prompt] which of the others count: the first and the last do
  size_t answered; // tokens that count
  size_t turns;    // answers: a chat may have several
  char *asked;     // what the user says before the first answer
  size_t row;      // of the file, from 1
  size_t distinct; // the first example with the same prompt
  bool cut;        // to the limit on tokens
} Example;

typedef struct Examples {
  Example *list; // [count] in the order of the file
  size_t count;
  ReadCounts read;
  size_t cut;      // of the list
  size_t too_long; // rows left out, whose prompt leaves no room for an answer
  size_t split;    // rows on the other side of the split
} Examples;

/// Reads data.train with the answers in answer_column, or the chats in `column` with every answer of theirs.
/// Of DataOptions it uses train, the columns, chat, system, split, held_out, max_sets (a row is a set) and
/// seed. A sequence of more than `max_tokens` is cut at its end. STATUS_INPUT names the row that has an empty
/// answer or none, or messages without content.
STATUS_CHECKED Status examples_build(const DataOptions *options, size_t max_tokens,
                                     const Tokenizer *tokenizer, const ChatTemplate *template, Examples *out);
/// Safe on a zeroed struct and twice.
void examples_free(Examples *examples);
/// Of the tokens, and of which of them count.
uint64_t examples_hash(const Examples *examples);
/// *out = how many examples of `examples` have the prompt of one of `other`.
STATUS_CHECKED Status examples_overlap(const Examples *examples, const Examples *other, size_t *out);
/// drawn[count] = the examples from place `cursor` on of an endless sequence of epochs, each of which is a
/// permutation of all examples that depends on the seed and its number.
STATUS_CHECKED Status examples_draw(const Examples *examples, uint64_t seed, uint64_t cursor, size_t count,
                                    size_t *drawn);
