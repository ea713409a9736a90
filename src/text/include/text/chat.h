// Chat templates, rendered in C. A template is recognised by its text (chat_template.jinja,
// tokenizer_config.json or GGUF's tokenizer.chat_template). An unknown one is an error, never a guess.
#pragma once

#include "text/tokenizer.h"

typedef enum ChatFamily {
  CHAT_NONE,        // the model has no template
  CHAT_CHATML,      // <|im_start|>role … <|im_end|> without a default system prompt
  CHAT_SMOLLM2,     // ChatML with SmolLM2's default system prompt
  CHAT_QWEN25,      // ChatML with "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
  CHAT_QWEN2,       // ChatML with "You are a helpful assistant."
  CHAT_QWEN25_MATH, // ChatML with "Please reason step by step, and put your final answer within \boxed{}."
  CHAT_LLAMA3,      // <|start_header_id|>role<|end_header_id|> … <|eot_id|>
  CHAT_LLAMA31,     // the same after a system message with two dates (Llama 3.1, 3.2, 3.3)
} ChatFamily;

typedef struct ChatMessage {
  const char *role, *content; // UTF-8, NUL-terminated
} ChatMessage;

/// The family of the model at `model` (folder or .gguf); CHAT_NONE if it has no template. `override` is a
/// name from chat_family_name (config model.chat_template), or NULL or "auto". STATUS_INPUT if the template
/// is neither known nor overridden (unless `usual` is NULL, the message suggests that family), or if
/// `override` is not a family's name.
STATUS_CHECKED Status chat_detect(const char *model, const char *override, const char *usual,
                                  ChatFamily *out);
/// The family of a template's text. STATUS_INPUT, with the file `name` and the suggestion `usual`, if it is
/// not known.
STATUS_CHECKED Status chat_recognise(const char *template_text, const char *name, const char *usual,
                                     ChatFamily *out);
/// "none", "chatml", "smollm2", "qwen2.5", "qwen2", "qwen2.5-math", "llama3", "llama3.1".
const char *chat_family_name(ChatFamily family);
/// Appends the rendering, identical to transformers' apply_chat_template without tools, except that
/// Llama 3.2's template writes the current date and this writes its default, 26 Jul 2024, so that a prompt is
/// the same on any day. The rendering has every special token as text, so encode it with add_special = false.
/// STATUS_INPUT for CHAT_NONE, no messages, or a role that the family's template drops or reserves for tools.
STATUS_CHECKED Status chat_render(ChatFamily family, const ChatMessage *messages, size_t count,
                                  bool add_generation_prompt, Str *out);
