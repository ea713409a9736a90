// Which prompts are equal, and which alike. Rule: equal is what the model sees, so texts that lose their
// difference when they are cut or normalized are equal; alike is what a person reads as the same text.
#include "equal.h"

#include "util/hash.h"
#include "util/memory.h"
#include "util/utf8.h"
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

// ---- likeness ----

typedef struct Likeness {
  char *text; // of all messages, folded
  Draft *draft;
} Likeness;

static Status append_folded(const char *text, Str *out) {
  Str valid = {0};
  char *folded = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(utf8_append_lossy(&valid, text, strlen(text)));
  TRY_CLEAN(text_fold(str_text(&valid), valid.size, &folded));
  TRY_CLEAN(str_append_text(out, folded));
cleanup:
  str_free(&valid);
  free(folded);
  return status;
}

/// *out = the messages, each with its role in front, in fresh memory. A line end, which no folded text has,
/// separates them.
static Status fold_draft(const Draft *draft, char **out) {
  Str text = {0};
  Status status = STATUS_OK;
  for (size_t m = 0; m < draft->count; m++) {
    TRY_CLEAN(str_append_format(&text, "%s\n", draft->messages[m].role));
    TRY_CLEAN(append_folded(draft->messages[m].content, &text));
    TRY_CLEAN(str_append_text(&text, "\n"));
  }
  TRY_CLEAN(str_copy(out, str_text(&text), text.size));
cleanup:
  str_free(&text);
  return status;
}

static int by_likeness(const void *a, const void *b) {
  return strcmp(((const Likeness *)a)->text, ((const Likeness *)b)->text);
}

Status drafts_liken(Drafts *drafts) {
  Likeness *list = NULL;
  size_t count = 0, likeness = 0;
  Status status = STATUS_OK;
  TRY(mem_array(&list, drafts->count, "alike prompts"));
  for (; count < drafts->count; count++) {
    list[count].draft = &drafts->list[count];
    TRY_CLEAN(fold_draft(list[count].draft, &list[count].text));
  }
  qsort(list, count, sizeof *list, by_likeness);
  for (size_t i = 0; i < count; i++) {
    likeness += i > 0 && by_likeness(&list[i - 1], &list[i]) != 0;
    list[i].draft->likeness = likeness;
    drafts->likenesses = likeness + 1;
  }
cleanup:
  for (size_t i = 0; i < count; i++) free(list[i].text);
  free(list);
  return status;
}

// ---- sets ----

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
