// Drawing examples. Rule: what is drawn depends only on the examples, the seed and the cursor; the size of a
// micro batch changes no row.
#include "given_batch.h"

#include "util/memory.h"
#include <stdlib.h>

Status given_batch_create(const Examples *examples, size_t count, size_t micro, bool share,
                          GivenBatch *batch) {
  *batch = (GivenBatch){.examples = examples, .count = count, .micro = micro, .share = share};
  TRY(mem_array(&batch->drawn, count, "a batch"));
  return mem_array(&batch->rows, count, "a batch");
}

void given_batch_free(GivenBatch *batch) {
  free(batch->drawn);
  free(batch->rows);
  *batch = (GivenBatch){0};
}

static void list_rows(GivenBatch *batch) {
  batch->tokens = batch->answered = 0;
  for (size_t i = 0; i < batch->count; i++) {
    const Example *example = &batch->examples->list[batch->drawn[i]];
    batch->rows[i] = (GivenRow){batch->drawn[i], (uint32_t)i};
    batch->tokens += example->tokens.count;
    batch->answered += example->answered;
  }
}

Status given_batch_draw(GivenBatch *batch, uint64_t seed, SamplerState *state) {
  TRY(examples_draw(batch->examples, seed, state->cursor, batch->count, batch->drawn));
  state->cursor += batch->count;
  list_rows(batch);
  return given_sort(batch->examples, batch->rows, batch->count);
}

// ---- the largest ----

/// An example, for sorting by size.
typedef struct Sized {
  size_t rows, example;
} Sized;

static int largest_first(const void *a, const void *b) {
  const Sized *x = a, *y = b;
  if (x->rows != y->rows) return x->rows > y->rows ? -1 : 1;
  return x->example < y->example ? -1 : x->example > y->example;
}

/// drawn[count] = the examples that need the most memory. A batch that begins within an epoch may have an
/// example once more than there are epochs in it.
static Status list_largest(const Examples *examples, size_t count, size_t *drawn) {
  Sized *sized = NULL;
  size_t times = (count + examples->count - 1) / examples->count + 1;
  TRY(mem_array(&sized, examples->count, "examples by size"));
  for (size_t i = 0; i < examples->count; i++) sized[i] = (Sized){given_size(&examples->list[i]), i};
  qsort(sized, examples->count, sizeof *sized, largest_first);
  for (size_t i = 0; i < count; i++) drawn[i] = sized[i / times].example;
  free(sized);
  return STATUS_OK;
}

Status given_batch_most_rows(const Examples *examples, size_t count, size_t micro, size_t *rows) {
  size_t *drawn = NULL;
  *rows = 0;
  TRY(mem_array(&drawn, count, "a batch"));
  Status status = list_largest(examples, count, drawn);
  for (size_t i = 0; status == STATUS_OK && i < micro; i++) *rows += given_size(&examples->list[drawn[i]]);
  free(drawn);
  return status;
}

/// Equal prompts would take less when shared, and rows that differ take more.
Status given_batch_draw_largest(GivenBatch *batch) {
  batch->share = false;
  TRY(list_largest(batch->examples, batch->count, batch->drawn));
  list_rows(batch);
  return STATUS_OK;
}
