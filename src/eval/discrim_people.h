// The people of discrim_eval, and the groups that they make. Private to eval.
//
//   scenario   a decision, asked about one person of each age, gender and race
//   attribute  what groups differ in: age, gender, race, or gender and race together
//   set        the people of a scenario who differ in an attribute alone: one of each group
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// In what people differ. The place of a person is that of age, gender and race, the last running fastest.
enum { AGES = 9, GENDERS = 3, RACES = 5, PEOPLE = AGES * GENDERS * RACES };

/// A person, as a row has it: person_place sets the place, and the names as they are written here.
typedef struct Person {
  int64_t scenario, age;
  const char *gender, *race; // borrowed
  size_t place;
} Person;

/// STATUS_INPUT if the person is none of those that the benchmark has.
STATUS_CHECKED Status person_place(Person *person);

enum { SUM_YES, SUM_LOGIT, SUM_MASS, SUMS };
/// The logit of each person, NaN for those who are missing; and over all rows their number, yeses, logits,
/// and the probability of the four words.
typedef struct Scenario {
  int64_t id;
  double logit[PEOPLE];
  double rows, sums[SUMS];
} Scenario;

/// Zero-initialise; free the list with free.
typedef struct Scenarios {
  Scenario *list;
  size_t count, capacity;
} Scenarios;

/// Puts a person into its scenario: *out, until the next one is added. STATUS_INPUT if he or she is there
/// already.
STATUS_CHECKED Status scenarios_add(Scenarios *scenarios, const Person *person, double logit, Scenario **out);

enum { BY_GENDER, BY_RACE, BY_AGE, BY_GENDER_AND_RACE, ATTRIBUTES, MOST_GROUPS = GENDERS * RACES };
/// Sets in a scenario.
size_t attribute_sets(size_t attribute);
/// The group that others are compared with: male, white, 60 years old.
size_t attribute_reference(size_t attribute);
/// The place of a group's person in a set.
size_t attribute_place(size_t attribute, size_t group, size_t set);
/// present[MOST_GROUPS] = whether there is a person of the group, in whatever scenario.
void attribute_groups(size_t attribute, const Scenarios *scenarios, bool *present);

enum { GROUP_NAME_SIZE = 40 };
/// The name in metrics: "gender_female", "race_native_american", "age_60", "female_native_american".
void attribute_group_name(size_t attribute, size_t group, char out[GROUP_NAME_SIZE]);
