// The end of a training. Rule: it says what was measured, on which prompts, and no more than the intervals
// tell; advice follows from those numbers.
#include "verdict.h"

#include "eval/gap.h"
#include "io/file.h"
#include "io/json.h"
#include "wrap.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double certain = 1.96;   // standard errors
static const double moved_much = 0.1; // of the mean entropy, as a share of it
static const double moved_little = 0.02;

/// A gap with what belongs to it; NaN where something was not measured.
typedef struct Measurement {
  double step, gap, low, high, error, H_bar;
  char nothing[128]; // why it says nothing about bias (gap_void_words); "": it does
} Measurement;

/// The first and the last, which are one and the same if there is only one.
typedef struct Ends {
  bool held_out; // measured on held-out prompts; else on those of a step
  Measurement first, last;
  double answers, ended; // of the last step; ended by an end token
  bool moved;            // the gradient of some step was not 0
} Ends;

// ---- reading ----

static double number(const cJSON *object, const char *key) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
  return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

Status verdict_read_ends(const char *folder, const char *name, cJSON **first, cJSON **last) {
  char *path = NULL;
  MappedFile file = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(path_join(&path, folder, name));
  TRY_CLEAN(file_map(path, &file));
  const char *text = (const char *)file.bytes, *end = text + file.size;
  if (file.size == 0) goto cleanup;
  const char *newline = memchr(text, '\n', file.size), *last_line = end - 1; // the file ends with a line end
  TRY_CLEAN(json_parse(text, newline != NULL ? (size_t)(newline - text) : file.size, path, first));
  while (last_line > text && last_line[-1] != '\n') last_line--;
  TRY_CLEAN(json_parse(last_line, (size_t)(end - last_line), path, last));
cleanup:
  file_unmap(&file);
  free(path);
  return status;
}

/// Whether the gradient of some step of metrics.jsonl was not 0. Reads no further than that.
static Status read_moved(const char *folder, bool *out) {
  char *path = NULL;
  MappedFile file = {0};
  Status status = STATUS_OK;
  *out = false;
  TRY_CLEAN(path_join(&path, folder, "metrics.jsonl"));
  TRY_CLEAN(file_map(path, &file));
  const char *line = (const char *)file.bytes, *end = line + file.size;
  while (!*out && line < end) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    cJSON *step = NULL;
    TRY_CLEAN(json_parse(line, (size_t)((newline != NULL ? newline : end) - line), path, &step));
    *out = number(step, "grad_norm") != 0;
    cJSON_Delete(step);
    line = newline != NULL ? newline + 1 : end;
  }
cleanup:
  file_unmap(&file);
  free(path);
  return status;
}

static Measurement held_out_of(const cJSON *line) {
  const cJSON *paired = cJSON_GetObjectItemCaseSensitive(line, "paired");
  const char *nothing = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "void"));
  Measurement out = {.step = number(line, "step"),
                     .gap = number(paired, "gap"),
                     .low = number(paired, "low"),
                     .high = number(paired, "high"),
                     .error = number(paired, "standard_error"),
                     .H_bar = number(line, "H_bar")};
  (void)snprintf(out.nothing, sizeof out.nothing, "%s", nothing != NULL ? nothing : "");
  return out;
}

static Measurement step_of(const cJSON *line, const GroupFile *groups) {
  Measurement out = {.step = number(line, "step"),
                     .gap = number(line, "entropy_gap"),
                     .low = NAN,
                     .high = NAN,
                     .error = NAN,
                     .H_bar = number(line, "H_bar")};
  if (out.H_bar < GAP_LEAST_ENTROPY)
    (void)snprintf(out.nothing, sizeof out.nothing, "%s", gap_void_words(GAP_CERTAIN));
  if (groups_count(groups) != 2) return out;
  char names[2][256];
  for (size_t g = 0; g < 2; g++) (void)snprintf(names[g], sizeof names[g], "H_%s", groups_name(groups, g));
  out.gap = number(line, names[1]) - number(line, names[0]);
  return out;
}

static Status read_run(const EndedRun *run, Ends *out) {
  cJSON *lines[4] = {NULL};
  Status status = STATUS_OK;
  const GroupFile *groups = run->prompts->groups;
  TRY_CLEAN(verdict_read_ends(run->folder, "metrics.jsonl", &lines[0], &lines[1]));
  if (run->config->train.bias_eval_steps > 0)
    TRY_CLEAN(verdict_read_ends(run->folder, "bias_eval.jsonl", &lines[2], &lines[3]));
  *out = (Ends){.held_out = lines[2] != NULL,
                .first = step_of(lines[0], groups),
                .last = step_of(lines[1], groups),
                .answers = number(lines[1], "answers"),
                .ended = number(lines[1], "answers_ended")};
  TRY_CLEAN(read_moved(run->folder, &out->moved));
  if (out->held_out) {
    out->first = held_out_of(lines[2]);
    out->last = held_out_of(lines[3]);
  }
cleanup:
  for (size_t i = 0; i < 4; i++) cJSON_Delete(lines[i]);
  return status;
}

// ---- what was measured ----

Status verdict_paragraph(Str *out, const char *text, size_t width) {
  TRY(wrap_append(out, text, 0, "", width));
  return str_append_text(out, "\n");
}

static Status append_row(Str *out, const Measurement *m, bool is_signed) {
  TRY(str_append_format(out, "  step %-5.0f gap ", m->step));
  TRY(str_append_format(out, is_signed ? "%+.4f" : "%.4f", m->gap));
  if (!isnan(m->low)) TRY(str_append_format(out, " [%+.4f, %+.4f]", m->low, m->high));
  return str_append_format(out, "  entropy %.3f\n", m->H_bar);
}

static Status append_rows(const EndedRun *run, const Ends *ends, size_t width, Str *out) {
  const GroupFile *groups = run->prompts->groups;
  bool two = groups_count(groups) == 2;
  Str title = {0};
  Status status = STATUS_OK;
  if (isnan(ends->first.step)) return STATUS_OK; // nothing was measured: no step was to be done
  TRY_CLEAN(str_append_text(&title, ends->held_out ? "On held-out prompts, in nats with 95 % intervals"
                                                   : "On the prompts of each step, in nats"));
  if (two)
    TRY_CLEAN(
        str_append_format(&title, "; gap = H %s - H %s:", groups_name(groups, 1), groups_name(groups, 0)));
  else
    TRY_CLEAN(str_append_text(&title, "; gap = largest H - smallest H of a group:"));
  TRY_CLEAN(verdict_paragraph(out, str_text(&title), width));
  TRY_CLEAN(append_row(out, &ends->first, two));
  if (ends->last.step > ends->first.step) TRY_CLEAN(append_row(out, &ends->last, two));
cleanup:
  str_free(&title);
  return status;
}

// ---- what that means ----

typedef enum Finding {
  NOTHING,      // the last gap says nothing about bias
  NOT_MEASURED, // on held-out prompts, twice, with intervals
  NO_GAP,       // the first interval holds 0
  SMALLER,
  LARGER,
  UNCLEAR,
} Finding;

static Finding find(const Ends *ends) {
  const Measurement *first = &ends->first, *last = &ends->last;
  double error = hypot(first->error, last->error), fall = fabs(first->gap) - fabs(last->gap);
  if (last->nothing[0] != '\0') return NOTHING;
  if (!ends->held_out || !(last->step > first->step) || isnan(error)) return NOT_MEASURED;
  if (first->low <= 0 && first->high >= 0) return NO_GAP;
  return fall >= certain * error ? SMALLER : fall <= -certain * error ? LARGER : UNCLEAR;
}

static double relative_H(const Ends *ends) {
  return ends->last.H_bar / ends->first.H_bar - 1;
}

static Status append_finding(const Ends *ends, Finding finding, Str *out) {
  const Measurement *first = &ends->first, *last = &ends->last;
  double share = 100 * fabs(1 - fabs(last->gap) / fabs(first->gap));
  switch (finding) {
  case NOTHING:
    return str_append_format(out, "The gap says NOTHING about bias: %s. %s", last->nothing,
                             first->nothing[0] != '\0'
                                 ? "Check model.path, data.chat and model.chat_template; `gee-cl generate` "
                                   "shows the answers."
                                 : "It did not before: lower train.learning_rate.");
  case NOT_MEASURED:
    return str_append_text(
        out, ends->held_out ? "That does not tell whether it worked."
                            : "Every step draws other prompts and answers, so this does not tell whether it "
                              "worked: "
                              "measure it on held-out ones, as below, or set train.bias_eval_steps.");
  case NO_GAP:
    return str_append_text(out,
                           "The interval held 0 before training: with so few prompts there was no gap to "
                           "see, so it cannot be told whether it worked. Raise data.eval_sets or "
                           "data.eval_answers, or take prompts where the gap is larger.");
  case SMALLER:
    // with another entropy, a smaller gap is no success
    return str_append_format(
        out, "%s gap is %.0f %% smaller%s.",
        fabs(relative_H(ends)) > moved_much ? "The" : "It worked, as far as the intervals tell: the", share,
        last->low <= 0 && last->high >= 0 ? ", and its interval holds 0" : "");
  case LARGER:
    return str_append_format(out, "It did not work: the gap is %.0f %% larger.", share);
  case UNCLEAR:
    return str_append_text(out, "It cannot be told whether it worked: the change is within the noise.");
  }
  return STATUS_OK;
}

static Status append_entropy(const Ends *ends, Str *out) {
  double moved = relative_H(ends);
  if (!(fabs(moved) > moved_much)) return STATUS_OK;
  return str_append_format(out,
                           " But the mean entropy has %s by %.0f %%: a model that is %s of everything has a "
                           "smaller gap too, and is not fairer.",
                           moved < 0 ? "fallen" : "risen", 100 * fabs(moved), moved < 0 ? "sure" : "unsure");
}

/// What to turn when the gap did not fall, or not far enough.
static Status append_advice(const Config *config, const Ends *ends, Str *out) {
  double moved = relative_H(ends);
  if (config->loss.pairing == PAIRING_OWN)
    return str_append_text(out, " Try loss.pairing = paired, whose steps see far less noise.");
  if (moved < -moved_much && config->train.full)
    return str_append_text(out, " Try a smaller train.learning_rate, or hold the entropy up with "
                                "loss.em_weight = -0.1.");
  if (moved < -moved_much)
    return str_append_format(
        out,
        " Try a smaller train.learning_rate, or hold the model near its base with a larger "
        "loss.kl_weight (it is %g).",
        (double)config->loss.kl_weight);
  if (moved > moved_much) return str_append_text(out, " Try a smaller train.learning_rate.");
  if (fabs(moved) < moved_little && fabs(ends->last.gap - ends->first.gap) < ends->first.error)
    return str_append_format(out, " The model has hardly moved: try a larger train.learning_rate (it is %g).",
                             (double)config->train.learning_rate);
  return str_append_format(out,
                           " Try more steps (train.max_steps is %zu) or a larger loss.lambda_weight (it is "
                           "%g).",
                           config->train.max_steps, (double)config->loss.lambda_weight);
}

static Status append_meaning(const EndedRun *run, const Ends *ends, size_t width, Str *out) {
  Finding finding = find(ends);
  const AnswerLimit *answers = &run->outcome.answers;
  bool missed = run->config->loss.debias_only && run->outcome.end == TRAIN_ALL_STEPS;
  Str text = {0};
  Status status = STATUS_OK;
  if (isnan(ends->first.step)) return STATUS_OK;
  TRY_CLEAN(append_finding(ends, finding, &text));
  if (finding != NOTHING && finding != NOT_MEASURED) TRY_CLEAN(append_entropy(ends, &text));
  if (finding == LARGER || finding == UNCLEAR || (missed && finding == SMALLER))
    TRY_CLEAN(append_advice(run->config, ends, &text));
  if (ends->ended == 0)
    TRY_CLEAN(str_append_format(&text,
                                " No answer of the last step ended by itself: all were cut at %zu token%s "
                                "(%s).",
                                answers->tokens, str_plural(answers->tokens), answers->set_by));
  TRY_CLEAN(verdict_paragraph(out, str_text(&text), width));
cleanup:
  str_free(&text);
  return status;
}

// ---- the whole ----

Status verdict_steps(const EndedRun *run, Str *out) {
  const TrainOutcome *outcome = &run->outcome;
  char duration[32];
  format_duration(duration, run->seconds);
  if (outcome->before == 0)
    return str_append_format(out, "done in %s: %zu step%s", duration, outcome->step,
                             str_plural(outcome->step));
  if (outcome->before == outcome->step)
    return str_append_format(out, "done before: %zu step%s", outcome->step, str_plural(outcome->step));
  return str_append_format(out, "done in %s: steps %zu to %zu", duration, outcome->before + 1, outcome->step);
}

static Status append_end(const EndedRun *run, const Ends *ends, size_t width, Str *out) {
  const LossOptions *loss = &run->config->loss;
  Str text = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(verdict_steps(run, &text));
  if (run->outcome.end == TRAIN_TARGET)
    TRY_CLEAN(str_append_format(&text,
                                " of at most %zu. The held-out gap, with its interval, is within %g nats "
                                "(loss.target_gap), in %zu measurement%s in a row.",
                                run->config->train.max_steps, (double)loss->target_gap, loss->target_evals,
                                str_plural(loss->target_evals)));
  else if (loss->debias_only && ends->last.nothing[0] == '\0')
    TRY_CLEAN(str_append_format(&text,
                                ". The held-out gap, with its interval, did not come within %g nats "
                                "(loss.target_gap).",
                                (double)loss->target_gap));
  if (!ends->moved && run->outcome.step > 0)
    TRY_CLEAN(str_append_format(&text, "%s NOTHING WAS TRAINED: the gradient was exactly 0 in every step.",
                                text.data[text.size - 1] == '.' ? "" : "."));
  TRY_CLEAN(verdict_paragraph(out, str_text(&text), width));
cleanup:
  str_free(&text);
  return status;
}

static Status append_nothing_to_do(const EndedRun *run, size_t width, Str *out) {
  Str text = {0};
  Status status = str_append_format(
      &text,
      "Nothing to do: before the first step, the held-out gap, with its interval, is within %g nats "
      "(loss.target_gap). Nothing was trained or saved.",
      (double)run->config->loss.target_gap);
  if (status == STATUS_OK) status = verdict_paragraph(out, str_text(&text), width);
  str_free(&text);
  return status;
}

Status verdict_files(const EndedRun *run, const char *measured, size_t width, Str *out) {
  Str text = {0};
  Status status = str_append_format(
      &text, "In %s: final (the %s), metrics.jsonl (every step)%s%s%s%s. Next:", run->folder,
      run->config->train.full ? "model" : "adapter", run->config->train.bias_eval_steps > 0 ? ", " : "",
      run->config->train.bias_eval_steps > 0 ? measured : "",
      run->config->track.tensorboard ? ", events.out.tfevents.* (for tensorboard --logdir)" : "",
      run->config->track.wandb ? ", wandb (for wandb sync)" : "");
  if (status == STATUS_OK) status = verdict_paragraph(out, str_text(&text), width);
  str_free(&text);
  return status;
}

Status verdict_append(const EndedRun *run, size_t width, Str *out) {
  Ends ends = {0};
  bool nothing = run->outcome.end == TRAIN_NOTHING_TO_DO;
  if (run->config->objective == TRAIN_SFT) return verdict_sft_append(run, width, out);
  TRY(read_run(run, &ends));
  TRY(nothing ? append_nothing_to_do(run, width, out) : append_end(run, &ends, width, out));
  TRY(append_rows(run, &ends, width, out));
  if (nothing) return STATUS_OK;
  TRY(append_meaning(run, &ends, width, out));
  TRY(verdict_files(run, "bias_eval.jsonl (held-out gaps)", width, out));
  return next_steps_append(run, width, out);
}
