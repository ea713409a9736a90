// A tokenizer (BPE, byte-level or of characters) from Hugging Face's files or from GGUF metadata, with the
// same ids as Hugging Face's and llama.cpp's.
#pragma once

#include "util/hash.h"
#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Tokenizer Tokenizer;

/// A list of tokens. Zero-initialise; free with tokens_free.
typedef struct Tokens {
  int32_t *ids;
  size_t count, capacity;
} Tokens;
void tokens_free(Tokens *tokens);
STATUS_CHECKED Status tokens_append(Tokens *tokens, int32_t id);

/// `model` is a Hugging Face folder (tokenizer.json, tokenizer_config.json) or a .gguf file. STATUS_INPUT for
/// another type of tokenizer, or a part of one, which the message names, or a broken file. A loaded
/// tokenizer may be shared by threads.
STATUS_CHECKED Status tokenizer_load(const char *model, Tokenizer **out);
void tokenizer_free(Tokenizer *tokenizer);

size_t tokenizer_vocab_size(const Tokenizer *tokenizer);
/// −1 if the model has none.
int32_t tokenizer_bos(const Tokenizer *tokenizer);
int32_t tokenizer_eos(const Tokenizer *tokenizer);
/// Id of a token by its exact text (added tokens included); −1 if there is none.
int32_t tokenizer_find(const Tokenizer *tokenizer, const char *text);
bool tokenizer_is_special(const Tokenizer *tokenizer, int32_t id);
/// out = what tells this tokenizer from all others: the SHA-256 of its tokens with their ids, of its merges
/// in their order, and of the ids of a text that shows how it normalises and cuts. The same tokenizer in
/// another file or format has the same hash.
STATUS_CHECKED Status tokenizer_sha256(const Tokenizer *tokenizer, char out[SHA256_TEXT]);

/// Appends the ids of `size` bytes of UTF-8; invalid bytes become U+FFFD, as in Hugging Face. Recognises
/// added tokens in the text. `add_special` is add_special_tokens=True: a BOS, for example, if the tokenizer's
/// post-processor adds one.
STATUS_CHECKED Status tokenizer_encode(const Tokenizer *tokenizer, const char *text, size_t size,
                                       bool add_special, Tokens *out);
/// Appends the text of the tokens, without special tokens if `skip_special`.
STATUS_CHECKED Status tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, size_t count,
                                       bool skip_special, Str *out);

/// Streaming: holds back the bytes of an incomplete character. Zero-initialise.
typedef struct DecodeStream {
  char pending[8];
  size_t size;
  size_t stripped; // spaces taken away at the start
  bool started;    // a token has given text
} DecodeStream;
STATUS_CHECKED Status decode_stream_push(const Tokenizer *tokenizer, DecodeStream *stream, int32_t id,
                                         bool skip_special, Str *out);
/// Appends the bytes of the next token, less what is taken away at the start of a text, even if they end
/// inside a character. An id without a token gives none, because a model's head may be wider than its
/// vocabulary.
STATUS_CHECKED Status decode_stream_bytes(const Tokenizer *tokenizer, DecodeStream *stream, int32_t id,
                                          bool skip_special, Str *out);
/// Appends what was held back: an incomplete character becomes U+FFFD.
STATUS_CHECKED Status decode_stream_end(DecodeStream *stream, Str *out);
