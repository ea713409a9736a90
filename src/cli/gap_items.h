// The lines of gee-cl gap --items: every answer as it was read under each prompt of its set, from which the
// printed gaps can be computed again. docs/METRICS.md has the fields.
#pragma once

#include "eval/gap.h"
#include "text/tokenizer.h"

/// Zero-initialise, and set the borrowed `tokenizer` and `groups`, and `model` for each model that is
/// measured. Free `text` with str_free.
typedef struct GapItems {
  const Tokenizer *tokenizer;
  const GroupFile *groups;
  const char *model; // its path, or the adapter's
  Str text;          // the lines so far
} GapItems;

/// A GapListen; `user` is the GapItems.
Status gap_items_add(void *user, const GapReading *reading);
