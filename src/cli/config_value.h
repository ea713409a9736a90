// The value of one config key: from a text to its field, and back.
#pragma once

#include "config.h"

/// Checks `text`, and stores its value in `field`, but for a KEY_TEXT, which is checked alone. STATUS_INPUT
/// says what is allowed.
STATUS_CHECKED Status config_parse_value(const ConfigKey *key, const char *text, void *field);
/// Appends the value in the one spelling that it has: numbers that are equal give equal texts.
STATUS_CHECKED Status config_print_value(const Config *config, const ConfigKey *key, Str *out);
/// Index of `text` among the words of "a|b|c", −1 where it is none of them.
int config_word_index(const char *words, const char *text);
