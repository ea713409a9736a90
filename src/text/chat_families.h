// The chat templates that are rendered here: one table, with the texts they are recognised by.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

// Stand for the tokens and words that a rendering fills in.
#define CHAT_BOS        "\1" // nothing if the tokenizer has none, as {{ bos_token }} prints then
#define CHAT_NEEDED_BOS "\2" // bos_token + …, an error of the template if there is none
#define CHAT_EOS        "\3" // eos_token, which every template here needs
#define CHAT_ROLE       "\4"
#define CHAT_DATE       "\5"

/// What stands around the content of a message.
typedef struct ChatTurn {
  const char *before, *after; // NULL: the template refuses or drops such a message, so it is refused
} ChatTurn;

typedef enum ChatSystem {
  SYSTEM_ANYWHERE,      // as any other turn
  SYSTEM_FIRST,         // at the start only
  SYSTEM_IN_FIRST_TURN, // put into the first message, a user's
  SYSTEM_IN_LAST_TURN,  // put into the last message, a user's
} ChatSystem;

typedef enum ChatStrip { STRIP_NOTHING, STRIP_ALL, STRIP_ANSWERS } ChatStrip;

enum { CHAT_MAX_PATTERNS = 4 };

typedef struct ChatFamily {
  const char *name;
  const char *start;             // before the first message
  ChatTurn system, user, answer; // "assistant"
  ChatTurn other;                // of any other role
  ChatTurn first_system;         // of a system message at the start, if that is another
  const char *default_system;    // the content of a first system message in a chat without one; NULL: none
  const char *last_answer_after; // after an answer that ends the chat, if that is another
  const char *prompt;            // after the last message, where the model answers
  ChatSystem place;
  ChatStrip strip;        // contents of which white space at both ends is cut, as "| trim" does
  bool alternate;         // user and assistant must alternate, the user first
  bool skip_empty_system; // an empty system message is left out
  bool drop_thinking;     // answers lose everything up to </think>
  bool refuse_tools;      // of the other roles, tool and ipython
  const char *patterns[CHAT_MAX_PATTERNS]; // canonical templates (chat_template.h)
} ChatFamily;

/// Entry `index`; NULL after the last. The first is "none", which renders nothing.
const ChatFamily *chat_family_at(size_t index);
/// *out = the entry that a template's text belongs to, or NULL. Its canonical form (chat_template.h) must
/// match a pattern as a whole: a template that differs in any character that reaches the output is unknown.
STATUS_CHECKED Status chat_family_of(const char *text, const ChatFamily **out);
