// Which prompts are equal. Rule: what counts is what the model sees, so texts that lose their difference when
// they are cut or normalized are equal.
#include "equal.h"

#include "util/hash.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

typedef struct Identity {
  uint64_t hash;
  Draft *draft;
  bool tokenized;
} Identity;

static uint64_t hash_draft(bool tokenized, const Draft *draft) {
  uint64_t hash = HASH_START;
  if (tokenized) return hash_bytes(hash, draft->tokens.ids, draft->tokens.count * sizeof *draft->tokens.ids);
  for (size_t m = 0; m < draft->count; m++) // the terminator separates messages
    hash = hash_bytes(hash, draft->messages[m].content, strlen(draft->messages[m].content) + 1);
  return hash;
}

static int compare_tokens(const Tokens *a, const Tokens *b) {
  if (a->count != b->count) return a->count < b->count ? -1 : 1;
  return a->count == 0 ? 0 : memcmp(a->ids, b->ids, a->count * sizeof *a->ids);
}

static int compare_messages(const Draft *a, const Draft *b) {
  if (a->count != b->count) return a->count < b->count ? -1 : 1;
  for (size_t m = 0; m < a->count; m++) {
    int order = strcmp(a->messages[m].content, b->messages[m].content);
    if (order == 0) order = strcmp(a->messages[m].role, b->messages[m].role);
    if (order != 0) return order;
  }
  return 0;
}

static int by_identity(const void *a, const void *b) {
  const Identity *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return x->tokenized ? compare_tokens(&x->draft->tokens, &y->draft->tokens)
                      : compare_messages(x->draft, y->draft);
}

Status drafts_identify(bool tokenized, Drafts *drafts) {
  Identity *list = NULL;
  TRY(mem_array(&list, drafts->count, "equal prompts"));
  for (size_t i = 0; i < drafts->count; i++) {
    Draft *draft = &drafts->list[i];
    list[i] = (Identity){hash_draft(tokenized, draft), draft, tokenized};
  }
  qsort(list, drafts->count, sizeof *list, by_identity);
  for (size_t i = 0, identity = 0; i < drafts->count; i++) {
    identity += i > 0 && by_identity(&list[i - 1], &list[i]) != 0;
    list[i].draft->identity = identity;
    drafts->identities = identity + 1;
  }
  free(list);
  return STATUS_OK;
}

static bool all_differ(const Draft *set, size_t count) {
  for (size_t a = 1; a < count; a++)
    for (size_t b = 0; b < a; b++)
      if (set[a].identity == set[b].identity) return false;
  return true;
}

Status drafts_drop_equal(Drafts *drafts, size_t *dropped) {
  bool *keep = NULL;
  size_t sets = drafts->count / drafts->per_set;
  *dropped = 0;
  TRY(mem_array(&keep, sets, "equal prompts"));
  for (size_t s = 0; s < sets; s++) {
    keep[s] = all_differ(&drafts->list[s * drafts->per_set], drafts->per_set);
    *dropped += !keep[s];
  }
  drafts_keep_sets(drafts, keep);
  free(keep);
  return STATUS_OK;
}
