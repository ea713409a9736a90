// Time, from the system's clocks.
#include "util/clock.h"

#include <time.h>

static double read_clock(clockid_t clock) {
  struct timespec now = {0};
  (void)clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double clock_seconds(void) {
  return read_clock(CLOCK_MONOTONIC);
}

double clock_unix_seconds(void) {
  return read_clock(CLOCK_REALTIME);
}

void clock_utc(char out[CLOCK_TEXT]) {
  time_t seconds = (time_t)clock_unix_seconds();
  struct tm utc = {0};
  out[0] = '\0';
  if (gmtime_r(&seconds, &utc) == NULL || strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
    out[0] = '\0'; // a year beyond int
}
