// gee-cl data for given answers. Rule: a row is shown as the model reads it, with every token that the
// template adds, and what is trained on can be told from the rest.
#include "sft.h"

#include "io/json_write.h"
#include "util/memory.h"
#include "visible.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Around the tokens that are trained on, also where no colours are shown.
static const char open_mark[] = "[[", close_mark[] = "]]";

/// The end of the run of tokens from `begin` on that all count, or all do not.
static size_t run_end(const Example *example, size_t begin, bool *counts) {
  size_t end = begin;
  *counts = begin >= example->prompt && example->scored[begin - example->prompt];
  while (end < example->tokens.count &&
         (end >= example->prompt && example->scored[end - example->prompt]) == *counts)
    end++;
  return end;
}

static Status append_row(const Example *example, const Tokenizer *tokenizer, Str *out) {
  for (size_t begin = 0, end = 0; begin < example->tokens.count; begin = end) {
    bool counts = false;
    end = run_end(example, begin, &counts);
    if (counts) TRY(str_append_text(out, open_mark));
    TRY(tokenizer_decode(tokenizer, example->tokens.ids + begin, end - begin, false, out));
    if (counts) TRY(str_append_text(out, close_mark));
  }
  return STATUS_OK;
}

static Status print_row(const Example *example, const Tokenizer *tokenizer) {
  Str text = {0};
  Status status = append_row(example, tokenizer, &text);
  printf("\n%srow %zu: %zu tokens, %zu trained on%s%s\n", style(stdout, STYLE_BOLD), example->row,
         example->tokens.count, example->answered, example->cut ? ", cut" : "", style(stdout, STYLE_PLAIN));
  if (status == STATUS_OK) status = visible_print(stdout, str_text(&text), text.size);
  printf("\n");
  str_free(&text);
  return status;
}

static size_t count_distinct(const Examples *examples) {
  size_t count = 0;
  for (size_t i = 0; i < examples->count; i++) count += examples->list[i].distinct == i;
  return count;
}

Status sft_print_data(const Examples *examples, const Tokenizer *tokenizer, size_t limit) {
  ExampleTokens tokens = examples_tokens(examples);
  printf("%zu row%s of %zu in the file, %zu of %s prompts distinct\n", examples->count,
         str_plural(examples->count), examples->read.rows, count_distinct(examples),
         examples->count == 1 ? "its" : "their");
  printf("%zu tokens, the longest row %zu; %zu of them are trained on, shown between %s and %s\n", tokens.all,
         tokens.longest, tokens.answered, open_mark, close_mark);
  if (examples->split > 0) printf("rows on the other side of data.held_out: %zu\n", examples->split);
  if (examples->too_long > 0) printf("rows left out, whose prompts are too long: %zu\n", examples->too_long);
  if (examples->cut > 0) printf("rows cut to train.max_sequence_tokens: %zu\n", examples->cut);
  if (examples->read.empty > 0) printf("rows left out, without a prompt: %zu\n", examples->read.empty);
  if (examples->read.turns > 0)
    printf("lists of texts, read as turns of user and assistant: %zu\n", examples->read.turns);
  for (size_t i = 0; i < examples->count && i < limit; i++) TRY(print_row(&examples->list[i], tokenizer));
  if (examples->count > limit)
    printf("... and %zu more (--limit N, or --json for all)\n", examples->count - limit);
  return STATUS_OK;
}

static Status write_row(JsonWriter *json, const Example *example, const Tokenizer *tokenizer) {
  Str text = {0};
  int32_t *scored = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(tokenizer_decode(tokenizer, example->tokens.ids, example->tokens.count, false, &text));
  TRY_CLEAN(mem_array(&scored, example->tokens.count, "a mask"));
  for (size_t t = example->prompt; t < example->tokens.count; t++)
    scored[t] = example->scored[t - example->prompt];
  json_object_begin(json, NULL);
  json_integer(json, "row", (int64_t)example->row);
  json_bool(json, "cut", example->cut);
  json_bytes(json, "text", text.data, text.size);
  json_integers(json, "tokens", example->tokens.ids, example->tokens.count);
  json_integers(json, "trained", scored, example->tokens.count);
  json_object_end(json);
cleanup:
  str_free(&text);
  free(scored);
  return status;
}

Status sft_print_data_json(const Examples *examples, const Tokenizer *tokenizer) {
  JsonWriter json = {.layout = JSON_PRETTY};
  ExampleTokens tokens = examples_tokens(examples);
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  json_string(&json, "objective", "sft");
  json_integer(&json, "rows_in_file", (int64_t)examples->read.rows);
  json_integer(&json, "without_prompt", (int64_t)examples->read.empty);
  json_integer(&json, "too_long", (int64_t)examples->too_long);
  json_integer(&json, "cut", (int64_t)examples->cut);
  json_integer(&json, "other_side", (int64_t)examples->split);
  json_integer(&json, "tokens", (int64_t)tokens.all);
  json_integer(&json, "tokens_trained", (int64_t)tokens.answered);
  json_array_begin(&json, "rows");
  for (size_t i = 0; i < examples->count; i++) TRY_CLEAN(write_row(&json, &examples->list[i], tokenizer));
  json_array_end(&json);
  json_object_end(&json);
  return print_json(&json, "the rows");
cleanup:
  json_free(&json);
  return status;
}
