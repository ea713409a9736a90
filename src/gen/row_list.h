// The rows of a cached forward, and where the keys and values of a job's prompts lie. Inside gen.
//
//   cache rows   prompt 0 | prompt 1 | … | the answers' rows
#pragma once

#include "gen/generate.h"

/// Rows being laid out for pass_forward_cached, [max_rows] of the pass.
typedef struct RowList {
  size_t count;
  int32_t *ids, *positions, *cache_row, *spans;
} RowList;

STATUS_CHECKED Status row_list_create(size_t max_rows, RowList *rows);
void row_list_free(RowList *rows);
/// Appends the token `id` at `position`, whose key and value go to `cache_row` and which sees the cache rows
/// [spans[0], spans[1]) and [spans[2], spans[3]).
void row_list_add(RowList *rows, int32_t id, size_t position, size_t cache_row, const size_t spans[4]);
/// Runs them.
STATUS_CHECKED Status row_list_forward(const RowList *rows, Pass *pass);

/// begin[prompt_count + 1]: prompt p lies in the cache rows [begin[p], begin[p + 1]), the answers' rows from begin[prompt_count].
void prompt_cache_rows(const GenerateJob *job, size_t *begin);
