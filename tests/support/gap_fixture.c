// Counterfactual sets to measure the gap on. Rule: prompts are token ids, so no tokenizer is needed.
#include "support/gap_fixture.h"

#include <stdlib.h>

const GapOptions gap_options = {
    .sampling = {.max_new_tokens = GAP_NEW_TOKENS, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
    .entropy_tau = 1,
    .answers = GAP_ANSWERS,
    .seed = 15};

Dataset gap_dataset(const char *group_file) {
  Dataset data = {.sets = GAP_SETS, .counterfactual = true};
  assert_ok(groups_load(group_file, &data.groups));
  size_t groups = groups_count(data.groups);
  data.count = groups * GAP_SETS;
  data.prompts = calloc(data.count, sizeof *data.prompts);
  data.set_start = calloc(GAP_SETS + 1, sizeof *data.set_start);
  assert_non_null(data.prompts);
  assert_non_null(data.set_start);
  for (size_t i = 0; i < data.count; i++) {
    size_t set = i / groups;
    data.prompts[i] =
        (Prompt){.group = (int)(i % groups), .set = set, .source = set, .distinct = i, .alike = i};
    if (i == data.count - 1) data.prompts[i].distinct = i - 1;
    for (size_t t = 0; t < 3 + set; t++) {
      size_t part = t == 1 ? (size_t)data.prompts[data.prompts[i].distinct].group : 0;
      assert_ok(tokens_append(&data.prompts[i].tokens, (int32_t)(5 + 7 * set + 3 * t + part)));
    }
    data.set_start[set + 1] = i + 1;
  }
  return data;
}
