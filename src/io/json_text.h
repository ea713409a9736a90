// What cJSON does not see in a JSON text, or reads otherwise than everybody else. Private to this room.
#pragma once

#include "io/json.h"

/// A number of a JSON text.
typedef struct JsonNumber {
  size_t offset, size; // its bytes in the text
  bool is_hidden;      // cJSON cannot read it and finds a 0 in its place
  double value;        // of a hidden number
} JsonNumber;

/// The numbers outside strings, in the order of the text, which is the order of the tree. Zero-initialise it
/// and free `list`.
typedef struct JsonNumbers {
  JsonNumber *list;
  size_t count, capacity;
} JsonNumbers;

/// How a text is read where JSON itself leaves it open.
typedef struct JsonRules {
  bool allows_nan;   // NaN, Infinity and -Infinity are numbers, as Python writes them
  bool allows_nul;   // a string may hold \u0000, which is U+FFFD in the tree
  bool unique_keys;  // a key that stands twice in an object is refused; else the last one counts
  bool index_values; // `valueint` of every number in the tree becomes its index in `numbers`
} JsonRules;

/// json_parse by `rules`. `numbers` is filled, also after a failure.
STATUS_CHECKED Status json_read(const char *bytes, size_t size, const char *name, const JsonRules *rules,
                                JsonNumbers *numbers, cJSON **out);

/// Checks text[size], which is NUL-terminated: UTF-8, no NUL byte, no \u0000 unless the rules allow it, no
/// half of a surrogate pair, and numbers that are JSON's. Hides the numbers that cJSON cannot read. What else
/// JSON asks for is left to cJSON.
STATUS_CHECKED Status json_text_check(char *text, size_t size, const char *name, const JsonRules *rules,
                                      JsonNumbers *numbers);
/// The line of byte `offset`, counted from 1.
size_t json_line(const char *text, size_t offset);
