// What a run tells. Rule: a line of metrics.jsonl holds numbers that any rerun repeats to the bit, and apart
// from these only fields that begin with "seconds_".
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
#include <stdio.h>
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
  t->reporting = true;
  progress_begin(t->job->progress, "training", t->state.step, t->job->train.max_steps);
  return STATUS_OK;
}

void report_close(Trainer *t) {
  if (t->reporting) progress_end(t->job->progress);
  jsonlines_close(t->metrics);
  jsonlines_close(t->samples);
  t->metrics = t->samples = NULL;
  t->reporting = false;
}

Status report_sync(Trainer *t) {
  if (t->samples != NULL) TRY(jsonlines_sync(t->samples));
  return jsonlines_sync(t->metrics);
}

void report_phase(Trainer *t, const char *phase) {
  progress_phase(t->job->progress, phase);
}

// ---- metrics ----

static double relative_gap(const LossResult *loss) {
  return loss->H_bar > 0 ? loss->gap / loss->H_bar : 0;
}

static Status add_entropies(const Trainer *t, const LossResult *loss, JsonWriter *json) {
  for (size_t g = 0; g < t->batch.shape.groups; g++) {
    char *key = NULL;
    TRY(str_format(&key, "H_%s", groups_name(t->job->dataset->groups, g)));
    json_number(json, key, loss->H[g]);
    free(key);
  }
  return STATUS_OK;
}

static Status write_metrics(const Trainer *t, const StepReport *r) {
  const LossResult *loss = &r->loss;
  JsonWriter json = {0};
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  json_integer(&json, "step", (int64_t)r->step);
  json_number(&json, "loss", loss->loss);
  json_number(&json, "loss_em", loss->loss_em);
  json_number(&json, "loss_bias", loss->loss_bias);
  json_number(&json, "entropy_gap", loss->gap);
  json_number(&json, "gap_relative", relative_gap(loss));
  json_number(&json, "H_bar", loss->H_bar);
  TRY_CLEAN(add_entropies(t, loss, &json));
  json_number(&json, "lambda_weight", loss->lambda);
  json_number(&json, "grad_norm", r->grad_norm);
  json_number(&json, "lr", r->lr);
  json_integer(&json, "tokens", (int64_t)r->tokens_sampled);
  json_integer(&json, "tokens_scored", (int64_t)r->tokens_scored);
  json_integer(&json, "answers", (int64_t)t->batch.shape.count);
  json_integer(&json, "answers_ended", (int64_t)r->answers_ended);
  json_integer(&json, "sequences", (int64_t)t->batch.sequence_count);
  json_number(&json, "seconds_sampling", r->seconds_sampling);
  json_number(&json, "seconds_training", r->seconds_training);
  json_number(&json, "seconds_update", r->seconds_update);
  json_object_end(&json);
  TRY_CLEAN(jsonlines_write(t->metrics, &json));
cleanup:
  json_free(&json);
  return status;
}

// ---- samples ----

static Status write_sample(const Trainer *t, size_t step, size_t s) {
  const Dataset *dataset = t->job->dataset;
  const StepBatch *batch = &t->batch;
  const Sequence *sequence = &batch->sequences[s];
  const Prompt *prompt = &dataset->prompts[batch->drawn[sequence->under]];
  const Prompt *own = &dataset->prompts[batch->drawn[sequence->answer]];
  const Answer *answer = &batch->answers[sequence->answer];
  Str words = {0};
  JsonWriter json = {0};
  Status status = STATUS_OK;
  if (t->job->tokenizer != NULL)
    TRY_CLEAN(tokenizer_decode(t->job->tokenizer, answer->tokens, answer->count, true, &words));
  json_object_begin(&json, NULL);
  json_integer(&json, "step", (int64_t)step);
  json_string(&json, "group", groups_name(dataset->groups, (size_t)prompt->group));
  json_string(&json, "type", dataset->types[prompt->type]);
  json_integers(&json, "prompt_tokens", prompt->tokens.ids, prompt->tokens.count);
  json_integers(&json, "answer_tokens", answer->tokens, answer->count);
  json_bytes(&json, "answer", words.data, words.size);
  json_number(&json, "H", sequence->H);
  json_integer(&json, "set", (int64_t)prompt->set);
  json_string(&json, "answer_of", groups_name(dataset->groups, (size_t)own->group));
  json_integer(&json, "unit", (int64_t)batch->samples[s].unit);
  json_number(&json, "weight", batch->samples[s].weight);
  json_number(&json, "em_weight", batch->samples[s].em_weight);
  json_object_end(&json);
  TRY_CLEAN(jsonlines_write(t->samples, &json));
cleanup:
  str_free(&words);
  json_free(&json);
  return status;
}

// ---- a step ----

static void show_step(Trainer *t, const StepReport *r) {
  const TrainOptions *options = &t->job->train;
  if (options->log_steps > 1 && r->step % options->log_steps != 0 && r->step < options->max_steps) {
    progress_update(t->job->progress, r->step);
    return;
  }
  double seconds = r->seconds_sampling + r->seconds_training + r->seconds_update;
  char line[160];
  (void)snprintf(line, sizeof line, "loss %.4f  gap %.4f (%.1f %%)  H %.3f  %.0f tokens/s", r->loss.loss,
                 r->loss.gap, 100 * relative_gap(&r->loss), r->loss.H_bar,
                 seconds > 0 ? (double)r->tokens_sampled / seconds : 0);
  progress_line(t->job->progress, r->step, line);
}

Status report_step(Trainer *t, const StepReport *report) {
  for (size_t s = 0; t->samples != NULL && s < t->batch.sequence_count; s++)
    TRY(write_sample(t, report->step, s));
  TRY(write_metrics(t, report));
  show_step(t, report);
  return STATUS_OK;
}
