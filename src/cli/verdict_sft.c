// The end of a training on given answers. Rule: it says what was measured, on which rows, and no more than
// the intervals tell.
#include "sft.h"
#include "verdict.h"

#include <math.h>

static const double certain = 1.96; // standard errors

static double number(const cJSON *object, const char *key) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
  return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

/// A loss; NaN where something was not measured.
typedef struct Loss {
  double step, value, low, high, accuracy;
} Loss;

static Loss loss_of(const cJSON *line) {
  return (Loss){number(line, "step"), number(line, "loss"), number(line, "loss_low"),
                number(line, "loss_high"), number(line, "token_accuracy")};
}

static Status append_row(Str *out, const Loss *loss) {
  TRY(str_append_format(out, "  step %-5.0f loss %.4f", loss->step, loss->value));
  if (!isnan(loss->low)) TRY(str_append_format(out, " [%.4f, %.4f]", loss->low, loss->high));
  return str_append_format(out, "  perplexity %.2f  accuracy %.1f %%\n", exp(loss->value),
                           100 * loss->accuracy);
}

/// What happened to the loss on rows that were not trained on. Both measurements are of the same rows, so
/// taking them for independent says less than is certain, never more.
static Status append_meaning(const Loss *first, const Loss *last, Str *out) {
  double error = hypot(first->high - first->low, last->high - last->low) / (2 * certain);
  double moved = last->value - first->value;
  if (isnan(error)) return STATUS_OK;
  if (moved > certain * error)
    return str_append_text(out, "The held-out loss has risen: the model learns its rows by heart. Take fewer "
                                "steps, a lower train.learning_rate or more rows.");
  return str_append_format(out, "The held-out loss has %s by %.4f nats a token%s.",
                           moved < 0 ? "fallen" : "risen", fabs(moved),
                           fabs(moved) > certain * error ? "" : ", which is within the noise of so few rows");
}

static Status append_ends(const EndedRun *run, size_t width, Str *out) {
  bool held_out = run->config->train.bias_eval_steps > 0;
  cJSON *first = NULL, *last = NULL;
  Str text = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(
      verdict_read_ends(run->folder, held_out ? SFT_EVALUATION ".jsonl" : "metrics.jsonl", &first, &last));
  Loss before = loss_of(first), after = loss_of(last);
  if (isnan(before.step)) goto cleanup; // no step was to be done
  TRY_CLEAN(verdict_paragraph(out,
                              held_out ? "On held-out rows, in nats a token with 95 % intervals:"
                                       : "On the rows of each step, in nats a token:",
                              width));
  TRY_CLEAN(append_row(out, &before));
  if (!(after.step > before.step)) goto cleanup;
  TRY_CLEAN(append_row(out, &after));
  if (held_out)
    TRY_CLEAN(append_meaning(&before, &after, &text));
  else
    TRY_CLEAN(str_append_text(&text, "Steps see other rows, and rows that were trained on before: set "
                                     "train.bias_eval_steps to measure the loss on held-out ones."));
  if (text.size > 0) TRY_CLEAN(verdict_paragraph(out, str_text(&text), width));
cleanup:
  cJSON_Delete(first);
  cJSON_Delete(last);
  str_free(&text);
  return status;
}

Status verdict_sft_append(const EndedRun *run, size_t width, Str *out) {
  Str text = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(verdict_steps(run, &text));
  TRY_CLEAN(verdict_paragraph(out, str_text(&text), width));
  TRY_CLEAN(append_ends(run, width, out));
  TRY_CLEAN(verdict_files(run, SFT_EVALUATION ".jsonl (held-out losses)", width, out));
  TRY_CLEAN(next_steps_append(run, width, out));
cleanup:
  str_free(&text);
  return status;
}
