// Sets of code points: built from ranges, then frozen into a table for fast tests.
#pragma once

#include "unicode.h"
#include "util/status.h"
#include <stdbool.h>

/// A set under construction. Zero-initialise (the empty set); free with charset_free.
typedef struct Charset {
  UnicodeRange *ranges; // ascending, disjoint and not touching
  size_t count, capacity;
} Charset;

void charset_free(Charset *set);
/// Adds low … high.
STATUS_CHECKED Status charset_add(Charset *set, uint32_t low, uint32_t high);
STATUS_CHECKED Status charset_add_all(Charset *set, const Charset *other);
STATUS_CHECKED Status charset_add_table(Charset *set, const UnicodeTable *table);
/// Adds the code points whose category's bit, 1 << UnicodeCategory, is in `categories`.
STATUS_CHECKED Status charset_add_categories(Charset *set, uint32_t categories);
/// Replaces the set by all other code points from 0 to 0x10FFFF.
STATUS_CHECKED Status charset_negate(Charset *set);
/// Keeps what is also in `other`.
STATUS_CHECKED Status charset_intersect(Charset *set, const Charset *other);

/// Letters, marks and numbers of letters; what Unicode calls Alphabetic.
STATUS_CHECKED Status charset_add_alphabetic(Charset *set);
/// White_Space.
STATUS_CHECKED Status charset_add_space(Charset *set);

enum { CHAR_PAGES = 0x1100 }; // of 256 code points

/// A frozen set. Free with char_table_free; shared by threads.
typedef struct CharTable {
  uint64_t ascii[2];
  uint16_t pages[CHAR_PAGES]; // index into `bits`
  uint64_t (*bits)[4];        // [page_count]
  size_t page_count, page_capacity;
} CharTable;

STATUS_CHECKED Status char_table_create(const Charset *set, CharTable **out);
void char_table_free(CharTable *table);

/// `code` is at most 0x10FFFF.
static inline bool char_table_has(const CharTable *table, uint32_t code) {
  if (code < 128) return table->ascii[code >> 6] >> (code & 63) & 1;
  return table->bits[table->pages[code >> 8]][code >> 6 & 3] >> (code & 63) & 1;
}
