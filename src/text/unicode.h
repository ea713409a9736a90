// The properties of code points as Hugging Face's tokenizers know them. Its regular expressions have
// Unicode 16; what is older or newer has a table of its own.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// In the order of the generated runs.
typedef enum UnicodeCategory {
  CATEGORY_LU,
  CATEGORY_LL,
  CATEGORY_LT,
  CATEGORY_LM,
  CATEGORY_LO,
  CATEGORY_MN,
  CATEGORY_MC,
  CATEGORY_ME,
  CATEGORY_ND,
  CATEGORY_NL,
  CATEGORY_NO,
  CATEGORY_PC,
  CATEGORY_PD,
  CATEGORY_PS,
  CATEGORY_PE,
  CATEGORY_PI,
  CATEGORY_PF,
  CATEGORY_PO,
  CATEGORY_SM,
  CATEGORY_SC,
  CATEGORY_SK,
  CATEGORY_SO,
  CATEGORY_ZS,
  CATEGORY_ZL,
  CATEGORY_ZP,
  CATEGORY_CC,
  CATEGORY_CF,
  CATEGORY_CO,
  CATEGORY_CN,
} UnicodeCategory;

/// Runs of code points of one category: the first code point · 256 + the category. Surrogates count as CN.
extern const uint32_t UNICODE_RUNS[];
extern const size_t UNICODE_RUN_COUNT;

/// The code points low … high.
typedef struct UnicodeRange {
  uint32_t low, high;
} UnicodeRange;

typedef struct UnicodeTable {
  const UnicodeRange *ranges; // [count], ascending
  size_t count;
} UnicodeTable;

/// What [[:alpha:]], [[:lower:]] and [[:upper:]] have beyond L and Nl, Ll, Lu.
extern const UnicodeTable UNICODE_OTHER_ALPHABETIC, UNICODE_OTHER_LOWERCASE, UNICODE_OTHER_UPPERCASE;
/// What the pre-tokenizer Digits has beyond N.
extern const UnicodeTable UNICODE_LATER_NUMBERS;
/// What the pre-tokenizer Punctuation cuts out.
extern const UnicodeTable UNICODE_PUNCTUATION;
/// What normal forms leave alone, though later versions of Unicode do not.
extern const UnicodeTable UNICODE_LATER_NORMAL;

typedef struct UnicodeScript {
  const char *name; // in lower case; NULL ends the list
  UnicodeTable table;
} UnicodeScript;
extern const UnicodeScript UNICODE_SCRIPTS[];
