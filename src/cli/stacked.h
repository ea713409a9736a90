// A row of a table on a screen that is too narrow for it: the name on lines of its own, and under it what the
// row has, as many parts to a line as fit.
#pragma once

#include "util/str.h"

/// Appends the row, lines of at most `width` columns; the name may be cut anywhere, parts only at blanks.
/// Parts that are empty are left out. A line end follows.
STATUS_CHECKED Status stacked_append(Str *out, const char *name, const char *const *parts, size_t count,
                                     size_t width);
