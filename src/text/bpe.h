// Byte pair encoding: each byte or character of a piece starts as a token, and neighbours are merged in the
// order of the merges' ranks (Sennrich et al., "Neural Machine Translation of Rare Words with Subword
// Units", ACL 2016).
#pragma once

#include "text/tokenizer.h"
#include "vocab.h"

/// left right → result, done before merges of a higher rank. Empty slots have result −1.
typedef struct Merge {
  int32_t left, right;
  uint32_t rank;
  int32_t result;
} Merge;

/// Zero-initialise, bpe_reserve, bpe_add_merge; free with bpe_free.
typedef struct Bpe {
  const Vocab *vocab;    // where the tokens of characters are; NULL: pieces are bytes
  int32_t byte_ids[256]; // −1: no token for this byte
  bool byte_fallback;    // a character without a token becomes the tokens of its bytes, if all have one
  int32_t unknown;       // the token of what has none; −1: it is dropped
  bool fuse_unknown;     // a run of such characters becomes one token
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

/// Appends the tokens of the piece: bytes, or if there is a vocabulary well-formed UTF-8.
STATUS_CHECKED Status bpe_encode(const Bpe *bpe, BpeScratch *scratch, const char *piece, size_t size,
                                 Tokens *out);
