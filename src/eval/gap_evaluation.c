// The gap as an Evaluation: what is measured, a line for people, and what the numbers depend on.
#include "eval/gap.h"

#include "gap_metrics.h"
#include "gap_planning.h"
#include "util/memory.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

typedef struct GapEvaluation {
  Evaluation evaluation;
  const Dataset *dataset;
  GapOptions options;
  GapExtras extras;
  GapFrame frame;
  GapReport last, base; // empty: nothing was measured
} GapEvaluation;

static Status plan_gap(Evaluation *evaluation, Model *model) {
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  GapReport report = {0};
  GapExtras unheard = {.kl = gap->extras.kl};
  Status status =
      gap_measure(&(EvaluationRun){.model = model}, gap->dataset, &gap->options, &unheard, &report);
  gap_report_free(&report);
  return status;
}

static Status run_gap(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics) {
  GapEvaluation *gap = (GapEvaluation *)evaluation;
  gap_report_free(&gap->last);
  TRY(gap_measure(run, gap->dataset, &gap->options, &gap->extras, &gap->last));
  return gap_metrics_add(metrics, &gap->frame, &gap->last, gap->base.sets > 0 ? &gap->base : NULL);
}

static Status write_gap_json(const Evaluation *evaluation, const MetricList *metrics, JsonWriter *json) {
  gap_metrics_write(metrics, &((const GapEvaluation *)evaluation)->frame, json);
  return STATUS_OK;
}

// ---- a line for people ----

/// Short enough for a line of a run on a narrow screen: the paired gap, which has far less noise than the
/// total.
static Status summarize_gap(const Evaluation *evaluation, const MetricList *metrics, Str *out) {
  (void)evaluation;
  Interval gap = metrics_get(metrics, "paired_gap");
  TRY(str_append_format(out, "held out: gap %+.4f ", gap.value));
  if (isnan(gap.low))
    TRY(str_append_text(out, "(one set: no interval)"));
  else
    TRY(str_append_format(out, "[%+.4f, %+.4f]", gap.low, gap.high));
  TRY(str_append_format(out, "  H %.3f", metrics_get(metrics, "H_bar").value));
  const char *why = gap_void_words(gap_void(metrics));
  return why == NULL ? STATUS_OK : str_append_format(out, "; that says nothing: %s", why);
}

// ---- the evaluation ----

static Status describe_gap(const Evaluation *evaluation, Str *out) {
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  const GapOptions *o = &gap->options;
  const SamplingOptions *s = &o->sampling;
  const GroupFile *groups = gap->dataset->groups;
  TRY(str_append_format(out, "%zu set%s of ", gap->dataset->sets, str_plural(gap->dataset->sets)));
  for (size_t g = 0; g < groups_count(groups); g++)
    TRY(str_append_item(out, groups_name(groups, g), g, groups_count(groups), " and "));
  TRY(str_append_format(out, " (%016" PRIx64 "), %zu answer%s to each prompt, of at most %zu token%s",
                        dataset_hash(gap->dataset), o->answers, str_plural(o->answers), s->max_new_tokens,
                        str_plural(s->max_new_tokens)));
  return str_append_format(
      out,
      ", drawn with temperature %.9g, top_p %.9g, top_k %zu, repetition_penalty %.9g and "
      "seed %" PRIu64 ", entropies at %.9g",
      (double)s->temperature, (double)s->top_p, s->top_k, (double)s->repetition_penalty, o->seed,
      (double)o->entropy_tau);
}

static void free_gap(Evaluation *evaluation) {
  GapEvaluation *gap = (GapEvaluation *)evaluation;
  gap_report_free(&gap->last);
  gap_report_free(&gap->base);
  free(gap);
}

Status gap_evaluation_create(const char *name, const Dataset *dataset, const GapOptions *options,
                             Evaluation **out) {
  static const EvaluationType type = {.plan = plan_gap,
                                      .run = run_gap,
                                      .summarize = summarize_gap,
                                      .write_json = write_gap_json,
                                      .free = free_gap,
                                      .describe = describe_gap};
  GapEvaluation *gap = NULL;
  *out = NULL;
  TRY(gap_check(dataset, options));
  TRY(mem_array(&gap, 1, "the gap"));
  *gap = (GapEvaluation){.evaluation = {&type, name}, .dataset = dataset, .options = *options};
  gap->frame = (GapFrame){.group_count = groups_count(dataset->groups),
                          .answers = options->answers,
                          .seed = options->seed,
                          .max_drift = options->max_drift};
  for (size_t g = 0; g < gap->frame.group_count; g++) gap->frame.groups[g] = groups_name(dataset->groups, g);
  *out = &gap->evaluation;
  return STATUS_OK;
}

Status gap_evaluation_keep_base(Evaluation *evaluation) {
  GapEvaluation *gap = (GapEvaluation *)evaluation;
  if (gap->last.sets == 0)
    return status_fail(STATUS_FAILED, "%s: no base model was measured", evaluation->name);
  gap_report_free(&gap->base);
  gap->base = gap->last;
  gap->last = (GapReport){0};
  return STATUS_OK;
}

void gap_evaluation_listen(Evaluation *evaluation, GapListen listen, void *user) {
  ((GapEvaluation *)evaluation)->extras.listener = (GapListener){listen, user};
}

void gap_evaluation_measure_kl(Evaluation *evaluation) {
  ((GapEvaluation *)evaluation)->extras.kl = true;
}

// ---- plans ----

Status gap_evaluation_keep_answers(Evaluation *evaluation) {
  GapEvaluation *gap = (GapEvaluation *)evaluation;
  if (gap->dataset->sets < GAP_PILOT_SETS)
    return status_fail(STATUS_INPUT,
                       "a plan needs a pilot of at least %d sets, and there %s %zu: raise data.eval_sets",
                       GAP_PILOT_SETS, gap->dataset->sets == 1 ? "is" : "are", gap->dataset->sets);
  if (gap->options.answers < GAP_PILOT_ANSWERS)
    return status_fail(STATUS_INPUT, "a plan needs a pilot with at least %d answers to each prompt",
                       GAP_PILOT_ANSWERS);
  gap->extras.by_answer = true;
  return STATUS_OK;
}

/// What a pilot knows beside its entropies.
static GapPlan begin_plan(const GapEvaluation *gap, double aim, double prompt_seconds,
                          double answer_seconds) {
  double sets = (double)gap->dataset->sets;
  return (GapPlan){.aim = aim,
                   .sets = gap->dataset->sets,
                   .answers = gap->options.answers,
                   .available = gap->dataset->available,
                   .prompt_seconds = prompt_seconds / sets,
                   .answer_seconds = answer_seconds / sets / (double)gap->options.answers};
}

static Status plan_tables(const double *paired, const double *total, const GapEvaluation *gap, GapPlan *out) {
  GapPilot pilot = {paired, gap->dataset->sets, gap->options.answers, gap->last.groups};
  TRY(gap_plan_kind(&pilot, out->aim, out->available, &out->paired));
  pilot.H = total;
  TRY(gap_plan_kind(&pilot, out->aim, out->available, &out->total));
  gap_plan_price(out);
  return STATUS_OK;
}

Status gap_evaluation_plan(const Evaluation *evaluation, double aim, GapPlan *out) {
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  const GapReport *last = &gap->last;
  if (last->answer_paired == NULL)
    return status_fail(STATUS_FAILED, "%s: no pilot was measured", evaluation->name);
  *out = begin_plan(gap, aim, last->prompt_seconds, last->answer_seconds);
  return plan_tables(last->answer_paired, last->answer_total, gap, out);
}

Status gap_evaluation_plan_change(const Evaluation *evaluation, double aim, GapPlan *out) {
  const GapEvaluation *gap = (const GapEvaluation *)evaluation;
  const GapReport *base = &gap->base, *last = &gap->last;
  double *changes[2] = {NULL, NULL};
  size_t cells = last->sets * gap->options.answers * last->groups;
  Status status = STATUS_OK;
  if (base->answer_paired == NULL || last->answer_paired == NULL)
    return status_fail(STATUS_FAILED, "%s: no pilot was measured", evaluation->name);
  for (size_t k = 0; k < 2; k++) TRY_CLEAN(mem_array(&changes[k], cells, "the plan"));
  for (size_t i = 0; i < cells; i++) {
    changes[0][i] = last->answer_paired[i] - base->answer_paired[i];
    changes[1][i] = last->answer_total[i] - base->answer_total[i];
  }
  *out = begin_plan(gap, aim, base->prompt_seconds + last->prompt_seconds,
                    base->answer_seconds + last->answer_seconds);
  status = plan_tables(changes[0], changes[1], gap, out);
cleanup:
  free(changes[0]);
  free(changes[1]);
  return status;
}
