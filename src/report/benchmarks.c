// Results of gee-cl eval, side by side: the first file is what the others are compared with. Rule: files that
// were made from other data are not put side by side.
#include "sections.h"

#include "plot/charts.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RESULTS = 8, MOST_METRICS = 200, MOST_BARS = 40, DIGITS = 4 };

static const cJSON *metric_of(const Report *report, size_t result, const char *task, const char *metric) {
  return JSON_AT(report->record->results[result], "tasks", task, "metrics", metric);
}

/// A result's name: its adapter, or its model.
static const char *result_name(const Report *report, size_t result) {
  const char *adapter = TEXT_AT(report->record->results[result], "adapter_path");
  const char *model = TEXT_AT(report->record->results[result], "model_path");
  return adapter != NULL ? adapter : model != NULL ? model : report->input->results[result];
}

static size_t result_count(const Report *report) {
  return size_min(report->input->result_count, MOST_RESULTS);
}

/// The first result that has the task.
static size_t first_with(const Report *report, const char *task) {
  size_t r = 0;
  while (r + 1 < result_count(report) && JSON_AT(report->record->results[r], "tasks", task) == NULL) r++;
  return r;
}

/// Whether a result of a task was made from the same files as the first one.
static bool same_data(const Report *report, size_t result, const char *task) {
  const cJSON *whole = report->record->results[first_with(report, task)];
  const cJSON *first = JSON_AT(whole, "tasks", task, "data"), *file = NULL;
  const cJSON *other = JSON_AT(report->record->results[result], "tasks", task, "data");
  int index = 0;
  if (cJSON_GetArraySize(first) != cJSON_GetArraySize(other)) return false;
  cJSON_ArrayForEach(file, first) {
    const char *a = TEXT_AT(file, "sha256"), *b = TEXT_AT(cJSON_GetArrayItem(other, index++), "sha256");
    if (a == NULL || b == NULL || strcmp(a, b) != 0) return false;
  }
  double items = NUMBER_AT(whole, "tasks", task, "items");
  return !(items < NUMBER_AT(report->record->results[result], "tasks", task, "items")) &&
         !(items > NUMBER_AT(report->record->results[result], "tasks", task, "items"));
}

static void write_cell(Html *html, const cJSON *metric) {
  html_raw(html, "<td class=\"number\">");
  html_number(html, NUMBER_AT(metric, "value"), DIGITS, false);
  html_raw(html, " <span class=\"interval\">");
  html_interval(html, NUMBER_AT(metric, "low"), NUMBER_AT(metric, "high"), DIGITS, false);
  html_raw(html, "</span></td>");
}

/// Whether a result has columns for its changes.
static bool has_changes(const Report *report, size_t result) {
  const ReportChanges *changes = report->input->changes;
  return result > 0 && changes != NULL && changes[result].reason == NULL;
}

static const ReportChange *find_change(const Report *report, size_t result, const char *task,
                                       const char *metric) {
  const ReportChanges *changes = &report->input->changes[result];
  for (size_t i = 0; i < changes->count; i++)
    if (strcmp(changes->list[i].task, task) == 0 && strcmp(changes->list[i].metric, metric) == 0)
      return &changes->list[i];
  return NULL;
}

/// The change from the first result, and p; empty where there is none.
static void write_change(Html *html, const ReportChange *change) {
  html_raw(html, "<td class=\"number\">");
  if (change != NULL && isfinite(change->change)) {
    html_number(html, change->change, DIGITS, true);
    html_raw(html, " <span class=\"interval\">");
    html_interval(html, change->low, change->high, DIGITS, true);
    html_raw(html, "</span>");
  }
  html_raw(html, "</td><td class=\"number\">");
  if (change != NULL && isfinite(change->p)) html_number(html, change->p, DIGITS, false);
  html_raw(html, "</td>");
}

static void write_metric(const Report *report, const char *task, const cJSON *metric, const bool *shown,
                         Html *html) {
  html_raw(html, "<tr><th scope=\"row\">");
  html_text(html, metric->string);
  html_raw(html, "</th><td class=\"number\">");
  html_number(html, NUMBER_AT(metric, "n"), 0, false);
  html_raw(html, "</td>");
  for (size_t r = 0; r < result_count(report); r++) {
    if (!shown[r]) continue;
    write_cell(html, metric_of(report, r, task, metric->string));
    if (has_changes(report, r)) write_change(html, find_change(report, r, task, metric->string));
  }
  html_raw(html, "</tr>\n");
}

static void write_table(const Report *report, const cJSON *task, const bool *shown, Html *html) {
  const cJSON *metric = NULL;
  size_t rows = 0;
  html_raw(
      html,
      "<div class=\"wide\"><table class=\"stacked\"><thead><tr><th>metric</th><th class=\"number\">n</th>");
  for (size_t r = 0; r < result_count(report); r++) {
    if (!shown[r]) continue;
    html_raw(html, "<th class=\"number\">");
    html_text(html, result_name(report, r));
    html_raw(html, "</th>");
    if (has_changes(report, r)) html_raw(html, "<th class=\"number\">change</th><th class=\"number\">p</th>");
  }
  html_raw(html, "</tr></thead><tbody>\n");
  cJSON_ArrayForEach(metric, JSON_AT(task, "metrics")) {
    if (rows++ < MOST_METRICS) write_metric(report, task->string, metric, shown, html);
  }
  html_raw(html, "</tbody></table></div>\n");
  if (rows > MOST_METRICS)
    html_format(html, "<p>The first %d of %zu metrics are shown.</p>\n", MOST_METRICS, rows);
}

static const char SELECTION_RATIO[] = "selection_ratio";

/// Whether a metric is a share or a ratio of shares, by its name: only of these do bars from 0 say something.
static bool is_share(const cJSON *metric) {
  static const char *const beginnings[] = {"pct_", "acc", "share_", "strict", "flexible", SELECTION_RATIO};
  double value = NUMBER_AT(metric, "value");
  for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
    if (str_starts(metric->string, beginnings[i])) return value >= 0 && value <= 10;
  }
  return false;
}

/// What a picture of bars shows.
typedef struct Bars {
  EstimateRow rows[MOST_BARS];
  Estimate estimates[MOST_BARS][MOST_RESULTS];
  size_t count;
  bool ratios; // they are selection ratios
  bool cut;    // there are more
} Bars;

static void add_bar(const Report *report, const char *task, const char *metric, const bool *shown,
                    Bars *bars) {
  size_t m = 0;
  Estimate *estimates = bars->estimates[bars->count];
  for (size_t r = 0; r < result_count(report); r++) {
    const cJSON *found = metric_of(report, r, task, metric);
    if (shown[r])
      estimates[m++] =
          (Estimate){NUMBER_AT(found, "value"), NUMBER_AT(found, "low"), NUMBER_AT(found, "high")};
  }
  bars->rows[bars->count++] = (EstimateRow){metric, estimates};
}

/// Adds those metrics that are shares; of a task with selection ratios these alone, as the line is theirs.
static void add_bars(const Report *report, const cJSON *task, const bool *shown, Bars *bars) {
  const cJSON *metric = NULL, *metrics = JSON_AT(task, "metrics");
  cJSON_ArrayForEach(metric, metrics) bars->ratios =
      bars->ratios || str_starts(metric->string, SELECTION_RATIO);
  cJSON_ArrayForEach(metric, metrics) {
    if (!is_share(metric) || (bars->ratios && !str_starts(metric->string, SELECTION_RATIO))) continue;
    bars->cut = bars->cut || bars->count == MOST_BARS;
    if (bars->count < MOST_BARS) add_bar(report, task->string, metric->string, shown, bars);
  }
}

/// Bars of shares, with the four-fifths line where they are selection ratios.
static void draw_bars(const Report *report, const cJSON *task, const bool *shown, Html *html) {
  static const double four_fifths = 0.8;
  const char *names[MOST_RESULTS];
  size_t models = 0;
  Bars bars = {.count = 0};
  for (size_t r = 0; r < result_count(report); r++) {
    if (shown[r]) names[models++] = result_name(report, r);
  }
  add_bars(report, task, shown, &bars);
  if (bars.count == 0) return;
  const char *note = bars.ratios ? "With 95 % intervals. Dashed: a selection ratio of four fifths, below "
                                   "which US guidelines speak of adverse impact."
                     : bars.cut  ? "With 95 % intervals. These are the first; the table has all."
                                 : "With 95 % intervals.";
  EstimateChart chart = {
      .text = {bars.ratios ? "Selection ratios" : "Shares", note, bars.ratios ? "ratio" : "share", NULL},
      .series = names,
      .series_count = models,
      .rows = bars.rows,
      .count = bars.count,
      .marks = &four_fifths,
      .mark_count = bars.ratios,
      .bars = true,
      .decimals = 3};
  Picture *picture = NULL;
  html_picture(html, task->string, plot_estimates(&chart, PICTURE_WIDTH, &picture), &picture);
}

static void write_task(const Report *report, const cJSON *task, Html *html) {
  bool shown[MOST_RESULTS] = {false};
  const char *limits = TEXT_AT(task, "limits");
  html_raw(html, "<h3>");
  html_text(html, task->string);
  html_raw(html, "</h3>\n");
  for (size_t r = 0; r < result_count(report); r++) {
    bool has = JSON_AT(report->record->results[r], "tasks", task->string) != NULL;
    shown[r] = has && same_data(report, r, task->string);
    if (has && !shown[r]) {
      html_raw(html, "<p class=\"missing\"><strong>Not comparable:</strong> ");
      html_text(html, result_name(report, r));
      html_raw(html, " was evaluated on other data or another number of items, so it is left out.</p>\n");
    }
  }
  draw_bars(report, task, shown, html);
  write_table(report, task, shown, html);
  if (limits == NULL) return;
  html_raw(html, "<p><strong>Limits.</strong> ");
  html_text(html, limits);
  html_raw(html, "</p>\n");
}

/// What the columns of changes are, and why a result has none.
static void explain_changes(const Report *report, Html *html) {
  bool any = false;
  for (size_t r = 1; r < result_count(report) && report->input->changes != NULL; r++) {
    any = any || has_changes(report, r);
    if (has_changes(report, r)) continue;
    html_raw(html, "<p class=\"missing\"><strong>No changes of ");
    html_text(html, result_name(report, r));
    html_raw(html, ":</strong> it was not compared item by item, since ");
    html_text(html, report->input->changes[r].reason);
    html_raw(html, ".</p>\n");
  }
  if (any)
    html_raw(
        html,
        "<p>Change: from the first model, over the same items, with its 95 % interval from 10,000 "
        "paired bootstrap samples. p: that the models differ, by random exchanges of their answers, "
        "with Holm's correction over all metrics. gee-cl compare gives the same numbers of any two.</p>\n");
}

/// What a result's figures are not, that its table does not show.
static void explain_result(const Report *report, size_t result, Html *html) {
  const cJSON *json = report->record->results[result];
  double limit = NUMBER_AT(json, "limit");
  const char *compute = TEXT_AT(json, "sha256", "compute");
  if (limit > 0) {
    html_raw(html, "<p class=\"missing\"><strong>A part:</strong> ");
    html_text(html, result_name(report, result));
    html_raw(html, " was asked the first ");
    html_number(html, limit, 0, false);
    html_raw(html, " items of each task at most (--limit). This is no result of a whole benchmark.</p>\n");
  }
  if (compute == NULL) return;
  html_raw(html, "<p>");
  html_text(html, result_name(report, result));
  html_raw(html, " was computed with model.compute = ");
  html_text(html, compute);
  html_raw(html, ", and its figures differ from those of float32.</p>\n");
}

void write_benchmarks(const Report *report, Html *html) {
  const cJSON *task = NULL;
  html_heading(html, "benchmarks", "7. Benchmarks");
  if (report->input->result_count == 0) {
    html_missing(html, "benchmarks of bias and of skill (gee-cl eval --output FILE, and report --compare "
                       "FILE). What became of the model's skill is not known from this page.");
    return;
  }
  explain_changes(report, html);
  if (report->input->result_count > MOST_RESULTS)
    html_format(html, "<p class=\"missing\">The first %d of %zu results are shown.</p>\n", MOST_RESULTS,
                report->input->result_count);
  for (size_t r = 0; r < result_count(report); r++) explain_result(report, r, html);
  for (size_t r = 0; r < result_count(report); r++) {
    cJSON_ArrayForEach(task, JSON_AT(report->record->results[r], "tasks")) {
      if (first_with(report, task->string) == r) write_task(report, task, html);
    }
  }
}
