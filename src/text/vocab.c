// Tokens by id, text and bytes. Rule: tables hold ids, entries hold offsets into the arena, so growing either
// invalidates nothing.
#include "vocab.h"

#include "util/hash.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// GPT-2's map: the printable characters of Latin-1 stand for themselves; the other 68 bytes are, in order,
// the characters from U+0100 on.
static bool stands_for_itself(uint32_t code) {
  return (code >= 33 && code <= 126) || (code >= 161 && code <= 172) || (code >= 174 && code <= 255);
}

uint32_t byte_to_char(uint8_t byte) {
  if (stands_for_itself(byte)) return byte;
  if (byte <= 32) return 256u + byte;
  return byte <= 160 ? 256u + 33 + (byte - 127u) : 256u + 67; // 127 to 160, and last 173
}

int byte_from_char(uint32_t code) {
  if (code < 256) return stands_for_itself(code) ? (int)code : -1;
  uint32_t n = code - 256;
  if (n <= 32) return (int)n;
  if (n <= 66) return (int)(n - 33 + 127);
  return n == 67 ? 173 : -1;
}

void vocab_free(Vocab *vocab) {
  if (vocab == NULL) return;
  free(vocab->entries);
  free(vocab->by_text.slots);
  free(vocab->by_bytes.slots);
  str_free(&vocab->arena);
  *vocab = (Vocab){0};
}

/// The key of `id` in a table: its bytes or its text.
static const char *key_of(const Vocab *vocab, const IdTable *table, uint32_t id, size_t *size) {
  const VocabEntry *entry = &vocab->entries[id];
  bool by_bytes = table == &vocab->by_bytes;
  *size = by_bytes ? entry->bytes_size : entry->text_size;
  return vocab->arena.data + (by_bytes ? entry->bytes : entry->text);
}

/// The slot of the key, or the empty slot where it belongs. The table has empty slots, so the loop ends.
static size_t probe(const Vocab *vocab, const IdTable *table, const char *key, size_t size) {
  size_t slot = (size_t)hash_bytes(HASH_START, key, size) & (table->size - 1);
  for (; table->slots[slot] != 0; slot = (slot + 1) & (table->size - 1)) {
    size_t other_size;
    const char *other = key_of(vocab, table, table->slots[slot] - 1, &other_size);
    if (other_size == size && memcmp(other, key, size) == 0) break;
  }
  return slot;
}

static int32_t table_find(const Vocab *vocab, const IdTable *table, const char *key, size_t size) {
  if (table->size == 0) return -1;
  uint32_t found = table->slots[probe(vocab, table, key, size)];
  return found == 0 ? -1 : (int32_t)(found - 1);
}

static Status table_grow(Vocab *vocab, IdTable *table) {
  IdTable old = *table;
  table->size = old.size == 0 ? 1024 : old.size * 2;
  Status status = mem_array(&table->slots, table->size, "the vocabulary");
  if (status != STATUS_OK) {
    *table = old;
    return status;
  }
  for (size_t i = 0; i < old.size; i++) {
    if (old.slots[i] == 0) continue;
    size_t size;
    const char *key = key_of(vocab, table, old.slots[i] - 1, &size);
    table->slots[probe(vocab, table, key, size)] = old.slots[i];
  }
  free(old.slots);
  return STATUS_OK;
}

/// Adds an id unless its key is in the table already.
static Status table_add(Vocab *vocab, IdTable *table, int32_t id) {
  if (table->used * 2 >= table->size) TRY(table_grow(vocab, table));
  size_t size;
  const char *key = key_of(vocab, table, (uint32_t)id, &size);
  size_t slot = probe(vocab, table, key, size);
  if (table->slots[slot] != 0) return STATUS_OK;
  table->slots[slot] = (uint32_t)id + 1;
  table->used++;
  return STATUS_OK;
}

/// Sets entry->byte_level, and entry->bytes: the bytes that a byte-level text stands for, appended to the
/// arena, or the text itself, which is in the arena at `text`. Bytes appended before the text proved not to
/// be byte-level stay unused.
static Status append_bytes(Vocab *vocab, VocabEntry *entry, size_t text, size_t size) {
  size_t start = vocab->arena.size;
  entry->byte_level = vocab->byte_level;
  for (size_t at = 0; at < size && entry->byte_level;) {
    Utf8Char c = utf8_read(vocab->arena.data + text + at, size - at);
    int byte = c.valid ? byte_from_char(c.code) : -1;
    if (byte < 0) {
      entry->byte_level = false;
    } else {
      char one = (char)byte;
      TRY(str_append(&vocab->arena, &one, 1));
    }
    at += c.size;
  }
  entry->bytes = entry->byte_level ? start : text;
  entry->bytes_size = entry->byte_level ? vocab->arena.size - start : size;
  return STATUS_OK;
}

Status vocab_add(Vocab *vocab, int64_t id, int64_t highest, const char *text, size_t size, const char *name) {
  int shown = size > 64 ? 64 : (int)size;
  if (id < 0 || id > highest || id >= INT32_MAX) {
    return status_fail(STATUS_INPUT, "%s: token \"%.*s\" has id %" PRId64 ", outside 0 to %" PRId64, name,
                       shown, text, id, highest);
  }
  if (vocab_find(vocab, text, size) >= 0) {
    return status_fail(STATUS_INPUT, "%s: token \"%.*s\" appears twice", name, shown, text);
  }
  size_t needed = (size_t)id + 1;
  TRY(mem_reserve(&vocab->entries, &vocab->capacity, needed, "the vocabulary"));
  VocabEntry *entry = &vocab->entries[id];
  if (entry->present) {
    return status_fail(STATUS_INPUT, "%s: token \"%.*s\" has id %" PRId64 ", which another token has", name,
                       shown, text, id);
  }
  VocabEntry fresh = {.text = vocab->arena.size, .text_size = size, .present = true};
  TRY(str_append(&vocab->arena, text, size));
  TRY(append_bytes(vocab, &fresh, fresh.text, size));
  *entry = fresh;
  if (vocab->count < needed) vocab->count = needed;
  return table_add(vocab, &vocab->by_text, (int32_t)id);
}

void vocab_mark_model(Vocab *vocab, int32_t id) {
  if (!vocab->entries[id].in_model) vocab->model_count++;
  vocab->entries[id].in_model = true;
}

Status vocab_set_bytes(Vocab *vocab, int32_t id, const char *bytes, size_t size) {
  size_t start = vocab->arena.size;
  TRY(str_append(&vocab->arena, bytes, size));
  vocab->entries[id].bytes = start;
  vocab->entries[id].bytes_size = size;
  return STATUS_OK;
}

Status vocab_decode_as(Vocab *vocab, int32_t id, const char *text, size_t size) {
  size_t start = vocab->arena.size;
  TRY(str_append(&vocab->arena, text, size));
  return append_bytes(vocab, &vocab->entries[id], start, size);
}

Status vocab_mark_whole(Vocab *vocab, int32_t id) {
  vocab->entries[id].whole = true;
  return vocab->byte_level ? table_add(vocab, &vocab->by_bytes, id) : STATUS_OK;
}

int32_t vocab_find(const Vocab *vocab, const char *text, size_t size) {
  return table_find(vocab, &vocab->by_text, text, size);
}

int32_t vocab_find_model(const Vocab *vocab, const char *text, size_t size) {
  int32_t id = vocab_find(vocab, text, size);
  return id >= 0 && vocab->entries[id].in_model ? id : -1;
}

int32_t vocab_find_whole(const Vocab *vocab, const char *piece, size_t size) {
  if (vocab->byte_level) return table_find(vocab, &vocab->by_bytes, piece, size);
  int32_t id = vocab_find(vocab, piece, size);
  return id >= 0 && vocab->entries[id].whole ? id : -1;
}

const VocabEntry *vocab_at(const Vocab *vocab, int32_t id) {
  if (id < 0 || (size_t)id >= vocab->count || !vocab->entries[id].present) return NULL;
  return &vocab->entries[id];
}
