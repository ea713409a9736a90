// Byte-level BPE from a Hugging Face tokenizer.json or from GGUF metadata, to the same ids as Hugging Face's.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Tokenizer Tokenizer;

/// Tokens in memory of the owner; zero-initialise, free with tokens_free.
typedef struct Tokens {
  int32_t *ids;
  size_t count, capacity;
} Tokens;
void tokens_free(Tokens *tokens);
STATUS_CHECKED Status tokens_append(Tokens *tokens, int32_t id);

/// `model` is a Hugging Face folder (tokenizer.json, tokenizer_config.json) or a .gguf file. STATUS_INPUT for
/// another kind of tokenizer (its type is named), an unknown pre-tokeniser, or a broken file.
STATUS_CHECKED Status tokenizer_load(const char *model, Tokenizer **out);
void tokenizer_free(Tokenizer *tokenizer);

size_t tokenizer_vocab_size(const Tokenizer *tokenizer);
/// −1 where the model names none.
int32_t tokenizer_bos(const Tokenizer *tokenizer);
int32_t tokenizer_eos(const Tokenizer *tokenizer);
/// Id of a token by its exact text (added tokens included); −1 where there is none.
int32_t tokenizer_find(const Tokenizer *tokenizer, const char *text);
bool tokenizer_is_special(const Tokenizer *tokenizer, int32_t id);

/// Appends the ids of `size` bytes of UTF-8 (invalid bytes become U+FFFD, as Hugging Face reads them). Text
/// of added tokens in it is recognised. `add_special`: as add_special_tokens=True (a BOS where this
/// tokenizer's post-processor puts one).
STATUS_CHECKED Status tokenizer_encode(const Tokenizer *tokenizer, const char *text, size_t size,
                                       bool add_special, Tokens *out);
/// Appends the text of the tokens; special tokens are left out where `skip_special`.
STATUS_CHECKED Status tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, size_t count,
                                       bool skip_special, Str *out);

/// Streaming: holds back the bytes of a character not yet complete. Zero-initialise.
typedef struct DecodeStream {
  char pending[8];
  size_t size;
} DecodeStream;
STATUS_CHECKED Status decode_stream_push(const Tokenizer *tokenizer, DecodeStream *stream, int32_t id,
                                         bool skip_special, Str *out);
/// What is left at the end: an incomplete character becomes U+FFFD.
STATUS_CHECKED Status decode_stream_end(DecodeStream *stream, Str *out);
