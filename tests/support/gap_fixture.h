// Counterfactual sets to measure the gap on, and how.
#pragma once

#include "support/test.h"
// (test.h includes what cmocka needs)
#include "eval/gap.h"

enum { GAP_SETS = 5, GAP_ANSWERS = 3, GAP_NEW_TOKENS = 6 };

extern const GapOptions gap_options;

/// Sets of a prompt for each group of a group file, of 3 to 7 tokens, that differ in one token; the last
/// prompt equals the one before it. Free with dataset_free.
Dataset gap_dataset(const char *group_file);
static inline TokenSpan gap_span(const Prompt *prompt) {
  return (TokenSpan){prompt->tokens.ids, prompt->tokens.count};
}
