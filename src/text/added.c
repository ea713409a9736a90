// Finding added tokens. Rule: the same steps and result as Hugging Face's AddedVocabulary::find_matches.
#include "added.h"

#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

Status added_append(AddedTokens *added, AddedToken token) {
  TRY(mem_reserve(&added->tokens, &added->capacity, added->count + 1, "the added tokens"));
  added->tokens[added->count++] = token;
  return STATUS_OK;
}

void added_free(AddedTokens *added) {
  if (added == NULL) return;
  free(added->tokens);
  *added = (AddedTokens){0};
}

static const char *text_of(const Vocab *vocab, const AddedToken *token, size_t *size) {
  const VocabEntry *entry = &vocab->entries[token->id];
  *size = entry->text_size;
  return vocab->arena.data + entry->text;
}

/// By first byte, then longest first: the first token that fits is the longest. `user`: the vocabulary.
static int compare_tokens(const void *a, const void *b, void *user) {
  const Vocab *vocab = user;
  size_t size_a, size_b;
  const char *text_a = text_of(vocab, a, &size_a), *text_b = text_of(vocab, b, &size_b);
  int first_a = (uint8_t)text_a[0], first_b = (uint8_t)text_b[0];
  if (first_a != first_b) return first_a < first_b ? -1 : 1;
  return size_a > size_b ? -1 : size_a < size_b;
}

void added_complete(AddedTokens *added, const Vocab *vocab) {
  size_t kept = 0;
  for (size_t i = 0; i < added->count; i++) {
    if (vocab->entries[added->tokens[i].id].text_size > 0) added->tokens[kept++] = added->tokens[i];
  }
  added->count = kept;
  if (kept == 0) return;
  qsort_r(added->tokens, kept, sizeof *added->tokens, compare_tokens, (void *)(uintptr_t)vocab);
  size_t next = 0;
  for (size_t byte = 0; byte < 256; byte++) {
    added->first[byte] = next;
    size_t size;
    while (next < kept && (uint8_t)text_of(vocab, &added->tokens[next], &size)[0] == byte) next++;
  }
  added->first[256] = kept;
}

/// The longest token at the front of the text; NULL if there is none.
static const AddedToken *token_at(const AddedTokens *added, const Vocab *vocab, bool normalized,
                                  const char *text, size_t size, size_t *length) {
  uint8_t byte = (uint8_t)text[0];
  for (size_t i = added->first[byte]; i < added->first[byte + 1]; i++) {
    const AddedToken *token = &added->tokens[i];
    if (token->normalized != normalized) continue;
    const char *wanted = text_of(vocab, token, length);
    if (*length <= size && memcmp(wanted, text, *length) == 0) return token;
  }
  return NULL;
}

/// Rust's \w: letters, marks, decimal and letter numbers, connectors, joiners, in utf8proc's Unicode version.
static bool is_word(uint32_t code) {
  if (code == 0x200C || code == 0x200D) return true;
  switch (utf8proc_category((utf8proc_int32_t)code)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_PC:
    return true;
  default:
    return (code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149) ||
           (code >= 0x1F150 && code <= 0x1F169) ||
           (code >= 0x1F170 && code <= 0x1F189); // Other_Alphabetic symbols
  }
}

static bool word_before(const char *text, size_t at) {
  if (at == 0) return false;
  size_t start = at - 1;
  while (start > 0 && ((uint8_t)text[start] & 0xC0) == 0x80) start--;
  return is_word(utf8_read(text + start, at - start).code);
}

static bool word_after(const char *text, size_t at, size_t size) {
  return at < size && is_word(utf8_read(text + at, size - at).code);
}

bool added_next(const AddedTokens *added, const Vocab *vocab, bool normalized, const char *text, size_t size,
                AddedCursor *cursor, AddedMatch *out) {
  if (added->count == 0) return false;
  for (size_t at = cursor->next; at < size;) {
    size_t length = 0;
    const AddedToken *token = token_at(added, vocab, normalized, text + at, size - at, &length);
    if (token == NULL) {
      at++;
      continue;
    }
    size_t start = at, stop = at + length;
    at = stop; // a match that is refused below is skipped as a whole
    if (token->single_word && (word_before(text, start) || word_after(text, stop, size))) continue;
    cursor->next = stop;
    if (token->lstrip) {
      start -= utf8_trailing_space(text, start);
      if (start < cursor->edge) start = cursor->edge;
    }
    if (token->rstrip) stop += utf8_leading_space(text + stop, size - stop);
    cursor->edge = stop;
    *out = (AddedMatch){start, stop, token->id};
    return true;
  }
  cursor->next = size;
  return false;
}
