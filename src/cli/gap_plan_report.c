// Shows plans. Rule: a count of sets stands beside its interval, since a pilot of few sets knows little.
#include "gap_plan_report.h"

#include "terminal.h"
#include "visible.h"
#include "wrap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COUNT_SIZE = 24, ENDS_SIZE = 56 };

/// 27, >1e7, or ? where nothing varies.
static const char *format_count(char out[COUNT_SIZE], double count) {
  if (isnan(count))
    (void)snprintf(out, COUNT_SIZE, "?");
  else if (isinf(count))
    (void)snprintf(out, COUNT_SIZE, ">1e7");
  else
    (void)snprintf(out, COUNT_SIZE, "%.0f", count);
  return out;
}

static void print_row(const GapPlanRow *row, size_t groups) {
  char name[COUNT_SIZE], sets[COUNT_SIZE], low[COUNT_SIZE], high[COUNT_SIZE], ends[ENDS_SIZE],
      answers[COUNT_SIZE], seconds[32], bound[COUNT_SIZE];
  (void)snprintf(name, sizeof name, "  %zu answer%s", row->answers, row->answers == 1 ? "" : "s");
  (void)snprintf(ends, sizeof ends, "[%s, %s]", format_count(low, row->seen.low),
                 format_count(high, row->seen.high));
  format_duration(seconds, row->seconds);
  printf("%-12s %8s  %-18s %9s %13s %10s\n", name, format_count(sets, row->seen.value), ends,
         format_count(answers, row->seen.value * (double)(row->answers * groups)), seconds,
         format_count(bound, row->bound.value));
}

static void print_kind(const char *name, const GapPlanKind *kind, const GroupFile *groups) {
  char pair[160] = "";
  if (groups_count(groups) > 2)
    (void)snprintf(pair, sizeof pair, ", %.60s - %.60s, the pair that varies most",
                   groups_name(groups, kind->of), groups_name(groups, kind->minus));
  printf("%s%s gap%s%s: standard deviation %.4f between sets, %.4f within\n", style(stdout, STYLE_BOLD), name,
         pair, style(stdout, STYLE_PLAIN), sqrt(kind->between), sqrt(kind->within));
  for (size_t r = 0; r < GAP_PLAN_ROWS; r++) print_row(&kind->rows[r], groups_count(groups));
}

/// Prints a paragraph, wrapped.
static Status print_words(const char *text) {
  Str wrapped = {0};
  Status status = wrap_append(&wrapped, text, 0, "", text_width(stdout));
  if (status == STATUS_OK) printf("%s\n", str_text(&wrapped));
  str_free(&wrapped);
  return status;
}

/// What to set, on a line of its own, so that it can be copied.
static void print_setting(const GapPlan *plan, double sets, size_t answers) {
  char seconds[32];
  format_duration(seconds, sets * (plan->prompt_seconds + (double)answers * plan->answer_seconds));
  printf("  --set data.eval_sets=%.0f --set data.eval_answers=%zu  (%s)\n", sets, answers, seconds);
}

static Status print_choice(const GapPlan *plan, const char *name, const GapPlanKind *kind) {
  char text[240];
  if (isnan(kind->rows[0].seen.value)) {
    (void)snprintf(text, sizeof text, "The %s gap does not vary in this pilot: there is nothing to plan.",
                   name);
    return print_words(text);
  }
  if (kind->cheapest < GAP_PLAN_ROWS) {
    const GapPlanRow *row = &kind->rows[kind->cheapest];
    printf("Soonest, for the %s gap:\n", name);
    print_setting(plan, row->seen.value, row->answers);
    return STATUS_OK;
  }
  bool enough = kind->answers_with_all > 0;
  (void)snprintf(text, sizeof text,
                 "The prompts make %zu sets, too few for the %s gap: name more prompts in data.eval. %s",
                 plan->available, name,
                 enough ? "Or, with all of these:" : "No number of answers to these is enough.");
  TRY(print_words(text));
  if (enough) print_setting(plan, (double)plan->available, kind->answers_with_all);
  return STATUS_OK;
}

/// What the table's columns are.
static Status print_legend(const GapPlan *plan, bool change) {
  char text[640];
  const char *what = change ? "change" : "gap";
  (void)snprintf(
      text, sizeof text,
      "With that many sets, a true %s of %g nats is seen in %.0f of 100 measurements: its 95 %% interval "
      "excludes 0. With those for +-%g, the interval reaches no further than that to either side. A pilot of "
      "%zu sets with %zu answers to each prompt knows no more than the intervals say. Times are at its "
      "speed, without loading the model%s.",
      what, plan->aim, 100 * GAP_PLAN_POWER, plan->aim, plan->sets, plan->answers,
      change ? ", for both models" : "");
  return print_words(text);
}

Status gap_plan_print(const GapPlan *plan, const char *of, bool change, const GroupFile *groups) {
  Str title = {0};
  char bound[COUNT_SIZE];
  Status status = STATUS_OK;
  TRY_CLEAN(str_append_format(&title, "\nTo see a %s of %g nats, of %s\n", change ? "change" : "gap",
                              plan->aim, of));
  TRY_CLEAN(visible_print(stdout, str_text(&title), title.size));
  (void)snprintf(bound, sizeof bound, "for +-%g", plan->aim);
  printf("%s%-12s %8s  %-18s %9s %13s %10s%s\n", style(stdout, STYLE_BOLD), "to a prompt", "sets",
         "95 % interval", "answers", "time", bound, style(stdout, STYLE_PLAIN));
  print_kind("paired", &plan->paired, groups);
  print_kind("total", &plan->total, groups);
  TRY_CLEAN(print_legend(plan, change));
  TRY_CLEAN(print_choice(plan, "paired", &plan->paired));
  TRY_CLEAN(print_choice(plan, "total", &plan->total));
cleanup:
  str_free(&title);
  return status;
}

// ---- JSON ----

static void write_interval(JsonWriter *json, const char *key, Interval interval) {
  json_object_begin(json, key);
  json_number(json, "value", interval.value);
  json_number(json, "low", interval.low);
  json_number(json, "high", interval.high);
  json_object_end(json);
}

static void write_kind(const GapPlanKind *kind, const char *key, const GroupFile *groups, JsonWriter *json) {
  json_object_begin(json, key);
  json_string(json, "of", groups_name(groups, kind->of));
  json_string(json, "minus", groups_name(groups, kind->minus));
  json_number(json, "between", kind->between);
  json_number(json, "within", kind->within);
  json_array_begin(json, "rows");
  for (size_t r = 0; r < GAP_PLAN_ROWS; r++) {
    const GapPlanRow *row = &kind->rows[r];
    json_object_begin(json, NULL);
    json_integer(json, "answers", (int64_t)row->answers);
    write_interval(json, "variance", row->variance);
    write_interval(json, "seen", row->seen);
    write_interval(json, "bound", row->bound);
    json_number(json, "seconds", row->seconds);
    json_object_end(json);
  }
  json_array_end(json);
  if (kind->answers_with_all > 0)
    json_integer(json, "answers_with_all", (int64_t)kind->answers_with_all);
  else
    json_null(json, "answers_with_all");
  if (kind->cheapest < GAP_PLAN_ROWS)
    json_integer(json, "cheapest", (int64_t)kind->rows[kind->cheapest].answers);
  else
    json_null(json, "cheapest");
  json_object_end(json);
}

void gap_plan_write(const GapPlan *plan, const char *key, const GroupFile *groups, JsonWriter *json) {
  json_object_begin(json, key);
  json_number(json, "aim", plan->aim);
  json_number(json, "level", GAP_PLAN_LEVEL);
  json_number(json, "power", GAP_PLAN_POWER);
  json_integer(json, "pilot_sets", (int64_t)plan->sets);
  json_integer(json, "pilot_answers", (int64_t)plan->answers);
  json_integer(json, "available", (int64_t)plan->available);
  json_number(json, "prompt_seconds", plan->prompt_seconds);
  json_number(json, "answer_seconds", plan->answer_seconds);
  write_kind(&plan->paired, "paired", groups, json);
  write_kind(&plan->total, "total", groups, json);
  json_object_end(json);
}
