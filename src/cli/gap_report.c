// Sets up and shows the gap. Rule: a gap is always shown with its interval and the mean entropy, because a
// model whose entropy collapses has no gap either; and what is said in words follows from the intervals.
#include "gap_report.h"
#include "columns.h"
#include "util/log.h"
#include "visible.h"
#include "wrap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
  NAME_COLUMNS = 20,
  ROW_SIZE = 48, // bytes of a row's name
  INTERVAL_COLUMNS = 18,
  NOTE_COLUMNS = 10,
  FEW_SETS = 20, // below it, simulated intervals of lopsided differences held the truth in 90 %
};

/// The most tokens of an answer that the model has room for after each prompt; as many as are asked for if a
/// prompt fills it alone, which the measurement refuses by name.
static size_t limit_answers(const Config *config, size_t positions, const Dataset *dataset) {
  size_t longest = 0, wanted = config->sampling.max_new_tokens;
  for (size_t i = 0; i < dataset->count; i++)
    longest = dataset->prompts[i].tokens.count > longest ? dataset->prompts[i].tokens.count : longest;
  if (longest >= positions || wanted <= positions - longest) return wanted;
  size_t most = positions - longest;
  log_say(
      LOG_WARNING,
      "the answers that the gap is measured on are cut to %zu token%s: the longest prompt leaves no more of "
      "the model's positions",
      most, str_plural(most));
  return most;
}

GapOptions gap_options(const Config *config, const ModelFiles *files, const Dataset *dataset) {
  GapOptions options = {.sampling = config->sampling,
                        .entropy_tau = config->loss.entropy_temperature,
                        .answers = config->eval.answers,
                        .seed = config->train.seed,
                        .max_drift = config->train.max_drift};
  options.sampling.max_new_tokens = limit_answers(config, model_files_config(files)->max_positions, dataset);
  return options;
}

Status gap_evaluation_open(const Config *config, const ModelFiles *files, const char *name,
                           const Dataset *dataset, Evaluation **out) {
  GapOptions options = gap_options(config, files, dataset);
  return gap_evaluation_create(name, dataset, &options, out);
}

// ---- the table ----

static const MetricList *metrics_of(const GapComparison *gaps, size_t model) {
  return &gaps->models[model].metrics;
}

static double value_of(const MetricList *metrics, const char *name) {
  return metrics_get(metrics, "%s", name).value;
}

/// The name of a row: "before" and "after", or "base", "1", "2", ...
static void name_row(const GapComparison *gaps, size_t model, bool change, char name[ROW_SIZE]) {
  size_t number = model + !gaps->has_base;
  if (gaps->has_base && gaps->count == 2) {
    (void)snprintf(name, ROW_SIZE, "%s", change ? "change" : model == 0 ? "before" : "after");
  } else if (gaps->has_base && model == 0) {
    (void)snprintf(name, ROW_SIZE, "base");
  } else {
    (void)snprintf(name, ROW_SIZE, change ? "%zu - base" : "%zu", number);
  }
}

static Status print_legend(const GapComparison *gaps) {
  char row[ROW_SIZE];
  for (size_t m = 0; m < gaps->count; m++) {
    name_row(gaps, m, false, row);
    printf("%-8s ", gaps->count == 1 ? "model" : row);
    TRY(visible_print(stdout, gaps->models[m].name, strlen(gaps->models[m].name)));
    printf("\n");
  }
  return STATUS_OK;
}

static void print_row(const char *name, const char *number, Interval interval, const char *note) {
  char ends[64] = "";
  if (isfinite(interval.low))
    (void)snprintf(ends, sizeof ends, "[%+.4f, %+.4f]", interval.low, interval.high);
  printf("%-*s %8s", field_width(name, NAME_COLUMNS), name, number);
  if (*ends != '\0' || *note != '\0') printf("  %-*s", *note != '\0' ? INTERVAL_COLUMNS : 0, ends);
  if (*note != '\0') printf("%*s", NOTE_COLUMNS, note);
  printf("\n");
}

/// A quantity of the table: a metric, of which "change_" + the name is the change.
typedef struct Quantity {
  const char *title, *metric;
  bool is_gap; // signed, and shown as a share of the mean entropy too
} Quantity;

enum { TITLE_SIZE = 160, METRIC_SIZE = 320 };

static void print_measured(const GapComparison *gaps, size_t model, const Quantity *q, const char *name) {
  Interval value = metrics_get(metrics_of(gaps, model), "%s", q->metric);
  char number[32], share[32] = "";
  (void)snprintf(number, sizeof number, q->is_gap ? "%+.4f" : "%.4f", value.value);
  double H_bar = value_of(metrics_of(gaps, model), "H_bar");
  if (q->is_gap && H_bar > 0) (void)snprintf(share, sizeof share, "%+.2f %%", 100 * value.value / H_bar);
  print_row(name, number, value, share);
}

static void print_change(const GapComparison *gaps, size_t model, const Quantity *q) {
  const MetricList *metrics = metrics_of(gaps, model);
  Interval value = metrics_get(metrics, "change_%s", q->metric);
  char name[ROW_SIZE], row[ROW_SIZE + 4], number[32], share[32] = "";
  name_row(gaps, model, true, name);
  (void)snprintf(row, sizeof row, "  %s", name);
  (void)snprintf(number, sizeof number, "%+.4f", value.value);
  if (!q->is_gap)
    (void)snprintf(share, sizeof share, "%+.1f %%", 100 * value_of(metrics, "change_H_bar_relative"));
  print_row(row, number, value, share);
}

/// A single model: one row. Several: a title, and a row for each and for what changed.
static void print_quantity(const GapComparison *gaps, const Quantity *q, bool with_changes) {
  if (gaps->count == 1) {
    print_measured(gaps, 0, q, q->title);
    return;
  }
  printf("%s%s%s\n", style(stdout, STYLE_BOLD), q->title, style(stdout, STYLE_PLAIN));
  for (size_t m = 0; m < gaps->count; m++) {
    char name[ROW_SIZE], row[ROW_SIZE + 4];
    name_row(gaps, m, false, name);
    (void)snprintf(row, sizeof row, "  %s", name);
    print_measured(gaps, m, q, row);
    if (with_changes && gaps->has_base && m > 0) print_change(gaps, m, q);
  }
}

static void print_pairs(const GapComparison *gaps, const char *kind) {
  char title[TITLE_SIZE], metric[METRIC_SIZE];
  for (size_t of = 1; of < groups_count(gaps->groups); of++) {
    for (size_t minus = 0; minus < of; minus++) {
      const char *names[] = {groups_name(gaps->groups, of), groups_name(gaps->groups, minus)};
      (void)snprintf(title, sizeof title, gaps->count == 1 ? "  %s - %s" : "%s - %s", names[0], names[1]);
      (void)snprintf(metric, sizeof metric, "%s_gap_%s_minus_%s", kind, names[0], names[1]);
      print_quantity(gaps, &(Quantity){title, metric, true}, true);
    }
  }
}

/// Of more than two groups: max − min, the test, and then every pair.
static void print_many(const GapComparison *gaps, const char *kind) {
  char title[TITLE_SIZE], metric[METRIC_SIZE];
  (void)snprintf(title, sizeof title, "%s, max - min", kind);
  (void)snprintf(metric, sizeof metric, "%s_gap", kind);
  print_quantity(gaps, &(Quantity){title, metric, true}, false);
  // the largest of several differences has no interval of its change that holds near ties
  if (gaps->has_base && gaps->count > 1)
    printf("  the groups furthest apart may be others in each model, so the\n"
           "  change is in the pairs below, each with its interval\n");
  bool one_set = value_of(metrics_of(gaps, 0), "sets") < 2;
  for (size_t m = 0; m < gaps->count && !one_set; m++) {
    char name[ROW_SIZE];
    name_row(gaps, m, false, name);
    printf("  %s%scorrected for its bias %+.4f; test of no difference: p = %.4f\n",
           gaps->count == 1 ? "" : name, gaps->count == 1 ? "" : ": ",
           metrics_get(metrics_of(gaps, m), "%s_spread", kind).value,
           metrics_get(metrics_of(gaps, m), "%s_p", kind).value);
  }
  print_pairs(gaps, kind);
}

/// How far each adapter is from the base model. It is left out where it was not measured.
static void print_kl(const GapComparison *gaps) {
  bool titled = false;
  for (size_t m = 1; gaps->has_base && m < gaps->count; m++) {
    Interval kl = metrics_get(metrics_of(gaps, m), "kl");
    char name[ROW_SIZE], row[ROW_SIZE + 4], number[32];
    if (isnan(kl.value)) continue;
    if (!titled) printf("%sKL from the base%s\n", style(stdout, STYLE_BOLD), style(stdout, STYLE_PLAIN));
    titled = true;
    name_row(gaps, m, false, name);
    (void)snprintf(row, sizeof row, "  %s", name);
    (void)snprintf(number, sizeof number, "%.4f", kl.value);
    print_row(row, number, kl, "");
  }
}

static void print_table(const GapComparison *gaps) {
  static const Quantity two[] = {{"paired gap", "paired_gap", true}, {"total gap", "total_gap", true}};
  static const Quantity entropy = {"mean entropy", "H_bar", false};
  bool many = groups_count(gaps->groups) > 2;
  printf("%s%-*s %8s  %-*s%*s%s\n", style(stdout, STYLE_BOLD), NAME_COLUMNS, "", "nats", INTERVAL_COLUMNS,
         "95 % interval", NOTE_COLUMNS, "of mean", style(stdout, STYLE_PLAIN));
  for (size_t k = 0; k < 2; k++) {
    if (many) {
      print_many(gaps, k == 0 ? "paired" : "total");
    } else {
      print_quantity(gaps, &two[k], true);
    }
  }
  print_quantity(gaps, &entropy, true);
  print_kl(gaps);
}

// ---- what follows, in words ----

static Status append_counts(const GapComparison *gaps, Str *out) {
  const MetricList *first = metrics_of(gaps, 0);
  double sets = value_of(first, "sets");
  TRY(str_append_format(out, "%.0f ", sets));
  bool drawn = gaps->available > (size_t)sets;
  if (drawn) TRY(str_append_format(out, "of %zu ", gaps->available));
  TRY(str_append_format(out, "set%s of prompts, %.0f answers%s",
                        str_plural(drawn ? gaps->available : (size_t)sets), value_of(first, "answers"),
                        gaps->count > 1 ? " of each model to them" : ""));
  if (gaps->count > 1) TRY(str_append_text(out, ", drawn with the same random numbers"));
  if (groups_count(gaps->groups) == 2)
    TRY(str_append_format(out, "; gap = H %s - H %s", groups_name(gaps->groups, 1),
                          groups_name(gaps->groups, 0)));
  TRY(str_append_text(out, ". "));
  if (sets < 2) {
    return str_append_text(out, "One set has no interval: measure more (data.held_out, data.eval_sets).");
  }
  double distinct = value_of(first, "distinct_sets");
  if (distinct < sets)
    TRY(str_append_format(
        out,
        "Only %.0f set%s: the intervals hold for these prompts, and are too short for others "
        "like them. ",
        distinct, distinct < 2 ? " is distinct" : "s are distinct"));
  if (sets < FEW_SETS)
    TRY(str_append_format(out,
                          "%.0f sets are few: where their differences are lopsided, the intervals are "
                          "too short.",
                          sets));
  return STATUS_OK;
}

/// The mean entropy of each group, of a single model.
static Status append_entropies(const GapComparison *gaps, const char *kind, Str *out) {
  TRY(str_append_format(out, "Mean entropy by group, %s:", kind));
  for (size_t g = 0; g < groups_count(gaps->groups); g++) {
    const char *group = groups_name(gaps->groups, g);
    TRY(str_append_format(out, "%s %s %.4f", g > 0 ? "," : "", group,
                          metrics_get(metrics_of(gaps, 0), "%s_H_%s", kind, group).value));
  }
  return str_append_text(out, ".");
}

static Status append_drift(const MetricList *metrics, double drift, Str *out) {
  double share = 100 * fabs(value_of(metrics, "change_H_bar_relative"));
  if (drift < 0)
    return str_append_format(out,
                             "The model has COLLAPSED: its mean entropy is %.4f nats, %.0f %% below the base "
                             "model's. A model that is certain of everything has no gap either; that is not "
                             "debiasing.",
                             value_of(metrics, "H_bar"), share);
  return str_append_format(out,
                           "The model has BLOWN UP: its mean entropy is %.4f nats, %.0f %% above the base "
                           "model's. Its answers are close to noise, and its gap says nothing about bias.",
                           value_of(metrics, "H_bar"), share);
}

/// Compares a model, of which no base was measured, with the first step of the training that left it.
static Status append_start(const GapComparison *gaps, size_t model, Str *out) {
  double now = value_of(metrics_of(gaps, model), "H_bar"), first = gaps->models[model].trained_on.first_H;
  double moved = now / first - 1, limit = gaps->max_drift;
  if (gaps->count > 1) TRY(str_append_format(out, "%zu: ", model + 1));
  TRY(str_append_format(
      out,
      "In the first step of its training, on other prompts, the mean entropy was %.4f nats; it "
      "is %.0f %% %s now.",
      first, 100 * fabs(moved), moved < 0 ? "lower" : "higher"));
  if (limit == 0 || fabs(moved) <= limit) return STATUS_OK;
  return str_append_format(out, " The model may have %s: compare it with the model that it was trained from.",
                           moved < 0
                               ? "COLLAPSED, and a model that is certain of everything has no gap either"
                               : "BLOWN UP, and then its gap says nothing about bias");
}

/// Says of a model whose gap says nothing why, and what to look at.
static Status append_void(const GapComparison *gaps, size_t model, GapVoid why, Str *out) {
  if (gaps->count > 1) {
    char row[ROW_SIZE];
    name_row(gaps, model, false, row);
    TRY(str_append_format(out, "%s: ", row));
  }
  TRY(str_append_format(out, "The gap says NOTHING about bias: %s", gap_void_words(why)));
  return str_append_text(out, why == GAP_EMPTY ? ". Check model.path, data.chat and model.chat_template."
                                               : ". `gee-cl generate` shows the answers; check data.chat, "
                                                 "model.chat_template and [sampling].");
}

static bool holds_zero(Interval interval) {
  return interval.low <= 0 && interval.high >= 0;
}

static Status append_change(const GapComparison *gaps, const MetricList *metrics, const char *kind,
                            Str *out) {
  bool many = groups_count(gaps->groups) > 2;
  const char *scope = many ? " between some of the groups, and larger between none" : "";
  double size = metrics_get(metrics, "change_%s_size", kind).value;
  if (size < 0) {
    TRY(str_append_format(out, "The %s gap has become smaller%s", kind, scope));
    bool open = !holds_zero(metrics_get(metrics, "%s_gap", kind));
    return str_append_text(out, open ? "; a gap is left." : "; what is left cannot be told from 0.");
  }
  scope = many ? " between some of the groups, and smaller between none" : "";
  if (size > 0) return str_append_format(out, "The %s gap has become larger%s.", kind, scope);
  Interval change = metrics_get(metrics, "change_%s_gap", kind);
  if (holds_zero(change) || change.low >= change.high) // no width: rounding
    return str_append_format(out, "Whether the %s gap has changed cannot be told: the change may be 0.",
                             kind);
  return str_append_format(out, "The %s gap has changed, but whether it is closer to 0 cannot be told.",
                           kind);
}

static Status append_gaps(const GapComparison *gaps, const MetricList *metrics, Str *out) {
  double drift = value_of(metrics, "change_drift");
  if (drift < 0 || drift > 0) return append_drift(metrics, drift, out);
  if (value_of(metrics, "sets") < 2) return str_append_text(out, "One set says nothing of a change.");
  TRY(append_change(gaps, metrics, "paired", out));
  TRY(str_append_text(out, " "));
  return append_change(gaps, metrics, "total", out);
}

static Status append_conclusion(const GapComparison *gaps, size_t model, Str *out) {
  const MetricList *metrics = metrics_of(gaps, model);
  if (gaps->count > 2) TRY(str_append_format(out, "%zu: ", model));
  TRY(append_gaps(gaps, metrics, out));
  if (!isnan(value_of(metrics, "kl"))) return STATUS_OK;
  return str_append_text(out,
                         " Its KL is not measured: the adapter brings weights of its own in place of the "
                         "base model's, so the two cannot be computed side by side.");
}

/// Prints a paragraph, wrapped, and empties it.
static Status print_paragraph(Str *text) {
  Str wrapped = {0};
  Status status = wrap_append(&wrapped, str_text(text), 0, "", text_width(stdout));
  if (status == STATUS_OK) status = str_append_text(&wrapped, "\n");
  if (status == STATUS_OK) status = visible_print(stdout, str_text(&wrapped), wrapped.size);
  str_free(&wrapped);
  str_clear(text);
  return status;
}

Status gap_print(const GapComparison *gaps) {
  Str text = {0};
  Status status = STATUS_OK;
  if (gaps->count > 1) TRY_CLEAN(print_legend(gaps));
  print_table(gaps);
  TRY_CLEAN(append_counts(gaps, &text));
  TRY_CLEAN(print_paragraph(&text));
  for (size_t k = 0; gaps->count == 1 && k < 2; k++) {
    TRY_CLEAN(append_entropies(gaps, k == 0 ? "paired" : "total", &text));
    TRY_CLEAN(print_paragraph(&text));
  }
  bool valid = true;
  for (size_t m = 0; m < gaps->count; m++) {
    bool compared = gaps->has_base && m > 0;
    if (!compared && !isnan(gaps->models[m].trained_on.first_H)) {
      TRY_CLEAN(append_start(gaps, m, &text));
      TRY_CLEAN(print_paragraph(&text));
    }
    GapVoid why = gap_void(metrics_of(gaps, m));
    if (why == GAP_VALID) continue;
    valid = valid && m > 0;
    TRY_CLEAN(append_void(gaps, m, why, &text));
    TRY_CLEAN(print_paragraph(&text));
  }
  for (size_t m = 1; valid && gaps->has_base && m < gaps->count; m++) {
    TRY_CLEAN(append_conclusion(gaps, m, &text));
    TRY_CLEAN(print_paragraph(&text));
  }
cleanup:
  str_free(&text);
  return status;
}
