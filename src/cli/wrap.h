// Text in lines of a given width.
#pragma once

#include "util/str.h"

/// Longer lines are hard to read.
enum { TEXT_COLUMNS = 100, ENTRY_COLUMNS = 40 };

/// Appends `text` broken at its blanks into lines of at most `width` columns. The cursor stands at column
/// `used`; each further line begins with `lead`. A word longer than a line stands alone. No line end follows.
STATUS_CHECKED Status wrap_append(Str *out, const char *text, size_t used, const char *lead, size_t width);

/// Appends a line of a list, with its line end: `head`, and `text` beside it from `column` on (at most
/// ENTRY_COLUMNS), or below it where the head is too long for that or the screen is narrow.
STATUS_CHECKED Status wrap_entry(Str *out, const char *head, const char *text, size_t column, size_t width);
