// The internals of a Tokenizer, shared by loading, encoding and export.
#pragma once

#include "added.h"
#include "bpe.h"
#include "io/tensors.h"
#include "pretokenize.h"
#include "text/tokenizer.h"
#include "vocab.h"

struct Tokenizer {
  Vocab vocab;
  AddedTokens added;
  PreTokenizer pre;
  Bpe bpe;
  bool nfc;              // normalise to NFC
  bool ignore_merges;    // a piece that is a token becomes that token even if no merges lead to it
  Tokens prefix, suffix; // added before and after by add_special
  int32_t bos, eos;      // −1: none
};

/// The highest id allowed in a file of `count` tokens: gaps are allowed, but not a table that is mostly gaps.
static inline int64_t highest_id(size_t count) {
  return (int64_t)count * 2 + 65536;
}

/// Fills a zeroed tokenizer from DIRECTORY/tokenizer.json and tokenizer_config.json.
STATUS_CHECKED Status load_hf(Tokenizer *tokenizer, const char *directory);
/// Fills a zeroed tokenizer from a GGUF file's metadata.
STATUS_CHECKED Status load_gguf(Tokenizer *tokenizer, const char *path);

/// Values in tokenizer.ggml.token_type.
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_UNUSED = 5 };

/// What a value of tokenizer.ggml.pre stands for: the pre_tokenizer and normalizer of that family's
/// tokenizer.json.
typedef struct PreFamily {
  const char *name;
  const char *const *pattern;
  bool digits;        // numeric characters are first cut apart
  bool nfc;           // text is normalised
  bool ignore_merges; // see Tokenizer
  bool add_bos;       // default of tokenizer.ggml.add_bos_token
} PreFamily;
/// The family that the file's tokenizer.ggml.pre names. STATUS_INPUT if that is missing or unknown, or the
/// tokenizer is not byte-level BPE.
STATUS_CHECKED Status gguf_family(const TensorFile *file, const char *path, const PreFamily **out);

/// Adds "left right" as the merge of rank `rank`. STATUS_INPUT, with the file `name`, unless left, right and
/// both joined are in the vocabulary.
STATUS_CHECKED Status tokenizer_add_merge(Tokenizer *tokenizer, uint32_t rank, const char *left,
                                          size_t left_size, const char *right, size_t right_size,
                                          const char *name);
/// Finds the tokens of the single bytes. Call it when the vocabulary is complete, before adding merges.
void tokenizer_set_bytes(Tokenizer *tokenizer);
