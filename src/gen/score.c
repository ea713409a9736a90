// Scoring given answers. Rule: as many answers as fit go through the pass together, an answer always with its prompt.
#include "gen/score.h"

#include "util/memory.h"
#include <stdlib.h>

/// What every batch needs, in memory for the largest.
typedef struct Scorer {
  Pass *pass;
  size_t max_rows;
  const ScoreJob *job;
  TokenSpan *batch_prompts;   // [answer_count] of the batch at hand
  BatchAnswer *batch_answers; // [answer_count]
  float *row_entropy;         // [max_rows] by head row
} Scorer;

/// *end = the first answer that no longer fits the batch that begins at `begin`; fills the batch's lists.
static Status gather(Scorer *s, size_t begin, size_t *end, size_t *prompt_count) {
  const ScoreJob *job = s->job;
  size_t rows = 0, count = 0, at = begin;
  for (; at < job->answer_count; at++) {
    const BatchAnswer *answer = &job->answers[at];
    bool same = at > begin && answer->prompt == job->answers[at - 1].prompt;
    size_t needed = answer->tokens.count - (answer->tokens.count > 0);
    if (!same) needed += job->prompts[answer->prompt].count;
    if (rows + needed > s->max_rows) {
      if (at > begin) break;
      return status_fail(
          STATUS_INPUT,
          "answer %zu takes %zu rows with its prompt, the pass has %zu: cut it, or raise the limit "
          "on tokens",
          at, needed, s->max_rows);
    }
    rows += needed;
    if (!same) s->batch_prompts[count++] = job->prompts[answer->prompt];
    s->batch_answers[at - begin] = *answer;
    s->batch_answers[at - begin].prompt = count - 1;
  }
  *end = at;
  *prompt_count = count;
  return STATUS_OK;
}

/// One batch; outputs begin at this batch's first prediction.
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
