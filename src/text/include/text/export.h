// A model's tokenizer as Hugging Face's files, for an exported folder.
#pragma once

#include "util/status.h"

/// Writes into `directory` (inside an AtomicDir) what transformers' AutoTokenizer needs to give the same ids:
/// from a Hugging Face folder its tokenizer files are copied; from a .gguf file tokenizer.json,
/// tokenizer_config.json (with the chat template) and special_tokens_map.json are written out of the
/// metadata.
STATUS_CHECKED Status tokenizer_export(const char *model, const char *directory);
