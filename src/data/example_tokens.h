// From a record to the tokens of an example.
#pragma once

#include "data/examples.h"
#include "tokenise.h"

/// *example = the record as tokens, at most `max_tokens` of them. Its `answered` is 0 if its prompt leaves no
/// room for an answer. STATUS_INPUT for an empty answer, or none. The caller frees it with example_free in
/// any case.
STATUS_CHECKED Status example_tokenise(const TokeniseOptions *options, const Record *record,
                                       size_t max_tokens, Example *example);
/// Safe on a zeroed struct.
void example_free(Example *example);
