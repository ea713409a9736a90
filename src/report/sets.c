// Before and after, set by set, from the readings that gap --items keeps.
#include "sections.h"

#include "plot/charts.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SETS_SHOWN = 400, MOST_ROWS = 200, OPEN_ROWS = 60 };

/// The prompt of a set's first group.
static const char *set_label(const Report *report, size_t set) {
  return TEXT_AT(readings_line(report->readings, 0, set, 0, 0), "prompt");
}

/// Appends "H male − H female", as words of a picture.
static Status append_difference(const Report *report, Str *out) {
  return str_append_format(out, "H %s \xe2\x88\x92 H %s", group_label(report, report->readings->of),
                           group_label(report, report->readings->minus));
}

static Estimate mean_of(const Report *report, const cJSON *measured) {
  Difference mean = difference_at(measured, group_label(report, report->readings->of),
                                  group_label(report, report->readings->minus));
  return (Estimate){mean.value, mean.low, mean.high};
}

static Status draw_sets(const Report *report, const cJSON *before, const cJSON *after, Picture **picture) {
  const Readings *readings = report->readings;
  size_t count = size_min(readings->sets, MOST_SETS_SHOWN);
  PairPoint *points = NULL;
  Str note = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&points, count, "sets"));
  TRY_CLEAN(append_difference(report, &note));
  TRY_CLEAN(str_append_text(&note,
                            ". A line is one set: the same prompt for every group, with all answers to it."));
  if (readings->groups > 2)
    TRY_CLEAN(str_append_text(&note, " These two groups are furthest apart before training."));
  for (size_t set = 0; set < count; set++)
    points[set] =
        (PairPoint){set_label(report, set), readings_gap(readings, 0, set), readings_gap(readings, 1, set)};
  PairChart chart = {
      {"Paired gap of each set of prompts, before and after", str_text(&note), NULL, "gap (nats)"},
      "before",
      "after",
      points,
      count,
      mean_of(report, before),
      mean_of(report, after),
      4};
  TRY_CLEAN(plot_pairs(&chart, PICTURE_WIDTH, 420, picture));
cleanup:
  free(points);
  str_free(&note);
  return status;
}

static void write_rows(const Report *report, Html *html) {
  const Readings *readings = report->readings;
  size_t count = size_min(readings->sets, MOST_ROWS);
  html_raw(html, count <= OPEN_ROWS ? "<details open" : "<details"); // what is closed is not printed
  html_raw(html, "><summary>Every set, in numbers</summary><div "
                 "class=\"wide\"><table><thead><tr><th>set</th><th>prompt</th><th class=\"number\">gap "
                 "before</th><th class=\"number\">after</th></tr></thead><tbody>\n");
  for (size_t set = 0; set < count; set++) {
    const char *label = set_label(report, set);
    html_format(html, "<tr><td>%zu</td><td>", set);
    html_excerpt(html, label != NULL ? label : "");
    html_raw(html, "</td><td class=\"number\">");
    html_number(html, readings_gap(readings, 0, set), 4, true);
    html_raw(html, "</td><td class=\"number\">");
    html_number(html, readings_gap(readings, 1, set), 4, true);
    html_raw(html, "</td></tr>\n");
  }
  html_raw(html, "</tbody></table></div></details>\n");
  if (count < readings->sets)
    html_format(html, "<p>The first %zu of %zu sets are shown.</p>\n", count, readings->sets);
}

void write_sets(const Report *report, Html *html) {
  const cJSON *before = record_before(report->record), *after = record_after(report->record, report->input);
  html_heading(html, "sets", "5. Before and after, set by set");
  if (report->readings->sets == 0 || before == NULL || after == NULL) {
    html_missing(
        html, "the answers of the measurement (gee-cl gap --adapter RUN/final --output FILE --items FILE).");
    return;
  }
  Picture *picture = NULL;
  html_picture(html, "sets", draw_sets(report, before, after, &picture), &picture);
  write_rows(report, html);
}
