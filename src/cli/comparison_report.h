// What gee-cl compare writes: a table for a terminal, Markdown, CSV or JSON.
#pragma once

#include "cli.h"
#include "eval/compare.h"
#include "eval/results.h"
#include <stdio.h>

/// What is shown; all borrowed.
typedef struct ComparisonReport {
  const Comparison *comparison;
  const Results *results; // [comparison->models]
  char *const *names;     // [comparison->models] short ones, each once
  FILE *screen;           // where tables are shown; NULL: in a file
  bool all_metrics;       // in tables, and not the headlines alone; JSON and CSV have all
} ComparisonReport;

typedef enum ComparisonFormat {
  COMPARISON_TABLE,
  COMPARISON_JSON,
  COMPARISON_CSV,
  COMPARISON_MARKDOWN
} ComparisonFormat;

/// Appends the report.
STATUS_CHECKED Status comparison_write(const ComparisonReport *report, ComparisonFormat format, Str *out);
