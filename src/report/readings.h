// The lines of gap --items as tables: the mean entropy of each set and group, and each answer as it was read.
#pragma once

#include "plot/charts.h"
#include "record.h"

enum { READING_MODELS = 2 }; // before and after

/// [sets][groups] of one model, paired: the mean over all answers of the set, read under the group's prompt.
/// NaN where there is none.
typedef struct Readings {
  size_t sets, groups;
  double *H[READING_MODELS];
  size_t *counts[READING_MODELS]; // lines behind each
  // [sets][groups: answer of][groups: read under] the first such line, of the record; NULL if there is none
  const cJSON **first[READING_MODELS];
  const char *models[READING_MODELS]; // NULL: none of its lines is there
  // The difference that is shown set by set: of two groups the second less the first; of more the two that
  // are furthest apart in the mean before training. (The largest difference of each set by itself would be
  // mostly noise.)
  size_t of, minus;
} Readings;

/// STATUS_INPUT if a line is not understood, or if the lines are not those of the gap that was measured. Only
/// the base and the model after training are kept.
STATUS_CHECKED Status readings_collect(const Record *record, const ReportInput *input, Readings *out);
/// Safe on a zeroed struct and twice.
void readings_free(Readings *readings);
/// H of the group `of` less H of the group `minus`; NaN if one lacks.
double readings_gap(const Readings *readings, size_t model, size_t set);

/// *out = the mean of a group's H over the sets, with its 95 % interval; NaN where there are no readings.
STATUS_CHECKED Status readings_mean(const Readings *readings, size_t model, size_t group, Estimate *out);

/// The first answer of a set to the prompt of group `of`, read under that of group `under`; NULL if there is
/// none.
const cJSON *readings_line(const Readings *readings, size_t model, size_t set, size_t of, size_t under);
