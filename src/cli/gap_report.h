// The gap as a config asks for it, and the table that shows it to a person.
#pragma once

#include "cli.h"
#include "eval/gap.h"

/// *out = the gap on `dataset` with the config's sampling, entropy temperature, data.eval_sets and
/// data.eval_answers. The seed is the config's, so that measurements before and after training draw the same
/// random numbers.
STATUS_CHECKED Status gap_evaluation_open(const Config *config, const char *name, const Dataset *dataset,
                                          Evaluation **out);
/// Prints what the gap's evaluation measured.
void gap_print(const MetricList *metrics, const GroupFile *groups);
