// Scoring given answers. Rule: a batch has as many answers as fit the pass, each answer together with its
// prompt.
#include "gen/score.h"

#include "util/memory.h"
#include <stdlib.h>

/// Memory for the largest batch.
typedef struct Scorer {
  Pass *pass;
  size_t max_rows;
  const ScoreJob *job;
  TokenSpan *batch_prompts;   // [answer_count] of the current batch
  BatchAnswer *batch_answers; // [answer_count] of the current batch
  float *row_entropy;         // [max_rows] by head row
} Scorer;

/// Fills the lists of the batch with the answers [begin, *end) that fit, at least one. Answers are ordered by
/// prompt, so a prompt that several of them share is added once.
static Status gather(Scorer *s, size_t begin, size_t *end, size_t *prompt_count) {
  const ScoreJob *job = s->job;
  size_t rows = 0, count = 0, i = begin;
  for (; i < job->answer_count; i++) {
    const BatchAnswer *answer = &job->answers[i];
    bool same_prompt = i > begin && answer->prompt == job->answers[i - 1].prompt;
    size_t needed = answer->tokens.count - (answer->tokens.count > 0);
    if (!same_prompt) needed += job->prompts[answer->prompt].count;
    if (rows + needed > s->max_rows) {
      if (i > begin) break;
      return status_fail(STATUS_INPUT,
                         "answer %zu takes %zu rows with its prompt, but the pass has %zu: shorten it, "
                         "or raise the limit on tokens",
                         i, needed, s->max_rows);
    }
    rows += needed;
    if (!same_prompt) s->batch_prompts[count++] = job->prompts[answer->prompt];
    s->batch_answers[i - begin] = *answer;
    s->batch_answers[i - begin].prompt = count - 1;
  }
  *end = i;
  *prompt_count = count;
  return STATUS_OK;
}

/// Runs one batch. entropy and logprob begin at the batch's first prediction.
static Status score_batch(Scorer *s, size_t prompt_count, size_t count, float *entropy, float *logprob,
                          size_t *predictions) {
  Batch batch = {0};
  Status status = batch_build(s->batch_prompts, prompt_count, s->batch_answers, count, true, &batch);
  if (status != STATUS_OK) return status;
  TRY_CLEAN(pass_forward(s->pass, &batch, (DropoutDraw){0}));
  TRY_CLEAN(
      pass_statistics(s->pass, &batch, s->job->tau, entropy == NULL ? NULL : s->row_entropy, NULL, logprob));
  for (size_t i = 0; entropy != NULL && i < batch.predictions; i++) {
    entropy[i] = s->row_entropy[batch.pred_head[i]];
  }
  *predictions = batch.predictions;
cleanup:
  batch_free(&batch);
  return status;
}

static Status check_order(const ScoreJob *job) {
  for (size_t i = 0; i < job->answer_count; i++) {
    size_t prompt = job->answers[i].prompt;
    if (prompt >= job->prompt_count || (i > 0 && prompt < job->answers[i - 1].prompt))
      return status_fail(STATUS_FAILED, "answer %zu to score names prompt %zu out of order", i, prompt);
  }
  return STATUS_OK;
}

Status score_answers(Pass *pass, const ScoreJob *job, float *entropy, float *logprob) {
  Status status = STATUS_OK;
  Scorer s = {.pass = pass, .max_rows = pass_options(pass)->max_rows, .job = job};
  TRY(check_order(job));
  TRY_CLEAN(mem_array(&s.batch_prompts, job->answer_count, "prompts to score"));
  TRY_CLEAN(mem_array(&s.batch_answers, job->answer_count, "answers to score"));
  TRY_CLEAN(mem_array(&s.row_entropy, s.max_rows, "entropies"));
  for (size_t begin = 0, end = 0, first = 0; begin < job->answer_count; begin = end) {
    size_t batch_prompts = 0, predictions = 0;
    TRY_CLEAN(gather(&s, begin, &end, &batch_prompts));
    TRY_CLEAN(score_batch(&s, batch_prompts, end - begin, entropy == NULL ? NULL : entropy + first,
                          logprob == NULL ? NULL : logprob + first, &predictions));
    first += predictions;
  }
cleanup:
  free(s.batch_prompts);
  free(s.batch_answers);
  free(s.row_entropy);
  return status;
}
