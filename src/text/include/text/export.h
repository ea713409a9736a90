// A model's tokenizer as Hugging Face's files, for an exported folder.
#pragma once

#include "util/status.h"

/// Writes into `directory` (inside an AtomicDir) what transformers' AutoTokenizer needs to give the same ids:
/// copies the tokenizer files of a Hugging Face folder; from the metadata of a .gguf file makes
/// tokenizer.json, tokenizer_config.json (with the chat template) and special_tokens_map.json.
STATUS_CHECKED Status tokenizer_export(const char *model, const char *directory);
