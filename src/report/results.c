// What came out: gaps and entropies with their intervals and counts.
#include "sections.h"

#include "plot/charts.h"
#include <math.h>
#include <string.h>

enum { DIGITS = 4 };
static const char *const KINDS[] = {"paired", "total"};

// ---- in a few sentences ----

static void write_change(const Report *report, const cJSON *before, const cJSON *after, Html *html) {
  const cJSON *change = JSON_AT(after, "change");
  const char *size = TEXT_AT(change, "paired", "size"), *drift = TEXT_AT(change, "drift");
  bool held_out = NUMBER_AT(after, "trained_on") <= 0; // not if that is not known
  html_raw(html, held_out ? "<p class=\"lead\">On prompts that were not trained on, the paired entropy gap ("
                          : "<p class=\"lead\">On the measured prompts, the paired entropy gap (");
  write_gap_name(report, html);
  html_raw(html, ") was ");
  html_number(html, NUMBER_AT(before, "paired", "gap"), DIGITS, true);
  html_raw(html, " nats before training and is ");
  html_number(html, NUMBER_AT(after, "paired", "gap"), DIGITS, true);
  html_raw(html, " after");
  if (JSON_AT(after, "paired", "pairs") == NULL) {
    html_raw(html, ": a change of ");
    html_number(html, NUMBER_AT(change, "paired", "gap"), DIGITS, true);
    html_raw(html, ", 95 % interval ");
    html_interval(html, NUMBER_AT(change, "paired", "low"), NUMBER_AT(change, "paired", "high"), DIGITS,
                  true);
  }
  html_raw(html, ", over ");
  html_number(html, NUMBER_AT(after, "sets"), 0, false);
  html_raw(html, " sets of prompts. ");
  if (drift != NULL && strcmp(drift, "none") != 0)
    html_raw(html,
             "<strong>But the mean entropy has moved so far that the gap says nothing about bias.</strong> ");
  else if (size != NULL && strcmp(size, "smaller") == 0)
    html_raw(html, "<strong>The gap has become smaller.</strong> ");
  else if (size != NULL && strcmp(size, "larger") == 0)
    html_raw(html, "<strong>The gap has become larger.</strong> ");
  else
    html_raw(html, "<strong>Whether its size has changed cannot be told from these prompts.</strong> ");
  html_raw(html, "The mean entropy changed by ");
  html_number(html, 100 * NUMBER_AT(change, "H_bar", "relative"), 1, true);
  html_raw(html, " %.</p>\n");
}

static void write_gap_then(const cJSON *measured, Html *html) {
  html_number(html, NUMBER_AT(measured, "paired", "gap"), DIGITS, true);
  html_raw(html, " nats, 95 % interval ");
  html_interval(html, NUMBER_AT(measured, "paired", "low"), NUMBER_AT(measured, "paired", "high"), DIGITS,
                true);
  html_raw(html, ", with a mean entropy of ");
  html_number(html, NUMBER_AT(measured, "H_bar"), DIGITS, false);
}

/// What a run measured before its first step is the model that every weight was trained of. Returns whether
/// it did.
static bool write_own_measurements(const Report *report, Html *html) {
  const Lines *lines = &report->record->measured;
  const cJSON *first = lines->count > 1 ? lines->items[0] : NULL;
  if (first == NULL || NUMBER_AT(first, "step") != 0 || !isfinite(NUMBER_AT(first, "paired", "gap")))
    return false;
  const cJSON *last = lines->items[lines->count - 1];
  html_raw(html,
           "<p class=\"lead\">As the run itself measured on held-out prompts, the paired entropy gap (");
  write_gap_name(report, html);
  html_raw(html, ") was ");
  write_gap_then(first, html);
  html_raw(html, ", before the first step. At step ");
  html_number(html, NUMBER_AT(last, "step"), 0, false);
  html_raw(html, " it was ");
  write_gap_then(last, html);
  html_raw(html, ". The run keeps no figures set by set, so the change has no interval of its own.</p>\n");
  return true;
}

void write_summary(const Report *report, Html *html) {
  const cJSON *before = record_before(report->record), *after = record_after(report->record, report->input);
  if (before != NULL && after != NULL) {
    write_change(report, before, after, html);
  } else if (strcmp(key_value(report, "train", "mode"), "full") == 0) {
    if (!write_own_measurements(report, html))
      html_missing(html, "the gap before and after. gee-cl gap measures a model whose every weight was "
                         "trained, but not beside the one that it was made from; train.bias_eval_steps "
                         "measures both during the run.");
  } else {
    html_missing(html, "the gap before and after training. gee-cl gap CONFIG --adapter RUN/final --output "
                       "FILE measures it, and gee-cl report RUN --gap FILE shows it.");
  }
}

// ---- tables ----

static void table_begin(Html *html, const char *caption) {
  html_format(
      html,
      "<div class=\"wide\"><table><caption>%s</caption><thead><tr><th></th><th class=\"number\">nats</th><th "
      "class=\"number\">95 %% interval</th><th class=\"number\">of mean H</th><th class=\"number\">p</th><th "
      "class=\"number\">sets</th><th class=\"number\">answers</th></tr></thead><tbody>\n",
      caption);
}

/// A row: `estimate` has gap, low, high and p; `counts` has sets and answers; `mean` is the model's mean
/// entropy, NaN for a change.
static void write_row(Html *html, const char *name, const cJSON *estimate, const cJSON *counts, double mean) {
  html_format(html, "<tr><th scope=\"row\">%s</th><td class=\"number\">", name);
  html_number(html, NUMBER_AT(estimate, "gap"), DIGITS, true);
  html_raw(html, "</td><td class=\"number\">");
  html_interval(html, NUMBER_AT(estimate, "low"), NUMBER_AT(estimate, "high"), DIGITS, true);
  html_raw(html, "</td><td class=\"number\">");
  if (isfinite(mean)) {
    html_number(html, 100 * NUMBER_AT(estimate, "gap") / mean, 2, true);
    html_raw(html, " %");
  }
  html_raw(html, "</td><td class=\"number\">");
  if (isfinite(NUMBER_AT(estimate, "p"))) html_number(html, NUMBER_AT(estimate, "p"), DIGITS, false);
  html_raw(html, "</td><td class=\"number\">");
  html_number(html, NUMBER_AT(counts, "sets"), 0, false);
  html_raw(html, "</td><td class=\"number\">");
  html_number(html, NUMBER_AT(counts, "answers"), 0, false);
  html_raw(html, "</td></tr>\n");
}

static void write_kind(Html *html, const char *kind, const cJSON *before, const cJSON *after) {
  table_begin(html,
              strcmp(kind, "paired") == 0
                  ? "Paired gap: every answer read under the prompt of every group."
                  : "Total gap: each group on its own answers, as the method was published; far noisier.");
  if (before != NULL) write_row(html, "before", JSON_AT(before, kind), before, NUMBER_AT(before, "H_bar"));
  write_row(html, before != NULL ? "after" : "measured", JSON_AT(after, kind), after,
            NUMBER_AT(after, "H_bar"));
  // of more than two groups, the largest change of a pair says little beside the largest differences
  const cJSON *change = JSON_AT(after, kind, "pairs") == NULL ? JSON_AT(after, "change", kind) : NULL;
  if (change != NULL) write_row(html, "change, set by set", change, after, NAN);
  html_raw(html, "</tbody></table></div>\n");
}

static void write_difference(Html *html, Difference difference) {
  html_raw(html, "<td class=\"number\">");
  html_number(html, difference.value, DIGITS, true);
  html_raw(html, " ");
  html_interval(html, difference.low, difference.high, DIGITS, true);
  html_raw(html, "</td>");
}

static void write_pair(Html *html, const char *of, const char *minus, const cJSON *before,
                       const cJSON *after) {
  html_raw(html, "<tr><th scope=\"row\">");
  html_text(html, of);
  html_raw(html, " \xe2\x88\x92 ");
  html_text(html, minus);
  html_raw(html, "</th>");
  if (before != NULL) write_difference(html, difference_at(before, of, minus));
  write_difference(html, difference_at(after, of, minus));
  if (before != NULL) write_difference(html, difference_at(JSON_AT(after, "change"), of, minus));
  html_raw(html, "</tr>\n");
}

/// With more than two groups: every pair of the paired gap.
static void write_pairs(Html *html, const cJSON *before, const cJSON *after) {
  const cJSON *pair = NULL, *pairs = JSON_AT(after, "paired", "pairs");
  if (pairs == NULL) return;
  html_raw(html,
           "<div class=\"wide\"><table><caption>Paired difference of every pair of groups, in nats. The "
           "intervals of a column hold together in 95 % of measurements.</caption><thead><tr><th></th>");
  html_raw(html, before != NULL ? "<th class=\"number\">before</th><th class=\"number\">after</th><th "
                                  "class=\"number\">change, set by set</th>"
                                : "<th class=\"number\">measured</th>");
  html_raw(html, "</tr></thead><tbody>\n");
  cJSON_ArrayForEach(pair, pairs) {
    const char *of = TEXT_AT(pair, "of"), *minus = TEXT_AT(pair, "minus");
    if (of != NULL && minus != NULL) write_pair(html, of, minus, before, after);
  }
  html_raw(html, "</tbody></table></div>\n");
}

static void write_entropy(Html *html, const char *name, const cJSON *measured, const cJSON *groups) {
  const cJSON *group = NULL;
  html_format(html, "<tr><th scope=\"row\">%s</th><td class=\"number\">", name);
  html_number(html, NUMBER_AT(measured, "H_bar"), DIGITS, false);
  html_raw(html, "</td>");
  cJSON_ArrayForEach(group, groups) {
    html_raw(html, "<td class=\"number\">");
    html_number(html, NUMBER_AT(measured, "paired", "H", group->string), DIGITS, false);
    html_raw(html, "</td>");
  }
  html_raw(html, "</tr>\n");
}

static void write_entropies(Html *html, const cJSON *before, const cJSON *after) {
  const cJSON *group = NULL, *groups = JSON_AT(after, "paired", "H");
  html_raw(html, "<div class=\"wide\"><table><caption>Mean entropy in nats: of all answers, and of each "
                 "group (paired). A model that is sure of everything has no gap either, so both belong "
                 "together.</caption><thead><tr><th></th><th class=\"number\">mean</th>");
  cJSON_ArrayForEach(group, groups) {
    html_raw(html, "<th class=\"number\">");
    html_text(html, group->string);
    html_raw(html, "</th>");
  }
  html_raw(html, "</tr></thead><tbody>\n");
  if (before != NULL) write_entropy(html, "before", before, groups);
  write_entropy(html, before != NULL ? "after" : "measured", after, groups);
  html_raw(html, "</tbody></table></div>\n");
  const cJSON *change = JSON_AT(after, "change", "H_bar");
  if (change == NULL) return;
  html_raw(html, "<p>The mean changed by ");
  html_number(html, NUMBER_AT(change, "change"), DIGITS, true);
  html_raw(html, " nats ");
  html_interval(html, NUMBER_AT(change, "low"), NUMBER_AT(change, "high"), DIGITS, true);
  html_raw(html, ", which is ");
  html_number(html, 100 * NUMBER_AT(change, "relative"), 1, true);
  html_raw(html, " % of the mean before.</p>\n");
  const cJSON *kl = JSON_AT(after, "kl");
  if (kl == NULL) return;
  html_raw(html, "<p>Training moved the model by a KL divergence of ");
  html_number(html, NUMBER_AT(kl, "mean"), DIGITS, false);
  html_raw(html, " nats a token ");
  html_interval(html, NUMBER_AT(kl, "low"), NUMBER_AT(kl, "high"), DIGITS, false);
  html_raw(html, " from the one before, on its own answers.</p>\n");
}

// ---- pictures ----

static Estimate estimate_at(const cJSON *measured, const char *kind) {
  return (Estimate){NUMBER_AT(measured, kind, "gap"), NUMBER_AT(measured, kind, "low"),
                    NUMBER_AT(measured, kind, "high")};
}

/// Appends what the gap is, as words of a picture.
static Status append_gap_note(const Report *report, Str *out) {
  if (group_count(report) != 2)
    return str_append_text(out, "Largest H of a group less the smallest, with 95 % intervals");
  return str_append_format(out, "H %s \xe2\x88\x92 H %s, with 95 %% intervals", group_label(report, 1),
                           group_label(report, 0));
}

static void draw_gaps(const Report *report, const cJSON *before, const cJSON *after, Html *html) {
  static const char *const series[] = {"before", "after"};
  static const char *const labels[] = {"Paired gap", "Total gap"};
  Estimate estimates[2][2];
  EstimateRow rows[2];
  Str note = {0};
  Picture *picture = NULL;
  for (size_t k = 0; k < 2; k++) {
    estimates[k][0] = estimate_at(before, KINDS[k]);
    estimates[k][1] = estimate_at(after, KINDS[k]);
    rows[k] = (EstimateRow){labels[k], estimates[k]};
  }
  Status status = append_gap_note(report, &note);
  EstimateChart chart = {
      .text = {"Entropy gap before and after training", str_text(&note), "gap (nats)", NULL},
      .series = series,
      .series_count = 2,
      .rows = rows,
      .count = 2,
      .zero = true,
      .decimals = DIGITS,
      .plus = true};
  if (status == STATUS_OK) status = plot_estimates(&chart, PICTURE_WIDTH, &picture);
  html_picture(html, "gap", status, &picture);
  str_free(&note);
}

static void draw_groups(const Report *report, const cJSON *before, const cJSON *after, Html *html) {
  static const char *const series[] = {"before", "after"};
  Estimate estimates[DATA_MAX_GROUPS][2];
  EstimateRow rows[DATA_MAX_GROUPS];
  size_t count = group_count(report);
  for (size_t g = 0; g < count; g++) {
    const char *label = group_label(report, g);
    for (size_t m = 0; m < 2; m++) {
      const cJSON *measured = m == 0 ? before : after;
      html_check(html, readings_mean(report->readings, m, g, &estimates[g][m]));
      estimates[g][m].value = NUMBER_AT(measured, "paired", "H", label);
    }
    rows[g] = (EstimateRow){label, estimates[g]};
  }
  EstimateChart chart = {.text = {"Mean entropy of each group",
                                  report->readings->sets > 0
                                      ? "Paired: over the same answers. The intervals also hold what differs "
                                        "from set to set, so they overlap even where the gap is clear."
                                      : "Paired: over the same answers.",
                                  "entropy (nats)", NULL},
                         .series = series,
                         .series_count = 2,
                         .rows = rows,
                         .count = count,
                         .decimals = DIGITS};
  Picture *picture = NULL;
  html_picture(html, "groups", plot_estimates(&chart, PICTURE_WIDTH, &picture), &picture);
}

void write_results(const Report *report, Html *html) {
  const cJSON *before = record_before(report->record), *after = record_after(report->record, report->input);
  html_heading(html, "results", "4. Results");
  if (after == NULL) after = JSON_AT(report->record->gap, "paired") != NULL ? report->record->gap : NULL;
  if (after == NULL) {
    html_missing(html, "a measurement of the gap (gee-cl gap --output FILE).");
    return;
  }
  if (before != NULL) draw_gaps(report, before, after, html);
  for (size_t k = 0; k < 2; k++) write_kind(html, KINDS[k], before, after);
  write_pairs(html, before, after);
  if (before != NULL && group_count(report) > 0) draw_groups(report, before, after, html);
  write_entropies(html, before, after);
  html_raw(html, "<p>The answers of a set share prompts and random numbers, so a set is one observation. p "
                 "is of the test that the groups do not differ.</p>\n");
}
