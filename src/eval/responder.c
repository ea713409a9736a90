// Asking in batches. Rule: a batch is packed without padding, so it gains nothing from requests of one
// length, and items keep their order. Equal contexts of a batch are computed once, and the continuations
// stand packed behind them.
#include "responder_parts.h"

#include "gen/generate.h"
#include "gen/score.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

enum {
  PASS_ROWS = 1024,      // of contexts and continuations at a time
  HEAD_ROWS = 128,       // of logits at a time
  WRITES_AT_ONCE = 32,   // texts being written
  CACHE_BYTES = 1 << 30, // of their keys and values
};

// ---- sizes ----

/// What a batch takes.
typedef struct BatchSize {
  size_t rows; // of contexts and continuations, without sharing between items
  size_t writes, prompt_rows, longest_prompt, new_tokens;
} BatchSize;

/// The rows of a continuation itself: its last token is not read.
static size_t score_rows(const ScoreRequest *score) {
  return score->tokens.count - score->in_context - 1;
}

static void add_item(const TaskRequests *requests, size_t item, BatchSize *size) {
  const RequestStart *from = &requests->starts[item], *to = from + 1;
  for (size_t c = from->context; c < to->context; c++) size->rows += requests->contexts[c].count;
  for (size_t s = from->score; s < to->score; s++) size->rows += score_rows(&requests->scores[s]);
  for (size_t w = from->write; w < to->write; w++) {
    const WriteRequest *write = &requests->writes[w];
    size->writes++;
    size->prompt_rows += write->prompt.count;
    if (write->prompt.count > size->longest_prompt) size->longest_prompt = write->prompt.count;
    if (write->max_new_tokens > size->new_tokens) size->new_tokens = write->max_new_tokens;
  }
  for (size_t r = from->reading; r < to->reading; r++) {
    const ReadingRequest *reading = &requests->readings[r];
    size->writes += reading->count * requests->gap->answers;
    size->new_tokens = requests->gap->sampling.max_new_tokens;
    for (size_t p = 0; p < reading->count; p++) {
      size->prompt_rows += reading->prompts[p].count;
      if (reading->prompts[p].count > size->longest_prompt) size->longest_prompt = reading->prompts[p].count;
    }
  }
}

static bool fits(const BatchSize *size, const ModelConfig *config) {
  size_t row_bytes = 2 * sizeof(float) * config->layers * config->kv_heads * config->head_dim;
  size_t cache_rows = size->prompt_rows + size->writes * size->new_tokens;
  return size->rows <= PASS_ROWS && size->writes <= WRITES_AT_ONCE && cache_rows <= CACHE_BYTES / row_bytes;
}

size_t responder_batch_end(const TaskRequests *requests, const ModelConfig *config, size_t begin) {
  BatchSize size = {0};
  for (size_t item = begin; item < requests->items; item++) {
    add_item(requests, item, &size);
    if (item > begin && !fits(&size, config)) return item;
  }
  return requests->items;
}

/// The pass that fits every batch. A single item may take more rows than a pass usually has, and is then
/// asked in parts; only one continuation with its context must fit.
static PassOptions pass_sizes(const TaskRequests *requests, const ModelConfig *config) {
  PassOptions sizes = {.kind = PASS_INFERENCE, .max_rows = PASS_ROWS, .head_tile_rows = HEAD_ROWS};
  for (size_t s = 0; s < requests->score_count; s++) {
    const ScoreRequest *score = &requests->scores[s];
    size_t rows = requests->contexts[score->context].count + score_rows(score);
    if (rows > sizes.max_rows) sizes.max_rows = rows;
  }
  for (size_t begin = 0, end = 0; begin < requests->items; begin = end) {
    end = responder_batch_end(requests, config, begin);
    BatchSize size = {0};
    for (size_t item = begin; item < end; item++) add_item(requests, item, &size);
    if (size.writes == 0) continue;
    size_t at_once = size.longest_prompt > size.new_tokens ? size.longest_prompt : size.new_tokens;
    PassOptions needed = generate_pass_options(size.prompt_rows, at_once, size.writes, size.new_tokens);
    if (needed.max_rows > sizes.max_rows) sizes.max_rows = needed.max_rows;
    if (needed.cache_rows > sizes.cache_rows) sizes.cache_rows = needed.cache_rows;
  }
  return sizes;
}

Status responder_create(Model *model, const TaskRequests *requests, const atomic_bool *stop,
                        Responder **out) {
  Responder *responder = NULL;
  PassOptions sizes = pass_sizes(requests, model_config(model));
  sizes.stop = stop;
  *out = NULL;
  TRY(mem_array(&responder, 1, "requests"));
  responder->requests = requests;
  responder->stop = stop;
  Status status = pass_create(model, &sizes, &responder->pass);
  if (status == STATUS_OK)
    *out = responder;
  else
    responder_free(responder);
  return status;
}

static void forget_answers(Responder *responder) {
  for (size_t i = 0; i < responder->generation_count; i++) {
    free(responder->generations[i].text);
    free(responder->generations[i].ids);
  }
  free(responder->generations);
  free(responder->loglikelihoods);
  free(responder->tokens);
  free(responder->entropies);
  responder->entropies = NULL;
  responder->generations = NULL;
  responder->generation_count = 0;
  responder->loglikelihoods = NULL;
  responder->tokens = NULL;
}

void responder_free(Responder *responder) {
  if (responder == NULL) return;
  forget_answers(responder);
  pass_free(responder->pass);
  free(responder);
}

// ---- log-likelihoods ----

/// The score requests of a batch as a job.
typedef struct Packed {
  TokenSpan *prompts;
  size_t prompt_count;
  size_t *prompt_of;    // [contexts of the batch]
  BatchAnswer *answers; // ordered by prompt
  size_t *score_of;     // [answers] index among the batch's score requests
  size_t answer_count, tokens;
} Packed;

static void packed_free(Packed *packed) {
  free(packed->prompts);
  free(packed->prompt_of);
  free(packed->answers);
  free(packed->score_of);
}

/// Lists the distinct contexts [first, end).
static void pack_contexts(const TaskRequests *requests, size_t first, size_t end, Packed *packed) {
  for (size_t c = first; c < end; c++) {
    const Tokens *context = &requests->contexts[c];
    size_t p = 0;
    while (p < packed->prompt_count &&
           (packed->prompts[p].count != context->count ||
            memcmp(packed->prompts[p].ids, context->ids, context->count * sizeof *context->ids) != 0))
      p++;
    packed->prompt_of[c - first] = p;
    if (p == packed->prompt_count)
      packed->prompts[packed->prompt_count++] = (TokenSpan){context->ids, context->count};
  }
}

static Status pack(const TaskRequests *requests, ItemRange batch, Packed *packed) {
  RequestStart from = requests->starts[batch.begin], to = requests->starts[batch.end];
  TRY(mem_array(&packed->prompts, to.context - from.context, "contexts"));
  TRY(mem_array(&packed->prompt_of, to.context - from.context, "contexts"));
  TRY(mem_array(&packed->answers, to.score - from.score, "continuations"));
  TRY(mem_array(&packed->score_of, to.score - from.score, "continuations"));
  pack_contexts(requests, from.context, to.context, packed);
  for (size_t p = 0; p < packed->prompt_count; p++) {
    for (size_t s = from.score; s < to.score; s++) {
      const ScoreRequest *score = &requests->scores[s];
      if (packed->prompt_of[score->context - from.context] != p) continue;
      packed->score_of[packed->answer_count] = s - from.score;
      packed->answers[packed->answer_count++] = (BatchAnswer){
          .prompt = p, .tokens = {score->tokens.ids, score->tokens.count}, .in_prompt = score->in_context};
      packed->tokens += score->tokens.count;
    }
  }
  return STATUS_OK;
}

/// Sums log p over the tokens of each answer.
static void add_up(Responder *responder, const Packed *packed, const float *logprob) {
  for (size_t a = 0; a < packed->answer_count; a++) {
    size_t count = packed->answers[a].tokens.count;
    double sum = 0;
    for (size_t t = 0; t < count; t++) sum += (double)*logprob++;
    responder->loglikelihoods[packed->score_of[a]] = sum;
    responder->tokens[packed->score_of[a]] = count;
  }
}

static Status ask_scores(Responder *responder) {
  Packed packed = {0};
  float *logprob = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(pack(responder->requests, responder->batch, &packed));
  TRY_CLEAN(mem_array(&responder->loglikelihoods, packed.answer_count, "log-likelihoods"));
  TRY_CLEAN(mem_array(&responder->tokens, packed.answer_count, "log-likelihoods"));
  TRY_CLEAN(mem_array(&logprob, packed.tokens, "log probabilities"));
  ScoreJob job = {.prompts = packed.prompts,
                  .prompt_count = packed.prompt_count,
                  .answers = packed.answers,
                  .answer_count = packed.answer_count,
                  .tau = 1};
  TRY_CLEAN(score_answers(responder->pass, &job, NULL, logprob));
  add_up(responder, &packed, logprob);
cleanup:
  packed_free(&packed);
  free(logprob);
  return status;
}

// ---- generations ----

/// A text being written.
typedef struct Writing {
  const WriteRequest *request;
  DecodeStream stream;
  Str text; // with special tokens, which a stop string may name
} Writing;

typedef struct Writer {
  const TaskRequests *requests;
  Writing *writings;
  Status status; // of decoding
} Writer;

/// The bytes before the first stop string, or all. The text may hold NUL.
static size_t size_to_stop(const Str *text, const char *const *stops) {
  size_t size = text->size;
  for (size_t i = 0; stops != NULL && stops[i] != NULL; i++) {
    const char *found = memmem(str_text(text), text->size, stops[i], strlen(stops[i]));
    if (found != NULL && (size_t)(found - text->data) < size) size = (size_t)(found - text->data);
  }
  return size;
}

/// Returns whether the text goes on after the token.
static bool take_token(void *user, size_t request, int32_t token) {
  Writer *writer = user;
  Writing *writing = &writer->writings[request];
  Status status =
      decode_stream_push(writer->requests->tokenizer, &writing->stream, token, false, &writing->text);
  if (status != STATUS_OK) writer->status = status;
  return status == STATUS_OK && size_to_stop(&writing->text, writing->request->stops) == writing->text.size;
}

Status responder_keep_text(Responder *responder, Answer *answer, const char *const *stops) {
  TaskGeneration *generation = &responder->generations[responder->generation_count++];
  Str text = {0};
  generation->ids = answer->tokens;
  generation->count = answer->count;
  answer->tokens = NULL;
  Status status =
      tokenizer_decode(responder->requests->tokenizer, generation->ids, generation->count, true, &text);
  if (status == STATUS_OK) {
    generation->size = size_to_stop(&text, stops);
    status = str_copy(&generation->text, str_text(&text), generation->size);
  }
  str_free(&text);
  return status;
}

/// Writes texts of at most one limit of new tokens; `count` of them from `first` on.
static Status write_texts(Responder *responder, size_t first, size_t count) {
  const WriteRequest *requests = &responder->requests->writes[first];
  TokenSpan *prompts = NULL;
  AnswerRequest *wanted = NULL;
  Answer *answers = NULL;
  Writer writer = {.requests = responder->requests};
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&prompts, count, "prompts"));
  TRY_CLEAN(mem_array(&wanted, count, "prompts"));
  TRY_CLEAN(mem_array(&answers, count, "texts"));
  TRY_CLEAN(mem_array(&writer.writings, count, "texts"));
  for (size_t i = 0; i < count; i++) {
    prompts[i] = (TokenSpan){requests[i].prompt.ids, requests[i].prompt.count};
    wanted[i] = (AnswerRequest){i, 0};
    writer.writings[i].request = &requests[i];
  }
  GenerateJob job = {
      .prompts = prompts,
      .prompt_count = count,
      .requests = wanted,
      .request_count = count,
      .sampling = {.max_new_tokens = requests->max_new_tokens, .top_p = 1, .repetition_penalty = 1},
      .entropy_tau = 1,
      .on_token = take_token,
      .user = &writer,
      .stop = responder->stop};
  TRY_CLEAN(generate(responder->pass, &job, answers));
  TRY_CLEAN(writer.status);
  for (size_t i = 0; i < count; i++)
    TRY_CLEAN(responder_keep_text(responder, &answers[i], requests[i].stops));
cleanup:
  for (size_t i = 0; i < count && answers != NULL; i++) answer_free(&answers[i]);
  for (size_t i = 0; i < count && writer.writings != NULL; i++) str_free(&writer.writings[i].text);
  free(writer.writings);
  free(prompts);
  free(wanted);
  free(answers);
  return status;
}

/// Texts with one limit of new tokens are written together.
static Status ask_writes(Responder *responder) {
  const TaskRequests *requests = responder->requests;
  size_t first = requests->starts[responder->batch.begin].write, end = first;
  size_t last = requests->starts[responder->batch.end].write;
  if (first == last) return STATUS_OK;
  TRY(mem_array(&responder->generations, last - first, "texts"));
  for (; first < last; first = end) {
    while (end < last && requests->writes[end].max_new_tokens == requests->writes[first].max_new_tokens)
      end++;
    TRY(write_texts(responder, first, end - first));
  }
  return STATUS_OK;
}

// ---- answers ----

Status responder_ask(Responder *responder, ItemRange batch) {
  forget_answers(responder);
  responder->batch = batch;
  TRY(ask_scores(responder));
  TRY(ask_writes(responder));
  return responder_ask_readings(responder);
}

TaskAnswers responder_answers(const Responder *responder, size_t item) {
  const RequestStart *first = &responder->requests->starts[responder->batch.begin];
  const RequestStart *from = &responder->requests->starts[item], *to = from + 1;
  if (to->reading > from->reading) return responder_readings(responder, item);
  return (TaskAnswers){.loglikelihoods = responder->loglikelihoods + (from->score - first->score),
                       .tokens = responder->tokens + (from->score - first->score),
                       .count = to->score - from->score,
                       .generations = responder->generations + (from->write - first->write),
                       .generation_count = to->write - from->write};
}
