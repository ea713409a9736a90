// The tokens of a vocabulary: id ↔ text ↔ bytes.
//
// A token has a *text*, as in the file, and the *bytes* it decodes to. A byte-level vocabulary writes every
// byte as one printable character (GPT-2's map: "Ġ" is a space, "Ċ" a line feed), so that "Ġthe" is " the".
// In other vocabularies "▁the" is " the", and "<0x0A>" is a line feed.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct VocabEntry {
  size_t text, text_size;   // in Vocab.arena
  size_t bytes, bytes_size; // in Vocab.arena
  bool present;             // false: a gap in the ids
  bool in_model;            // a token of the model, not only an added one
  bool byte_level;          // every character of the text stands for a byte
  bool special;             // omitted when decoding with skip_special
  bool whole;               // a piece that is this token (set once merges are known)
} VocabEntry;

/// Open addressing: a slot has id + 1, or 0 if empty. The size is a power of two, and at most half of the
/// slots are full.
typedef struct IdTable {
  uint32_t *slots;
  size_t size, used;
} IdTable;

/// Zero-initialise; free with vocab_free.
typedef struct Vocab {
  VocabEntry *entries; // [count], by id
  size_t count, capacity;
  size_t model_count; // entries that are in_model
  Str arena;
  IdTable by_text;
  IdTable by_bytes; // of a byte-level vocabulary, only entries with `whole`
  bool byte_level;  // set it before adding tokens
} Vocab;

void vocab_free(Vocab *vocab);
/// Adds a token, whose bytes are its text or what a byte-level text stands for. STATUS_INPUT, with the file
/// `name`, if the id or the text is taken, or the id is not in [0, highest].
STATUS_CHECKED Status vocab_add(Vocab *vocab, int64_t id, int64_t highest, const char *text, size_t size,
                                const char *name);
/// Says that the token is the model's.
void vocab_mark_model(Vocab *vocab, int32_t id);
/// Gives the token other bytes to decode to.
STATUS_CHECKED Status vocab_set_bytes(Vocab *vocab, int32_t id, const char *bytes, size_t size);
/// Lets a token that is not the model's decode as one with another text would.
STATUS_CHECKED Status vocab_decode_as(Vocab *vocab, int32_t id, const char *text, size_t size);
/// Makes vocab_find_whole find the token.
STATUS_CHECKED Status vocab_mark_whole(Vocab *vocab, int32_t id);
/// −1 if there is none.
int32_t vocab_find(const Vocab *vocab, const char *text, size_t size);
/// Among the model's tokens.
int32_t vocab_find_model(const Vocab *vocab, const char *text, size_t size);
/// The token that a piece is: bytes of a byte-level vocabulary, else text.
int32_t vocab_find_whole(const Vocab *vocab, const char *piece, size_t size);
/// NULL for an id without a token (below 0, above the last, a gap).
const VocabEntry *vocab_at(const Vocab *vocab, int32_t id);

/// The character that stands for a byte in byte-level text, and back; −1 for a character that stands for no
/// byte.
uint32_t byte_to_char(uint8_t byte);
int byte_from_char(uint32_t code);
