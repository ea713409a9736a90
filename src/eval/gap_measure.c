// Measures the gap: samples own answers, then rereads every answer under the other prompts of its set. Rule:
// nothing is computed twice. Sampling keeps the entropies of answers under their own prompts, and the
// prompts' keys and values. Only the comparison with the base model reads them anew, under both models.
#include "gap_measure.h"

#include "gen/reread.h"
#include "gen/score.h"
#include "util/clock.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

static const uint64_t DEFAULT_MEMORY = (uint64_t)1 << 30;
enum { PASS_ROWS = 2048 }; // of prompts or reread answers at a time

/// One measurement. H tables are [sets][groups].
typedef struct Gap {
  const EvaluationRun *run;
  const Dataset *dataset;
  const GapOptions *options;
  GapListener listener;
  Pass *pass;
  size_t groups, sets, cache_rows; // rows a chunk may hold
  double *total, *paired;
  double *kl;                           // [sets]; NULL: not asked for
  double *answer_total, *answer_paired; // [sets][answers][groups]; NULL: not asked for
  double H_sum;
  size_t answered, tokens; // answers so far, and their tokens
  size_t empty;            // of them, those that are the end token alone
  int32_t *first;          // tokens of the first answer
  size_t first_count;
  bool unlike;   // an answer differs from the first
  size_t *local; // [dataset prompts] index among the chunk's prompts; SIZE_MAX: none
  uint64_t done; // progress before the current part of the chunk, in tokens; an answer counts at full length
  uint64_t sampled;      // tokens sampled in that part, and those that answers which ended did without
  const Answer *answers; // being sampled
  double begun;          // clock_seconds() when the last of them began: until then prompts were computed
  double prompt_seconds, answer_seconds;
} Gap;

/// Some of the sets: their distinct prompts, and the answers. Answer a of prompt p is at [(p − first) ·
/// answers + a].
typedef struct Chunk {
  size_t first, count; // prompts of the dataset
  TokenSpan *prompts;
  size_t prompt_count, prompt_tokens, longest;
  size_t *prompt_of; // [count] index into prompts
  Answer *answers;
  size_t answer_count;
  // answers under the prompts of their set that they were not sampled from
  Reading *readings;
  size_t *under; // [reading_count] the prompt of the dataset that each is read under
  size_t reading_count;
  float *entropy; // of their tokens, one reading behind the other
  float *kl;      // of the tokens of own answers under their own prompts; NULL: not asked for
} Chunk;

static void chunk_free(Chunk *chunk) {
  for (size_t i = 0; chunk->answers != NULL && i < chunk->answer_count; i++) answer_free(&chunk->answers[i]);
  free(chunk->answers);
  free(chunk->prompts);
  free(chunk->prompt_of);
  free(chunk->readings);
  free(chunk->under);
  free(chunk->entropy);
  free(chunk->kl);
  *chunk = (Chunk){0};
}

/// Takes as many sets from `set` on as fit the rows, at least one. Lists their prompts, but no answers yet.
static Status chunk_begin(Gap *gap, size_t set, Chunk *chunk) {
  const Dataset *data = gap->dataset;
  size_t first = data->set_start[set], end = data->set_start[gap->sets], rows = 0;
  chunk->first = first;
  TRY(mem_array(&chunk->prompts, end - first, "prompts of the gap"));
  TRY(mem_array(&chunk->prompt_of, end - first, "prompts of the gap"));
  for (size_t i = 0; i < data->count; i++) gap->local[i] = SIZE_MAX;
  for (size_t p = first; p < end; p++) {
    const Prompt *prompt = &data->prompts[p];
    if (p == data->set_start[prompt->set]) { // a set is taken whole
      size_t set_rows = 0;
      for (size_t m = p; m < p + gap->groups; m++)
        set_rows +=
            data->prompts[m].tokens.count + gap->options->answers * gap->options->sampling.max_new_tokens;
      if (p > first && rows + set_rows > gap->cache_rows) break;
      rows += set_rows;
    }
    size_t *local = &gap->local[prompt->distinct];
    if (*local == SIZE_MAX) {
      *local = chunk->prompt_count;
      chunk->prompts[chunk->prompt_count++] = (TokenSpan){prompt->tokens.ids, prompt->tokens.count};
      chunk->prompt_tokens += prompt->tokens.count;
    }
    if (prompt->tokens.count > chunk->longest) chunk->longest = prompt->tokens.count;
    chunk->prompt_of[p - first] = *local;
    chunk->count++;
  }
  chunk->answer_count = chunk->count * gap->options->answers;
  return STATUS_OK;
}

/// An answer is done once it is sampled and was read under all prompts; on the way, parts add up to whole
/// ones.
static void show_progress(const Gap *gap, uint64_t tokens) {
  uint64_t answer = (uint64_t)gap->groups * gap->options->sampling.max_new_tokens;
  progress_update(gap->run->progress, (gap->done + tokens) / answer);
}

static bool count_token(void *user, size_t request, int32_t token) {
  Gap *gap = user;
  const Answer *answer = &gap->answers[request];
  (void)token;
  if (answer->count == 1) gap->begun = clock_seconds();
  gap->sampled += answer->ended ? gap->options->sampling.max_new_tokens - answer->count + 1 : 1;
  show_progress(gap, gap->sampled);
  return true;
}

/// The job that samples the answers; fills `requests`, one for each.
static GenerateJob sampling_job(Gap *gap, const Chunk *chunk, AnswerRequest *requests) {
  const GapOptions *o = gap->options;
  for (size_t i = 0; i < chunk->answer_count; i++) {
    size_t p = i / o->answers, set = gap->dataset->prompts[chunk->first + p].set;
    // partners share the stream, so their answers differ only where the prompts make them
    requests[i] = (AnswerRequest){chunk->prompt_of[p], (uint32_t)(set * o->answers + i % o->answers)};
  }
  return (GenerateJob){.prompts = chunk->prompts,
                       .prompt_count = chunk->prompt_count,
                       .requests = requests,
                       .request_count = chunk->answer_count,
                       .sampling = o->sampling,
                       .entropy_tau = o->entropy_tau,
                       .seed = o->seed,
                       .step = GAP_STEP,
                       .on_token = count_token,
                       .user = gap,
                       .stop = gap->run->stop};
}

static double mean_of(const float *values, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += values[i];
  return sum / (double)count;
}

static Status tally(Gap *gap, const Answer *answer) {
  gap->tokens += answer->count;
  gap->empty += answer->count == 1 && answer->ended;
  if (gap->first == NULL) {
    TRY(mem_array(&gap->first, answer->count, "answers of the gap"));
    gap->first_count = answer->count;
    memcpy(gap->first, answer->tokens, answer->count * sizeof *gap->first);
  }
  gap->unlike = gap->unlike || answer->count != gap->first_count ||
                memcmp(answer->tokens, gap->first, answer->count * sizeof *gap->first) != 0;
  return STATUS_OK;
}

/// Adds H, of an answer to a prompt with this number, to the table [sets][answers][groups], if there is one.
static void add_by_answer(const Gap *gap, double *table, const Prompt *prompt, size_t number, double H) {
  if (table == NULL) return;
  table[(prompt->set * gap->options->answers + number) * gap->groups + (size_t)prompt->group] += H;
}

/// Adds own answers to the total gap, and to the paired gap as readings under their own prompts.
static Status chunk_add_own(Gap *gap, const Chunk *chunk) {
  size_t each = gap->options->answers;
  for (size_t i = 0; i < chunk->answer_count; i++) {
    const Prompt *prompt = &gap->dataset->prompts[chunk->first + i / each];
    const Answer *answer = &chunk->answers[i];
    if (answer->count == 0) return status_fail(STATUS_FAILED, "an answer has no token");
    double H = mean_of(answer->entropy, answer->count);
    size_t cell = prompt->set * gap->groups + (size_t)prompt->group;
    gap->total[cell] += H / (double)each;
    gap->paired[cell] += H / (double)(each * gap->groups);
    gap->H_sum += H;
    add_by_answer(gap, gap->answer_total, prompt, i % each, H);
    add_by_answer(gap, gap->answer_paired, prompt, i % each, H / (double)gap->groups);
    TRY(tally(gap, answer));
  }
  gap->answered += chunk->answer_count;
  return STATUS_OK;
}

/// Lists every answer under the prompts of its set that it was not sampled from. *tokens = of all of them.
static Status list_readings(const Gap *gap, Chunk *chunk, size_t *tokens) {
  chunk->reading_count = chunk->answer_count * (gap->groups - 1);
  TRY(mem_array(&chunk->readings, chunk->reading_count, "answers of the gap"));
  TRY(mem_array(&chunk->under, chunk->reading_count, "answers of the gap"));
  for (size_t i = 0, count = 0; i < chunk->answer_count; i++) {
    size_t own = chunk->first + i / gap->options->answers, set = gap->dataset->prompts[own].set;
    size_t start = gap->dataset->set_start[set];
    for (size_t p = start; p < start + gap->groups; p++) {
      if (p == own) continue;
      chunk->under[count] = p;
      chunk->readings[count++] = (Reading){i, chunk->prompt_of[p - chunk->first]};
      *tokens += chunk->answers[i].count;
    }
  }
  return mem_array(&chunk->entropy, *tokens, "entropies of the gap");
}

static void count_readings(void *user, size_t readings) {
  const Gap *gap = user;
  show_progress(gap, (uint64_t)readings * gap->options->sampling.max_new_tokens);
}

/// Rereads the answers that `generated` sampled, and adds them to the paired gap.
static Status chunk_add_readings(Gap *gap, Chunk *chunk, const GenerateJob *generated) {
  size_t tokens = 0;
  float *log_z = NULL;
  TRY(list_readings(gap, chunk, &tokens));
  RereadJob job = {.generated = generated,
                   .answers = chunk->answers,
                   .readings = chunk->readings,
                   .count = chunk->reading_count,
                   .on_read = count_readings,
                   .user = gap};
  TRY(mem_array(&log_z, tokens, "entropies of the gap"));
  Status status = reread_answers(gap->pass, &job, chunk->entropy, log_z);
  free(log_z);
  TRY(status);
  for (size_t i = 0, offset = 0; i < job.count; i++) {
    const Prompt *prompt = &gap->dataset->prompts[chunk->under[i]];
    size_t each = gap->options->answers, count = chunk->answers[chunk->readings[i].answer].count;
    double H = mean_of(chunk->entropy + offset, count);
    gap->paired[prompt->set * gap->groups + (size_t)prompt->group] += H / (double)(each * gap->groups);
    add_by_answer(gap, gap->answer_paired, prompt, chunk->readings[i].answer % each, H / (double)gap->groups);
    offset += count;
  }
  return STATUS_OK;
}

/// Adds the divergence of own answers from the base model's reading of them.
static Status chunk_add_divergences(Gap *gap, Chunk *chunk) {
  size_t each = gap->options->answers, tokens = 0, offset = 0;
  TokenSpan *prompts = NULL;
  BatchAnswer *answers = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&prompts, chunk->count, "answers of the gap"));
  TRY_CLEAN(mem_array(&answers, chunk->answer_count, "answers of the gap"));
  for (size_t p = 0; p < chunk->count; p++) prompts[p] = chunk->prompts[chunk->prompt_of[p]];
  for (size_t i = 0; i < chunk->answer_count; i++) {
    answers[i] =
        (BatchAnswer){.prompt = i / each, .tokens = {chunk->answers[i].tokens, chunk->answers[i].count}};
    tokens += chunk->answers[i].count;
  }
  TRY_CLEAN(mem_array(&chunk->kl, tokens, "divergences of the gap"));
  ScoreJob job = {prompts,       chunk->count, answers, chunk->answer_count, gap->options->entropy_tau,
                  gap->run->stop};
  TRY_CLEAN(score_divergences(gap->pass, &job, chunk->kl));
  for (size_t i = 0; i < chunk->answer_count; i++) {
    size_t set = gap->dataset->prompts[chunk->first + i / each].set;
    gap->kl[set] += mean_of(chunk->kl + offset, answers[i].tokens.count) / (double)(each * gap->groups);
    offset += answers[i].tokens.count;
  }
cleanup:
  free(prompts);
  free(answers);
  return status;
}

static Status tell(const Gap *gap, GapReading reading) {
  return gap->listener.listen(gap->listener.user, &reading);
}

/// Passes on every reading, once all is known of it: own answers first, as they were added to the gap.
static Status chunk_tell(const Gap *gap, const Chunk *chunk) {
  size_t each = gap->options->answers, offset = 0;
  const Prompt *prompts = gap->dataset->prompts;
  if (gap->listener.listen == NULL) return STATUS_OK;
  for (size_t i = 0; i < chunk->answer_count; i++) {
    const Prompt *own = &prompts[chunk->first + i / each];
    const Answer *answer = &chunk->answers[i];
    const float *kl = chunk->kl != NULL ? chunk->kl + offset : NULL;
    TRY(tell(gap, (GapReading){own, own, i % each, answer, answer->entropy, kl}));
    offset += answer->count;
  }
  offset = 0;
  for (size_t i = 0; i < chunk->reading_count; i++) {
    size_t index = chunk->readings[i].answer;
    const Answer *answer = &chunk->answers[index];
    TRY(tell(gap, (GapReading){&prompts[chunk->first + index / each], &prompts[chunk->under[i]], index % each,
                               answer, chunk->entropy + offset, NULL}));
    offset += answer->count;
  }
  return STATUS_OK;
}

static bool stopped(const Gap *gap) {
  return gap->run->stop != NULL && *gap->run->stop;
}

static Status measure_chunk(Gap *gap, size_t *set) {
  Chunk chunk = {0};
  AnswerRequest *requests = NULL;
  Status status = STATUS_OK;
  uint64_t longest = gap->options->sampling.max_new_tokens;
  double start = clock_seconds();
  TRY_CLEAN(chunk_begin(gap, *set, &chunk));
  TRY_CLEAN(mem_array(&requests, chunk.answer_count, "answers of the gap"));
  TRY_CLEAN(mem_array(&chunk.answers, chunk.answer_count, "answers of the gap"));
  GenerateJob job = sampling_job(gap, &chunk, requests);
  progress_phase(gap->run->progress, "sampling answers");
  gap->sampled = 0;
  gap->answers = chunk.answers;
  TRY_CLEAN(generate(gap->pass, &job, chunk.answers));
  TRY_CLEAN(chunk_add_own(gap, &chunk));
  gap->done += (uint64_t)chunk.answer_count * longest;
  progress_phase(gap->run->progress, "rereading answers");
  TRY_CLEAN(chunk_add_readings(gap, &chunk, &job));
  gap->done += (uint64_t)chunk.answer_count * (gap->groups - 1) * longest;
  if (gap->kl != NULL) {
    progress_phase(gap->run->progress, "comparing with the base model");
    TRY_CLEAN(chunk_add_divergences(gap, &chunk));
  }
  TRY_CLEAN(chunk_tell(gap, &chunk));
  gap->prompt_seconds += gap->begun - start;
  gap->answer_seconds += clock_seconds() - gap->begun;
  *set += chunk.count / gap->groups;
  if (stopped(gap)) status = status_fail(STATUS_INTERRUPTED, "stopped while measuring the gap");
cleanup:
  free(requests);
  chunk_free(&chunk);
  return status;
}

/// Creates one pass for sampling and rereading, large enough for every chunk.
static Status create_pass(Gap *gap) {
  size_t new_tokens = gap->options->sampling.max_new_tokens, tokens = 0, answers = 0, longest = 0;
  for (size_t set = 0; set < gap->sets;) {
    Chunk chunk = {0};
    Status status = chunk_begin(gap, set, &chunk);
    set += chunk.count / gap->groups;
    tokens = chunk.prompt_tokens > tokens ? chunk.prompt_tokens : tokens;
    answers = chunk.answer_count > answers ? chunk.answer_count : answers;
    longest = chunk.longest > longest ? chunk.longest : longest;
    chunk_free(&chunk);
    TRY(status);
  }
  size_t longest_row = longest > new_tokens ? longest : new_tokens; // a prompt or an answer is taken whole
  size_t rows = longest_row > PASS_ROWS ? longest_row : PASS_ROWS;
  if (gap->kl != NULL && rows < longest + new_tokens)
    rows = longest + new_tokens; // an answer with its prompt
  PassOptions options = generate_pass_options(tokens, rows, answers, new_tokens);
  options.stop = gap->run->stop;
  options.kept_rows = gap->kl != NULL ? options.max_rows : 0;
  return pass_create(gap->run->model, &options, &gap->pass);
}

/// The tables have a cell for each set and group: every set has one prompt of each group, in their order.
static Status check_sets(const Dataset *dataset) {
  size_t groups = groups_count(dataset->groups);
  for (size_t set = 0; set < dataset->sets; set++) {
    size_t start = dataset->set_start[set], count = dataset->set_start[set + 1] - start, same = 0;
    while (same < count && dataset->prompts[start + same].group == (int)same) same++;
    if (count != groups || same != groups)
      return status_fail(STATUS_INPUT, "set %zu does not have one prompt of each of the %zu groups", set,
                         groups);
  }
  return STATUS_OK;
}

Status gap_check(const Dataset *dataset, const GapOptions *options) {
  if (!dataset->counterfactual)
    return status_fail(STATUS_INPUT,
                       "the gap is measured on counterfactual sets: set groups.counterfactual = auto");
  if (options->answers == 0 || options->sampling.max_new_tokens == 0)
    return status_fail(STATUS_INPUT, "the gap needs at least one answer per prompt, of at least one token");
  if (dataset->sets == 0) return status_fail(STATUS_INPUT, "there are no prompts to measure the gap on");
  if (options->answers > UINT32_MAX / dataset->sets)
    return status_fail(STATUS_INPUT, "%zu answers to each prompt of %zu sets are too many", options->answers,
                       dataset->sets);
  if (dataset->prompts[0].tokens.count == 0)
    return status_fail(STATUS_INPUT, "the prompts have no tokens to measure the gap on");
  return check_sets(dataset);
}

static Status measure_sets(Gap *gap) {
  uint64_t answers = (uint64_t)gap->sets * gap->groups * gap->options->answers;
  Status status = STATUS_OK;
  progress_begin(gap->run->progress, "measuring the gap", "answer", 0, answers);
  for (size_t set = 0; status == STATUS_OK && set < gap->sets;) status = measure_chunk(gap, &set);
  progress_end(gap->run->progress);
  return status;
}

void gap_report_free(GapReport *report) {
  free(report->total);
  free(report->paired);
  free(report->kl);
  free(report->answer_total);
  free(report->answer_paired);
  *report = (GapReport){0};
}

static Status create_tables(Gap *gap, const GapExtras *extras) {
  size_t cells = gap->sets * gap->groups;
  TRY(mem_array(&gap->total, cells, "gap"));
  TRY(mem_array(&gap->paired, cells, "gap"));
  TRY(mem_array(&gap->local, gap->dataset->count, "gap"));
  if (extras->kl && model_params(gap->run->model) != NULL && model_has_base(gap->run->model))
    TRY(mem_array(&gap->kl, gap->sets, "gap"));
  if (!extras->by_answer) return STATUS_OK;
  TRY(mem_product(cells, gap->options->answers, &cells, "answers of the gap"));
  TRY(mem_array(&gap->answer_total, cells, "answers of the gap"));
  return mem_array(&gap->answer_paired, cells, "answers of the gap");
}

/// The tables go to the report.
static GapReport take_report(Gap *gap) {
  GapReport report = {.total = gap->total,
                      .paired = gap->paired,
                      .kl = gap->kl,
                      .answer_total = gap->answer_total,
                      .answer_paired = gap->answer_paired,
                      .prompt_seconds = gap->prompt_seconds,
                      .answer_seconds = gap->answer_seconds,
                      .sets = gap->sets,
                      .groups = gap->groups,
                      .answers = gap->answered,
                      .tokens = gap->tokens,
                      .distinct_sets = dataset_distinct_sets(gap->dataset),
                      .H_bar = gap->H_sum / (double)gap->answered,
                      .empty = gap->empty,
                      .equal = !gap->unlike};
  gap->total = gap->paired = gap->kl = gap->answer_total = gap->answer_paired = NULL;
  return report;
}

Status gap_measure(const EvaluationRun *run, const Dataset *dataset, const GapOptions *options,
                   const GapExtras *extras, GapReport *out) {
  const ModelConfig *config = model_config(run->model);
  Gap gap = {.run = run,
             .dataset = dataset,
             .options = options,
             .listener = extras->listener,
             .groups = groups_count(dataset->groups)};
  uint64_t memory = options->memory > 0 ? options->memory : DEFAULT_MEMORY;
  Status status = STATUS_OK;
  *out = (GapReport){0};
  gap.sets = dataset->sets;
  gap.cache_rows =
      (size_t)(memory / (2 * sizeof(float) * config->layers * config->kv_heads * config->head_dim));
  TRY_CLEAN(create_tables(&gap, extras));
  TRY_CLEAN(create_pass(&gap));
  TRY_CLEAN(measure_sets(&gap));
  *out = take_report(&gap);
cleanup:
  pass_free(gap.pass);
  free(gap.total);
  free(gap.paired);
  free(gap.kl);
  free(gap.answer_total);
  free(gap.answer_paired);
  free(gap.local);
  free(gap.first);
  return status;
}
