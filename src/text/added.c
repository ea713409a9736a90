// Finding added tokens. Rule: the same steps and result as Hugging Face's AddedVocabulary::find_matches.
#include "added.h"

#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

const AddedToken *added_find(const AddedTokens *added, int32_t id) {
  if (id < 0 || (size_t)id >= added->place_capacity || added->places[id] == 0) return NULL;
  return &added->tokens[added->places[id] - 1];
}

Status added_set(AddedTokens *added, AddedToken token, const char *text, size_t size) {
  TRY(mem_reserve(&added->places, &added->place_capacity, (size_t)token.id + 1, "the added tokens"));
  TRY(mem_reserve(&added->tokens, &added->capacity, added->count + 1, "the added tokens"));
  token.text = added->arena.size;
  token.text_size = size;
  TRY(str_append(&added->arena, text, size));
  if (added->places[token.id] == 0) added->places[token.id] = (uint32_t)++added->count;
  added->tokens[added->places[token.id] - 1] = token;
  return STATUS_OK;
}

void added_free(AddedTokens *added) {
  if (added == NULL) return;
  free(added->tokens);
  free(added->places);
  str_free(&added->arena);
  char_table_free(added->word);
  *added = (AddedTokens){0};
}

static const char *text_of(const AddedTokens *added, const AddedToken *token, size_t *size) {
  *size = token->text_size;
  return added->arena.data + token->text;
}

/// By first byte, then longest first: the first token that fits is the longest. `user`: the added tokens.
static int compare_tokens(const void *a, const void *b, void *user) {
  const AddedTokens *added = user;
  size_t size_a, size_b;
  const char *text_a = text_of(added, a, &size_a), *text_b = text_of(added, b, &size_b);
  int first_a = (uint8_t)text_a[0], first_b = (uint8_t)text_b[0];
  if (first_a != first_b) return first_a < first_b ? -1 : 1;
  if (size_a != size_b) return size_a > size_b ? -1 : 1;
  return memcmp(text_a, text_b, size_a);
}

/// Rust's \w: alphabetic characters, marks, digits, connectors and joiners.
static Status make_word(CharTable **out) {
  Charset set = {0};
  Status status = charset_add_alphabetic(&set);
  uint32_t others =
      1u << CATEGORY_MN | 1u << CATEGORY_MC | 1u << CATEGORY_ME | 1u << CATEGORY_ND | 1u << CATEGORY_PC;
  if (status == STATUS_OK) status = charset_add_categories(&set, others);
  if (status == STATUS_OK) status = charset_add(&set, 0x200C, 0x200D);
  if (status == STATUS_OK) status = char_table_create(&set, out);
  charset_free(&set);
  return status;
}

/// Refuses two tokens that the same text would be: which it is depends on the order in a file.
static Status check_distinct(const AddedTokens *added, const char *name) {
  for (size_t i = 1; i < added->count; i++) {
    size_t size_a, size_b;
    const char *a = text_of(added, &added->tokens[i - 1], &size_a),
               *b = text_of(added, &added->tokens[i], &size_b);
    if (added->tokens[i - 1].normalized == added->tokens[i].normalized && size_a == size_b &&
        memcmp(a, b, size_a) == 0) {
      return status_fail(STATUS_INPUT, "%s: added tokens %d and %d are both matched by \"%.*s\"", name,
                         added->tokens[i - 1].id, added->tokens[i].id, (int)size_min(size_a, 64), a);
    }
  }
  return STATUS_OK;
}

Status added_complete(AddedTokens *added, const char *name) {
  size_t kept = 0;
  bool words = false;
  for (size_t i = 0; i < added->count; i++) {
    if (added->tokens[i].text_size > 0) added->tokens[kept++] = added->tokens[i];
    words |= added->tokens[i].single_word;
  }
  added->count = kept;
  if (words) TRY(make_word(&added->word));
  if (kept == 0) return STATUS_OK;
  qsort_r(added->tokens, kept, sizeof *added->tokens, compare_tokens, added);
  size_t next = 0;
  for (size_t byte = 0; byte < 256; byte++) {
    added->first[byte] = next;
    size_t size;
    while (next < kept && (uint8_t)text_of(added, &added->tokens[next], &size)[0] == byte) next++;
  }
  added->first[256] = kept;
  return check_distinct(added, name);
}

/// The longest token at the front of the text; NULL if there is none.
static const AddedToken *token_at(const AddedTokens *added, bool normalized, const char *text, size_t size,
                                  size_t *length) {
  uint8_t byte = (uint8_t)text[0];
  for (size_t i = added->first[byte]; i < added->first[byte + 1]; i++) {
    const AddedToken *token = &added->tokens[i];
    if (token->normalized != normalized) continue;
    const char *wanted = text_of(added, token, length);
    if (*length <= size && memcmp(wanted, text, *length) == 0) return token;
  }
  return NULL;
}

static bool word_before(const AddedTokens *added, const char *text, size_t at) {
  if (at == 0) return false;
  size_t start = at - 1;
  while (start > 0 && ((uint8_t)text[start] & 0xC0) == 0x80) start--;
  return char_table_has(added->word, utf8_read(text + start, at - start).code);
}

static bool word_after(const AddedTokens *added, const char *text, size_t at, size_t size) {
  return at < size && char_table_has(added->word, utf8_read(text + at, size - at).code);
}

bool added_next(const AddedTokens *added, bool normalized, const char *text, size_t size, AddedCursor *cursor,
                AddedMatch *out) {
  if (added->count == 0) return false;
  for (size_t at = cursor->next; at < size;) {
    size_t length = 0;
    const AddedToken *token = token_at(added, normalized, text + at, size - at, &length);
    if (token == NULL) {
      at++;
      continue;
    }
    size_t start = at, stop = at + length;
    at = stop; // a match that is refused below is skipped as a whole
    if (token->single_word && (word_before(added, text, start) || word_after(added, text, stop, size)))
      continue;
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
