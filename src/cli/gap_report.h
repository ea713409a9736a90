// The gap as a config asks for it, and the table in which a person reads it.
#pragma once

#include "cli.h"
#include "eval/gap.h"

/// *out = the gap on `dataset` with the config's sampling, entropy temperature, data.eval_sets and
/// data.eval_answers. One seed for all, so that measurements before and after training draw alike.
STATUS_CHECKED Status gap_evaluation_open(const Config *config, const char *name, const Dataset *dataset,
                                          Evaluation **out);
/// Prints what the gap's evaluation has measured.
void gap_print(const MetricList *metrics, const GroupFile *groups);
