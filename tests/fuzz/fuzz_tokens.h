// Encoding and decoding a text with a tokenizer that loaded, for the targets of tokenizers.
#pragma once

#include "fuzz.h"
#include "text/tokenizer.h"
#include <string.h>

/// Ids are in the vocabulary, and decoding them at once or one by one gives the same text.
static inline void fuzz_encode(const Tokenizer *tokenizer, const char *text, size_t size) {
  Tokens tokens = {0};
  Str whole = {0}, streamed = {0};
  DecodeStream stream = {0};
  if (!fuzz_accepted(tokenizer_encode(tokenizer, text, size, true, &tokens))) {
    tokens_free(&tokens);
    return;
  }
  for (size_t i = 0; i < tokens.count; i++) {
    FUZZ_CHECK(tokens.ids[i] >= 0 && (size_t)tokens.ids[i] < tokenizer_vocab_size(tokenizer));
    FUZZ_CHECK(decode_stream_push(tokenizer, &stream, tokens.ids[i], false, &streamed) == STATUS_OK);
  }
  FUZZ_CHECK(decode_stream_end(&stream, &streamed) == STATUS_OK);
  FUZZ_CHECK(tokenizer_decode(tokenizer, tokens.ids, tokens.count, false, &whole) == STATUS_OK);
  FUZZ_CHECK(whole.size == streamed.size && memcmp(str_text(&whole), str_text(&streamed), whole.size) == 0);
  str_free(&whole);
  str_free(&streamed);
  tokens_free(&tokens);
}
