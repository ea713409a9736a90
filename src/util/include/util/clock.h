// Monotonic wall time in seconds, for durations only.
#pragma once

double clock_seconds(void);
