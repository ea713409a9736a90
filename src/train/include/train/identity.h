// Which model and tokenizer a run or an adapter was made with, so that another one of the same shape is not
// taken for it. A run keeps it in trainer_state.json, an adapter in adapter_base.json: a file of its own,
// because some versions of PEFT refuse an adapter_config.json with a key that they do not know, and others
// drop it.
#pragma once

#include "arch/files.h"
#include "text/tokenizer.h"

enum { FACT_SIZE = 1024 };

typedef struct ModelIdentity {
  char weights[SHA256_TEXT];   // model_files_sha256
  char tokenizer[SHA256_TEXT]; // tokenizer_sha256; "none" without a tokenizer
  char constants[FACT_SIZE];   // the sizes and constants that its config gives
  const char *quantised; // the type that its matrices are quantised to when they are loaded; NULL: to none
} ModelIdentity;

/// Reads every weight. `tokenizer` may be NULL.
STATUS_CHECKED Status identity_of(const ModelFiles *files, const Tokenizer *tokenizer, ModelIdentity *out);

/// Writes directory/adapter_base.json, which says that the adapter there was made with `identity`, read from
/// `model`.
STATUS_CHECKED Status identity_write(const ModelIdentity *identity, const char *model, const char *directory);
/// Refuses the adapter in `directory` if it was made with other weights, constants or another tokenizer than
/// `identity`, read from `model`; with `force`, warns instead. An adapter without adapter_base.json, as PEFT
/// writes it, passes with a note, and so does one whose adapter_base.json has no constants.
STATUS_CHECKED Status identity_check_adapter(const ModelIdentity *identity, const char *model,
                                             const char *directory, bool force);
