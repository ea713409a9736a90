// Which sets are kept: the split, the balance, the target size.
#pragma once

#include "drafts.h"

/// Keeps one side of the split; DATA_ALL keeps all.
STATUS_CHECKED Status select_split(const DataOptions *options, Drafts *drafts);
/// Keeps as many prompts of each group as the smallest has, drawn by seed. Counterfactual sets are balanced
/// as they are.
STATUS_CHECKED Status select_balance(uint64_t seed, size_t groups, Drafts *drafts);
/// Keeps at most target_size prompts, drawn by seed: whole sets, and with balance_dataset the same number per
/// group.
STATUS_CHECKED Status select_target(const DataOptions *options, size_t groups, Drafts *drafts);
/// Keeps at most max_sets sets, drawn by seed.
STATUS_CHECKED Status select_sets(const DataOptions *options, Drafts *drafts);
