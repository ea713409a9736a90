// Rendering and tokenising. Rule: a long prompt loses the end of the user's words; the template around them
// is never cut.
#include "tokenise.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

Status tokenise_choose(const DataOptions *options, const Tokenizer *tokenizer, const ChatTemplate *template,
                       TokeniseOptions *out) {
  const char *chat = options->chat != NULL ? options->chat : "auto", *system = options->system;
  if (system != NULL && system[0] == '\0') system = NULL;
  bool on = strcmp(chat, "on") == 0, off = strcmp(chat, "off") == 0;
  if (!on && !off && strcmp(chat, "auto") != 0)
    return status_fail(STATUS_INPUT, "data.chat = %s: set auto, on or off", chat);
  if (on && !chat_is_there(template) && tokenizer != NULL)
    return status_fail(
        STATUS_INPUT, "data.chat = on: the model has no chat template; name one with model.chat_template, or "
                      "set data.chat = auto");
  if (system != NULL && (off || (!chat_is_there(template) && tokenizer != NULL)))
    return status_fail(
        STATUS_INPUT, "data.system is set, but %s, so no system prompt can be given; leave data.system empty",
        off ? "data.chat = off" : "the model has no chat template");
  *out = (TokeniseOptions){tokenizer, off || !chat_is_there(template) ? NULL : template, system,
                           options->max_prompt_tokens};
  return STATUS_OK;
}

static Status render_chat(const TokeniseOptions *o, const Draft *draft, Str *out) {
  ChatMessage *messages = NULL;
  Status status = STATUS_OK;
  size_t count = 0;
  TRY_CLEAN(mem_array(&messages, draft->count + 1, "chat"));
  bool has_system = strcmp(draft->messages[0].role, "system") == 0;
  if (o->system != NULL && !has_system) messages[count++] = (ChatMessage){"system", o->system};
  for (size_t m = 0; m < draft->count; m++)
    messages[count++] = (ChatMessage){draft->messages[m].role, draft->messages[m].content};
  TRY_CLEAN(chat_render(o->chat, messages, count, out));
cleanup:
  free(messages);
  return status;
}

static Status encode_draft(const TokeniseOptions *o, const Draft *draft, Tokens *out) {
  Str text = {0};
  Status status = STATUS_OK;
  out->count = 0;
  if (o->chat != NULL) {
    TRY_CLEAN(render_chat(o, draft, &text));
  } else {
    for (size_t m = 0; m < draft->count; m++) {
      if (m > 0) TRY_CLEAN(str_append_text(&text, "\n\n"));
      TRY_CLEAN(str_append_text(&text, draft->messages[m].content));
    }
  }
  // A template writes its own BOS.
  TRY_CLEAN(tokenizer_encode(o->tokenizer, str_text(&text), text.size, o->chat == NULL, out));
cleanup:
  str_free(&text);
  return status;
}

/// Drops the last `over` tokens of `text`, and the rest of a character that this cuts in two. `over` > 0. A
/// text that is not empty gets shorter, so the loop in draft_tokenise ends.
static Status drop_tokens(const Tokenizer *tokenizer, size_t over, char *text) {
  Tokens tokens = {0};
  Str kept = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(tokenizer_encode(tokenizer, text, strlen(text), false, &tokens));
  size_t keep = tokens.count > over ? tokens.count - over : 0;
  TRY_CLEAN(tokenizer_decode(tokenizer, tokens.ids, keep, false, &kept));
  // Keep what both texts begin with. Decoding writes U+FFFD for half a character, and where they differ the
  // common part ends; `same + 1 < size` drops at least one byte even where a tokenizer does not decode to
  // what it encoded.
  size_t same = 0, size = strlen(text);
  while (same < kept.size && same + 1 < size && kept.data[same] == text[same]) same++;
  while (same > 0 && ((unsigned char)text[same] & 0xC0) == 0x80) same--;
  text[keep > 0 ? same : 0] = '\0';
cleanup:
  tokens_free(&tokens);
  str_free(&kept);
  return status;
}

Status draft_tokenise(const TokeniseOptions *options, Draft *draft) {
  char *asked = draft->messages[draft->last_user].content;
  Tokens *out = &draft->tokens;
  TRY(encode_draft(options, draft, out));
  while (options->max_tokens > 0 && out->count > options->max_tokens) {
    if (asked[0] == '\0')
      return status_fail(
          STATUS_INPUT,
          "data.max_prompt_tokens = %zu: prompt %zu needs %zu tokens without its text; raise it",
          options->max_tokens, draft->source + 1, out->count);
    draft->shortened = true;
    TRY(drop_tokens(options->tokenizer, out->count - options->max_tokens, asked));
    TRY(encode_draft(options, draft, out));
  }
  return STATUS_OK;
}
