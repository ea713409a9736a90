// Added tokens: texts that become one token wherever they occur, before the text is cut into pieces.
#pragma once

#include "charset.h"
#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct AddedToken {
  int32_t id;
  bool single_word;       // not next to a word character
  bool lstrip;            // includes the white space before it
  bool rstrip;            // includes the white space after it
  bool normalized;        // matched in the normalized text, not in the given one
  size_t text, text_size; // what is matched, in AddedTokens.arena
} AddedToken;

/// Zero-initialise; added_set; added_complete; free with added_free.
typedef struct AddedTokens {
  AddedToken *tokens; // once complete: by first byte, then longest first
  size_t count, capacity;
  size_t first[257]; // tokens[first[b] … first[b+1]) start with byte b
  Str arena;
  uint32_t *places; // by id: the token's index + 1, or 0
  size_t place_capacity;
  CharTable *word; // what single_word takes for a character of a word; NULL if no token has it
} AddedTokens;

/// Adds the token, or replaces the one with its id. `text` is what is matched.
STATUS_CHECKED Status added_set(AddedTokens *added, AddedToken token, const char *text, size_t size);
/// NULL if the id is no added token's.
const AddedToken *added_find(const AddedTokens *added, int32_t id);
/// Sorts the tokens and drops those with empty text. Must be called once, before any search; added_find and
/// added_set must not be called after it. STATUS_INPUT, with the model's `name`, if two are matched by one
/// text.
STATUS_CHECKED Status added_complete(AddedTokens *added, const char *name);
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
bool added_next(const AddedTokens *added, bool normalized, const char *text, size_t size, AddedCursor *cursor,
                AddedMatch *out);
