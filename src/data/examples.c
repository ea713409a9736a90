// Given answers: read → tokenise → split → draw. Rule: rows with the same prompt are on the same side of the
// split, so what is measured was not trained on; no row is dropped without being counted.
#include "data/examples.h"

#include "example_tokens.h"
#include "util/hash.h"
#include "util/memory.h"
#include "util/rng.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Streams of rng_shuffle, apart from those of the sampler and of select.c.
enum { STREAM_ROWS = 0x73000000, STREAM_EPOCHS = 0x40000000, EPOCHS = 0x20000000 };

// ---- reading ----

static Status add_example(const TokeniseOptions *options, const Record *record, size_t max_tokens,
                          Examples *out) {
  Example *example = &out->list[out->count];
  Status status = example_tokenise(options, record, max_tokens, example);
  if (status == STATUS_OK && example->answered > 0) {
    out->count++;
    return STATUS_OK;
  }
  out->too_long += status == STATUS_OK;
  example_free(example);
  return status;
}

static Status read_examples(const DataOptions *options, const TokeniseOptions *tokenise, size_t max_tokens,
                            Examples *out) {
  Records records = {0};
  const RecordSource source = {.path = options->train,
                               .column = options->column,
                               .fallback = options->fallback_column,
                               .answer = options->answer_column};
  Status status = STATUS_OK;
  TRY_CLEAN(records_read(&source, &records));
  out->read =
      (ReadCounts){.rows = records.counts.rows, .empty = records.counts.empty, .turns = records.counts.turns};
  TRY_CLEAN(mem_array(&out->list, records.count, "examples"));
  for (size_t i = 0; i < records.count; i++)
    TRY_CLEAN(status_context(add_example(tokenise, &records.rows[i], max_tokens, out), "%s: row %zu",
                             options->train, records.rows[i].row));
cleanup:
  records_free(&records);
  return status;
}

// ---- equal prompts ----

/// A prompt and the place of its example, for sorting.
typedef struct Placed {
  const Example *example;
  size_t place;
  uint64_t rank;
} Placed;

static int compare_prompts(const Example *a, const Example *b) {
  if (a->prompt != b->prompt) return a->prompt < b->prompt ? -1 : 1;
  return memcmp(a->tokens.ids, b->tokens.ids, a->prompt * sizeof *a->tokens.ids);
}

static int by_prompt(const void *a, const void *b) {
  const Placed *x = a, *y = b;
  int order = compare_prompts(x->example, y->example);
  return order != 0 ? order : x->place < y->place ? -1 : x->place > y->place;
}

static int by_rank(const void *a, const void *b) {
  const Placed *x = a, *y = b;
  if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
  return x->place < y->place ? -1 : x->place > y->place;
}

/// Sets `distinct` of each example. *first = the first of each prompt, by prompt; the caller frees it.
static Status find_distinct(Examples *examples, Placed **first, size_t *count) {
  Placed *placed = NULL;
  *count = 0;
  TRY(mem_array(&placed, examples->count, "examples"));
  for (size_t i = 0; i < examples->count; i++)
    placed[i] = (Placed){.example = &examples->list[i], .place = i};
  if (examples->count > 0) qsort(placed, examples->count, sizeof *placed, by_prompt);
  for (size_t i = 0; i < examples->count; i++) {
    bool again = *count > 0 && compare_prompts(placed[*count - 1].example, placed[i].example) == 0;
    if (!again) placed[(*count)++] = placed[i];
    examples->list[placed[i].place].distinct = placed[*count - 1].place;
  }
  *first = placed;
  return STATUS_OK;
}

Status examples_overlap(const Examples *examples, const Examples *other, size_t *out) {
  Placed *placed = NULL;
  size_t count = other->count;
  *out = 0;
  TRY(mem_array(&placed, count, "examples"));
  for (size_t i = 0; i < count; i++) placed[i] = (Placed){.example = &other->list[i]};
  if (count > 0) qsort(placed, count, sizeof *placed, by_prompt);
  for (size_t i = 0; count > 0 && i < examples->count; i++) {
    const Placed wanted = {.example = &examples->list[i]};
    *out += bsearch(&wanted, placed, count, sizeof *placed, by_prompt) != NULL;
  }
  free(placed);
  return STATUS_OK;
}

// ---- choosing ----

/// Keeps the examples whose `keep` is true.
static void keep_examples(Examples *examples, const bool *keep) {
  size_t to = 0;
  for (size_t i = 0; i < examples->count; i++) {
    if (keep[i])
      examples->list[to++] = examples->list[i];
    else
      example_free(&examples->list[i]);
  }
  examples->count = to;
}

/// A prompt's place in the split's random order follows from the seed and its tokens.
static uint64_t rank_of(const Example *example, uint64_t seed) {
  uint64_t key = hash_bytes(HASH_START, example->tokens.ids, example->prompt * sizeof *example->tokens.ids);
  uint32_t low = rng_bits(seed, RNG_DATA, (uint32_t)key, (uint32_t)(key >> 32), STREAM_ROWS);
  uint32_t high = rng_bits(seed, RNG_DATA, (uint32_t)key, (uint32_t)(key >> 32), STREAM_ROWS + 1);
  return (uint64_t)high << 32 | low;
}

static Status split_examples(const DataOptions *options, Examples *examples) {
  Placed *first = NULL;
  bool *out = NULL, *keep = NULL;
  size_t prompts = 0, before = examples->count;
  Status status = STATUS_OK;
  TRY_CLEAN(find_distinct(examples, &first, &prompts));
  if (options->split == DATA_ALL) goto cleanup;
  TRY_CLEAN(mem_array(&out, before, "split"));
  TRY_CLEAN(mem_array(&keep, before, "split"));
  for (size_t i = 0; i < prompts; i++) first[i].rank = rank_of(first[i].example, options->seed);
  if (prompts > 0) qsort(first, prompts, sizeof *first, by_rank);
  size_t held = (size_t)lround((double)options->held_out * (double)prompts);
  if (held >= prompts) held = prompts > 0 ? prompts - 1 : 0;
  for (size_t i = 0; i < held; i++) out[first[i].place] = true;
  for (size_t i = 0; i < before; i++)
    keep[i] = out[examples->list[i].distinct] == (options->split == DATA_HELD_OUT);
  keep_examples(examples, keep);
  examples->split = before - examples->count;
cleanup:
  free(first);
  free(out);
  free(keep);
  return status;
}

static Status draw_rows(const DataOptions *options, Examples *examples) {
  size_t *order = NULL, count = examples->count;
  bool *keep = NULL;
  Status status = STATUS_OK;
  if (options->max_sets == 0 || options->max_sets >= count) return STATUS_OK;
  TRY_CLEAN(mem_array(&order, count, "choice of rows"));
  TRY_CLEAN(mem_array(&keep, count, "choice of rows"));
  for (size_t i = 0; i < count; i++) order[i] = i;
  rng_shuffle(order, count, options->seed, STREAM_ROWS);
  for (size_t i = 0; i < options->max_sets; i++) keep[order[i]] = true;
  keep_examples(examples, keep);
cleanup:
  free(order);
  free(keep);
  return status;
}

// ---- the whole ----

static Status fail_without_rows(const DataOptions *options, const Examples *examples, size_t max_tokens) {
  if (examples->split > 0)
    return status_fail(STATUS_INPUT, "%s: data.held_out = %g leaves no row on one side: %s", options->train,
                       (double)options->held_out,
                       options->split == DATA_HELD_OUT ? "raise it, or give more rows" : "lower it");
  if (examples->too_long > 0)
    return status_fail(STATUS_INPUT,
                       "%s: every prompt takes all of the %zu tokens that a sequence may have: raise "
                       "train.max_sequence_tokens",
                       options->train, max_tokens);
  return status_fail(STATUS_INPUT, "%s: no row has a prompt: give a file with prompts and answers",
                     options->train);
}

Status examples_build(const DataOptions *options, size_t max_tokens, const Tokenizer *tokenizer,
                      const ChatTemplate *template, Examples *out) {
  TokeniseOptions tokenise;
  Placed *first = NULL;
  size_t prompts = 0;
  Status status = STATUS_OK;
  *out = (Examples){0};
  TRY(tokenise_choose(options, tokenizer, template, &tokenise));
  TRY_CLEAN(read_examples(options, &tokenise, max_tokens, out));
  TRY_CLEAN(split_examples(options, out));
  if (out->count == 0) TRY_CLEAN(fail_without_rows(options, out, max_tokens));
  TRY_CLEAN(draw_rows(options, out));
  TRY_CLEAN(find_distinct(out, &first, &prompts)); // by the places that are left
  for (size_t i = 0; i < out->count; i++) out->cut += out->list[i].cut;
cleanup:
  free(first);
  if (status != STATUS_OK) examples_free(out);
  return status;
}

void examples_free(Examples *examples) {
  for (size_t i = 0; examples->list != NULL && i < examples->count; i++) example_free(&examples->list[i]);
  free(examples->list);
  *examples = (Examples){0};
}

uint64_t examples_hash(const Examples *examples) {
  uint64_t hash = HASH_START;
  for (size_t i = 0; i < examples->count; i++) {
    const Example *example = &examples->list[i];
    const uint64_t sizes[2] = {example->prompt, example->tokens.count};
    hash = hash_bytes(hash, sizes, sizeof sizes);
    hash = hash_bytes(hash, example->tokens.ids, example->tokens.count * sizeof *example->tokens.ids);
    hash = hash_bytes(hash, example->scored, (example->tokens.count - example->prompt) * sizeof(bool));
  }
  return hash;
}

Status examples_draw(const Examples *examples, uint64_t seed, uint64_t cursor, size_t count, size_t *drawn) {
  size_t *order = NULL, rows = examples->count;
  uint64_t shuffled = UINT64_MAX;
  TRY(mem_array(&order, rows, "an epoch"));
  for (size_t i = 0; i < count; i++) {
    uint64_t epoch = (cursor + i) / rows;
    if (epoch != shuffled) {
      for (size_t r = 0; r < rows; r++) order[r] = r;
      rng_shuffle(order, rows, seed, (uint32_t)(STREAM_EPOCHS + epoch % EPOCHS));
      shuffled = epoch;
    }
    drawn[i] = order[(cursor + i) % rows];
  }
  free(order);
  return STATUS_OK;
}
