// The value of one config key: from text to its field, and back.
#pragma once

#include "config.h"

/// The section whose keys are prompt types and not in the table.
#define TASK_WEIGHTS "task_weights"

/// Checks `text` and stores its value in `field`; a KEY_TEXT or KEY_LINES is only checked. STATUS_INPUT says
/// what is allowed.
STATUS_CHECKED Status config_parse_value(const ConfigKey *key, const char *text, void *field);
/// *out = the text as a Config keeps it, after config_parse_value: a word in the spelling of the table.
STATUS_CHECKED Status config_copy_value(const ConfigKey *key, const char *text, char **out);
/// Appends the value in its one spelling: equal numbers give equal texts.
STATUS_CHECKED Status config_print_value(const Config *config, const ConfigKey *key, Str *out);
/// Index of `text` among the words of "a|b|c", in any case; −1 if it is none of them.
int config_word_index(const char *words, const char *text);
/// Refuses keys that contradict each other.
STATUS_CHECKED Status config_check_contradictions(const Config *config);
/// Refuses a text that is not UTF-8, which the tokenizer would replace; `what` names it.
STATUS_CHECKED Status config_check_utf8(const char *text, const char *what);
