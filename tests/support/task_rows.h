// Metrics of rows that are written by hand.
#pragma once

#include "support/test.h"

#include "eval/task.h"

/// The metrics of rows, given as JSON; free with metrics_free. Fails the test if they cannot be computed.
MetricList metrics_of(const TaskType *type, const char *const *rows, size_t count);
/// Fails unless the metric has the value, to 1e-12.
void assert_metric(const MetricList *metrics, const char *name, double value);
