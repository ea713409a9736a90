// How a GapReport is shown. Rule: a gap never stands without its interval and the mean entropy beside it, because a model
// whose entropy collapses has no gap either.
#include "gap_report.h"

#include <stdio.h>
#include <string.h>

GapOptions gap_options(const Config *config) {
  return (GapOptions){.sampling = config->sampling,
                      .entropy_tau = config->loss.entropy_temperature,
                      .answers = config->eval.answers,
                      .sets = config->eval.sets,
                      .seed = config->train.seed};
}

static void print_estimate(const char *name, const GapEstimate *estimate, double H_bar, size_t groups) {
  printf("  %s%-7s%s %+9.4f   [%+.4f, %+.4f]   %+8.2f %%   ", style(stdout, STYLE_BOLD), name,
         style(stdout, STYLE_PLAIN), estimate->gap, estimate->low, estimate->high,
         100 * estimate->gap / H_bar);
  for (size_t g = 0; g < groups; g++) printf(" %9.4f", estimate->H[g]);
  printf("\n");
}

void gap_print(const GapReport *report, const GroupFile *groups) {
  size_t count = groups_count(groups);
  printf("%s  %-7s %9s   %-20s %9s   ", style(stdout, STYLE_BOLD), "gap", "nats", "95 % interval",
         "of H mean");
  for (size_t g = 0; g < count; g++) printf(" H %7s", groups_name(groups, g));
  printf("%s\n", style(stdout, STYLE_PLAIN));
  print_estimate("total", &report->total, report->H_bar, count);
  print_estimate("paired", &report->paired, report->H_bar, count);
  printf("  mean entropy %.4f nats; %zu sets, %zu answers, %zu tokens", report->H_bar, report->sets,
         report->answers, report->tokens);
  if (count == 2) printf("; gap = H %s - H %s", groups_name(groups, 1), groups_name(groups, 0));
  printf("\n");
}

Status gap_line(const GapReport *report, Str *out) {
  return str_append_format(
      out, "paired gap %+.4f [%+.4f, %+.4f]   total gap %+.4f [%+.4f, %+.4f]   mean entropy %.4f",
      report->paired.gap, report->paired.low, report->paired.high, report->total.gap, report->total.low,
      report->total.high, report->H_bar);
}

static void add_estimate(JsonWriter *json, const char *name, const GapEstimate *estimate,
                         const GroupFile *groups) {
  json_object_begin(json, name);
  json_number(json, "gap", estimate->gap);
  json_number(json, "low", estimate->low);
  json_number(json, "high", estimate->high);
  json_number(json, "standard_error", estimate->standard_error);
  json_object_begin(json, "H");
  for (size_t g = 0; g < groups_count(groups); g++) json_number(json, groups_name(groups, g), estimate->H[g]);
  json_object_end(json);
  json_object_end(json);
}

void gap_json(const GapReport *report, const GroupFile *groups, JsonWriter *json) {
  add_estimate(json, "total", &report->total, groups);
  add_estimate(json, "paired", &report->paired, groups);
  json_number(json, "H_bar", report->H_bar);
  json_integer(json, "sets", (int64_t)report->sets);
  json_integer(json, "answers", (int64_t)report->answers);
  json_integer(json, "tokens", (int64_t)report->tokens);
}
