// Prompts that are equal to the model.
#pragma once

#include "drafts.h"

/// Fills Draft.identity and Drafts.identities from the tokens, or from the messages if `tokenized` is false.
STATUS_CHECKED Status drafts_identify(bool tokenized, Drafts *drafts);
/// Fills Draft.likeness and Drafts.likenesses.
STATUS_CHECKED Status drafts_liken(Drafts *drafts);
/// Drops the sets that have the same prompt for two groups, which have a gap of 0 whatever the model does.
/// *dropped = their number.
STATUS_CHECKED Status drafts_drop_equal(Drafts *drafts, size_t *dropped);
