// Drawing batches. Rule: what is drawn depends only on the data, the seed and the cursor; every epoch is a
// permutation of the sets.
#include "data/data.h"

#include "util/memory.h"
#include "util/rng.h"
#include "util/str.h"
#include <stdlib.h>

/// An endless sequence of shuffled epochs over `items`. `order` keeps the current epoch.
typedef struct Walk {
  const size_t *items;
  size_t count;
  size_t *order;
  uint64_t epoch; // in `order`; UINT64_MAX: none yet
} Walk;

/// The item at `position` of the sequence. Each (epoch, group) shuffles with a random stream of its own.
/// Streams have 28 bits, of which the group takes 4, so orders repeat after 2^24 epochs.
static size_t walk_at(Walk *walk, uint64_t seed, size_t group, uint64_t position) {
  uint64_t epoch = position / walk->count;
  if (epoch != walk->epoch) {
    for (size_t i = 0; i < walk->count; i++) walk->order[i] = walk->items[i];
    rng_shuffle(walk->order, walk->count, seed, (uint32_t)(epoch * DATA_MAX_GROUPS + group) & 0x0FFFFFFF);
    walk->epoch = epoch;
  }
  return walk->order[position % walk->count];
}

/// First prompt of every set of `group` (−1: of every set).
static size_t list_sets(const Dataset *dataset, int group, size_t *items) {
  size_t count = 0;
  for (size_t s = 0; s < dataset->sets; s++) {
    size_t first = dataset->set_start[s];
    if (group < 0 || dataset->prompts[first].group == group) items[count++] = first;
  }
  return count;
}

Status sampler_next(const Dataset *dataset, uint64_t seed, SamplerState *state, size_t count,
                    size_t *indices) {
  size_t groups = groups_count(dataset->groups), draws = count / groups;
  if (count == 0 || count % groups != 0)
    return status_fail(STATUS_INPUT,
                       "a batch of %zu answer%s cannot be shared equally by %zu groups: set "
                       "train.effective_batch to a multiple of %zu",
                       count, str_plural(count), groups, groups);
  size_t *items = NULL, *order = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&items, dataset->sets, "sampler"));
  TRY_CLEAN(mem_array(&order, dataset->sets, "sampler"));
  for (size_t g = 0; g < (dataset->counterfactual ? 1 : groups); g++) {
    size_t listed = list_sets(dataset, dataset->counterfactual ? -1 : (int)g, items);
    if (listed == 0) {
      status = status_fail(STATUS_INPUT, "no prompt of the group \"%s\" to draw from",
                           groups_name(dataset->groups, g));
      goto cleanup;
    }
    Walk walk = {items, listed, order, UINT64_MAX};
    for (size_t d = 0; d < draws; d++) {
      size_t prompt = walk_at(&walk, seed, g, state->cursor + d);
      size_t members = dataset->counterfactual ? groups : 1;
      for (size_t m = 0; m < members; m++) indices[d * groups + g + m] = prompt + m;
    }
  }
  state->cursor += draws;
cleanup:
  free(items);
  free(order);
  return status;
}
