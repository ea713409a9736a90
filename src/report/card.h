// What goes to the Hugging Face Hub with the adapter: a model card, and results in the Hub's format
// (https://huggingface.co/docs/hub/eval-results).
#pragma once

#include "sections.h"

/// Appends the README.md that training left, with what was measured since; nothing if there is none.
STATUS_CHECKED Status card_append(const Report *report, Str *out);
/// Fills output->results: a file for each task that has a dataset on the Hub, from the results of this very
/// adapter.
STATUS_CHECKED Status card_results(const Report *report, ReportOutput *output);
