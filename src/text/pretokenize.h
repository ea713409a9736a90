// Pre-tokenisation: text is cut into pieces by a list of steps, each applied to the pieces of the one before;
// no token crosses the edge of a piece. The steps are those of Hugging Face's tokenizer.json.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { PRETOKENIZE_MAX_STEPS = 8 };

/// GPT-2's pattern, also the one of ByteLevel with use_regex.
extern const char *const PATTERN_GPT2;
extern const char *const PATTERN_LLAMA3;
extern const char *const PATTERN_QWEN2;

/// Zero-initialise; add steps; free with pretokenizer_free. Shared by threads once complete.
typedef struct PreTokenizer {
  struct PreStep *steps;
  size_t count;
  struct pcre2_real_match_context_8 *limits;
} PreTokenizer;

/// Memory that cutting needs; one for each thread.
typedef struct PreScratch PreScratch;

/// A step that makes every match of the pattern a piece of its own, and what lies between likewise (Split,
/// Isolated). `name` is the file, for messages. STATUS_INPUT for a broken pattern or one that matches the
/// empty text.
STATUS_CHECKED Status pretokenizer_add_split(PreTokenizer *pre, const char *pattern, const char *name);
/// A step that cuts numeric characters (Nd, Nl, No) out, each on its own or in runs.
STATUS_CHECKED Status pretokenizer_add_digits(PreTokenizer *pre, bool individual, const char *name);
/// A step that puts a space in front of a piece that has none.
STATUS_CHECKED Status pretokenizer_add_prefix_space(PreTokenizer *pre, const char *name);
void pretokenizer_free(PreTokenizer *pre);

STATUS_CHECKED Status pre_scratch_create(PreScratch **out);
void pre_scratch_free(PreScratch *scratch);

/// Called with each piece in order, never an empty one.
typedef Status (*PieceSink)(void *user, const char *piece, size_t size);
/// Cuts well-formed UTF-8.
STATUS_CHECKED Status pretokenize(const PreTokenizer *pre, PreScratch *scratch, const char *text, size_t size,
                                  PieceSink sink, void *user);
