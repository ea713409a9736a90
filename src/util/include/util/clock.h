// Time in seconds.
#pragma once

/// Monotonic; only differences mean something.
double clock_seconds(void);
/// Since 1970-01-01 UTC, as the system has it.
double clock_unix_seconds(void);

enum { CLOCK_TEXT = 32 };
/// out = the time now, in UTC as ISO 8601 has it: "2026-11-26T20:00:00Z".
void clock_utc(char out[CLOCK_TEXT]);
