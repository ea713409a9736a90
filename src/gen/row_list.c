// The rows of a cached forward. Rule: the caller adds at most the pass's max_rows.
#include "row_list.h"

#include "util/memory.h"
#include <stdlib.h>

Status row_list_create(size_t max_rows, RowList *rows) {
  *rows = (RowList){0};
  TRY(mem_array(&rows->ids, max_rows, "rows"));
  TRY(mem_array(&rows->positions, max_rows, "rows"));
  TRY(mem_array(&rows->cache_row, max_rows, "rows"));
  return mem_array(&rows->spans, 4 * max_rows, "rows");
}

void row_list_free(RowList *rows) {
  free(rows->ids);
  free(rows->positions);
  free(rows->cache_row);
  free(rows->spans);
  *rows = (RowList){0};
}

void row_list_add(RowList *rows, int32_t id, size_t position, size_t cache_row, const size_t spans[4]) {
  size_t row = rows->count++;
  rows->ids[row] = id;
  rows->positions[row] = (int32_t)position;
  rows->cache_row[row] = (int32_t)cache_row;
  for (size_t i = 0; i < 4; i++) rows->spans[4 * row + i] = (int32_t)spans[i];
}

Status row_list_forward(const RowList *rows, Pass *pass) {
  CachedRows cached = {.rows = rows->count,
                       .ids = rows->ids,
                       .positions = rows->positions,
                       .cache_row = rows->cache_row,
                       .spans = rows->spans};
  return pass_forward_cached(pass, &cached);
}

void prompt_cache_rows(const GenerateJob *job, size_t *begin) {
  begin[0] = 0;
  for (size_t p = 0; p < job->prompt_count; p++) begin[p + 1] = begin[p] + job->prompts[p].count;
}
