// Characters of a text that may be invalid UTF-8.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The character at `at` < size and its bytes; −1 (one byte) if it is not valid UTF-8. Never 0 bytes, so
/// every loop that steps by it ends.
int32_t char_at(const char *text, size_t size, size_t at, size_t *bytes);
/// The character that ends at `at` > 0, and its bytes (1 to `at`); −1 (one byte) if it is not valid UTF-8.
int32_t char_before(const char *text, size_t at, size_t *bytes);
bool is_space(int32_t c);
bool is_word_char(int32_t c);
/// An opening bracket or quotation mark; a straight quotation mark counts as opening.
bool is_opening_mark(int32_t c);
bool is_hyphen(int32_t c);
/// Whether there are at least two capitals and no small letters.
bool all_capitals(const char *text, size_t size);
bool first_is_capital(const char *text, size_t size);
/// Whether a sentence begins at `at`, opening marks before it aside.
bool starts_sentence(const char *text, size_t at);
