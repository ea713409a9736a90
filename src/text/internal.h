// The inside of a Tokenizer, shared by its loaders, encoding and export.
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
  bool ignore_merges;    // a piece that is a token is that token, whether merges lead there or not
  Tokens prefix, suffix; // what add_special puts before and after
  int32_t bos, eos;      // −1: none
};

/// The highest id allowed in a file of `count` tokens: gaps are allowed, but not a table of nothing but gaps.
static inline int64_t highest_id(size_t count) {
  return (int64_t)count * 2 + 65536;
}

/// Fills a zeroed tokenizer from DIRECTORY/tokenizer.json and tokenizer_config.json.
STATUS_CHECKED Status load_hf(Tokenizer *tokenizer, const char *directory);
/// Fills a zeroed tokenizer from a GGUF file's metadata.
STATUS_CHECKED Status load_gguf(Tokenizer *tokenizer, const char *path);

/// Members of tokenizer.ggml.token_type.
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_UNUSED = 5 };

/// What a value of tokenizer.ggml.pre stands for: the pre_tokenizer and normalizer of the family's
/// tokenizer.json.
typedef struct PreFamily {
  const char *name;
  const char *const *pattern;
  bool digits;        // numeric characters are cut apart first
  bool nfc;           // text is normalised
  bool ignore_merges; // see Tokenizer
  bool add_bos;       // where tokenizer.ggml.add_bos_token is absent
} PreFamily;
/// The family that the file's tokenizer.ggml.pre names; STATUS_INPUT where it holds no byte-level BPE, or
/// names none or an unknown one.
STATUS_CHECKED Status gguf_family(const TensorFile *file, const char *path, const PreFamily **out);

/// Adds "left right" as the merge of rank `rank`; all three texts must be in the vocabulary. `name` is the
/// file.
STATUS_CHECKED Status tokenizer_add_merge(Tokenizer *tokenizer, uint32_t rank, const char *left,
                                          size_t left_size, const char *right, size_t right_size,
                                          const char *name);
/// Once the vocabulary is complete, before merges: the tokens of the single bytes.
void tokenizer_set_bytes(Tokenizer *tokenizer);
