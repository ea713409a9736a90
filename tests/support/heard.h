// What a test hears of the log: warnings and notes, a line each.
#pragma once

#include "support/test.h"

/// Forgets what was heard, and listens until heard_stop.
void heard_start(void);
/// Stops listening and returns the lines, in static memory until the next heard_start. A warning's line
/// begins with "warning: ".
const char *heard_stop(void);
/// How often a part occurs in what was heard.
size_t heard_count(const char *part);
