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
  HeadLink *links;            // [max_rows] by head row
} Scorer;

/// Where the numbers of a batch go: its first prediction's. NULL if they are not wanted.
typedef struct Scores {
  float *entropy, *logprob, *kl;
} Scores;

static Scores scores_from(const Scores *all, size_t first) {
  return (Scores){all->entropy == NULL ? NULL : all->entropy + first,
                  all->logprob == NULL ? NULL : all->logprob + first,
                  all->kl == NULL ? NULL : all->kl + first};
}

/// Fills the lists of the batch with the answers [begin, *end) that fit, at least one. Answers are ordered by
/// prompt, so a prompt that several of them share is added once.
static Status gather(Scorer *s, size_t begin, size_t *end, size_t *prompt_count) {
  const ScoreJob *job = s->job;
  size_t rows = 0, count = 0, i = begin;
  for (; i < job->answer_count; i++) {
    const BatchAnswer *answer = &job->answers[i];
    bool same_prompt = i > begin && answer->prompt == job->answers[i - 1].prompt;
    size_t needed = same_prompt ? 0 : job->prompts[answer->prompt].count;
    needed += batch_rows(NULL, 0, answer, 1, true);
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

/// Compares the last forward's rows with the base model's, which are kept.
static Status compare_rows(Scorer *s, const Batch *batch) {
  for (size_t row = 0; row < batch->head_rows; row++) s->links[row] = (HeadLink){.row = row, .kept = row};
  return pass_divergences(s->pass, batch, s->job->tau, s->links, batch->head_rows);
}

static Status score_batch(Scorer *s, size_t prompt_count, size_t count, Scores out, size_t *predictions) {
  Batch batch = {0};
  Status status = batch_build(s->batch_prompts, prompt_count, s->batch_answers, count, true, &batch);
  if (status != STATUS_OK) return status;
  if (out.kl != NULL) {
    TRY_CLEAN(pass_forward_base(s->pass, &batch));
    TRY_CLEAN(pass_keep_rows(s->pass, batch.head_row, batch.head_rows, 0));
  }
  TRY_CLEAN(pass_forward(s->pass, &batch, (DropoutDraw){0}));
  if (out.entropy != NULL || out.logprob != NULL)
    TRY_CLEAN(pass_statistics(s->pass, &batch, s->job->tau, out.entropy == NULL ? NULL : s->row_entropy, NULL,
                              out.logprob));
  if (out.kl != NULL) TRY_CLEAN(compare_rows(s, &batch));
  for (size_t i = 0; i < batch.predictions; i++) {
    if (out.entropy != NULL) out.entropy[i] = s->row_entropy[batch.pred_head[i]];
    if (out.kl != NULL) out.kl[i] = s->links[batch.pred_head[i]].kl;
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

static Status score_all(Pass *pass, const ScoreJob *job, const Scores *out) {
  Status status = STATUS_OK;
  Scorer s = {.pass = pass, .max_rows = pass_options(pass)->max_rows, .job = job};
  TRY(check_order(job));
  TRY_CLEAN(mem_array(&s.batch_prompts, job->answer_count, "prompts to score"));
  TRY_CLEAN(mem_array(&s.batch_answers, job->answer_count, "answers to score"));
  TRY_CLEAN(mem_array(&s.row_entropy, s.max_rows, "entropies"));
  if (out->kl != NULL) TRY_CLEAN(mem_array(&s.links, s.max_rows, "divergences"));
  for (size_t begin = 0, end = 0, first = 0; begin < job->answer_count; begin = end) {
    size_t batch_prompts = 0, predictions = 0;
    if (job->stop != NULL && *job->stop)
      TRY_CLEAN(status_fail(STATUS_INTERRUPTED, "stopped while scoring answers"));
    TRY_CLEAN(gather(&s, begin, &end, &batch_prompts));
    TRY_CLEAN(score_batch(&s, batch_prompts, end - begin, scores_from(out, first), &predictions));
    first += predictions;
  }
cleanup:
  free(s.batch_prompts);
  free(s.batch_answers);
  free(s.row_entropy);
  free(s.links);
  return status;
}

Status score_answers(Pass *pass, const ScoreJob *job, float *entropy, float *logprob) {
  return score_all(pass, job, &(Scores){.entropy = entropy, .logprob = logprob});
}

Status score_divergences(Pass *pass, const ScoreJob *job, float *kl) {
  return score_all(pass, job, &(Scores){.kl = kl});
}
