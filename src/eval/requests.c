// From texts to tokens. Rule: every log-likelihood follows lm-evaluation-harness (0.4.13, HFLM), and this is
// the only place that knows how:
//
//   no context     start token + enc(text), of which the text is scored. The start token is the tokenizer's
//   BOS,
//                  else its EOS. If enc(text) begins with it, it is not put in front a second time.
//   a context      its blanks at the end move to the front of the continuation, of which
//                  enc(context + continuation)[len(enc(context)):] is scored. enc adds special tokens if the
//                  tokenizer does by itself (Llama's BOS), unless the text begins with the start token.
//   too long       tokens are dropped at the front of the context until max_positions + 1 are left, of which
//                  the last is predicted and not read.
#include "requests.h"

#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

static Status copy_tokens(TokenSpan span, Tokens *out) {
  for (size_t i = 0; i < span.count; i++) TRY(tokens_append(out, span.ids[i]));
  return STATUS_OK;
}

// ---- what the continuations of an item begin with ----

/// What all continuations of a context begin with, and have another token behind; *users = the number of
/// continuations.
static TokenSpan common_beginning(const TaskRequests *requests, RequestStart from, size_t context,
                                  size_t *users) {
  TokenSpan common = {0};
  *users = 0;
  for (size_t s = from.score; s < requests->score_count; s++) {
    const Tokens *tokens = &requests->scores[s].tokens;
    if (requests->scores[s].context != context) continue;
    if (*users == 0) common = (TokenSpan){tokens->ids, tokens->count - 1};
    size_t same = 0;
    while (same < common.count && same < tokens->count - 1 && tokens->ids[same] == common.ids[same]) same++;
    common.count = same;
    ++*users;
  }
  return common;
}

/// Moves what all continuations of a context begin with into it. A context that has grown is no longer one
/// with the same one of another item, and what is shared must be worth more than that.
static Status share_beginning(TaskRequests *requests, RequestStart from, size_t context) {
  Tokens *shared = &requests->contexts[context];
  size_t users = 0;
  TokenSpan common = common_beginning(requests, from, context, &users);
  if (common.count == 0 || common.count * (users - 1) <= shared->count) return STATUS_OK;
  for (size_t s = from.score; s < requests->score_count; s++)
    if (requests->scores[s].context == context) requests->scores[s].in_context = common.count;
  return copy_tokens(common, shared);
}

Status requests_next_item(TaskRequests *requests) {
  RequestStart from = requests->starts == NULL ? (RequestStart){0} : requests->starts[requests->items];
  for (size_t c = from.context; c < requests->context_count; c++) TRY(share_beginning(requests, from, c));
  TRY(mem_reserve(&requests->starts, &requests->start_capacity, requests->items + 2, "requests"));
  requests->starts[++requests->items] = (RequestStart){requests->context_count, requests->score_count,
                                                       requests->write_count, requests->reading_count};
  return STATUS_OK;
}

void requests_free(TaskRequests *requests) {
  for (size_t i = 0; i < requests->context_count; i++) tokens_free(&requests->contexts[i]);
  for (size_t i = 0; i < requests->score_count; i++) tokens_free(&requests->scores[i].tokens);
  for (size_t i = 0; i < requests->write_count; i++) tokens_free(&requests->writes[i].prompt);
  for (size_t i = 0; i < requests->reading_count; i++) {
    ReadingRequest *reading = &requests->readings[i];
    for (size_t p = 0; p < reading->count; p++) tokens_free(&reading->prompts[p]);
    free(reading->prompts);
  }
  free(requests->readings);
  free(requests->contexts);
  free(requests->scores);
  free(requests->writes);
  free(requests->starts);
  *requests = (TaskRequests){0};
}

const Tokenizer *requests_tokenizer(const TaskRequests *requests) {
  return requests->tokenizer;
}

const ChatTemplate *requests_chat(const TaskRequests *requests) {
  return requests->chat;
}

// ---- log-likelihoods ----

/// *context = the current item's context of these tokens, which is added if there is none.
static Status find_context(TaskRequests *requests, TokenSpan span, size_t *context) {
  size_t first = requests->starts == NULL ? 0 : requests->starts[requests->items].context;
  for (*context = first; *context < requests->context_count; ++*context) {
    const Tokens *known = &requests->contexts[*context];
    if (known->count == span.count && memcmp(known->ids, span.ids, span.count * sizeof *span.ids) == 0)
      return STATUS_OK;
  }
  TRY(mem_reserve(&requests->contexts, &requests->context_capacity, requests->context_count + 1, "requests"));
  return copy_tokens(span, &requests->contexts[requests->context_count++]);
}

Status request_tokens(TaskRequests *requests, TokenSpan context, TokenSpan continuation) {
  size_t most = requests->max_positions;
  if (context.count == 0 || continuation.count == 0)
    return status_fail(STATUS_INPUT, "%s has no tokens", context.count == 0 ? "a context" : "a continuation");
  if (most > 0 && continuation.count > most)
    return status_fail(STATUS_INPUT, "a text has %zu tokens, but the model takes at most %zu",
                       continuation.count, most);
  if (most > 0 && context.count + continuation.count > most + 1) {
    size_t dropped = context.count + continuation.count - (most + 1);
    context = (TokenSpan){context.ids + dropped, context.count - dropped};
    requests->cut++;
  }
  size_t index = 0;
  TRY(find_context(requests, context, &index));
  TRY(mem_reserve(&requests->scores, &requests->score_capacity, requests->score_count + 1, "requests"));
  ScoreRequest *score = &requests->scores[requests->score_count++];
  score->context = index;
  return copy_tokens(continuation, &score->tokens);
}

/// The token that stands in front of a text without a context; −1: the tokenizer has none.
static int32_t start_token(const TaskRequests *requests) {
  int32_t bos = tokenizer_bos(requests->tokenizer);
  return bos >= 0 ? bos : tokenizer_eos(requests->tokenizer);
}

Status request_encoded(TaskRequests *requests, TokenSpan tokens) {
  int32_t start = start_token(requests);
  bool there = tokens.count > 0 && tokens.ids[0] == start;
  if (start < 0)
    return status_fail(STATUS_INPUT, "the tokenizer has no start and no end token to put in front of a text");
  if (tokens.count <= there) return status_fail(STATUS_INPUT, "a text has no tokens to score");
  return request_tokens(requests, (TokenSpan){&start, 1},
                        (TokenSpan){tokens.ids + there, tokens.count - there});
}

Status request_text(TaskRequests *requests, const char *text) {
  Tokens tokens = {0};
  Status status = tokenizer_encode(requests->tokenizer, text, strlen(text), false, &tokens);
  if (status == STATUS_OK) status = request_encoded(requests, (TokenSpan){tokens.ids, tokens.count});
  tokens_free(&tokens);
  return status;
}

/// Appends the ids of a text that has a context in front, or is one.
static Status encode(const TaskRequests *requests, const char *text, size_t size, Tokens *out) {
  Str start = {0};
  int32_t id = start_token(requests);
  Status status = STATUS_OK;
  if (id >= 0) TRY_CLEAN(tokenizer_decode(requests->tokenizer, &id, 1, false, &start));
  bool begun = start.size > 0 && size >= start.size && memcmp(text, start.data, start.size) == 0;
  TRY_CLEAN(tokenizer_encode(requests->tokenizer, text, size, !begun, out));
cleanup:
  str_free(&start);
  return status;
}

/// `whole` begins with a context, whose tokens alone are `context`.
static Status request_continuation(TaskRequests *requests, const Str *whole, const Tokens *context) {
  Tokens tokens = {0};
  Status status = encode(requests, str_text(whole), whole->size, &tokens);
  if (status == STATUS_OK && tokens.count <= context->count)
    status = status_fail(STATUS_INPUT, "a continuation has no tokens of its own behind its context");
  if (status == STATUS_OK)
    status = request_tokens(requests, (TokenSpan){context->ids, context->count},
                            (TokenSpan){tokens.ids + context->count, tokens.count - context->count});
  tokens_free(&tokens);
  return status;
}

/// The bytes of a text without the blanks at its end, as Python's str.rstrip counts them.
static size_t size_without_blanks(const char *text) {
  const char *stripped = text;
  size_t size = strlen(text);
  utf8_strip(&stripped, &size);
  return size == 0 ? 0 : (size_t)(stripped - text) + size;
}

Status request_continuations(TaskRequests *requests, const char *context, const char *const *continuations,
                             size_t count) {
  size_t size = size_without_blanks(context);
  Tokens tokens = {0};
  Str whole = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(encode(requests, context, size, &tokens));
  for (size_t i = 0; i < count; i++) {
    str_clear(&whole);
    TRY_CLEAN(str_append_text(&whole, context));
    TRY_CLEAN(str_append_text(&whole, continuations[i]));
    TRY_CLEAN(request_continuation(requests, &whole, &tokens));
  }
cleanup:
  tokens_free(&tokens);
  str_free(&whole);
  return status;
}

// ---- generations ----

Status request_generation(TaskRequests *requests, TokenSpan prompt, size_t max_new_tokens,
                          const char *const *stops) {
  size_t most = requests->max_positions;
  if (prompt.count == 0 || max_new_tokens == 0)
    return status_fail(STATUS_INPUT, "a text to write has no prompt, or no room for a token");
  if (most > 0 && max_new_tokens >= most)
    return status_fail(STATUS_INPUT, "%zu new tokens leave no room for a prompt: the model takes %zu",
                       max_new_tokens, most);
  if (most > 0 && prompt.count > most - max_new_tokens) {
    size_t dropped = prompt.count - (most - max_new_tokens);
    prompt = (TokenSpan){prompt.ids + dropped, prompt.count - dropped};
    requests->cut++;
  }
  TRY(mem_reserve(&requests->writes, &requests->write_capacity, requests->write_count + 1, "requests"));
  WriteRequest *write = &requests->writes[requests->write_count++];
  write->max_new_tokens = max_new_tokens;
  write->stops = stops;
  return copy_tokens(prompt, &write->prompt);
}

Status request_readings(TaskRequests *requests, const TokenSpan *prompts, size_t count, size_t set) {
  if (requests->gap == NULL) return status_fail(STATUS_FAILED, "nobody says how answers are sampled");
  size_t most = requests->max_positions, new_tokens = requests->gap->sampling.max_new_tokens;
  TRY(mem_reserve(&requests->readings, &requests->reading_capacity, requests->reading_count + 1, "requests"));
  ReadingRequest *reading = &requests->readings[requests->reading_count++];
  TRY(mem_array(&reading->prompts, count, "requests"));
  reading->set = set;
  for (size_t p = 0; p < count; p++) {
    if (prompts[p].count == 0) return status_fail(STATUS_INPUT, "a prompt has no tokens");
    if (most > 0 && prompts[p].count + new_tokens > most)
      return status_fail(STATUS_INPUT,
                         "a prompt has %zu tokens, and an answer up to %zu, but the model takes %zu",
                         prompts[p].count, new_tokens, most);
    TRY(copy_tokens(prompts[p], &reading->prompts[reading->count++]));
  }
  return STATUS_OK;
}
