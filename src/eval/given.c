// Packing of examples. Rule: what a row computes depends only on its own example, so the loss is the same in
// any micro batch.
#include "eval/given.h"

#include "util/memory.h"
#include <stdlib.h>

size_t given_size(const Example *example) {
  return example->tokens.count - 1; // nothing is predicted from the last token
}

/// A row, and the place of the first row with its prompt.
typedef struct Placed {
  GivenRow row;
  size_t first, place;
} Placed;

static int by_first(const void *a, const void *b) {
  const Placed *x = a, *y = b;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return x->place < y->place ? -1 : x->place > y->place;
}

Status given_sort(const Examples *examples, GivenRow *rows, size_t count) {
  size_t *first = NULL;
  Placed *placed = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&first, examples->count, "rows of a step"));
  TRY_CLEAN(mem_array(&placed, count, "rows of a step"));
  for (size_t i = 0; i < examples->count; i++) first[i] = SIZE_MAX;
  for (size_t i = 0; i < count; i++) {
    size_t *of = &first[examples->list[rows[i].example].distinct];
    if (*of == SIZE_MAX) *of = i;
    placed[i] = (Placed){rows[i], *of, i};
  }
  if (count > 0) qsort(placed, count, sizeof *placed, by_first);
  for (size_t i = 0; i < count; i++) rows[i] = placed[i].row;
cleanup:
  free(first);
  free(placed);
  return status;
}

Status given_pack(const Examples *examples, const GivenRow *rows, size_t count, bool share, Batch *out) {
  TokenSpan *prompts = NULL;
  BatchAnswer *answers = NULL;
  size_t prompt_count = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&prompts, count, "a micro batch"));
  TRY_CLEAN(mem_array(&answers, count, "a micro batch"));
  for (size_t i = 0; i < count; i++) {
    const Example *example = &examples->list[rows[i].example];
    if (i == 0 || example->distinct != examples->list[rows[i - 1].example].distinct)
      prompts[prompt_count++] = (TokenSpan){example->tokens.ids, example->prompt};
    answers[i] = (BatchAnswer){
        .prompt = prompt_count - 1,
        .tokens = {example->tokens.ids + example->prompt, example->tokens.count - example->prompt},
        .row_id = rows[i].id,
        .scored = example->scored};
  }
  TRY_CLEAN(batch_build(prompts, prompt_count, answers, count, share, out));
cleanup:
  free(prompts);
  free(answers);
  return status;
}

void given_add(const HeadTargets *targets, size_t first, size_t end, GivenSum *sum) {
  for (size_t p = first; p < end; p++) {
    const HeadTarget *target = &targets->list[targets->of[p]];
    sum->nll -= (double)target->logprob;
    sum->entropy += (double)target->entropy;
    sum->likeliest += target->likeliest;
    sum->tokens++;
  }
}
