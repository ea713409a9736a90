// What a run tells. Rule: a line of metrics.jsonl holds numbers that any rerun repeats to the bit, and apart from these only
// fields that begin with "seconds_".
//
// metrics.jsonl, a line per step:
//   step, loss, loss_em, loss_bias, entropy_gap (max − min H_g), gap_relative (gap / H_bar), H_bar, H_<group>
//   lambda_weight (after annealing), grad_norm (before clipping), lr
//   tokens (answer tokens sampled), tokens_scored (predictions in the loss; with pairing = paired each answer counts under
//   every prompt), answers, answers_ended (by an end token), sequences
//   seconds_sampling, seconds_training (measuring, loss, gradient), seconds_update (clipping, AdamW)
//
// samples.jsonl, a line per sequence, enough to compute the loss again:
//   step, group, type, prompt_tokens, answer_tokens, answer, H, set, answer_of (group whose prompt it was sampled from), unit
//   (what loss.unbiased takes as one observation), weight, em_weight (of its type)
#include "trainer.h"

#include "io/file.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

static Status open_lines(const Trainer *t, const char *name, JsonLines **out) {
  char *path = NULL;
  TRY(path_join(&path, t->folder, name));
  Status status = jsonlines_open(path, (int64_t)t->state.step + 1, out);
  free(path);
  return status;
}

Status report_open(Trainer *t) {
  TRY(open_lines(t, "metrics.jsonl", &t->metrics));
  if (t->job->track_samples) TRY(open_lines(t, "samples.jsonl", &t->samples));
  TRY(progress_create(t->job->progress, "training", t->job->train.max_steps, &t->progress));
  if (t->state.step < t->job->train.max_steps) progress_update(t->progress, t->state.step);
  return STATUS_OK;
}

void report_close(Trainer *t) {
  progress_free(t->progress);
  jsonlines_close(t->metrics);
  jsonlines_close(t->samples);
  t->progress = NULL;
  t->metrics = t->samples = NULL;
}

Status report_sync(Trainer *t) {
  if (t->samples != NULL) TRY(jsonlines_sync(t->samples));
  return jsonlines_sync(t->metrics);
}

void report_phase(Trainer *t, const char *phase) {
  progress_phase(t->progress, phase);
}

// ---- metrics ----

static bool add(cJSON *object, const char *key, double value) {
  return cJSON_AddNumberToObject(object, key, value) != NULL; // NaN becomes null
}

static bool add_entropies(const Trainer *t, const LossResult *loss, cJSON *object) {
  for (size_t g = 0; g < t->batch.shape.groups; g++) {
    char *key = NULL;
    if (str_format(&key, "H_%s", groups_name(t->job->dataset->groups, g)) != STATUS_OK) return false;
    bool added = add(object, key, loss->H[g]);
    free(key);
    if (!added) return false;
  }
  return true;
}

static double relative_gap(const LossResult *loss) {
  return loss->H_bar > 0 ? loss->gap / loss->H_bar : 0;
}

static cJSON *describe_step(const Trainer *t, const StepReport *r) {
  const LossResult *loss = &r->loss;
  cJSON *o = cJSON_CreateObject();
  bool made =
      add(o, "step", (double)r->step) && add(o, "loss", loss->loss) && add(o, "loss_em", loss->loss_em) &&
      add(o, "loss_bias", loss->loss_bias) && add(o, "entropy_gap", loss->gap) &&
      add(o, "gap_relative", relative_gap(loss)) && add(o, "H_bar", loss->H_bar) &&
      add_entropies(t, loss, o) && add(o, "lambda_weight", loss->lambda) &&
      add(o, "grad_norm", r->grad_norm) && add(o, "lr", r->lr) &&
      add(o, "tokens", (double)r->tokens_sampled) && add(o, "tokens_scored", (double)r->tokens_scored) &&
      add(o, "answers", (double)t->batch.shape.count) && add(o, "answers_ended", (double)r->answers_ended) &&
      add(o, "sequences", (double)t->batch.sequence_count) &&
      add(o, "seconds_sampling", r->seconds_sampling) && add(o, "seconds_training", r->seconds_training) &&
      add(o, "seconds_update", r->seconds_update);
  if (made) return o;
  cJSON_Delete(o);
  return NULL;
}

// ---- samples ----

static cJSON *token_list(const int32_t *ids, size_t count) {
  if (count > INT32_MAX) return NULL;
  return cJSON_CreateIntArray(ids, (int)count);
}

/// Adds an item that may be NULL for want of memory.
static bool attach(cJSON *object, const char *key, cJSON *item) {
  if (item != NULL && cJSON_AddItemToObject(object, key, item)) return true;
  cJSON_Delete(item);
  return false;
}

static Status describe_sample(const Trainer *t, size_t step, size_t s, cJSON **out) {
  const Dataset *dataset = t->job->dataset;
  const StepBatch *batch = &t->batch;
  const Sequence *sequence = &batch->sequences[s];
  const Prompt *prompt = &dataset->prompts[batch->drawn[sequence->under]];
  const Prompt *own = &dataset->prompts[batch->drawn[sequence->answer]];
  const Answer *answer = &batch->answers[sequence->answer];
  Str words = {0};
  if (t->job->tokenizer != NULL) {
    TRY(tokenizer_decode(t->job->tokenizer, answer->tokens, answer->count, true, &words));
  }
  cJSON *o = cJSON_CreateObject();
  bool made = add(o, "step", (double)step) &&
              attach(o, "group", cJSON_CreateString(groups_name(dataset->groups, (size_t)prompt->group))) &&
              attach(o, "type", cJSON_CreateString(dataset->types[prompt->type])) &&
              attach(o, "prompt_tokens", token_list(prompt->tokens.ids, prompt->tokens.count)) &&
              attach(o, "answer_tokens", token_list(answer->tokens, answer->count)) &&
              attach(o, "answer", cJSON_CreateString(str_text(&words))) && add(o, "H", sequence->H) &&
              add(o, "set", (double)prompt->set) &&
              attach(o, "answer_of", cJSON_CreateString(groups_name(dataset->groups, (size_t)own->group))) &&
              add(o, "unit", (double)batch->samples[s].unit) && add(o, "weight", batch->samples[s].weight) &&
              add(o, "em_weight", batch->samples[s].em_weight);
  str_free(&words);
  *out = o;
  if (made) return STATUS_OK;
  cJSON_Delete(o);
  *out = NULL;
  return status_fail(STATUS_FAILED, "out of memory for a line of samples.jsonl");
}

// ---- a step ----

static void show_step(Trainer *t, const StepReport *r) {
  const TrainOptions *options = &t->job->train;
  if (options->log_steps > 1 && r->step % options->log_steps != 0 && r->step < options->max_steps) {
    progress_update(t->progress, r->step);
    return;
  }
  double seconds = r->seconds_sampling + r->seconds_training + r->seconds_update;
  char line[160];
  (void)snprintf(line, sizeof line, "loss %.4f  gap %.4f (%.1f %%)  H %.3f  %.0f tokens/s", r->loss.loss,
                 r->loss.gap, 100 * relative_gap(&r->loss), r->loss.H_bar,
                 seconds > 0 ? (double)r->tokens_sampled / seconds : 0);
  progress_line(t->progress, r->step, line);
}

Status report_step(Trainer *t, const StepReport *report) {
  for (size_t s = 0; t->samples != NULL && s < t->batch.sequence_count; s++) {
    cJSON *object = NULL;
    TRY(describe_sample(t, report->step, s, &object));
    TRY(jsonlines_write(t->samples, object));
  }
  TRY(jsonlines_write(t->metrics, describe_step(t, report)));
  show_step(t, report);
  return STATUS_OK;
}
