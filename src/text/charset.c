// Sets of code points. Rule: the ranges of a Charset are ascending, disjoint and not touching after every
// call, so that two equal sets have equal ranges.
#include "charset.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

enum { LAST = 0x10FFFF };

void charset_free(Charset *set) {
  if (set == NULL) return;
  free(set->ranges);
  *set = (Charset){0};
}

/// Appends a range that begins after all others end, or joins it to the last.
static Status append(Charset *set, uint32_t low, uint32_t high) {
  if (set->count > 0 && set->ranges[set->count - 1].high + 1 >= low) {
    UnicodeRange *last = &set->ranges[set->count - 1];
    if (last->high < high) last->high = high;
    return STATUS_OK;
  }
  TRY(mem_reserve(&set->ranges, &set->capacity, set->count + 1, "a set of characters"));
  set->ranges[set->count++] = (UnicodeRange){low, high};
  return STATUS_OK;
}

/// Merges ascending ranges into the set.
static Status merge(Charset *set, const UnicodeRange *ranges, size_t count) {
  Charset merged = {0};
  Status status = STATUS_OK;
  size_t i = 0, j = 0;
  while (i < set->count || j < count) {
    bool own = j == count || (i < set->count && set->ranges[i].low <= ranges[j].low);
    UnicodeRange next = own ? set->ranges[i++] : ranges[j++];
    TRY_CLEAN(append(&merged, next.low, next.high));
  }
  charset_free(set);
  *set = merged;
  return STATUS_OK;
cleanup:
  charset_free(&merged);
  return status;
}

Status charset_add(Charset *set, uint32_t low, uint32_t high) {
  UnicodeRange range = {low, high};
  return merge(set, &range, 1);
}

Status charset_add_all(Charset *set, const Charset *other) {
  return merge(set, other->ranges, other->count);
}

Status charset_add_table(Charset *set, const UnicodeTable *table) {
  return merge(set, table->ranges, table->count);
}

Status charset_add_categories(Charset *set, uint32_t categories) {
  Charset found = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < UNICODE_RUN_COUNT; i++) {
    if ((categories >> (UNICODE_RUNS[i] & 0xFF) & 1) == 0) continue;
    uint32_t stop = i + 1 < UNICODE_RUN_COUNT ? UNICODE_RUNS[i + 1] >> 8 : LAST + 1;
    TRY_CLEAN(append(&found, UNICODE_RUNS[i] >> 8, stop - 1));
  }
  status = charset_add_all(set, &found);
cleanup:
  charset_free(&found);
  return status;
}

Status charset_negate(Charset *set) {
  Charset others = {0};
  Status status = STATUS_OK;
  uint32_t next = 0;
  for (size_t i = 0; i < set->count; i++) {
    if (set->ranges[i].low > next) TRY_CLEAN(append(&others, next, set->ranges[i].low - 1));
    next = set->ranges[i].high + 1;
  }
  if (next <= LAST) TRY_CLEAN(append(&others, next, LAST));
  charset_free(set);
  *set = others;
  return STATUS_OK;
cleanup:
  charset_free(&others);
  return status;
}

Status charset_intersect(Charset *set, const Charset *other) {
  Charset common = {0};
  Status status = STATUS_OK;
  for (size_t i = 0, j = 0; i < set->count && j < other->count;) {
    UnicodeRange a = set->ranges[i], b = other->ranges[j];
    uint32_t low = a.low > b.low ? a.low : b.low, high = a.high < b.high ? a.high : b.high;
    if (low <= high) TRY_CLEAN(append(&common, low, high));
    if (a.high < b.high) {
      i++;
    } else {
      j++;
    }
  }
  charset_free(set);
  *set = common;
  return STATUS_OK;
cleanup:
  charset_free(&common);
  return status;
}

Status charset_add_alphabetic(Charset *set) {
  TRY(charset_add_categories(set, 1u << CATEGORY_LU | 1u << CATEGORY_LL | 1u << CATEGORY_LT |
                                      1u << CATEGORY_LM | 1u << CATEGORY_LO | 1u << CATEGORY_NL));
  return charset_add_table(set, &UNICODE_OTHER_ALPHABETIC);
}

Status charset_add_space(Charset *set) {
  static const UnicodeRange spaces[] = {
      {0x9, 0xD},       {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
      {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
  return merge(set, spaces, sizeof spaces / sizeof *spaces);
}

// ---- frozen sets ----

static void page_bits(const Charset *set, uint32_t page, size_t *from, uint64_t out[4]) {
  uint32_t first = page << 8, last = first + 255;
  memset(out, 0, 4 * sizeof *out);
  while (*from < set->count && set->ranges[*from].high < first) *from += 1;
  for (size_t i = *from; i < set->count && set->ranges[i].low <= last; i++) {
    uint32_t low = set->ranges[i].low < first ? first : set->ranges[i].low;
    uint32_t high = set->ranges[i].high > last ? last : set->ranges[i].high;
    for (uint32_t word = low >> 6; word <= high >> 6; word++) {
      uint32_t first_bit = word == low >> 6 ? low & 63 : 0, last_bit = word == high >> 6 ? high & 63 : 63;
      out[word & 3] |= UINT64_MAX << first_bit & UINT64_MAX >> (63 - last_bit);
    }
  }
}

/// Sets table->pages[page] to the index of the bits, which are added if no page before has the same.
static Status set_page(CharTable *table, uint32_t page, const uint64_t bits[4]) {
  size_t size = sizeof table->bits[0];
  uint16_t *out = &table->pages[page];
  *out = page > 0 ? table->pages[page - 1] : 0; // most pages are as the one before
  if (page > 0 && memcmp(table->bits[*out], bits, size) == 0) return STATUS_OK;
  for (size_t i = 0; i < table->page_count; i++) {
    *out = (uint16_t)i;
    if (memcmp(table->bits[i], bits, size) == 0) return STATUS_OK;
  }
  TRY(mem_reserve(&table->bits, &table->page_capacity, table->page_count + 1, "a set of characters"));
  memcpy(table->bits[table->page_count], bits, size);
  *out = (uint16_t)table->page_count++;
  return STATUS_OK;
}

Status char_table_create(const Charset *set, CharTable **out) {
  CharTable *table = NULL;
  TRY(mem_array(&table, 1, "a set of characters"));
  size_t from = 0;
  for (uint32_t page = 0; page < CHAR_PAGES; page++) {
    uint64_t bits[4];
    page_bits(set, page, &from, bits);
    Status status = set_page(table, page, bits);
    if (status != STATUS_OK) {
      char_table_free(table);
      return status;
    }
  }
  memcpy(table->ascii, table->bits[table->pages[0]], sizeof table->ascii);
  *out = table;
  return STATUS_OK;
}

void char_table_free(CharTable *table) {
  if (table == NULL) return;
  free(table->bits);
  free(table);
}
