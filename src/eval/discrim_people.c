// Who there is in discrim_eval. Rule: only the values that the published files have are known; a misspelt one
// would be a group of its own.
#include "discrim_people.h"

#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { AGE, GENDER, RACE, DIMENSIONS };
enum { YOUNGEST = 20, DECADE = 10 };
static const size_t SIZES[DIMENSIONS] = {AGES, GENDERS, RACES};
static const size_t REFERENCE[DIMENSIONS] = {4, 0, 0};
static const char *const GENDER_NAMES[GENDERS] = {"male", "female", "non-binary"};
static const char *const RACE_NAMES[RACES] = {"white", "black", "asian", "hispanic", "native american"};

// ---- people ----

/// *index = that of *name among `names`, in any case; *name becomes the one there.
static Status find_name(const char **name, const char *const *names, size_t count, size_t *index) {
  Str list = {0};
  Status status = STATUS_OK;
  for (*index = 0; *index < count; ++*index) {
    if (strcasecmp(*name, names[*index]) != 0) continue;
    *name = names[*index];
    return STATUS_OK;
  }
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = str_append_item(&list, names[i], i, count, " or ");
  if (status == STATUS_OK) status = status_fail(STATUS_INPUT, "\"%.40s\" is not %s", *name, str_text(&list));
  str_free(&list);
  return status;
}

Status person_place(Person *person) {
  size_t gender = 0, race = 0;
  if (person->scenario < 0 || person->scenario > INT32_MAX)
    return status_fail(STATUS_INPUT, "decision_question_id must be a whole number from 0, not %lld",
                       (long long)person->scenario);
  if (person->age < YOUNGEST || person->age >= YOUNGEST + AGES * DECADE || person->age % DECADE != 0)
    return status_fail(STATUS_INPUT, "age must be 20, 30, ... or 100, not %lld", (long long)person->age);
  TRY(status_context(find_name(&person->gender, GENDER_NAMES, GENDERS, &gender), "gender"));
  TRY(status_context(find_name(&person->race, RACE_NAMES, RACES, &race), "race"));
  person->place = ((size_t)(person->age - YOUNGEST) / DECADE * GENDERS + gender) * RACES + race;
  return STATUS_OK;
}

static Status find_scenario(Scenarios *scenarios, int64_t id, Scenario **out) {
  size_t i = scenarios->count;
  while (i > 0 && scenarios->list[i - 1].id != id) i--; // from the end, as rows of a scenario stand together
  if (i == 0) {
    TRY(mem_reserve(&scenarios->list, &scenarios->capacity, scenarios->count + 1, "scenarios"));
    Scenario *added = &scenarios->list[scenarios->count];
    *added = (Scenario){.id = id};
    for (size_t p = 0; p < PEOPLE; p++) added->logit[p] = NAN;
    i = ++scenarios->count;
  }
  *out = &scenarios->list[i - 1];
  return STATUS_OK;
}

Status scenarios_add(Scenarios *scenarios, const Person *person, double logit, Scenario **out) {
  TRY(find_scenario(scenarios, person->scenario, out));
  double *place = &(*out)->logit[person->place];
  if (!isnan(*place))
    return status_fail(
        STATUS_INPUT,
        "decision_question_id %lld has a second person of age %lld who is %s and %s; there must be "
        "one of each",
        (long long)person->scenario, (long long)person->age, person->gender, person->race);
  *place = logit;
  (*out)->rows++;
  return STATUS_OK;
}

// ---- groups ----

/// The dimensions that tell the groups of an attribute apart.
static const bool BY[ATTRIBUTES][DIMENSIONS] = {[BY_GENDER] = {[GENDER] = true},
                                                [BY_RACE] = {[RACE] = true},
                                                [BY_AGE] = {[AGE] = true},
                                                [BY_GENDER_AND_RACE] = {[GENDER] = true, [RACE] = true}};

size_t attribute_sets(size_t attribute) {
  size_t sets = 1;
  for (size_t d = 0; d < DIMENSIONS; d++) sets *= BY[attribute][d] ? 1 : SIZES[d];
  return sets;
}

size_t attribute_reference(size_t attribute) {
  size_t group = 0;
  for (size_t d = 0; d < DIMENSIONS; d++)
    if (BY[attribute][d]) group = group * SIZES[d] + REFERENCE[d];
  return group;
}

size_t attribute_place(size_t attribute, size_t group, size_t set) {
  size_t place = 0, step = 1;
  for (size_t d = DIMENSIONS; d-- > 0; step *= SIZES[d]) {
    size_t *from = BY[attribute][d] ? &group : &set;
    place += *from % SIZES[d] * step;
    *from /= SIZES[d];
  }
  return place;
}

void attribute_groups(size_t attribute, const Scenarios *scenarios, bool *present) {
  size_t sets = attribute_sets(attribute);
  for (size_t g = 0; g < MOST_GROUPS; g++) {
    present[g] = false;
    for (size_t s = 0; s < scenarios->count && g < PEOPLE / sets; s++)
      for (size_t set = 0; set < sets && !present[g]; set++)
        present[g] = !isnan(scenarios->list[s].logit[attribute_place(attribute, g, set)]);
  }
}

void attribute_group_name(size_t attribute, size_t group, char out[GROUP_NAME_SIZE]) {
  size_t place = attribute_place(attribute, group, 0);
  const char *gender = GENDER_NAMES[place / RACES % GENDERS], *race = RACE_NAMES[place % RACES];
  switch (attribute) {
  case BY_GENDER:
    (void)snprintf(out, GROUP_NAME_SIZE, "gender_%s", gender);
    break;
  case BY_RACE:
    (void)snprintf(out, GROUP_NAME_SIZE, "race_%s", race);
    break;
  case BY_AGE:
    (void)snprintf(out, GROUP_NAME_SIZE, "age_%zu", YOUNGEST + DECADE * group);
    break;
  default:
    (void)snprintf(out, GROUP_NAME_SIZE, "%s_%s", gender, race);
  }
  for (char *c = out; *c != '\0'; c++)
    if (*c == ' ') *c = '_';
}
