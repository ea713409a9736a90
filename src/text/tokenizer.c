// Loading and encoding. Rule: nothing writes to a loaded Tokenizer, so threads may share it; a call's memory
// is its own.
//
//   text → U+FFFD for invalid UTF-8 → added tokens cut out → normalized → added tokens of normalized text cut
//        out → pieces → merges
#include "internal.h"

#include "io/file.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tokens_free(Tokens *tokens) {
  if (tokens == NULL) return;
  free(tokens->ids);
  *tokens = (Tokens){0};
}

Status tokens_append(Tokens *tokens, int32_t id) {
  TRY(mem_reserve(&tokens->ids, &tokens->capacity, tokens->count + 1, "tokens"));
  tokens->ids[tokens->count++] = id;
  return STATUS_OK;
}

// ---- loading ----

void tokenizer_set_bytes(Tokenizer *tokenizer) {
  const Vocab *vocab = &tokenizer->vocab;
  for (int byte = 0; byte < 256; byte++) {
    char text[8];
    size_t size = 6;
    if (vocab->byte_level) {
      size = utf8_write(byte_to_char((uint8_t)byte), text);
    } else {
      (void)snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
    }
    tokenizer->bpe.byte_ids[byte] = vocab_find_model(vocab, text, size);
  }
  if (!vocab->byte_level) tokenizer->bpe.vocab = vocab;
}

Status tokenizer_set_added(Tokenizer *tokenizer, AddedToken token, const char *name) {
  const VocabEntry *entry = &tokenizer->vocab.entries[token.id];
  const char *text = tokenizer->vocab.arena.data + entry->text;
  if (!token.normalized) return added_set(&tokenizer->added, token, text, entry->text_size);
  Str normal = {0};
  Status status = normalize(&tokenizer->normalizer, text, entry->text_size, &normal);
  bool same = normal.size == entry->text_size && memcmp(str_text(&normal), text, normal.size) == 0;
  bool unusable = !same && (normal.size == 0 || (tokenizer->vocab.byte_level && entry->in_model));
  if (status == STATUS_OK && unusable) {
    status = status_fail(
        STATUS_INPUT,
        "%s: the added token \"%.*s\", which the normalizer takes away or makes another piece, is "
        "not supported",
        name, (int)size_min(entry->text_size, 64), text);
  } else if (status == STATUS_OK && !same && tokenizer->vocab.byte_level) {
    // As in Hugging Face, its normalized form is also what it decodes to.
    status = vocab_decode_as(&tokenizer->vocab, token.id, str_text(&normal), normal.size);
  }
  if (status == STATUS_OK) status = added_set(&tokenizer->added, token, str_text(&normal), normal.size);
  str_free(&normal);
  return status;
}

/// The byte that "<0x0A>" stands for; −1 for other texts.
static int byte_of_text(const char *text, size_t size) {
  char shown[8];
  unsigned byte = 0;
  if (size != 6 || sscanf(text, "<0x%2X>", &byte) != 1) return -1;
  (void)snprintf(shown, sizeof shown, "<0x%02X>", byte);
  return memcmp(shown, text, size) == 0 ? (int)byte : -1;
}

static Status replace_text(Str *out, const char *text, size_t size, const char *from, const char *to) {
  size_t width = strlen(from);
  for (size_t at = 0; at < size;) {
    bool found = size - at >= width && memcmp(text + at, from, width) == 0;
    TRY(found ? str_append_text(out, to) : str_append(out, text + at, 1));
    at += found ? width : 1;
  }
  return STATUS_OK;
}

/// The text that a token is decoded from: of one that is matched in normalized text, its normalized form.
static const char *decoded_text(const Tokenizer *tokenizer, int32_t id, size_t *size) {
  const AddedToken *added = added_find(&tokenizer->added, id);
  const VocabEntry *entry = &tokenizer->vocab.entries[id];
  *size = added != NULL ? added->text_size : entry->text_size;
  return added != NULL ? str_text(&tokenizer->added.arena) + added->text
                       : str_text(&tokenizer->vocab.arena) + entry->text;
}

Status tokenizer_set_decoding(Tokenizer *tokenizer, const char *mark, const char *space, bool bytes) {
  Vocab *vocab = &tokenizer->vocab;
  Str decoded = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < vocab->count; i++) {
    if (!vocab->entries[i].present) continue;
    size_t size;
    const char *text = decoded_text(tokenizer, (int32_t)i, &size);
    int byte = bytes ? byte_of_text(text, size) : -1;
    str_clear(&decoded);
    if (byte >= 0) {
      char one = (char)byte;
      TRY_CLEAN(str_append(&decoded, &one, 1));
    } else {
      TRY_CLEAN(replace_text(&decoded, text, size, mark, space));
    }
    TRY_CLEAN(vocab_set_bytes(vocab, (int32_t)i, str_text(&decoded), decoded.size));
  }
cleanup:
  str_free(&decoded);
  return status;
}

Status tokenizer_add_merge(Tokenizer *tokenizer, uint32_t rank, const char *left, size_t left_size,
                           const char *right, size_t right_size, const char *name) {
  const Vocab *vocab = &tokenizer->vocab;
  Str joined = {0};
  Status status = str_append(&joined, left, left_size);
  if (status == STATUS_OK) status = str_append(&joined, right, right_size);
  int32_t left_id = vocab_find_model(vocab, left, left_size),
          right_id = vocab_find_model(vocab, right, right_size);
  int32_t result = status == STATUS_OK ? vocab_find_model(vocab, joined.data, joined.size) : -1;
  str_free(&joined);
  TRY(status);
  if (left_id < 0 || right_id < 0 || result < 0) {
    int shown_left = left_size > 64 ? 64 : (int)left_size,
        shown_right = right_size > 64 ? 64 : (int)right_size;
    return status_fail(STATUS_INPUT,
                       "%s: merge %u, \"%.*s\" + \"%.*s\", names a token that is not in the vocabulary", name,
                       rank, shown_left, left, shown_right, right);
  }
  bpe_add_merge(&tokenizer->bpe, (Merge){left_id, right_id, rank, result});
  return STATUS_OK;
}

/// Finds the tokens whose pieces encode to just that token. Such a piece, as most pieces of a text are, needs
/// no merging.
static Status mark_whole_tokens(Tokenizer *tokenizer) {
  BpeScratch scratch = {0};
  Tokens tokens = {0};
  Status status = STATUS_OK;
  Vocab *vocab = &tokenizer->vocab;
  for (size_t i = 0; i < vocab->count && status == STATUS_OK; i++) {
    const VocabEntry *entry = &vocab->entries[i];
    size_t size = vocab->byte_level ? entry->bytes_size : entry->text_size;
    if (!entry->in_model || size == 0 || (vocab->byte_level && !entry->byte_level)) continue;
    bool whole = tokenizer->ignore_merges;
    if (!whole) {
      tokens.count = 0;
      const char *piece = vocab->arena.data + (vocab->byte_level ? entry->bytes : entry->text);
      TRY_CLEAN(bpe_encode(&tokenizer->bpe, &scratch, piece, size, &tokens));
      whole = tokens.count == 1 && tokens.ids[0] == (int32_t)i;
    }
    if (whole) TRY_CLEAN(vocab_mark_whole(vocab, (int32_t)i));
  }
cleanup:
  bpe_scratch_free(&scratch);
  tokens_free(&tokens);
  return status;
}

Status tokenizer_load(const char *model, Tokenizer **out) {
  Tokenizer *tokenizer = NULL;
  TRY(mem_array(&tokenizer, 1, "the tokenizer"));
  tokenizer->bos = tokenizer->eos = tokenizer->bpe.unknown = -1;
  Status status = file_is_directory(model) ? load_hf(tokenizer, model) : load_gguf(tokenizer, model);
  if (status == STATUS_OK) status = added_complete(&tokenizer->added, model);
  if (status == STATUS_OK) status = mark_whole_tokens(tokenizer);
  if (status != STATUS_OK) {
    tokenizer_free(tokenizer);
    return status;
  }
  *out = tokenizer;
  return STATUS_OK;
}

void tokenizer_free(Tokenizer *tokenizer) {
  if (tokenizer == NULL) return;
  vocab_free(&tokenizer->vocab);
  added_free(&tokenizer->added);
  normalizer_free(&tokenizer->normalizer);
  pretokenizer_free(&tokenizer->pre);
  bpe_free(&tokenizer->bpe);
  free(tokenizer->decoding.drop_mark);
  tokens_free(&tokenizer->prefix);
  tokens_free(&tokenizer->suffix);
  free(tokenizer);
}

size_t tokenizer_vocab_size(const Tokenizer *tokenizer) {
  return tokenizer->vocab.count;
}
int32_t tokenizer_bos(const Tokenizer *tokenizer) {
  return tokenizer->bos;
}
int32_t tokenizer_eos(const Tokenizer *tokenizer) {
  return tokenizer->eos;
}

int32_t tokenizer_find(const Tokenizer *tokenizer, const char *text) {
  return vocab_find(&tokenizer->vocab, text, strlen(text));
}

bool tokenizer_is_special(const Tokenizer *tokenizer, int32_t id) {
  const VocabEntry *entry = vocab_at(&tokenizer->vocab, id);
  return entry != NULL && entry->special;
}

// ---- encoding ----

typedef struct Encoder {
  const Tokenizer *tokenizer;
  Tokens *out;
  RegexScratch regex;
  BpeScratch bpe;
} Encoder;

static Status encode_piece(void *user, const char *piece, size_t size) {
  Encoder *encoder = user;
  int32_t whole = vocab_find_whole(&encoder->tokenizer->vocab, piece, size);
  if (whole >= 0) return tokens_append(encoder->out, whole);
  return bpe_encode(&encoder->tokenizer->bpe, &encoder->bpe, piece, size, encoder->out);
}

/// Encodes a text without added tokens. `at_start`: it is the start of the whole text.
typedef Status (*EncodeText)(Encoder *encoder, const char *text, size_t size, bool at_start);

static Status encode_pieces(Encoder *encoder, const char *text, size_t size, bool at_start) {
  return pretokenize(&encoder->tokenizer->pre, &encoder->regex, text, size, at_start, encode_piece, encoder);
}

/// Encodes the added tokens in the text, and with `encode_rest` the text between them.
static Status encode_around_added(Encoder *encoder, const char *text, size_t size, bool at_start,
                                  EncodeText encode_rest) {
  bool normalized = encode_rest == encode_pieces;
  AddedCursor cursor = {0};
  AddedMatch match;
  size_t edge = 0;
  while (added_next(&encoder->tokenizer->added, normalized, text, size, &cursor, &match)) {
    if (edge < match.start) TRY(encode_rest(encoder, text + edge, match.start - edge, at_start && edge == 0));
    TRY(tokens_append(encoder->out, match.id));
    edge = match.stop;
  }
  return edge < size ? encode_rest(encoder, text + edge, size - edge, at_start && edge == 0) : STATUS_OK;
}

static Status encode_normalized(Encoder *encoder, const char *text, size_t size, bool at_start) {
  const Normalizer *normalizer = &encoder->tokenizer->normalizer;
  if (normalize_keeps(normalizer, text, size))
    return encode_around_added(encoder, text, size, at_start, encode_pieces);
  Str normal = {0};
  Status status = normalize(normalizer, text, size, &normal);
  if (status == STATUS_OK)
    status = encode_around_added(encoder, str_text(&normal), normal.size, at_start, encode_pieces);
  str_free(&normal);
  return status;
}

static Status append_all(Tokens *out, const Tokens *tokens) {
  for (size_t i = 0; i < tokens->count; i++) TRY(tokens_append(out, tokens->ids[i]));
  return STATUS_OK;
}

Status tokenizer_encode(const Tokenizer *tokenizer, const char *text, size_t size, bool add_special,
                        Tokens *out) {
  Encoder encoder = {.tokenizer = tokenizer, .out = out};
  Str repaired = {0};
  Status status = STATUS_OK;
  if (utf8_valid_prefix(text, size) < size) {
    TRY_CLEAN(utf8_append_lossy(&repaired, text, size));
    text = repaired.data;
    size = repaired.size;
  }
  if (add_special) TRY_CLEAN(append_all(out, &tokenizer->prefix));
  TRY_CLEAN(encode_around_added(&encoder, text, size, true, encode_normalized));
  if (add_special) TRY_CLEAN(append_all(out, &tokenizer->suffix));
cleanup:
  regex_scratch_free(&encoder.regex);
  bpe_scratch_free(&encoder.bpe);
  str_free(&repaired);
  return status;
}
