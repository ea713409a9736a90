// Text in lines of a given width.
#pragma once

#include "util/str.h"

/// Longer lines are hard to read.
enum { TEXT_COLUMNS = 100 };

/// Appends `text` broken at its blanks into lines of at most `width` columns. The cursor stands at column
/// `used`; each further line begins with `lead`. A word longer than a line stands alone. No line end follows.
STATUS_CHECKED Status wrap_append(Str *out, const char *text, size_t used, const char *lead, size_t width);
