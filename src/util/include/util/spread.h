// The spread of repeated measurements.
#pragma once

#include <stddef.h>

typedef struct Spread {
  double minimum, median, maximum; // all 0 if nothing was measured
  size_t count;
} Spread;

/// Sorts values[count].
Spread spread_of(double *values, size_t count);
