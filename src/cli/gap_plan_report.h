// Plans of the gap, for people and as JSON.
#pragma once

#include "eval/gap.h"
#include "io/json_write.h"

/// Prints the tables of a plan and what to do. `of` says whose gap it is for: the model's name; `change` that
/// it is for the change of its gap.
STATUS_CHECKED Status gap_plan_print(const GapPlan *plan, const char *of, bool change,
                                     const GroupFile *groups);
/// Adds a plan to an open object.
void gap_plan_write(const GapPlan *plan, const char *key, const GroupFile *groups, JsonWriter *json);
