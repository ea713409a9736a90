// Choosing sets. Rule: a choice depends on the seed and the prompts alone, and what is kept stays in order.
#include "select.h"

#include "util/memory.h"
#include "util/rng.h"
#include <math.h>
#include <stdlib.h>

// Streams of rng_shuffle, above those of the sampler, which stay below 2^28.
enum { STREAM_BALANCE = 0x70000000, STREAM_TARGET = 0x71000000, STREAM_SETS = 0x72000000 };

/// A set and its place in the split's random order.
typedef struct Ranked {
  uint64_t rank, key;
  size_t set;
} Ranked;

static int by_rank(const void *a, const void *b) {
  const Ranked *x = a, *y = b;
  if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
  return (x->key > y->key) - (x->key < y->key); // equal keys are neighbours
}

/// A hash of key and seed.
static uint64_t rank_of(uint64_t key, uint64_t seed) {
  uint32_t counter[4] = {(uint32_t)key, (uint32_t)(key >> 32), 0, RNG_DATA};
  uint32_t keys[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
  philox4x32(out, counter, keys);
  return (uint64_t)out[1] << 32 | out[0];
}

/// The set that stands for all that are joined with `set`.
static size_t find_root(size_t *parent, size_t set) {
  while (parent[set] != set) set = parent[set] = parent[parent[set]];
  return set;
}

static Status rank_sets(uint64_t seed, const Drafts *drafts, Ranked **ranked) {
  size_t sets = drafts->count / drafts->per_set;
  TRY(mem_array(ranked, sets, "split"));
  for (size_t s = 0; s < sets; s++) {
    uint64_t key = drafts->list[s * drafts->per_set].key;
    (*ranked)[s] = (Ranked){rank_of(key, seed), key, s};
  }
  qsort(*ranked, sets, sizeof **ranked, by_rank);
  return STATUS_OK;
}

/// Joins the set with the first that had the same; SIZE_MAX: it is that set.
static void join_first(size_t *first, size_t set, size_t *parent) {
  if (*first == SIZE_MAX) *first = set;
  parent[find_root(parent, set)] = find_root(parent, *first);
}

/// Joins the sets of one row's words, and those that share a prompt of any group, or one that is alike: "my
/// mom" and "my mum" both become "my dad".
static Status join_sets(const Drafts *drafts, const Ranked *ranked, size_t *parent) {
  size_t *owner = NULL, *alike = NULL, sets = drafts->count / drafts->per_set;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&owner, drafts->identities, "split"));
  TRY_CLEAN(mem_array(&alike, drafts->likenesses, "split"));
  for (size_t i = 0; i < drafts->identities; i++) owner[i] = SIZE_MAX;
  for (size_t i = 0; i < drafts->likenesses; i++) alike[i] = SIZE_MAX;
  for (size_t s = 0; s < sets; s++) parent[s] = s;
  for (size_t s = 1; s < sets; s++)
    if (ranked[s].key == ranked[s - 1].key)
      parent[find_root(parent, ranked[s].set)] = find_root(parent, ranked[s - 1].set);
  for (size_t i = 0; i < drafts->count; i++) {
    size_t set = i / drafts->per_set;
    join_first(&owner[drafts->list[i].identity], set, parent);
    join_first(&alike[drafts->list[i].likeness], set, parent);
  }
cleanup:
  free(owner);
  free(alike);
  return status;
}

Status select_split(const DataOptions *options, Drafts *drafts) {
  if (options->split == DATA_ALL) return STATUS_OK;
  if (!(options->held_out >= 0 && options->held_out < 1))
    return status_fail(STATUS_INPUT, "data.held_out = %g: the share of prompts not trained on is in [0, 1)",
                       (double)options->held_out);
  Ranked *ranked = NULL;
  size_t *parent = NULL, sets = drafts->count / drafts->per_set, joined = 0, taken = 0;
  bool *keep = NULL, *out = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(rank_sets(options->seed, drafts, &ranked));
  TRY_CLEAN(mem_array(&parent, sets, "split"));
  TRY_CLEAN(mem_array(&keep, sets, "split"));
  TRY_CLEAN(mem_array(&out, sets, "split"));
  TRY_CLEAN(join_sets(drafts, ranked, parent));
  for (size_t s = 0; s < sets; s++) joined += parent[s] == s;
  size_t held = (size_t)lround((double)options->held_out * (double)joined);
  if (held >= joined) held = joined > 0 ? joined - 1 : 0;
  for (size_t s = 0; s < sets && taken < held; s++) {
    bool *root = &out[find_root(parent, ranked[s].set)];
    taken += !*root;
    *root = true;
  }
  for (size_t s = 0; s < sets; s++) keep[s] = out[find_root(parent, s)] == (options->split == DATA_HELD_OUT);
  drafts_keep_sets(drafts, keep);
cleanup:
  free(ranked);
  free(parent);
  free(keep);
  free(out);
  return status;
}

/// Marks up to `quota` random sets of `group` (−1: of any group) in `keep`.
static Status keep_quota(uint64_t seed, uint32_t stream, const Drafts *drafts, int group, size_t quota,
                         bool *keep) {
  size_t *order = NULL, count = 0, sets = drafts->count / drafts->per_set;
  TRY(mem_array(&order, sets, "choice of prompts"));
  for (size_t s = 0; s < sets; s++)
    if (group < 0 || drafts->list[s * drafts->per_set].group == group) order[count++] = s;
  rng_shuffle(order, count, seed, stream);
  for (size_t i = 0; i < count && i < quota; i++) keep[order[i]] = true;
  free(order);
  return STATUS_OK;
}

static size_t smallest_group(const Drafts *drafts, size_t groups) {
  size_t counts[DATA_MAX_GROUPS] = {0}, least = SIZE_MAX;
  for (size_t i = 0; i < drafts->count; i++) counts[drafts->list[i].group]++;
  for (size_t g = 0; g < groups; g++) least = counts[g] < least ? counts[g] : least;
  return least;
}

/// Keeps `each` random prompts of each group. Every set is one prompt.
static Status keep_equal(uint64_t seed, uint32_t stream, size_t groups, size_t each, Drafts *drafts) {
  bool *keep = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&keep, drafts->count, "choice of prompts"));
  for (size_t g = 0; g < groups; g++)
    TRY_CLEAN(keep_quota(seed, stream + (uint32_t)g, drafts, (int)g, each, keep));
  drafts_keep_sets(drafts, keep);
cleanup:
  free(keep);
  return status;
}

Status select_balance(uint64_t seed, size_t groups, Drafts *drafts) {
  if (drafts->per_set > 1) return STATUS_OK;
  return keep_equal(seed, STREAM_BALANCE, groups, smallest_group(drafts, groups), drafts);
}

/// Keeps up to `quota` random sets.
static Status keep_sets(uint64_t seed, uint32_t stream, size_t quota, Drafts *drafts) {
  bool *keep = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&keep, drafts->count / drafts->per_set, "choice of prompts"));
  TRY_CLEAN(keep_quota(seed, stream, drafts, -1, quota, keep));
  drafts_keep_sets(drafts, keep);
cleanup:
  free(keep);
  return status;
}

Status select_target(const DataOptions *options, size_t groups, Drafts *drafts) {
  size_t target = options->target_size;
  if (target == 0 || drafts->count <= target) return STATUS_OK;
  if (target < groups)
    return status_fail(STATUS_INPUT,
                       "data.target_size = %zu: there are %zu groups; set at least that, or 0 for all",
                       target, groups);
  if (drafts->per_set == 1 && options->balance_dataset)
    return keep_equal(options->seed, STREAM_TARGET, groups, target / groups, drafts);
  return keep_sets(options->seed, STREAM_TARGET, target / drafts->per_set, drafts);
}

Status select_sets(const DataOptions *options, Drafts *drafts) {
  return keep_sets(options->seed, STREAM_SETS, options->max_sets, drafts);
}
