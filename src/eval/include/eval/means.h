// Means of what was measured, for those who show measurements.
#pragma once

#include "track/metrics.h"

/// The mean with its 95 % interval by Student's t. NaN without values; a single value has no interval.
Interval estimate_mean(const double *values, size_t count);
