// The curves of training, from metrics.jsonl and bias_eval.jsonl.
#include "sections.h"

#include "plot/charts.h"
#include "util/memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINES = DATA_MAX_GROUPS };

/// A line of a chart: a number of every step.
typedef struct Curve {
  const char *name; // shown
  const char *key;  // of the lines
} Curve;

/// Columns of a chart, in one block of memory.
typedef struct Columns {
  double *numbers;
  Series series[MOST_LINES];
  size_t count;
} Columns;

static Status read_columns(const Lines *lines, const Curve *curves, size_t count, Columns *out) {
  size_t points = lines->count;
  TRY(mem_array(&out->numbers, 2 * count * points, "curves"));
  for (size_t c = 0; c < count; c++) {
    double *x = out->numbers + 2 * c * points, *y = x + points;
    for (size_t i = 0; i < points; i++) {
      x[i] = NUMBER_AT(lines->items[i], "step");
      y[i] = NUMBER_AT(lines->items[i], curves[c].key);
    }
    out->series[c] = (Series){curves[c].name, x, y, NULL, NULL, points};
  }
  out->count = count;
  return STATUS_OK;
}

static bool has_key(const Lines *lines, const char *key) {
  for (size_t i = 0; i < lines->count; i++) {
    if (isfinite(NUMBER_AT(lines->items[i], key))) return true;
  }
  return false;
}

static void draw_curves(const Report *report, const char *name, ChartText text, const Curve *curves,
                        size_t count, Html *html) {
  const Lines *lines = &report->record->metrics;
  Columns columns = {0};
  Picture *picture = NULL;
  Status status = read_columns(lines, curves, count, &columns);
  LineChart chart = {text, columns.series, columns.count, .whole_x = true};
  if (status == STATUS_OK) status = plot_lines(&chart, HALF_WIDTH, HALF_HEIGHT, &picture);
  html_picture(html, name, status, &picture);
  free(columns.numbers);
}

static void draw_groups(const Report *report, Html *html) {
  Curve curves[MOST_LINES];
  char keys[MOST_LINES][160];
  size_t count = group_count(report);
  for (size_t g = 0; g < count; g++) {
    (void)snprintf(keys[g], sizeof keys[g], "H_%.150s", group_label(report, g));
    curves[g] = (Curve){group_label(report, g), keys[g]};
  }
  if (count > 0)
    draw_curves(
        report, "training-groups",
        (ChartText){"Entropy of each group", "Means over a step's answers.", "step", "entropy (nats)"},
        curves, count, html);
}

/// *out = the held-out gaps with their intervals; `numbers` are theirs, owned by the caller.
static Status read_held_out(const Lines *lines, double **numbers, Series *out) {
  size_t count = lines->count;
  TRY(mem_array(numbers, 4 * count, "the held-out gap"));
  double *x = *numbers, *y = x + count, *low = y + count, *high = low + count;
  for (size_t i = 0; i < count; i++) {
    const cJSON *line = lines->items[i], *gap = JSON_AT(line, "paired");
    x[i] = NUMBER_AT(line, "step");
    y[i] = NUMBER_AT(gap, "gap");
    low[i] = NUMBER_AT(gap, "low");
    high[i] = NUMBER_AT(gap, "high");
  }
  *out = (Series){"held out, paired, with its 95 % interval", x, y, low, high, count};
  return STATUS_OK;
}

/// The gap of steps, and the held-out one.
static void draw_gap(const Report *report, Html *html) {
  const Lines *measured = &report->record->measured;
  Curve step = {"of the step's answers", "entropy_gap"};
  Columns columns = {0};
  double *held = NULL;
  Picture *picture = NULL;
  Status status = read_columns(&report->record->metrics, &step, 1, &columns);
  if (status == STATUS_OK && measured->count > 0)
    status = read_held_out(measured, &held, &columns.series[columns.count++]);
  LineChart chart = {{"Entropy gap", "A step's gap is the largest H less the smallest, and mostly noise.",
                      "step", "gap (nats)"},
                     columns.series,
                     columns.count,
                     .whole_x = true,
                     .zero = true};
  if (status == STATUS_OK) status = plot_lines(&chart, HALF_WIDTH, HALF_HEIGHT, &picture);
  html_picture(html, "training-gap", status, &picture);
  free(columns.numbers);
  free(held);
}

void write_training(const Report *report, Html *html) {
  static const Curve loss[] = {{"loss", "loss"}}, bias[] = {{"bias term", "loss_bias"}};
  static const Curve lambda[] = {{"lambda", "lambda_weight"}}, kl[] = {{"KL", "kl"}};
  const Lines *lines = &report->record->metrics;
  bool nats = strcmp(key_value(report, "loss", "use_l1"), "true") == 0 ||
              strcmp(key_value(report, "loss", "form"), "symmetric_kl") == 0;
  html_heading(html, "training", "6. Training");
  if (lines->count == 0) {
    html_missing(html, "metrics.jsonl, which has a line for each step.");
    return;
  }
  if (lines->stride > 1) html_format(html, "<p>One step in %zu is drawn.</p>\n", lines->stride);
  html_raw(html, "<div class=\"grid\">\n");
  draw_gap(report, html);
  draw_groups(report, html);
  draw_curves(report, "training-loss", (ChartText){"Loss", "What was minimized.", "step", "loss"}, loss, 1,
              html);
  draw_curves(report, "training-bias",
              (ChartText){"Bias term of the loss", NULL, "step", nats ? "nats" : "nats\xc2\xb2"}, bias, 1,
              html);
  if (has_key(lines, "kl"))
    draw_curves(report, "training-kl", (ChartText){"Distance from the base model", NULL, "step", "KL (nats)"},
                kl, 1, html);
  if (strcmp(key_value(report, "loss", "auto_anneal"), "true") == 0)
    draw_curves(report, "training-lambda", (ChartText){"Weight of the bias term", NULL, "step", "\xce\xbb"},
                lambda, 1, html);
  html_raw(html, "</div>\n");
}
