// Sampling. Rule: a draw depends only on (seed, step, stream, token) and on the row's logits, never on which
// other answers are still decoding. So an answer is the same whatever is sampled with it.
//
//   cache rows   prompt 0 | prompt 1 | … | answer 0: max_new − 1 rows | answer 1 | …
//
// The prefill writes a prompt's rows once, and all its answers see them as their prefix. An answer's last
// token needs no row, because nothing is predicted from it.
#include "gen/generate.h"

#include "ops/ops.h"
#include "ops/profile.h"
#include "row_list.h"
#include "util/memory.h"
#include "util/rng.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

enum { LARGEST_TILE = 64 };

PassOptions generate_pass_options(size_t prompt_tokens_total, size_t prompt_rows_at_once, size_t answers,
                                  size_t max_new_tokens) {
  size_t new_rows = max_new_tokens > 0 ? max_new_tokens - 1 : 0;
  return (PassOptions){
      .kind = PASS_INFERENCE,
      .max_rows = prompt_rows_at_once > answers ? prompt_rows_at_once : answers,
      .cache_rows = prompt_tokens_total + answers * new_rows,
      .head_tile_rows = answers < LARGEST_TILE ? answers : LARGEST_TILE,
  };
}

void answer_free(Answer *answer) {
  if (answer == NULL) return;
  free(answer->tokens);
  free(answer->entropy);
  free(answer->log_z);
  *answer = (Answer){0};
}

/// The state of a running job.
typedef struct Generator {
  Pass *pass;
  const GenerateJob *job;
  Answer *answers;
  const ModelConfig *config;
  bool plan; // no device: no answer ends early, so that a plan counts the longest answers

  size_t *prompt_begin; // [prompts + 1] first cache row of each prompt, then of the answers
  size_t new_rows;      // cache rows per answer
  size_t words;         // 32-bit words in a row of seen bits
  uint32_t *seen;       // [requests, words]; NULL without a repetition penalty
  size_t *live;         // [requests] the answers to draw for next, ascending
  size_t live_count;
  bool *continues;     // [requests] whether the answer goes on after the token drawn last
  int32_t *logit_rows; // [requests] row of the last forward that predicts each live answer's next token

  RowList rows; // of the next forward

  size_t tile; // rows of logits per head tile
  Tensor seen_tile, uniforms, tokens, stats;
  float *host_uniforms, *host_stats; // [tile], [tile, 2]
  uint32_t *host_seen;               // [tile, words]
  int32_t *host_tokens;              // [tile]
} Generator;

static Status check_sampling(const SamplingOptions *sampling) {
  if (sampling->max_new_tokens == 0)
    return status_fail(STATUS_INPUT, "sampling.max_new_tokens is 0: set at least 1");
  if (!(sampling->temperature >= 0 && sampling->temperature < 1e6f)) {
    return status_fail(STATUS_INPUT, "sampling.sample_temp = %g: set a number from 0 to below 1e6",
                       (double)sampling->temperature);
  }
  if (!(sampling->top_p > 0 && sampling->top_p <= 1)) {
    return status_fail(STATUS_INPUT, "sampling.top_p = %g: set more than 0 and at most 1 (1 is off)",
                       (double)sampling->top_p);
  }
  if (!(sampling->repetition_penalty > 0 && sampling->repetition_penalty < 1e6f)) {
    return status_fail(STATUS_INPUT,
                       "sampling.repetition_penalty = %g: set more than 0 and below 1e6 (1 is off)",
                       (double)sampling->repetition_penalty);
  }
  return STATUS_OK;
}

/// Afterwards every prompt has 1 to max_rows tokens of the vocabulary, and room for max_new_tokens more
/// positions.
static Status check_prompts(const GenerateJob *job, const PassOptions *options, const ModelConfig *config) {
  for (size_t p = 0; p < job->prompt_count; p++) {
    size_t count = job->prompts[p].count;
    if (count == 0)
      return status_fail(STATUS_INPUT, "prompt %zu has no tokens: an answer needs at least one to continue",
                         p);
    if (count > options->max_rows) {
      return status_fail(
          STATUS_INPUT, "prompt %zu has %zu tokens, but the pass has %zu row%s: lower data.max_prompt_tokens",
          p, count, options->max_rows, str_plural(options->max_rows));
    }
    if (count + job->sampling.max_new_tokens > config->max_positions) {
      return status_fail(
          STATUS_INPUT,
          "prompt %zu has %zu token%s: with %zu new ones it exceeds the model's %zu positions; lower "
          "data.max_prompt_tokens or sampling.max_new_tokens",
          p, count, str_plural(count), job->sampling.max_new_tokens, config->max_positions);
    }
    for (size_t i = 0; i < count; i++) {
      int32_t id = job->prompts[p].ids[i];
      if (id >= 0 && (size_t)id < config->vocab) continue;
      return status_fail(
          STATUS_INPUT,
          "prompt %zu has token %d, but the model's vocabulary has %zu tokens: use the model's own tokenizer",
          p, id, config->vocab);
    }
  }
  return STATUS_OK;
}

static Status check_job(const Pass *pass, const GenerateJob *job, const ModelConfig *config) {
  const PassOptions *options = pass_options(pass);
  if (options->kind != PASS_INFERENCE) return status_fail(STATUS_FAILED, "sampling needs an inference pass");
  if (!(job->entropy_tau > 0)) {
    return status_fail(STATUS_INPUT, "loss.temperature = %g: set more than 0", (double)job->entropy_tau);
  }
  TRY(check_sampling(&job->sampling));
  TRY(check_prompts(job, options, config));
  if (job->request_count > options->max_rows) {
    return status_fail(STATUS_INPUT,
                       "%zu answers at once, but the pass has %zu row%s: lower train.effective_batch",
                       job->request_count, options->max_rows, str_plural(options->max_rows));
  }
  for (size_t i = 0; i < job->request_count; i++) {
    if (job->requests[i].prompt >= job->prompt_count) {
      return status_fail(STATUS_FAILED, "request %zu names prompt %zu of %zu", i, job->requests[i].prompt,
                         job->prompt_count);
    }
  }
  return STATUS_OK;
}

static Status make_host_memory(Generator *g, size_t max_rows) {
  const GenerateJob *job = g->job;
  size_t requests = job->request_count, words = 0;
  TRY(mem_array(&g->prompt_begin, job->prompt_count + 1, "cache rows of prompts"));
  TRY(mem_array(&g->live, requests, "live answers"));
  TRY(mem_array(&g->logit_rows, requests, "live answers"));
  TRY(mem_array(&g->continues, requests, "live answers"));
  TRY(row_list_create(max_rows, &g->rows));
  TRY(mem_array(&g->host_uniforms, g->tile, "draws"));
  TRY(mem_array(&g->host_stats, 2 * g->tile, "draws"));
  TRY(mem_array(&g->host_tokens, g->tile, "draws"));
  if (job->sampling.repetition_penalty != 1) {
    TRY(mem_product(requests, g->words, &words, "seen tokens"));
    TRY(mem_array(&g->seen, words, "seen tokens"));
    TRY(mem_array(&g->host_seen, g->tile * g->words, "seen tokens"));
  }
  for (size_t i = 0; i < requests; i++) {
    TRY(mem_array(&g->answers[i].tokens, job->sampling.max_new_tokens, "an answer"));
    TRY(mem_array(&g->answers[i].entropy, job->sampling.max_new_tokens, "an answer"));
    TRY(mem_array(&g->answers[i].log_z, job->sampling.max_new_tokens, "an answer"));
  }
  return STATUS_OK;
}

static Status make_tensors(Generator *g) {
  Ops *ops = model_ops(pass_model(g->pass));
  TRY(tensor_create(ops, "seen tokens", MEMORY_HEAD, DTYPE_I32, g->tile, g->words, &g->seen_tile));
  TRY(tensor_create(ops, "uniforms", MEMORY_HEAD, DTYPE_F32, 1, g->tile, &g->uniforms));
  TRY(tensor_create(ops, "drawn tokens", MEMORY_HEAD, DTYPE_I32, 1, g->tile, &g->tokens));
  return tensor_create(ops, "entropies", MEMORY_HEAD, DTYPE_F32, g->tile, 2, &g->stats);
}

/// `token` is within the vocabulary: check_prompts and take_token have checked it.
static void mark_seen(Generator *g, size_t request, int32_t token) {
  if (g->seen != NULL)
    g->seen[request * g->words + (size_t)token / 32] |= UINT32_C(1) << ((size_t)token % 32);
}

/// Lays out the cache and marks the prompts' tokens as seen.
static Status lay_out(Generator *g, size_t cache_rows) {
  const GenerateJob *job = g->job;
  prompt_cache_rows(job, g->prompt_begin);
  g->new_rows = job->sampling.max_new_tokens - 1;
  // Cannot overflow: check_job bounds the answers by the pass's rows and the new rows by the model's
  // positions.
  size_t rows = g->prompt_begin[job->prompt_count] + job->request_count * g->new_rows;
  if (rows > cache_rows) {
    return status_fail(STATUS_INPUT,
                       "sampling needs %zu rows of keys and values, but the pass has %zu: lower "
                       "train.effective_batch or sampling.max_new_tokens",
                       rows, cache_rows);
  }
  for (size_t i = 0; i < job->request_count; i++) {
    TokenSpan prompt = job->prompts[job->requests[i].prompt];
    for (size_t t = 0; t < prompt.count; t++) mark_seen(g, i, prompt.ids[t]);
  }
  return STATUS_OK;
}

static Status generator_create(Pass *pass, const GenerateJob *job, Answer *answers, Generator *g) {
  const ModelConfig *config = model_config(pass_model(pass));
  const PassOptions *options = pass_options(pass);
  *g = (Generator){.pass = pass,
                   .job = job,
                   .answers = answers,
                   .config = config,
                   .plan = ops_is_plan(model_ops(pass_model(pass))),
                   .words = (config->vocab + 31) / 32,
                   .tile = options->head_tile_rows};
  TRY(check_job(pass, job, config));
  TRY(make_host_memory(g, options->max_rows));
  TRY(lay_out(g, options->cache_rows));
  return make_tensors(g);
}

static void generator_free(Generator *g) {
  free(g->prompt_begin);
  free(g->seen);
  free(g->live);
  free(g->continues);
  free(g->logit_rows);
  row_list_free(&g->rows);
  free(g->host_uniforms);
  free(g->host_stats);
  free(g->host_seen);
  free(g->host_tokens);
  tensor_free(&g->seen_tile);
  tensor_free(&g->uniforms);
  tensor_free(&g->tokens);
  tensor_free(&g->stats);
}

// ---- rows ----

/// Runs prompts [first, *end), as many whole ones as fit a pass, and sets `live` to their answers with the
/// rows that predict their first tokens. *end > first, because every single prompt fits. A request has one
/// prompt, so it is in one piece.
static Status prefill_piece(Generator *g, size_t first, size_t *end) {
  const GenerateJob *job = g->job;
  size_t p = first, base = g->prompt_begin[first], max_rows = pass_options(g->pass)->max_rows;
  g->rows.count = 0;
  for (; p < job->prompt_count && g->rows.count + job->prompts[p].count <= max_rows; p++) {
    size_t begin = g->prompt_begin[p];
    for (size_t t = 0; t < job->prompts[p].count; t++)
      row_list_add(&g->rows, job->prompts[p].ids[t], t, begin + t,
                   (const size_t[]){0, 0, begin, begin + t + 1});
  }
  *end = p;
  g->live_count = 0;
  for (size_t i = 0; i < job->request_count; i++) {
    size_t prompt = job->requests[i].prompt;
    if (prompt < first || prompt >= p) continue;
    g->logit_rows[g->live_count] = (int32_t)(g->prompt_begin[prompt + 1] - 1 - base);
    g->live[g->live_count++] = i;
  }
  return row_list_forward(&g->rows, g->pass);
}

/// Runs the last token of every live answer. All fit one forward, because a job has at most max_rows answers.
/// A live answer has fewer than max_new_tokens tokens, so last < new_rows and its cache row is within its own
/// rows.
static Status decode_forward(Generator *g) {
  const GenerateJob *job = g->job;
  g->rows.count = 0;
  for (size_t row = 0; row < g->live_count; row++) {
    size_t i = g->live[row], prompt = job->requests[i].prompt;
    const Answer *answer = &g->answers[i];
    size_t own = g->prompt_begin[job->prompt_count] + i * g->new_rows, last = answer->count - 1;
    row_list_add(&g->rows, answer->tokens[last], job->prompts[prompt].count + last, own + last,
                 (const size_t[]){g->prompt_begin[prompt], g->prompt_begin[prompt + 1], own, own + last + 1});
    g->logit_rows[row] = (int32_t)row;
  }
  return row_list_forward(&g->rows, g->pass);
}

// ---- draws ----

/// Draws a token for each of the live answers [first, first + count), and measures the distributions that the
/// tokens are drawn from.
static Status draw_tile(Generator *g, size_t first, size_t count) {
  const GenerateJob *job = g->job;
  const SamplingOptions *sampling = &job->sampling;
  SampleShape shape = {.temperature = sampling->temperature,
                       .top_p = sampling->top_p,
                       .top_k = sampling->top_k,
                       .repetition_penalty = sampling->repetition_penalty};
  Tensor seen = tensor_rows(&g->seen_tile, 0, count), stats = tensor_rows(&g->stats, 0, count);
  Tensor uniforms = tensor_columns(&g->uniforms, 0, count), tokens = tensor_columns(&g->tokens, 0, count);
  for (size_t row = 0; row < count; row++) {
    size_t i = g->live[first + row];
    g->host_uniforms[row] =
        rng_uniform(job->seed, RNG_SAMPLE, job->step, job->requests[i].stream, (uint32_t)g->answers[i].count);
    if (g->seen != NULL) {
      memcpy(g->host_seen + row * g->words, g->seen + i * g->words, g->words * sizeof *g->seen);
    }
  }
  const Tensor *logits = NULL;
  TRY(pass_logits(g->pass, g->logit_rows + first, count, &logits));
  TRY(tensor_write(&uniforms, 0, count, g->host_uniforms));
  if (g->seen != NULL) TRY(tensor_write(&seen, 0, count * g->words, g->host_seen));
  TRY(op_entropy(&stats, logits, job->entropy_tau));
  TRY(op_sample(&tokens, &seen, logits, &uniforms, shape));
  TRY(tensor_read(&stats, 0, 2 * count, g->host_stats));
  TRY(pass_check_statistics(g->host_stats, count));
  return tensor_read(&tokens, 0, count, g->host_tokens);
}

static bool is_eos(const ModelConfig *config, int32_t token) {
  for (size_t i = 0; i < config->eos_count; i++) {
    if (config->eos[i] == token) return true;
  }
  return false;
}

/// Appends a drawn token and sets `continues`. There is room: only answers with fewer than max_new_tokens
/// tokens are live.
static Status take_token(Generator *g, size_t request, int32_t token, const float stats[2]) {
  Answer *answer = &g->answers[request];
  if (token < 0 || (size_t)token >= g->config->vocab) {
    return status_fail(STATUS_FAILED,
                       "the device drew token %d of a vocabulary of %zu: "
                       "the model computes numbers that are not finite",
                       token, g->config->vocab);
  }
  answer->tokens[answer->count] = token;
  answer->log_z[answer->count] = stats[0];
  answer->entropy[answer->count] = stats[1];
  answer->count++;
  mark_seen(g, request, token);
  answer->ended = !g->plan && !g->job->past_end && is_eos(g->config, token);
  bool wanted = g->job->on_token == NULL || g->job->on_token(g->job->user, request, token);
  g->continues[request] = wanted && !answer->ended && answer->count < g->job->sampling.max_new_tokens;
  return STATUS_OK;
}

/// Draws for all live answers, then removes those that end from `live`, keeping the order. The list is
/// compacted in place: kept ≤ first + row, so only entries that have been drawn for are overwritten.
static Status draw(Generator *g) {
  size_t kept = 0, count = g->live_count;
  for (size_t first = 0; first < count; first += g->tile) {
    size_t rows = count - first < g->tile ? count - first : g->tile;
    TRY(draw_tile(g, first, rows));
    for (size_t row = 0; row < rows; row++) {
      size_t request = g->live[first + row];
      TRY(take_token(g, request, g->host_tokens[row], g->host_stats + 2 * row));
      if (g->continues[request]) g->live[kept++] = request;
    }
  }
  g->live_count = kept;
  return STATUS_OK;
}

static Status check_stop(const GenerateJob *job) {
  if (job->stop == NULL || !*job->stop) return STATUS_OK;
  return status_fail(STATUS_INTERRUPTED, "sampling was interrupted");
}

/// Draws the first tokens of all answers, one piece of prompts after another: a piece is drawn before the
/// next forward replaces its logits. Afterwards `live` holds all answers that continue, in the order of the
/// requests, so that decoding does not depend on how the prompts were split.
static Status prefill(Generator *g) {
  const GenerateJob *job = g->job;
  OPS_PHASE(model_ops(pass_model(g->pass)), "prefill");
  for (size_t first = 0, end = 0; first < job->prompt_count; first = end) {
    TRY(check_stop(job));
    TRY(prefill_piece(g, first, &end));
    TRY(draw(g));
  }
  g->live_count = 0;
  for (size_t i = 0; i < job->request_count; i++) {
    if (g->continues[i]) g->live[g->live_count++] = i;
  }
  return STATUS_OK;
}

static Status decode(Generator *g) {
  OPS_PHASE(model_ops(pass_model(g->pass)), "decode");
  while (g->live_count > 0) {
    TRY(check_stop(g->job));
    TRY(decode_forward(g));
    TRY(draw(g));
  }
  return STATUS_OK;
}

Status generate(Pass *pass, const GenerateJob *job, Answer *answers) {
  memset(answers, 0, job->request_count * sizeof *answers);
  Generator g;
  OPS_PHASE(model_ops(pass_model(pass)), "sample");
  Status status = generator_create(pass, job, answers, &g);
  if (status == STATUS_OK) status = prefill(&g);
  if (status == STATUS_OK) status = decode(&g);
  generator_free(&g);
  return status;
}
