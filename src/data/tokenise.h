// From a chat to the tokens that the model sees.
#pragma once

#include "drafts.h"

typedef struct TokeniseOptions {
  const Tokenizer *tokenizer;
  const ChatTemplate *chat; // NULL: no template, a blank line between the messages
  const char *system;       // put in front of chats that have no system message; NULL: none
  size_t max_tokens;        // 0: no limit
} TokeniseOptions;

/// What data.chat, data.system and data.max_prompt_tokens ask for; refuses what contradicts the model.
STATUS_CHECKED Status tokenise_choose(const DataOptions *options, const Tokenizer *tokenizer,
                                      const ChatTemplate *template, TokeniseOptions *out);
/// Fills the draft's tokens. If they are too many, cuts the end of the last user message and sets
/// `shortened`. STATUS_INPUT if the prompt is too long even without that message.
STATUS_CHECKED Status draft_tokenise(const TokeniseOptions *options, Draft *draft);
