// The identity of a tokenizer. Rule: what is hashed is what the tokenizer does, and not how its files say it.
#include "internal.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

/// Where normalizers and patterns that cut text differ: blanks, line ends, digits, contractions, letters with
/// and without marks, scripts without blanks, symbols.
static const char probe[] =
    "Hello  world,\tsaid   she: \"it's 12345 o'clock\", I'LL we've\n\n  3.14 + 1/2 = 0xFF; x_y != "
    "(a-b)...\r\n"
    " caf\xc3\xa9 cafe\xcc\x81 \xef\xac\x81 \xc2\xbd \xc2\xa0 \xe3\x80\x80 \xc3\x9f \xc4\xb0 \xe1\xba\x9e "
    "\xe5\xa5\xb9\xe6\x98\xaf\xe6\x8a\xa4\xe5\xa3\xab\xe3\x80\x82 \xe3\x81\x93\xe3\x82\x93 "
    "\xe0\xb8\x81\xe0\xb8\xb3 "
    "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 \xd9\xa1\xd9\xa2 "
    "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87 "
    "\xf0\x9f\x98\x80\xe2\x80\x8d\xe2\x9d\xa4 $%^&*<>{}[]#@!?~`|\\/ ";

static Status append_ids(Str *text, const int32_t *ids, size_t count) {
  return str_append(text, (const char *)ids, count * sizeof *ids);
}

static Status append_tokens(const Vocab *vocab, Str *text) {
  for (size_t i = 0; i < vocab->count; i++) {
    const VocabEntry *entry = &vocab->entries[i];
    int32_t head[2] = {(int32_t)i, (int32_t)entry->text_size};
    if (!entry->present) continue;
    TRY(append_ids(text, head, 2));
    TRY(str_append(text, vocab->arena.data + entry->text, entry->text_size));
  }
  return STATUS_OK;
}

static int compare_ranks(const void *a, const void *b) {
  const Merge *first = a, *second = b;
  if (first->rank != second->rank) return first->rank > second->rank ? 1 : -1;
  if (first->left != second->left) return first->left > second->left ? 1 : -1;
  return (first->right > second->right) - (first->right < second->right);
}

static Status append_merges(const Bpe *bpe, Str *text) {
  Merge *merges = NULL;
  size_t count = 0;
  Status status = STATUS_OK;
  TRY(mem_array(&merges, bpe->size, "merges in order"));
  for (size_t i = 0; i < bpe->size; i++) {
    if (bpe->slots[i].result >= 0) merges[count++] = bpe->slots[i];
  }
  qsort(merges, count, sizeof *merges, compare_ranks);
  for (size_t i = 0; i < count; i++)
    TRY_CLEAN(append_ids(text, (const int32_t[]){merges[i].left, merges[i].right}, 2));
cleanup:
  free(merges);
  return status;
}

Status tokenizer_sha256(const Tokenizer *tokenizer, char out[SHA256_TEXT]) {
  Str text = {0};
  Tokens ids = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(append_tokens(&tokenizer->vocab, &text));
  TRY_CLEAN(append_merges(&tokenizer->bpe, &text));
  TRY_CLEAN(tokenizer_encode(tokenizer, probe, strlen(probe), true, &ids));
  TRY_CLEAN(append_ids(&text, ids.ids, ids.count));
  hash_sha256(text.data, text.size, out);
cleanup:
  tokens_free(&ids);
  str_free(&text);
  return status;
}
