// Text that may hold anything, made safe to show.
#pragma once

#include "util/str.h"
#include <stdbool.h>
#include <stdio.h>

/// Appends `text` for a terminal. What a terminal would obey (control characters other than line end and tab)
/// or what would change the order of the letters around it (bidirectional controls) becomes \u001B, a byte
/// that is not UTF-8 \xF0. So JSON, where only texts can hold such characters, stays the same JSON.
STATUS_CHECKED Status visible_append(Str *out, const char *text, size_t size);
/// The same in quotes and on one line, with \n, \t, \" and \\ as JSON writes them.
STATUS_CHECKED Status visible_append_quoted(Str *out, const char *text, size_t size);
/// Appends text for a stream: visible if that is a terminal, else byte for byte.
STATUS_CHECKED Status visible_append_for(FILE *stream, Str *out, const char *text, size_t size);
/// Appends a name, such as of a file or a metric, for a stream: on a terminal it takes one line, with \n and
/// \t as JSON writes them, and at most `columns`; a longer one ends with "...".
STATUS_CHECKED Status visible_append_name(FILE *stream, Str *out, const char *name, size_t columns);
/// Writes a name of any length to a stream, as visible_append_name makes it.
STATUS_CHECKED Status visible_print_name(FILE *stream, const char *name);
/// Writes text to a stream, as visible_append_for makes it.
STATUS_CHECKED Status visible_print(FILE *stream, const char *text, size_t size);
