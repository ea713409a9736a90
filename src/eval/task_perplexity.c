// Perplexity: exp of the mean of −log p over the tokens of texts. Rule: every token of a text is predicted
// exactly once, so figures of different texts cannot be compared, nor those of different tokenizers, except
// for word_ppl, byte_ppl and bits_per_byte.
//
//   perplexity           as lm-evaluation-harness's rolling log-likelihood: the tokens of a text, as if a
//   start
//                        token stood before them, in windows that do not overlap; each sees only itself and
//                        the one token before it. A window has 2,048 tokens, or as many as the model takes
//   perplexity_llamacpp  as llama-perplexity with -c 512: chunks of 512 tokens (what is left over is
//   dropped),
//                        of each the predictions of all but the first 257. If the tokenizer puts a BOS in
//                        front of a text, it takes the place of each chunk's first token
//
// Metrics: nll_sum, nll_mean (nats) and ppl over all predicted tokens; of perplexity also
//
//   nll_mean_no_bos, ppl_no_bos   without the first token of each text and without a start token, as in
//                                 Hugging Face's documentation
//   word_ppl                      per word: what blanks separate, as Python's re.split("\s+") counts
//   byte_ppl, bits_per_byte       per byte of UTF-8
//
// An interval is that of the mean over windows, drawn together (the bootstrap); it takes the number of tokens
// per word and per byte as fixed.
#include "estimate.h"
#include "io/file.h"
#include "task_data.h"
#include "task_list.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const FILES[] = {"perplexity.txt", NULL};
static const char *const COLUMN = "text";
enum { WINDOW = 2048, CHUNK = 512, CHUNK_CONTEXT = 257 };

// ---- windows ----

/// A text, as tokens.
typedef struct Document {
  size_t number;
  TokenSpan tokens;
  size_t bytes, words, windows;
} Document;

/// Python's len(re.split(r"\s+", text)): one more than there are runs of blanks.
static size_t count_words(const char *text, size_t size) {
  size_t words = 1;
  bool blank = false;
  for (size_t i = 0; i < size;) {
    Utf8Char letter = utf8_read(text + i, size - i);
    bool space = utf8_is_space(letter.code) || (letter.code >= 0x1C && letter.code <= 0x1F);
    words += space && !blank;
    blank = space;
    i += letter.size;
  }
  return words;
}

/// Adds the window of `tokens`, which are predicted behind `context`. Without a context, `ask` puts a start
/// token there.
static Status add_window(TaskData *data, const Document *document, TokenSpan context, TokenSpan tokens) {
  JsonWriter json = {0};
  task_item_begin(data, data->count, &json);
  json_integer(&json, "document", (int64_t)document->number);
  json_integer(&json, "windows", (int64_t)document->windows);
  json_integer(&json, "bytes", (int64_t)document->bytes);
  json_integer(&json, "words", (int64_t)document->words);
  json_integers(&json, "context", context.ids, context.count);
  json_integers(&json, "tokens", tokens.ids, tokens.count);
  return task_item_end(data, &json);
}

static Status add_rolling(TaskData *data, Document *document) {
  TokenSpan all = document->tokens;
  size_t most = data->max_positions > 0 && data->max_positions < WINDOW ? data->max_positions : WINDOW;
  document->windows = (all.count + most - 1) / most;
  for (size_t begin = 0; begin < all.count; begin += most) {
    size_t count = all.count - begin < most ? all.count - begin : most, before = begin > 0;
    TRY(add_window(data, document, (TokenSpan){all.ids + begin - before, before},
                   (TokenSpan){all.ids + begin, count}));
  }
  return STATUS_OK;
}

static Status add_chunks(TaskData *data, Document *document, int32_t bos) {
  int32_t context[CHUNK_CONTEXT];
  document->windows = document->tokens.count / CHUNK;
  for (size_t i = 0; i < document->windows; i++) {
    const int32_t *chunk = document->tokens.ids + i * CHUNK;
    memcpy(context, chunk, sizeof context);
    if (bos >= 0) context[0] = bos;
    TRY(add_window(data, document, (TokenSpan){context, CHUNK_CONTEXT},
                   (TokenSpan){chunk + CHUNK_CONTEXT, CHUNK - CHUNK_CONTEXT}));
  }
  return STATUS_OK;
}

/// *bos = the token that the tokenizer itself puts in front of a text, or −1.
static Status find_own_bos(const Tokenizer *tokenizer, int32_t *bos) {
  Tokens tokens = {0};
  Status status = tokenizer_encode(tokenizer, "", 0, true, &tokens);
  *bos = status == STATUS_OK && tokens.count > 0 ? tokens.ids[0] : -1;
  tokens_free(&tokens);
  return status;
}

/// llama-perplexity cuts the tokens with their BOS; lm-evaluation-harness puts its own start token before
/// those without.
static Status add_document(TaskData *data, size_t number, const char *text, size_t size) {
  bool chunks = data->type == &task_perplexity_llamacpp;
  Document document = {.number = number, .bytes = size, .words = count_words(text, size)};
  Tokens tokens = {0};
  int32_t bos = -1;
  Status status = STATUS_OK;
  if (chunks) TRY(find_own_bos(data->tokenizer, &bos));
  TRY_CLEAN(tokenizer_encode(data->tokenizer, text, size, chunks, &tokens));
  document.tokens = (TokenSpan){tokens.ids, tokens.count};
  TRY_CLEAN(chunks ? add_chunks(data, &document, bos) : add_rolling(data, &document));
cleanup:
  tokens_free(&tokens);
  return status;
}

// ---- files ----

static Status open_bytes(TaskData *data) {
  MappedFile file = {0};
  Status status = STATUS_OK;
  TRY(file_map(task_path(data, 0), &file));
  const char *text = (const char *)file.bytes;
  size_t valid = utf8_valid_prefix(text, file.size);
  if (valid < file.size)
    status = status_fail(STATUS_INPUT, "%s: byte %zu is not UTF-8", file.path, valid);
  else
    status = add_document(data, 0, text, file.size);
  file_unmap(&file);
  return status;
}

static Status add_row_text(TaskData *data, Table *table, size_t row, size_t index) {
  char *text = NULL;
  TRY(task_text(table, row, 0, &text));
  Status status = add_document(data, index, text, strlen(text));
  free(text);
  return status;
}

static Status open_rows(TaskData *data) {
  Table *table = NULL;
  size_t index = 0;
  TRY(task_table(data, 0, &COLUMN, 1, &table));
  Status status = task_add_rows(data, table, add_row_text, &index);
  table_close(table);
  return status;
}

/// A table has a text in each row; any other file is one text.
static Status open_texts(TaskData *data) {
  static const char *const endings[] = {".jsonl", ".json", ".csv", ".tsv", ".parquet"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
    if (str_ends(task_path(data, 0), endings[i])) return open_rows(data);
  return open_bytes(data);
}

// ---- rows ----

/// *out = the tokens of a row's list, in fresh memory.
static Status read_tokens(const TaskItem *item, const char *key, Tokens *out) {
  const cJSON *list = NULL, *value = NULL;
  TRY(json_get_array(item->row, key, item->name, &list));
  cJSON_ArrayForEach(value, list) {
    if (!cJSON_IsNumber(value) || value->valuedouble != (double)value->valueint)
      return status_fail(STATUS_INPUT, "%s: \"%s\" must be a list of tokens", item->name, key);
    TRY(tokens_append(out, value->valueint));
  }
  return STATUS_OK;
}

static Status ask_window(const TaskItem *item, TaskRequests *requests) {
  Tokens context = {0}, tokens = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(read_tokens(item, "context", &context));
  TRY_CLEAN(read_tokens(item, "tokens", &tokens));
  TokenSpan all = {tokens.ids, tokens.count};
  if (context.count > 0) {
    TRY_CLEAN(request_tokens(requests, (TokenSpan){context.ids, context.count}, all));
  } else {
    TRY_CLEAN(request_encoded(requests, all));
    if (all.count > 1)
      TRY_CLEAN(request_tokens(requests, (TokenSpan){all.ids, 1}, (TokenSpan){all.ids + 1, all.count - 1}));
  }
cleanup:
  tokens_free(&context);
  tokens_free(&tokens);
  return status;
}

/// The first window of a text has a second log-likelihood, without a start token and the first token.
static Status decide_window(const TaskItem *item, const TaskAnswers *answers, JsonWriter *row) {
  (void)item;
  row_add_loglikelihoods(row, answers->loglikelihoods, answers->count);
  json_array_begin(row, "predicted");
  for (size_t i = 0; i < answers->count; i++) json_integer(row, NULL, (int64_t)answers->tokens[i]);
  json_array_end(row);
  return STATUS_OK;
}

// ---- metrics ----

/// Sums over windows, as clusters of tokens.
typedef struct Sums {
  ClusterSum *with_start, *without; // [windows] of −log p
  double bytes, words;              // of the texts
  bool whole;                       // every window of every text is there
} Sums;

static Status add_row(const TaskItems *items, size_t index, Sums *sums) {
  const TaskItem *item = &items->list[index];
  const cJSON *list = NULL;
  double ll[2] = {0, 0}, predicted[2] = {0, 0}, counts[4];
  static const char *const keys[] = {"document", "windows", "bytes", "words"};
  TRY(json_get_array(item->row, "loglikelihoods", item->name, &list));
  size_t answers = cJSON_GetArraySize(list) == 2 ? 2 : 1;
  TRY(item_numbers(item, "loglikelihoods", ll, answers));
  TRY(item_numbers(item, "predicted", predicted, answers));
  for (size_t k = 0; k < 4; k++) TRY(json_get_number(item->row, keys[k], item->name, &counts[k]));
  const cJSON *context = cJSON_GetObjectItemCaseSensitive(item->row, "context");
  bool first = cJSON_GetArraySize(context) == 0;
  sums->with_start[index] = (ClusterSum){-ll[0], predicted[0]};
  sums->without[index] = first ? (ClusterSum){-ll[1], predicted[1]} : sums->with_start[index];
  if (!first) return STATUS_OK;
  sums->bytes += counts[2];
  sums->words += counts[3];
  // the windows of a text follow one another
  sums->whole = sums->whole && index + (size_t)counts[1] <= items->count;
  return STATUS_OK;
}

static Interval scaled(Interval interval, double factor) {
  return (Interval){factor * interval.value, factor * interval.low, factor * interval.high};
}

static Interval exponential(Interval interval) {
  return (Interval){exp(interval.value), exp(interval.low), exp(interval.high)};
}

static ClusterSum add_up(const ClusterSum *clusters, size_t count) {
  ClusterSum sum = {0, 0};
  for (size_t i = 0; i < count; i++) {
    sum.sum += clusters[i].sum;
    sum.count += clusters[i].count;
  }
  return sum;
}

/// nll_mean, ppl; *mean = the first.
static Status add_mean(const ClusterSum *clusters, size_t count, const char *suffix, Interval *mean,
                       MetricList *metrics) {
  size_t tokens = (size_t)add_up(clusters, count).count;
  TRY(estimate_clustered(clusters, count, mean));
  metrics_add_estimate(metrics, *mean, tokens, "nll_mean%s", suffix);
  metrics_add_estimate(metrics, exponential(*mean), tokens, "ppl%s", suffix);
  return STATUS_OK;
}

static void add_ratios(const Sums *sums, Interval mean, size_t tokens, MetricList *metrics) {
  double per_word = sums->whole ? (double)tokens / sums->words : NAN;
  double per_byte = sums->whole ? (double)tokens / sums->bytes : NAN;
  metrics_add_estimate(metrics, exponential(scaled(mean, per_word)), tokens, "word_ppl");
  metrics_add_estimate(metrics, exponential(scaled(mean, per_byte)), tokens, "byte_ppl");
  metrics_add_estimate(metrics, scaled(mean, per_byte / log(2)), tokens, "bits_per_byte");
}

static Status measure(const TaskItems *items, MetricList *metrics) {
  Sums sums = {.whole = true};
  Interval mean, without;
  size_t count = items->count;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&sums.with_start, count, "windows"));
  TRY_CLEAN(mem_array(&sums.without, count, "windows"));
  for (size_t i = 0; i < count; i++) TRY_CLEAN(add_row(items, i, &sums));
  ClusterSum all = add_up(sums.with_start, count);
  metrics_add_estimate(metrics, (Interval){all.sum, NAN, NAN}, (size_t)all.count, "nll_sum");
  TRY_CLEAN(add_mean(sums.with_start, count, "", &mean, metrics));
  if (items->type == &task_perplexity_llamacpp) goto cleanup;
  TRY_CLEAN(add_mean(sums.without, count, "_no_bos", &without, metrics));
  add_ratios(&sums, mean, (size_t)all.count, metrics);
cleanup:
  free(sums.with_start);
  free(sums.without);
  return status;
}

static const TaskAim AIMS[] = {{"", -INFINITY}, {NULL, 0}}; // all are better if lower

#define PERPLEXITY(called, line)                                                                             \
  {                                                                                                          \
    .name = called, .help = line,                                                                            \
    .limits = "It says how well the model predicts this text, not how well it answers. Figures of two "      \
              "tokenizers cannot be compared, except per word or byte; nor those of two protocols.",         \
    .published = "any text that you choose: name it behind a colon, as in " called ":wiki.txt",              \
    .files = FILES, .argument = "FILE", .argument_help = "reads this text", .aims = AIMS, .by_token = true,  \
    .open = open_texts, .ask = ask_window, .decide = decide_window, .measure = measure,                      \
  }

const TaskType task_perplexity =
    PERPLEXITY("perplexity", "how well the model predicts a text of yours, as lm-evaluation-harness counts");
const TaskType task_perplexity_llamacpp =
    PERPLEXITY("perplexity_llamacpp", "the same as llama-perplexity counts, in chunks of 512 tokens");
