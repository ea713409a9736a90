// From a chat to what the model sees.
#pragma once

#include "drafts.h"

typedef struct TokeniseOptions {
  const Tokenizer *tokenizer;
  ChatFamily family;  // CHAT_NONE: no template, the contents parted by a blank line
  const char *system; // put in front of chats that have no system message; NULL: none
  size_t max_tokens;  // 0: no limit
} TokeniseOptions;

/// Appends the tokens of the draft. Where they are too many, the user text that is asked loses its end, in
/// `draft` too, and *shortened is true; STATUS_INPUT where the rest alone is too long.
STATUS_CHECKED Status draft_tokenise(const TokeniseOptions *options, Draft *draft, Tokens *out,
                                     bool *shortened);
