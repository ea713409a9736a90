// Added tokens: texts that become one token wherever they occur, before the text is cut into pieces.
#pragma once

#include "vocab.h"

typedef struct AddedToken {
  int32_t id;
  bool single_word; // not next to a word character
  bool lstrip;      // includes the white space before it
  bool rstrip;      // includes the white space after it
  bool normalized;  // matched in the normalised text, not in the given one
} AddedToken;

/// Zero-initialise; append; added_complete; free with added_free.
typedef struct AddedTokens {
  AddedToken *tokens; // once complete: by first byte, then longest first
  size_t count, capacity;
  size_t first[257]; // tokens[first[b] … first[b+1]) start with byte b
} AddedTokens;

STATUS_CHECKED Status added_append(AddedTokens *added, AddedToken token);
/// Sorts the tokens and drops those with empty text. Must be called before any search.
void added_complete(AddedTokens *added, const Vocab *vocab);
void added_free(AddedTokens *added);

/// A token found: the bytes [start, stop) of the text become `id`.
typedef struct AddedMatch {
  size_t start, stop;
  int32_t id;
} AddedMatch;

/// The state of a search. Zero-initialise it for a new text.
typedef struct AddedCursor {
  size_t next; // the search continues here
  size_t edge; // end of the last match, its white space included
} AddedCursor;

/// The next match among the tokens whose `normalized` is as given: the leftmost, and of those the longest.
/// False at the end.
bool added_next(const AddedTokens *added, const Vocab *vocab, bool normalized, const char *text, size_t size,
                AddedCursor *cursor, AddedMatch *out);
