// Pre-tokenization: a list of steps cuts the text into pieces, each step cutting the pieces of the one
// before. No token crosses the edge of a piece. The steps are those of Hugging Face's tokenizer.json.
#pragma once

#include "regex.h"
#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>

enum { PRETOKENIZE_MAX_STEPS = 16 };

/// GPT-2's pattern, which ByteLevel with use_regex uses too.
#define PATTERN_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/// What becomes of a match: a piece of its own, nothing, a part of the text before or behind it, or a piece
/// with the matches next to it.
typedef enum SplitBehavior {
  SPLIT_ISOLATED,
  SPLIT_REMOVED,
  SPLIT_MERGED_WITH_PREVIOUS,
  SPLIT_MERGED_WITH_NEXT,
  SPLIT_CONTIGUOUS,
} SplitBehavior;

/// Where Metaspace puts its mark in front: before each text between added tokens, or only at the start of
/// the whole text.
typedef enum PrependScheme { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS } PrependScheme;

/// Zero-initialise; add steps; free with pretokenizer_free. Shared by threads once complete.
typedef struct PreTokenizer {
  struct PreStep *steps;
  size_t count;
} PreTokenizer;

/// Split. With `invert` what is between the matches counts as the matches. `name` is the file in messages.
STATUS_CHECKED Status pretokenizer_add_split(PreTokenizer *pre, const char *pattern, SplitBehavior behavior,
                                             bool invert, const char *name);
/// Split by a text.
STATUS_CHECKED Status pretokenizer_add_text_split(PreTokenizer *pre, const char *text, SplitBehavior behavior,
                                                  bool invert, const char *name);
/// Digits: numeric characters (Nd, Nl, No) become pieces of their own, one by one or in runs.
STATUS_CHECKED Status pretokenizer_add_digits(PreTokenizer *pre, bool individual, const char *name);
STATUS_CHECKED Status pretokenizer_add_punctuation(PreTokenizer *pre, SplitBehavior behavior,
                                                   const char *name);
/// WhitespaceSplit: white space goes, and cuts.
STATUS_CHECKED Status pretokenizer_add_whitespace_split(PreTokenizer *pre, const char *name);
/// Whitespace: words and runs of other characters; white space goes.
STATUS_CHECKED Status pretokenizer_add_whitespace(PreTokenizer *pre, const char *name);
/// FixedLength: pieces of `length` ≥ 1 characters.
STATUS_CHECKED Status pretokenizer_add_length(PreTokenizer *pre, size_t length, const char *name);
/// A step that puts a space in front of a piece that does not begin with one.
STATUS_CHECKED Status pretokenizer_add_prefix_space(PreTokenizer *pre, const char *name);
/// Metaspace without its split: spaces become `mark`, and one is put in front as `scheme` says.
/// PREPEND_FIRST is for the first step alone.
STATUS_CHECKED Status pretokenizer_add_metaspace(PreTokenizer *pre, const char *mark, PrependScheme scheme,
                                                 const char *name);
/// Bytes become the characters that stand for them in a byte-level vocabulary, and back: for steps behind
/// ByteLevel.
STATUS_CHECKED Status pretokenizer_add_byte_text(PreTokenizer *pre, bool back, const char *name);
void pretokenizer_free(PreTokenizer *pre);

/// Gets each piece, in order; no piece is empty.
typedef Status (*PieceSink)(void *user, const char *piece, size_t size);
/// Cuts well-formed UTF-8. `at_start`: it is the start of the whole text.
STATUS_CHECKED Status pretokenize(const PreTokenizer *pre, RegexScratch *scratch, const char *text,
                                  size_t size, bool at_start, PieceSink sink, void *user);
