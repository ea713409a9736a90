// Monotonic time in seconds; only differences mean something.
#pragma once

double clock_seconds(void);
