// The spread of repeated measurements.
#include "util/spread.h"

#include <stdlib.h>

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

Spread spread_of(double *values, size_t count) {
  if (count == 0) return (Spread){0};
  qsort(values, count, sizeof *values, by_size);
  return (Spread){.minimum = values[0],
                  .median = (values[(count - 1) / 2] + values[count / 2]) / 2,
                  .maximum = values[count - 1],
                  .count = count};
}
