// The SentencePiece tokenizer in a GGUF file (tokenizer.ggml.model = llama), as merges: neighbours that
// together are a token become it, those of the highest score first.
#pragma once

#include "bpe.h"
#include "io/tensors.h"

/// The character that stands for a space: ▁.
#define SPM_SPACE "\xe2\x96\x81"

/// Merges in the order in which they are done; those of equal rank from the left. Free `list` with free().
typedef struct SpmMerges {
  Merge *list; // [count], by rank
  size_t count, capacity;
} SpmMerges;

/// Every way to make a normal or user-defined token of the file from two tokens. `vocab` has its tokens.
/// STATUS_INPUT if the scores are missing or are no numbers.
STATUS_CHECKED Status spm_merges_read(const TensorFile *file, const char *path, const Vocab *vocab,
                                      SpmMerges *out);
