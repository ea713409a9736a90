// What a run reports. Rule: the numbers in metrics.jsonl are ones that a rerun reproduces bit for bit; the
// only others begin with "seconds_".
//
// metrics.jsonl, a line per step:
//   step, loss, loss_em, loss_bias, kl (with loss.kl_weight: from the base model), entropy_gap (max − min
//   H_g), gap_relative (gap / H_bar), H_bar, H_<group> H_drift (how far the smoothed H_bar is from the first
//   step's, as a share of it), H_drift_noise (what of that may be noise; null while unknown: drift.h);
//   stopped_by_drift: 1 if train.max_drift ended the run here lambda_weight (after annealing), grad_norm
//   (before clipping), lr extended_from: max_steps before
//   --extend; from the first step that follows the new learning rate curve tokens (answer tokens sampled),
//   tokens_scored (predictions in the loss; with pairing = paired each answer counts under every prompt),
//   answers, answers_ended (by an end token), sequences seconds_sampling, seconds_training (measuring, loss,
//   gradient), seconds_update (clipping, AdamW)
//
// and with train.objective = sft:
//   step, loss (mean over the tokens that count), perplexity, token_accuracy, entropy (mean over tokens),
//   grad_norm, lr, extended_from, epoch (rows drawn / rows), tokens (of all sequences), tokens_scored (that
//   count), sequences, seconds_training, seconds_update
//
// samples.jsonl, a line per sequence, enough to compute the loss again:
//   step, group, type, prompt_tokens, answer_tokens, answer, H, set, answer_of (group whose prompt it was
//   sampled from), unit (one observation for loss.unbiased), weight, em_weight (of its type), and what of
//   it the loss has: kl (from the base model), partner_kl (from the answer under the other groups' prompts)
//
// <evaluation>.jsonl (bias_eval.jsonl: the gap), a line per evaluation, step 0 before the first step:
//   what evaluation_write_json writes (eval/gap.h), and step: the steps done when it ran
#include "report.h"

#include "io/file.h"
#include "io/json_write.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Status open_lines(const TrackedRun *run, const char *name, JsonLines **out) {
  char *path = NULL;
  TRY(path_join(&path, run->folder, name));
  Status status = jsonlines_open(path, (int64_t)run->first_step, out);
  free(path);
  return status;
}

static Status open_evaluation_files(Report *report, const TrackedRun *run) {
  const TrainJob *job = report->job;
  if (job->train.bias_eval_steps == 0) return STATUS_OK;
  TRY(mem_array(&report->evaluations, job->evaluation_count, "evaluations"));
  for (size_t i = 0; i < job->evaluation_count; i++) {
    char *name = NULL;
    TRY(str_format(&name, "%s.jsonl", job->evaluations[i]->name));
    Status status = open_lines(run, name, &report->evaluations[i]);
    free(name);
    TRY(status);
  }
  return STATUS_OK;
}

Status report_open(Report *report, const TrainJob *job, const char *folder, size_t steps, bool resumed) {
  TrackedRun run = job->tracked;
  run.folder = folder;
  run.config_text = job->config_text;
  run.first_step = resumed ? steps + 1 : 0; // the evaluation before the first step has step 0
  report->job = job;
  TRY(tracker_add(&report->tracker, &metrics_jsonl, &run));
  for (size_t i = 0; i < job->sink_count; i++) TRY(tracker_add(&report->tracker, job->sinks[i], &run));
  if (job->track_samples) TRY(open_lines(&run, "samples.jsonl", &report->samples));
  TRY(open_evaluation_files(report, &run));
  report->open = true;
  progress_begin(job->progress, "training", "step", steps, job->train.max_steps);
  return STATUS_OK;
}

void report_close(Report *report) {
  if (report->open) progress_end(report->job->progress);
  tracker_close(&report->tracker);
  jsonlines_close(report->samples);
  for (size_t i = 0; report->evaluations != NULL && i < report->job->evaluation_count; i++)
    jsonlines_close(report->evaluations[i]);
  free(report->evaluations);
  *report = (Report){0};
}

Status report_sync(Report *report) {
  if (report->samples != NULL) TRY(jsonlines_sync(report->samples));
  for (size_t i = 0; report->evaluations != NULL && i < report->job->evaluation_count; i++)
    TRY(jsonlines_sync(report->evaluations[i]));
  return tracker_sync(&report->tracker);
}

Status report_finish(Report *report) {
  TRY(tracker_finish(&report->tracker));
  return report_sync(report);
}

// ---- metrics ----

static double relative_gap(const LossResult *loss) {
  return loss->H_bar > 0 ? loss->gap / loss->H_bar : 0;
}

/// Lists the metrics in the order of the members of metrics.jsonl.
static void list_metrics(const StepReport *r, const StepBatch *batch, MetricList *metrics) {
  const LossResult *loss = &r->loss;
  metrics_add(metrics, loss->loss, "loss");
  metrics_add(metrics, loss->loss_em, "loss_em");
  metrics_add(metrics, loss->loss_bias, "loss_bias");
  if (!isnan(loss->kl)) metrics_add(metrics, loss->kl, "kl");
  metrics_add(metrics, loss->gap, "entropy_gap");
  metrics_add(metrics, relative_gap(loss), "gap_relative");
  metrics_add(metrics, loss->H_bar, "H_bar");
  for (size_t g = 0; g < batch->shape.groups; g++)
    metrics_add(metrics, loss->H[g], "H_%s", groups_name(batch->shape.dataset->groups, g));
  metrics_add(metrics, r->drift.relative, "H_drift");
  metrics_add(metrics, r->drift.noise, "H_drift_noise");
  if (r->stopped) metrics_add(metrics, 1, "stopped_by_drift");
  metrics_add(metrics, loss->lambda, "lambda_weight");
  metrics_add(metrics, r->grad_norm, "grad_norm");
  metrics_add(metrics, r->lr, "lr");
  if (r->extended_from > 0) metrics_add(metrics, (double)r->extended_from, "extended_from");
  metrics_add(metrics, (double)r->tokens_sampled, "tokens");
  metrics_add(metrics, (double)r->tokens_scored, "tokens_scored");
  metrics_add(metrics, (double)batch->shape.total, "answers");
  metrics_add(metrics, (double)r->answers_ended, "answers_ended");
  metrics_add(metrics, (double)batch->sequence_count, "sequences");
  metrics_add(metrics, r->seconds_sampling, "seconds_sampling");
  metrics_add(metrics, r->seconds_training, "seconds_training");
  metrics_add(metrics, r->seconds_update, "seconds_update");
}

/// The same for given answers.
static void list_given_metrics(const StepReport *r, size_t rows, MetricList *metrics) {
  double tokens = (double)r->given.tokens, loss = r->given.nll / tokens;
  metrics_add(metrics, loss, "loss");
  metrics_add(metrics, exp(loss), "perplexity");
  metrics_add(metrics, (double)r->given.likeliest / tokens, "token_accuracy");
  metrics_add(metrics, r->given.entropy / tokens, "entropy");
  metrics_add(metrics, r->grad_norm, "grad_norm");
  metrics_add(metrics, r->lr, "lr");
  if (r->extended_from > 0) metrics_add(metrics, (double)r->extended_from, "extended_from");
  metrics_add(metrics, r->epoch, "epoch");
  metrics_add(metrics, (double)r->tokens_read, "tokens");
  metrics_add(metrics, tokens, "tokens_scored");
  metrics_add(metrics, (double)rows, "sequences");
  metrics_add(metrics, r->seconds_training, "seconds_training");
  metrics_add(metrics, r->seconds_update, "seconds_update");
}

/// Frees the metrics.
static Status track_step(Report *report, const StepReport *r, MetricList *metrics) {
  Status status = tracker_write(&report->tracker, &(MetricRecord){.step = r->step, .metrics = metrics});
  metrics_free(metrics);
  return status;
}

// ---- samples ----

/// Sequence `s` of the batch of step `step`.
static Status write_sample(const Report *report, size_t step, const StepBatch *batch, size_t s) {
  const Dataset *dataset = batch->shape.dataset;
  const Tokenizer *tokenizer = report->job->tokenizer;
  const Sequence *sequence = &batch->sequences[s];
  const Prompt *prompt = &dataset->prompts[batch->drawn[sequence->under]];
  const Prompt *own = &dataset->prompts[batch->drawn[sequence->answer]];
  const Answer *answer = &batch->answers[sequence->answer];
  Str words = {0};
  JsonWriter json = {0};
  Status status = STATUS_OK;
  if (tokenizer != NULL) TRY_CLEAN(tokenizer_decode(tokenizer, answer->tokens, answer->count, true, &words));
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
  if (report->job->loss.kl_weight > 0) json_number(&json, "kl", sequence->kl);
  if (report->job->loss.form == LOSS_SYMMETRIC_KL) json_number(&json, "partner_kl", sequence->partner_kl);
  json_object_end(&json);
  TRY_CLEAN(jsonlines_write(report->samples, &json));
cleanup:
  str_free(&words);
  json_free(&json);
  return status;
}

// ---- a step ----

/// Shows the line, or only how far the run is, as train.log_steps says.
static void show_line(const TrainJob *job, size_t step, const char *line) {
  const TrainOptions *options = &job->train;
  if (options->log_steps > 1 && step % options->log_steps != 0 && step < options->max_steps)
    progress_update(job->progress, step);
  else
    progress_line(job->progress, step, line);
}

static double per_second(size_t count, const StepReport *r) {
  double seconds = r->seconds_sampling + r->seconds_training + r->seconds_update;
  return seconds > 0 ? (double)count / seconds : 0;
}

/// The gap is that of gee-cl gap: H of the second group less that of the first, or max − min of more groups.
static void show_step(const TrainJob *job, const StepReport *r) {
  bool is_signed = groups_count(job->dataset->groups) == 2 && r->loss.groups_present == 2;
  char gap[32], line[160];
  (void)snprintf(gap, sizeof gap, is_signed ? "%+.4f" : "%.4f",
                 is_signed ? r->loss.H[1] - r->loss.H[0] : r->loss.gap);
  (void)snprintf(line, sizeof line, "loss %.4f  gap %s  H %.3f  %.0f tokens/s", r->loss.loss, gap,
                 r->loss.H_bar, per_second(r->tokens_sampled, r));
  show_line(job, r->step, line);
}

Status report_step(Report *report, const StepReport *step, const StepBatch *batch) {
  MetricList metrics = {0};
  for (size_t s = 0; report->samples != NULL && s < batch->sequence_count; s++)
    TRY(write_sample(report, step->step, batch, s));
  list_metrics(step, batch, &metrics);
  TRY(track_step(report, step, &metrics));
  show_step(report->job, step);
  return STATUS_OK;
}

Status report_given_step(Report *report, const StepReport *step) {
  MetricList metrics = {0};
  double tokens = (double)step->given.tokens;
  char line[160];
  list_given_metrics(step, report->job->train.effective_batch, &metrics);
  TRY(track_step(report, step, &metrics));
  (void)snprintf(line, sizeof line, "loss %.4f  accuracy %.1f %%  %.0f tokens/s", step->given.nll / tokens,
                 100 * (double)step->given.likeliest / tokens, per_second(step->tokens_read, step));
  show_line(report->job, step->step, line);
  return STATUS_OK;
}

// ---- an evaluation ----

bool report_has_evaluation(const Report *report, size_t index, size_t steps) {
  return jsonlines_last_step(report->evaluations[index]) == (int64_t)steps;
}

static Status write_evaluation(const Report *report, size_t index, size_t steps, const MetricList *metrics) {
  JsonWriter json = {0};
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  TRY_CLEAN(evaluation_write_json(report->job->evaluations[index], metrics, &json));
  json_integer(&json, "step", (int64_t)steps);
  json_object_end(&json);
  TRY_CLEAN(jsonlines_write(report->evaluations[index], &json));
cleanup:
  json_free(&json);
  return status;
}

/// The line in the evaluation's file is written last, because a resumed run takes it to mean that this
/// evaluation is done.
Status report_evaluation(Report *report, size_t index, size_t steps, const MetricList *metrics) {
  const Evaluation *evaluation = report->job->evaluations[index];
  MetricRecord record = {.step = steps, .source = evaluation->name, .metrics = metrics};
  Str line = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(evaluation_summarize(evaluation, metrics, &line));
  TRY_CLEAN(tracker_write(&report->tracker, &record));
  TRY_CLEAN(write_evaluation(report, index, steps, metrics));
  progress_result(report->job->progress, steps, str_text(&line));
cleanup:
  str_free(&line);
  return status;
}
