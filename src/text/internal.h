// The internals of a Tokenizer, shared by loading, encoding and export.
#pragma once

#include "added.h"
#include "bpe.h"
#include "io/tensors.h"
#include "normalize.h"
#include "pretokenize.h"
#include "text/tokenizer.h"
#include "vocab.h"

/// How the bytes of tokens become a text.
typedef struct Decoding {
  size_t strip;    // spaces taken away at the start
  char *drop_mark; // Metaspace: taken out of the first token; NULL: nothing is
} Decoding;

struct Tokenizer {
  Vocab vocab;
  AddedTokens added;
  Normalizer normalizer;
  PreTokenizer pre;
  Bpe bpe;
  Decoding decoding;
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

/// *spm = the tokenizer is SentencePiece's, else byte-level BPE. STATUS_INPUT for another.
STATUS_CHECKED Status gguf_tokenizer_kind(const TensorFile *file, const char *path, bool *spm);
/// *id = tokenizer.ggml.<name>_token_id ("bos", "eos", "unknown", "padding"); −1 if there is none.
/// SentencePiece has BOS 1, EOS 2 and unknown 0 where the file does not say, as in llama.cpp.
STATUS_CHECKED Status gguf_special_id(const TensorFile *file, const char *path, const char *name,
                                      int64_t *id);
/// Whether BOS and EOS stand around a text.
STATUS_CHECKED Status gguf_adds_tokens(const TensorFile *file, const char *path, bool *bos, bool *eos);

/// Adds "left right" as the merge of rank `rank`. STATUS_INPUT, with the file `name`, unless left, right and
/// both joined are in the vocabulary.
STATUS_CHECKED Status tokenizer_add_merge(Tokenizer *tokenizer, uint32_t rank, const char *left,
                                          size_t left_size, const char *right, size_t right_size,
                                          const char *name);
/// Finds the tokens of the single bytes, "<0x0A>" where the vocabulary is not byte-level. Call it when the
/// vocabulary is complete, before adding merges.
void tokenizer_set_bytes(Tokenizer *tokenizer);
/// Adds the token as an added one, which is matched in normalized text if it is `normalized`. `name` is the
/// file in messages.
STATUS_CHECKED Status tokenizer_set_added(Tokenizer *tokenizer, AddedToken token, const char *name);
/// Lets the tokens of a vocabulary that is not byte-level decode to their text with `space` for `mark`, and
/// with `bytes` those like "<0x0A>" to that byte. Call it last.
STATUS_CHECKED Status tokenizer_set_decoding(Tokenizer *tokenizer, const char *mark, const char *space,
                                             bool bytes);
