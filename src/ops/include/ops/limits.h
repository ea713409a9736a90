// What a device can do at most, measured on it.
#pragma once

#include "ops/profile.h"
#include "util/spread.h"

typedef struct OpsLimits {
  Spread flops; // per second: float32 fma in registers, two each
  Spread read;  // bytes per second read from memory, more than caches hold
  Spread triad; // bytes per second, two read for each written
} OpsLimits;

/// Takes about two seconds, and three buffers of at most 256 MB.
STATUS_CHECKED Status ops_measure_limits(Ops *ops, OpsLimits *out);
/// The shortest time in which the device could do the work: that of the fastest measurement.
double ops_limit_seconds(const OpsLimits *limits, OpsWork work);
