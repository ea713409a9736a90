// Chat templates, rendered in C. A template is recognised by its whole text. One that is not known is no
// fault until a chat is to be rendered; then it is an error, never a guess.
#pragma once

#include "text/tokenizer.h"

typedef struct ChatMessage {
  const char *role, *content; // UTF-8, NUL-terminated
} ChatMessage;

typedef struct ChatOptions {
  const char
      *name; // of a template that takes the place of the model's (model.chat_template); NULL or "auto": none
  const char *usual; // the template to suggest for a model of this family; NULL: none
  // What stands for today's date in the templates that print one; NULL: 26 Jul 2024, the date that those
  // templates themselves give where there is no clock, so that a prompt is the same on any day.
  const char *date;
} ChatOptions;

/// The template of a model, with the texts of its tokenizer's BOS and EOS.
typedef struct ChatTemplate ChatTemplate;

/// Finds the template of the model at `model` (folder or .gguf), as transformers does: chat_template.jinja,
/// else chat_template in tokenizer_config.json (a text, or a list of which "default" is taken); GGUF's
/// tokenizer.chat_template. `tokenizer` may be NULL: it has no BOS and no EOS then. STATUS_INPUT if a file
/// cannot be read, if no template has the name in `options`, or if there is a date and the template prints
/// none.
STATUS_CHECKED Status chat_open(const char *model, const Tokenizer *tokenizer, const ChatOptions *options,
                                ChatTemplate **out);
/// Safe on NULL.
void chat_free(ChatTemplate *chat);
/// "none" if the model has no template, "not recognised", or the template's name.
const char *chat_name(const ChatTemplate *chat);
/// The model has a template, recognised or not. False for NULL.
bool chat_is_there(const ChatTemplate *chat);
/// The name of template `index` that options.name may have; NULL after the last. "none" is one of them.
const char *chat_name_at(size_t index);

/// Appends what transformers' apply_chat_template prints with add_generation_prompt=True, without tools, and
/// with the date above. It has every special token as text, so encode it with add_special = false.
/// STATUS_INPUT for a template that is not there or not known, no messages, roles or an order that the
/// template refuses, drops or keeps for tools, and a BOS or EOS that the template needs and the tokenizer
/// lacks.
STATUS_CHECKED Status chat_render(const ChatTemplate *chat, const ChatMessage *messages, size_t count,
                                  Str *out);

/// Where an answer lies in a rendered chat, in bytes of the whole text.
typedef struct ChatSpan {
  size_t begin, end;
} ChatSpan;

/// Appends a chat with its answers, as apply_chat_template prints it with add_generation_prompt=False, at
/// least up to the end of its last answer. spans[i] = what the model is to write for message i, if that is
/// the assistant's (else it is empty): from where chat_render of the messages before it ends, to behind the
/// token that ends its turn. STATUS_INPUT also if the last message is not the assistant's, or the template
/// writes answers otherwise than it asks for them.
STATUS_CHECKED Status chat_render_answers(const ChatTemplate *chat, const ChatMessage *messages, size_t count,
                                          Str *out, ChatSpan *spans);
