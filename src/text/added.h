// Added tokens: texts that become one token wherever they occur, before anything else cuts the text.
#pragma once

#include "vocab.h"

typedef struct AddedToken {
  int32_t id;
  bool single_word; // not next to a word character
  bool lstrip;      // takes the white space before it too
  bool rstrip;      // takes the white space after it too
  bool normalized;  // looked for in the normalised text, not in the text as given
} AddedToken;

/// Zero-initialise; append; added_complete; free with added_free.
typedef struct AddedTokens {
  AddedToken *tokens; // once complete: by first byte, then longest first
  size_t count, capacity;
  size_t first[257]; // tokens[first[b] … first[b+1]) start with byte b
} AddedTokens;

STATUS_CHECKED Status added_append(AddedTokens *added, AddedToken token);
/// Sorts the tokens; to be called before any search. Tokens of empty text are dropped.
void added_complete(AddedTokens *added, const Vocab *vocab);
void added_free(AddedTokens *added);

/// A token found: the bytes [start, stop) of the text become `id`.
typedef struct AddedMatch {
  size_t start, stop;
  int32_t id;
} AddedMatch;

/// How far a search is. Zero-initialise for a new text.
typedef struct AddedCursor {
  size_t next; // the search continues here
  size_t edge; // the last match, with the white space it took, ended here
} AddedCursor;

/// The next match, of those with `normalized` as given: leftmost, of several the longest. False at the end.
bool added_next(const AddedTokens *added, const Vocab *vocab, bool normalized, const char *text, size_t size,
                AddedCursor *cursor, AddedMatch *out);
