// Pre-tokenisation: a list of steps cuts the text into pieces, each step cutting the pieces of the one
// before. No token crosses the edge of a piece. The steps are those of Hugging Face's tokenizer.json.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { PRETOKENIZE_MAX_STEPS = 8 };

/// GPT-2's pattern, which ByteLevel with use_regex uses too.
extern const char *const PATTERN_GPT2;
extern const char *const PATTERN_LLAMA3;
extern const char *const PATTERN_QWEN2;

/// Zero-initialise; add steps; free with pretokenizer_free. Shared by threads once complete.
typedef struct PreTokenizer {
  struct PreStep *steps;
  size_t count;
  struct pcre2_real_match_context_8 *limits;
} PreTokenizer;

/// Memory for cutting; each thread needs its own.
typedef struct PreScratch PreScratch;

/// A step that makes every match of the pattern a piece, and every text between matches (Split, Isolated).
/// `name` is the file in messages. STATUS_INPUT if the pattern is broken or matches the empty text.
STATUS_CHECKED Status pretokenizer_add_split(PreTokenizer *pre, const char *pattern, const char *name);
/// A step that makes numeric characters (Nd, Nl, No) pieces of their own, one by one or in runs.
STATUS_CHECKED Status pretokenizer_add_digits(PreTokenizer *pre, bool individual, const char *name);
/// A step that puts a space in front of a piece that does not begin with one.
STATUS_CHECKED Status pretokenizer_add_prefix_space(PreTokenizer *pre, const char *name);
void pretokenizer_free(PreTokenizer *pre);

STATUS_CHECKED Status pre_scratch_create(PreScratch **out);
void pre_scratch_free(PreScratch *scratch);

/// Gets each piece, in order; no piece is empty.
typedef Status (*PieceSink)(void *user, const char *piece, size_t size);
/// Cuts well-formed UTF-8.
STATUS_CHECKED Status pretokenize(const PreTokenizer *pre, PreScratch *scratch, const char *text, size_t size,
                                  PieceSink sink, void *user);
