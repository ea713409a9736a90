// The parts of the page, in an auditor's order.
#pragma once

#include "html.h"
#include "readings.h"
#include "record.h"

typedef struct Report {
  const ReportInput *input;
  const Record *record;
  const Readings *readings; // of the gap's items; empty without them
} Report;

enum { PICTURE_WIDTH = 720, PICTURE_HEIGHT = 320, HALF_WIDTH = 440, HALF_HEIGHT = 310 };

void write_summary(const Report *report, Html *html);    // what came out, in a few sentences
void write_question(const Report *report, Html *html);   // construct, population, groups, who is left out
void write_data(const Report *report, Html *html);       // files with hashes, counts
void write_method(const Report *report, Html *html);     // what was trained, by which keys
void write_results(const Report *report, Html *html);    // gaps and entropies with n and intervals
void write_sets(const Report *report, Html *html);       // before and after, set by set
void write_training(const Report *report, Html *html);   // curves
void write_benchmarks(const Report *report, Html *html); // results of eval
void write_answers(const Report *report, Html *html);    // side by side, and their tokens
void write_limits(const Report *report, Html *html);
void write_repeat(const Report *report, Html *html); // how to do it again

/// The value of a key of the run's config; "" if it has none.
const char *key_value(const Report *report, const char *section, const char *name);
/// Names of a group; "group 1" where they are not known.
const char *group_label(const Report *report, size_t group);
size_t group_count(const Report *report);
/// What the gap is: "H male − H female", or "largest H − smallest H".
void write_gap_name(const Report *report, Html *html);
