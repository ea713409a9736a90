// How a GapReport is shown: a table, a line, and JSON.
#pragma once

#include "cli.h"
#include "eval/gap.h"
#include "io/json_write.h"

/// The measurement a config asks for: its sampling, entropy temperature, data.eval_sets and data.eval_answers. One seed
/// for all, so that measurements before and after training draw alike.
GapOptions gap_options(const Config *config);
void gap_print(const GapReport *report, const GroupFile *groups);
/// "paired −0.0257 [−0.0347, −0.0167]  total …  H̄ 2.330", in fresh memory of `out`.
STATUS_CHECKED Status gap_line(const GapReport *report, Str *out);
/// Adds the report's members to the object that is open.
void gap_json(const GapReport *report, const GroupFile *groups, JsonWriter *json);
