// Tokens of given answers. Rule: the tokens are those of the whole text, as transformers makes them, and a
// token counts if any of its bytes belongs to an answer. Where an answer begins is found by tokenising the
// text before it too.
#include "example_tokens.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

// ---- where a byte lies among the tokens ----

/// Appends the text of tokens [from, …) to `out`.
static Status append_bytes(const Tokenizer *tokenizer, const Tokens *tokens, size_t from, Str *out) {
  DecodeStream stream = {.started = from > 0};
  for (size_t i = from; i < tokens->count; i++)
    TRY(decode_stream_bytes(tokenizer, &stream, tokens->ids[i], false, out));
  return STATUS_OK;
}

/// Where `before`, the tokens of the start of a text, ends among the tokens of the whole text: *whole = the
/// number of tokens that lie in it; *inside = whether the next one begins in it. The tokens of both agree but
/// for a few at the end, and these have the same bytes up to there.
static Status find_end(const Tokenizer *tokenizer, const Tokens *before, const Tokens *all, size_t *whole,
                       bool *inside) {
  size_t same = 0, size = 0;
  Str rest = {0}, walked = {0};
  DecodeStream stream = {0};
  Status status = STATUS_OK;
  while (same < before->count && same < all->count && before->ids[same] == all->ids[same]) same++;
  TRY_CLEAN(append_bytes(tokenizer, before, same, &rest));
  stream.started = same > 0;
  for (*whole = same, *inside = false; *whole < all->count && size < rest.size; (*whole)++) {
    TRY_CLEAN(decode_stream_bytes(tokenizer, &stream, all->ids[*whole], false, &walked));
    size = walked.size;
    *inside = size > rest.size;
    if (*inside) break;
  }
cleanup:
  str_free(&rest);
  str_free(&walked);
  return status;
}

// ---- the text ----

/// A text whose spans are answers.
typedef struct Answers {
  Str text;
  ChatSpan *spans; // [count], in order; those of other messages are empty
  size_t count;
  bool add_special; // the tokenizer's own BOS; a template writes its own
  bool add_end;     // the end of the last answer is not in the text
} Answers;

static bool is_blank(const char *text) {
  return text[strspn(text, " \t\r\n")] == '\0';
}

static bool is_assistant(const char *role) {
  return role != NULL && strcmp(role, "assistant") == 0;
}

/// The messages up to the last answer.
static size_t count_messages(const Record *record) {
  size_t count = record->count;
  while (record->answer == NULL && count > 0 && !is_assistant(record->messages[count - 1].role)) count--;
  return count;
}

static Status check_record(const Record *record, bool chat) {
  size_t count = count_messages(record);
  if (record->without_content > 0)
    return status_fail(STATUS_INPUT,
                       "%zu of its messages have no content: fill them in, or leave the row out",
                       record->without_content);
  if (count == 0)
    return status_fail(STATUS_INPUT, "it has no answer of an assistant: name the column with the answers in "
                                     "data.answer_column, or give chats with answers");
  if (record->answer == NULL && !chat)
    return status_fail(STATUS_INPUT,
                       "the answers of a chat need a chat template: set model.chat_template and "
                       "data.chat = auto, or give data.answer_column");
  if (record->answer != NULL && is_assistant(record->messages[count - 1].role))
    return status_fail(STATUS_INPUT, "its chat ends with the assistant's words, and data.answer_column has "
                                     "another answer: leave one of them out");
  for (size_t i = 0; record->answer == NULL && i < count; i++) {
    if (is_assistant(record->messages[i].role) && is_blank(record->messages[i].content))
      return status_fail(STATUS_INPUT, "answer %zu of the chat is empty: fill it in, or leave the row out",
                         i + 1);
  }
  return STATUS_OK;
}

/// With data.answer_column, the answers that are in the chat already are not learnt.
static void keep_last_span(Answers *answers) {
  for (size_t i = 0; i + 1 < answers->count; i++) answers->spans[i] = (ChatSpan){0};
}

static Status render_chat(const TokeniseOptions *options, const Record *record, Answers *out) {
  ChatMessage *messages = NULL;
  size_t given = count_messages(record), count = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&messages, given + 2, "chat"));
  const char *first = record->messages[0].role;
  if (options->system != NULL && (first == NULL || strcmp(first, "system") != 0))
    messages[count++] = (ChatMessage){"system", options->system};
  for (size_t m = 0; m < given; m++) {
    const RecordMessage *message = &record->messages[m];
    messages[count++] = (ChatMessage){message->role != NULL ? message->role : "user", message->content};
  }
  if (record->answer != NULL) messages[count++] = (ChatMessage){"assistant", record->answer};
  TRY_CLEAN(mem_array(&out->spans, count, "answers of a chat"));
  out->count = count;
  TRY_CLEAN(chat_render_answers(options->chat, messages, count, &out->text, out->spans));
  if (record->answer != NULL) keep_last_span(out);
cleanup:
  free(messages);
  return status;
}

/// Without a template: the prompt as `gee` has it, and the answer right behind it.
static Status join_texts(const Record *record, Answers *out) {
  TRY(mem_array(&out->spans, 1, "an answer"));
  for (size_t m = 0; m < record->count; m++) {
    if (m > 0) TRY(str_append_text(&out->text, "\n\n"));
    TRY(str_append_text(&out->text, record->messages[m].content));
  }
  out->count = 1;
  out->add_special = out->add_end = true;
  out->spans[0].begin = out->text.size;
  TRY(str_append_text(&out->text, record->answer));
  out->spans[0].end = out->text.size;
  return STATUS_OK;
}

// ---- the tokens ----

/// The tokens of the first `size` bytes. Where the end is not in the text, a tokenizer's own is taken away.
static Status encode(const Tokenizer *tokenizer, const Answers *answers, size_t size, Tokens *out) {
  int32_t end = tokenizer_eos(tokenizer);
  out->count = 0;
  TRY(tokenizer_encode(tokenizer, str_text(&answers->text), size, answers->add_special, out));
  while (answers->add_end && out->count > 0 && out->ids[out->count - 1] == end) out->count--;
  return STATUS_OK;
}

static Status append_end(const Tokenizer *tokenizer, Tokens *tokens) {
  int32_t end = tokenizer_eos(tokenizer);
  if (end < 0)
    return status_fail(STATUS_INPUT, "the tokenizer has no EOS token to end an answer with: name a chat "
                                     "template with model.chat_template");
  return tokens_append(tokens, end);
}

/// Marks the tokens of a span in counts[tokens].
static Status mark_span(const Tokenizer *tokenizer, const Answers *answers, const ChatSpan *span,
                        const Tokens *tokens, bool *counts) {
  Tokens before = {0};
  size_t first = 0, end = 0;
  bool inside = false;
  Status status = STATUS_OK;
  TRY_CLEAN(encode(tokenizer, answers, span->begin, &before));
  TRY_CLEAN(find_end(tokenizer, &before, tokens, &first, &inside));
  TRY_CLEAN(encode(tokenizer, answers, span->end, &before));
  TRY_CLEAN(find_end(tokenizer, &before, tokens, &end, &inside));
  for (size_t t = first; t < end + inside && t < tokens->count; t++) counts[t] = true;
cleanup:
  tokens_free(&before);
  return status;
}

/// Cuts the example behind its last token that counts, and sets `prompt`, `scored` and `answered`.
static Status take_counted(Example *example, const bool *counts) {
  Tokens *tokens = &example->tokens;
  while (tokens->count > 0 && !counts[tokens->count - 1]) tokens->count--;
  while (example->prompt < tokens->count && !counts[example->prompt]) example->prompt++;
  if (example->prompt == tokens->count) return STATUS_OK;
  TRY(mem_array(&example->scored, tokens->count - example->prompt, "answers"));
  for (size_t t = example->prompt; t < tokens->count; t++) {
    example->scored[t - example->prompt] = counts[t];
    example->answered += counts[t];
  }
  return STATUS_OK;
}

static Status tokenise_answers(const Tokenizer *tokenizer, const Answers *answers, size_t max_tokens,
                               Example *example) {
  Tokens *tokens = &example->tokens;
  bool *counts = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(encode(tokenizer, answers, answers->text.size, tokens));
  TRY_CLEAN(mem_array(&counts, tokens->count + 1, "answers"));
  for (size_t i = 0; i < answers->count; i++) {
    if (answers->spans[i].end > 0)
      TRY_CLEAN(mark_span(tokenizer, answers, &answers->spans[i], tokens, counts));
  }
  if (answers->add_end) {
    TRY_CLEAN(append_end(tokenizer, tokens));
    counts[tokens->count - 1] = true;
  }
  while (tokens->count > 0 && !counts[tokens->count - 1]) tokens->count--;
  example->cut = tokens->count > max_tokens;
  if (example->cut) tokens->count = max_tokens;
  TRY_CLEAN(take_counted(example, counts));
cleanup:
  free(counts);
  return status;
}

/// What the user says before the first answer.
static Status copy_asked(const Record *record, char **out) {
  const char *asked = "";
  for (size_t m = 0; m < record->count; m++) {
    if (record->answer == NULL && is_assistant(record->messages[m].role)) break;
    if (record->messages[m].role == NULL || strcmp(record->messages[m].role, "user") == 0)
      asked = record->messages[m].content;
  }
  return str_copy(out, asked, strlen(asked));
}

Status example_tokenise(const TokeniseOptions *options, const Record *record, size_t max_tokens,
                        Example *example) {
  Answers answers = {0};
  Status status = STATUS_OK;
  *example = (Example){.row = record->row};
  TRY_CLEAN(check_record(record, options->chat != NULL));
  TRY_CLEAN(options->chat != NULL ? render_chat(options, record, &answers) : join_texts(record, &answers));
  TRY_CLEAN(tokenise_answers(options->tokenizer, &answers, max_tokens, example));
  if (example->answered > 0 && example->prompt == 0)
    TRY_CLEAN(status_fail(STATUS_INPUT, "its prompt has no tokens"));
  TRY_CLEAN(copy_asked(record, &example->asked));
  for (size_t i = 0; i < answers.count; i++) example->turns += answers.spans[i].end > 0;
cleanup:
  str_free(&answers.text);
  free(answers.spans);
  return status;
}

void example_free(Example *example) {
  tokens_free(&example->tokens);
  free(example->scored);
  free(example->asked);
  *example = (Example){0};
}
