// Words of a group file that may mean something else where they stand: parts of names (Stephen King, Lady
// Gaga, He-Ne laser) and abbreviations (HE). Rule: only letter case, hyphens and the words next to it are
// looked at, and what is not certain makes the word doubtful.
#include "chars.h"
#include "group_file.h"

#include <stdlib.h>
#include <string.h>

enum { ABBREVIATION_BYTES = 3 };

/// A word next to another one, with only blanks between; size 0 if there is none.
typedef struct Neighbour {
  const char *text;
  size_t size;
} Neighbour;

static Neighbour neighbour_after(const char *text, size_t size, size_t at) {
  size_t bytes = 0, start = at;
  while (start < size) {
    int32_t c = char_at(text, size, start, &bytes);
    if (!is_space(c) || c == '\n' || c == '\r') break;
    start += bytes;
  }
  size_t end = start;
  while (start > at && end < size && is_word_char(char_at(text, size, end, &bytes))) end += bytes;
  return (Neighbour){text + start, end - start};
}

static Neighbour neighbour_before(const char *text, size_t at) {
  size_t bytes = 0, end = at;
  while (end > 0) {
    int32_t c = char_before(text, end, &bytes);
    if (!is_space(c) || c == '\n' || c == '\r') break;
    end -= bytes;
  }
  size_t start = end;
  while (end < at && start > 0 && is_word_char(char_before(text, start, &bytes))) start -= bytes;
  return (Neighbour){text + start, end - start};
}

static Status is_common(const GroupFile *g, Neighbour word, bool *out) {
  char *folded = NULL;
  TRY(word_fold(word.text, word.size, &folded));
  *out = word_list_has(g->common, folded);
  free(folded);
  return STATUS_OK;
}

/// Whether a word may be a part of a name: it begins with a capital, and is none of the common words.
static Status may_be_named(const GroupFile *g, Neighbour word, bool *out) {
  bool common = false;
  *out = word.size > 0 && first_is_capital(word.text, word.size);
  if (*out) TRY(is_common(g, word, &common));
  *out = *out && !common;
  return STATUS_OK;
}

Status word_use_name_follows(const GroupFile *g, const char *text, size_t size, size_t at, bool *out) {
  Neighbour after = neighbour_after(text, size, at);
  if (g->common != NULL) return may_be_named(g, after, out);
  *out = after.size > 0 && first_is_capital(after.text, after.size);
  return STATUS_OK;
}

/// Whether a short word is written in capitals among words that are not: HE may be anything. "I" and "A" say
/// nothing.
static bool is_abbreviation(Neighbour before, Neighbour after) {
  bool small = false;
  for (size_t i = 0; i < 2; i++) {
    Neighbour word = i == 0 ? before : after;
    if (word.size == 0 || (word.size == 1 && first_is_capital(word.text, word.size))) continue;
    if (all_capitals(word.text, word.size)) return false;
    small = true;
  }
  return small;
}

/// Whether a hyphen joins the word to one that begins with a capital or a digit or, for a common word, to
/// any.
static bool is_joined(const char *text, size_t size, const WordHit *hit, bool common) {
  size_t bytes = 0, next = 0;
  int32_t ends[2] = {-1, -1};
  if (hit->end < size && is_hyphen(char_at(text, size, hit->end, &bytes)) && hit->end + bytes < size)
    ends[0] = char_at(text, size, hit->end + bytes, &next);
  if (hit->start > 0 && is_hyphen(char_before(text, hit->start, &bytes)) && hit->start > bytes) {
    size_t at = hit->start - bytes;
    while (at > 0 && is_word_char(char_before(text, at, &bytes))) at -= bytes;
    ends[1] = char_at(text, size, at, &next);
  }
  for (size_t i = 0; i < 2; i++) {
    char letter[2] = {(char)ends[i], '\0'};
    bool digit = ends[i] >= '0' && ends[i] <= '9';
    bool capital = ends[i] > 0 && ends[i] < 0x80 && first_is_capital(letter, 1);
    if (is_word_char(ends[i]) && (common || digit || capital)) return true;
  }
  return false;
}

/// Whether a capital stands inside a sentence, where the file has none: "the He atom", "H, He", "by Queen",
/// but "Dear Mom" and "Should She Go?".
static Status has_odd_capital(const GroupFile *g, const char *text, const WordHit *hit, bool common,
                              bool *out) {
  Neighbour before = neighbour_before(text, hit->start);
  TRY(may_be_named(g, before, out));
  *out = *out || (before.size > 0 && !first_is_capital(before.text, before.size)) ||
         (common && hit->start > 1 && text[hit->start - 1] == ' ' && text[hit->start - 2] == ',');
  return STATUS_OK;
}

/// Whether a name has another part. Of a word that begins the sentence nothing is known ("Is Mary here?").
static Status is_part_of_name(const GroupFile *g, const char *text, size_t size, const WordHit *hit,
                              bool *out) {
  Neighbour before = neighbour_before(text, hit->start), after = neighbour_after(text, size, hit->end);
  TRY(may_be_named(g, after, out));
  if (*out || starts_sentence(text, (size_t)(before.text - text))) return STATUS_OK;
  return may_be_named(g, before, out);
}

Status word_use_doubtful(const GroupFile *g, const char *text, size_t size, const WordHit *hit, bool *out) {
  const char *word = text + hit->start;
  size_t length = hit->end - hit->start;
  bool common = false, name = hit->entry->row != NULL && hit->entry->row->as_written;
  *out = false;
  if (g->common == NULL) return STATUS_OK;
  TRY(is_common(g, (Neighbour){word, length}, &common));
  Neighbour before = neighbour_before(text, hit->start), after = neighbour_after(text, size, hit->end);
  *out = is_joined(text, size, hit, common);
  if (*out || !first_is_capital(word, length)) return STATUS_OK;
  bool capitals = all_capitals(word, length);
  if (name)
    return common || capitals ? STATUS_OK : is_part_of_name(g, text, size, hit, out); // a title is common
  if (capitals) {
    *out = length <= ABBREVIATION_BYTES && is_abbreviation(before, after);
    return STATUS_OK;
  }
  TRY(has_odd_capital(g, text, hit, common, out));
  bool i = after.size == 1 && after.text[0] == 'I'; // "Mom I need help"
  if (*out || common || i) return STATUS_OK;
  return may_be_named(g, after, out);
}
