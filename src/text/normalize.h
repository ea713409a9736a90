// Normalization: a list of steps changes the text before it is cut, as the normalizer of Hugging Face's
// tokenizer.json does.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>

enum { NORMALIZE_MAX_STEPS = 16 };

typedef enum NormalForm { FORM_NFC, FORM_NFD, FORM_NFKC, FORM_NFKD } NormalForm;

/// Zero-initialise; add steps; free with normalizer_free. Shared by threads once complete.
typedef struct Normalizer {
  struct NormalStep *steps;
  size_t count;
} Normalizer;

/// `name` is the file in messages.
STATUS_CHECKED Status normalizer_add_form(Normalizer *normalizer, NormalForm form, const char *name);
STATUS_CHECKED Status normalizer_add_lowercase(Normalizer *normalizer, const char *name);
/// Takes white space away at the ends.
STATUS_CHECKED Status normalizer_add_strip(Normalizer *normalizer, bool left, bool right, const char *name);
/// Puts a text in front of every text that is not empty.
STATUS_CHECKED Status normalizer_add_prepend(Normalizer *normalizer, const char *text, const char *name);
/// Replaces the matches of a pattern, or with `is_regex` false of a text.
STATUS_CHECKED Status normalizer_add_replace(Normalizer *normalizer, const char *pattern, bool is_regex,
                                             const char *content, const char *name);
void normalizer_free(Normalizer *normalizer);

/// Appends the normalized form of well-formed UTF-8 to `out`, which is empty.
STATUS_CHECKED Status normalize(const Normalizer *normalizer, const char *text, size_t size, Str *out);
/// True if a step can take characters away at the start, so that a text does not begin where the given one
/// does.
bool normalizer_moves_start(const Normalizer *normalizer);
/// True if the text is certain to be its own normalized form; false where that is not known.
bool normalize_keeps(const Normalizer *normalizer, const char *text, size_t size);
