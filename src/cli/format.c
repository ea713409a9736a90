// Numbers for people. Rule: no more digits than a reader needs.
#include "terminal.h"

#include <math.h>

void format_bytes(char out[32], uint64_t bytes) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = (double)bytes;
  size_t unit = 0;
  // 999.5 would print as 1000: use the next unit
  while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
    value /= 1000;
    unit++;
  }
  int digits = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  (void)snprintf(out, 32, "%.*f %s", digits, value, units[unit]);
}

void format_duration(char out[32], double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) {
    (void)snprintf(out, 32, "?");
    return;
  }
  if (seconds < 9.95) {
    (void)snprintf(out, 32, "%.1f s", seconds);
    return;
  }
  uint64_t whole = (uint64_t)llround(seconds);
  unsigned s = (unsigned)(whole % 60), min = (unsigned)(whole / 60 % 60);
  unsigned long hours = (unsigned long)(whole / 3600);
  if (hours > 0) {
    (void)snprintf(out, 32, "%lu h %02u min", hours, min);
  } else if (min > 0) {
    (void)snprintf(out, 32, "%u min %02u s", min, s);
  } else {
    (void)snprintf(out, 32, "%u s", s);
  }
}
