// The scripts that a text is written in.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include "util/status.h"
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_COUNT = 32 }; // those of scripts.c, and one for all others

/// The class, without its brackets, of the characters of scripts that write no blank between words: Han,
/// Kana, Thai, Lao, Khmer, Myanmar.
#define UNSPACED_CHARS "\\p{Han}\\p{Hiragana}\\p{Katakana}\\x{30FC}\\p{Thai}\\p{Lao}\\p{Khmer}\\p{Myanmar}"

/// *out = a pattern for scripts_count; the caller frees it.
STATUS_CHECKED Status scripts_compile(pcre2_code **out);
/// Adds to counts[SCRIPT_COUNT] how much of the text is in each script: a word counts as one, and so does
/// each character of a script without blanks.
STATUS_CHECKED Status scripts_count(const pcre2_code *pattern, const char *text, size_t size, size_t *counts);
