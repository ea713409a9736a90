// The rows of a cached forward, and where the keys and values of a job's prompts lie in the cache. Private to
// gen.
//
//   cache rows   prompt 0 | prompt 1 | … | the answers' rows
#pragma once

#include "gen/generate.h"

/// Rows for pass_forward_cached. The arrays hold the pass's max_rows.
typedef struct RowList {
  size_t count;
  int32_t *ids, *positions, *cache_row, *spans;
} RowList;

STATUS_CHECKED Status row_list_create(size_t max_rows, RowList *rows);
void row_list_free(RowList *rows);
/// Appends a row: the token `id` at `position`. Its key and value go to `cache_row`, and it sees the cache
/// rows [spans[0], spans[1]) and [spans[2], spans[3]).
void row_list_add(RowList *rows, int32_t id, size_t position, size_t cache_row, const size_t spans[4]);
/// Runs a forward over the rows.
STATUS_CHECKED Status row_list_forward(const RowList *rows, Pass *pass);

/// begin[prompt_count + 1]: prompt p has the cache rows [begin[p], begin[p + 1]); the answers' rows start at
/// begin[prompt_count].
void prompt_cache_rows(const GenerateJob *job, size_t *begin);
