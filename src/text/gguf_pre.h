// What the values of tokenizer.ggml.pre stand for: how text is normalized and cut.
#pragma once

#include "io/tensors.h"
#include "util/status.h"
#include <stdbool.h>

/// The pre_tokenizer and normalizer of a family's tokenizer.json.
typedef struct PreFamily {
  const char *const *patterns; // cut at the matches of each, one after the other; NULL ends the list
  bool digits;                 // first of all, numeric characters are cut apart
  bool nfc;                    // text is normalized
  bool ignore_merges;          // a piece that is a token becomes that token even if no merges lead to it
  bool add_bos;                // default of tokenizer.ggml.add_bos_token
} PreFamily;

/// The family that tokenizer.ggml.pre names. STATUS_INPUT if that is missing or unknown.
STATUS_CHECKED Status gguf_pre_family(const TensorFile *file, const char *path, const PreFamily **out);
