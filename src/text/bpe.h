// Byte pair encoding: each byte of a piece starts as a token, and neighbours are merged in the order of the
// merges' ranks (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", ACL 2016).
#pragma once

#include "text/tokenizer.h"

/// left right → result, done before merges of a higher rank. Empty slots have result −1.
typedef struct Merge {
  int32_t left, right;
  uint32_t rank;
  int32_t result;
} Merge;

/// Zero-initialise, bpe_reserve, bpe_add_merge; free with bpe_free.
typedef struct Bpe {
  int32_t byte_ids[256]; // −1: no token for this byte
  int32_t unknown;       // the token of such a byte; −1: it is dropped
  bool fuse_unknown;     // a run of such bytes becomes one token
  Merge *slots;          // open addressing by (left, right)
  size_t size;           // of `slots`: a power of two, at least twice the merges
} Bpe;

/// Memory for encoding long pieces, reused from piece to piece. Zero-initialise; free with bpe_scratch_free.
typedef struct BpeScratch {
  struct BpeSymbol *symbols;
  size_t symbol_capacity;
  struct BpeCandidate *heap;
  size_t heap_capacity, heap_count;
} BpeScratch;

/// Makes room for `merges` merges. Call it once.
STATUS_CHECKED Status bpe_reserve(Bpe *bpe, size_t merges);
/// Adds a merge, at most as many as reserved. A pair that is there already takes the new rank, as in Hugging
/// Face.
void bpe_add_merge(Bpe *bpe, Merge merge);
void bpe_free(Bpe *bpe);
void bpe_scratch_free(BpeScratch *scratch);

/// Appends the tokens of the piece.
STATUS_CHECKED Status bpe_encode(const Bpe *bpe, BpeScratch *scratch, const char *bytes, size_t size,
                                 Tokens *out);
