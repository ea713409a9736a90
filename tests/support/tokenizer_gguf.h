// Tokenizers as GGUF files.
#pragma once

#include "support/test.h"

/// Writes a .gguf file without tensors: the vocabulary and merges of tests/text/bpe_<family>, pre-tokenizer
/// `pre`. Fails the test if it cannot.
void tokenizer_gguf_write(const char *family, const char *pre, bool add_bos, const char *path);
