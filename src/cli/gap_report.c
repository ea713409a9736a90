// Sets up and shows the gap. Rule: a gap is always shown with its interval and the mean entropy, because a
// model whose entropy collapses has no gap either.
#include "gap_report.h"

#include <stdio.h>
#include <string.h>

Status gap_evaluation_open(const Config *config, const char *name, const Dataset *dataset, Evaluation **out) {
  GapOptions options = {.sampling = config->sampling,
                        .entropy_tau = config->loss.entropy_temperature,
                        .answers = config->eval.answers,
                        .sets = config->eval.sets,
                        .seed = config->train.seed};
  return gap_evaluation_create(name, dataset, &options, out);
}

static void print_estimate(const MetricList *metrics, const char *kind, const GroupFile *groups) {
  Interval gap = metrics_get(metrics, "%s_gap", kind);
  printf("  %s%-7s%s %+9.4f   [%+.4f, %+.4f]   %+8.2f %%   ", style(stdout, STYLE_BOLD), kind,
         style(stdout, STYLE_PLAIN), gap.value, gap.low, gap.high,
         100 * gap.value / metrics_get(metrics, "H_bar").value);
  for (size_t g = 0; g < groups_count(groups); g++)
    printf(" %9.4f", metrics_get(metrics, "%s_H_%s", kind, groups_name(groups, g)).value);
  printf("\n");
}

void gap_print(const MetricList *metrics, const GroupFile *groups) {
  size_t count = groups_count(groups);
  printf("%s  %-7s %9s   %-20s %9s   ", style(stdout, STYLE_BOLD), "gap", "nats", "95 % interval",
         "of H mean");
  for (size_t g = 0; g < count; g++) printf(" H %7s", groups_name(groups, g));
  printf("%s\n", style(stdout, STYLE_PLAIN));
  print_estimate(metrics, "total", groups);
  print_estimate(metrics, "paired", groups);
  printf("  mean entropy %.4f nats; %.0f sets, %.0f answers, %.0f tokens",
         metrics_get(metrics, "H_bar").value, metrics_get(metrics, "sets").value,
         metrics_get(metrics, "answers").value, metrics_get(metrics, "tokens").value);
  if (count == 2) printf("; gap = H %s - H %s", groups_name(groups, 1), groups_name(groups, 0));
  printf("\n");
}
