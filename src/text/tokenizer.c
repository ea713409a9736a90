// Encoding and decoding. Rule: nothing writes to a loaded Tokenizer, so threads may share it; a call's memory
// is its own.
//
//   text → U+FFFD for invalid UTF-8 → added tokens cut out → NFC → added tokens of normalised text cut out
//        → pieces → merges
#include "internal.h"

#include "io/file.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

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
  for (int byte = 0; byte < 256; byte++) {
    char text[4];
    size_t size = utf8_write(byte_to_char((uint8_t)byte), text);
    tokenizer->bpe.byte_ids[byte] = vocab_find(&tokenizer->vocab, text, size);
  }
}

Status tokenizer_add_merge(Tokenizer *tokenizer, uint32_t rank, const char *left, size_t left_size,
                           const char *right, size_t right_size, const char *name) {
  const Vocab *vocab = &tokenizer->vocab;
  Str joined = {0};
  Status status = str_append(&joined, left, left_size);
  if (status == STATUS_OK) status = str_append(&joined, right, right_size);
  int32_t left_id = vocab_find(vocab, left, left_size), right_id = vocab_find(vocab, right, right_size);
  int32_t result = status == STATUS_OK ? vocab_find(vocab, joined.data, joined.size) : -1;
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

/// Finds the tokens whose bytes encode to just that token. A piece with such bytes, as most pieces of a text
/// are, needs no merging.
static Status mark_whole_tokens(Tokenizer *tokenizer) {
  BpeScratch scratch = {0};
  Tokens tokens = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < tokenizer->vocab.count && status == STATUS_OK; i++) {
    const VocabEntry *entry = &tokenizer->vocab.entries[i];
    if (!entry->present || !entry->byte_level || entry->bytes_size == 0) continue;
    bool whole = tokenizer->ignore_merges;
    if (!whole) {
      tokens.count = 0;
      const char *bytes = tokenizer->vocab.arena.data + entry->bytes;
      TRY_CLEAN(bpe_encode(&tokenizer->bpe, &scratch, bytes, entry->bytes_size, &tokens));
      whole = tokens.count == 1 && tokens.ids[0] == (int32_t)i;
    }
    if (whole) TRY_CLEAN(vocab_mark_whole(&tokenizer->vocab, (int32_t)i));
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
  if (status == STATUS_OK) {
    added_complete(&tokenizer->added, &tokenizer->vocab);
    status = mark_whole_tokens(tokenizer);
  }
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
  pretokenizer_free(&tokenizer->pre);
  bpe_free(&tokenizer->bpe);
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
  PreScratch *pre;
  BpeScratch bpe;
} Encoder;

static Status encode_piece(void *user, const char *piece, size_t size) {
  Encoder *encoder = user;
  int32_t whole = vocab_find_whole(&encoder->tokenizer->vocab, piece, size);
  if (whole >= 0) return tokens_append(encoder->out, whole);
  return bpe_encode(&encoder->tokenizer->bpe, &encoder->bpe, piece, size, encoder->out);
}

/// Encodes a text without added tokens.
typedef Status (*EncodeText)(Encoder *encoder, const char *text, size_t size);

static Status encode_pieces(Encoder *encoder, const char *text, size_t size) {
  return pretokenize(&encoder->tokenizer->pre, encoder->pre, text, size, encode_piece, encoder);
}

/// Encodes the added tokens in the text, and with `encode_rest` the text between them.
static Status encode_around_added(Encoder *encoder, bool normalized, const char *text, size_t size,
                                  EncodeText encode_rest) {
  const Tokenizer *tokenizer = encoder->tokenizer;
  AddedCursor cursor = {0};
  AddedMatch match;
  size_t edge = 0;
  while (added_next(&tokenizer->added, &tokenizer->vocab, normalized, text, size, &cursor, &match)) {
    if (edge < match.start) TRY(encode_rest(encoder, text + edge, match.start - edge));
    TRY(tokens_append(encoder->out, match.id));
    edge = match.stop;
  }
  return edge < size ? encode_rest(encoder, text + edge, size - edge) : STATUS_OK;
}

static bool is_ascii(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if ((uint8_t)text[i] >= 0x80) return false;
  }
  return true;
}

static Status encode_normalized(Encoder *encoder, const char *text, size_t size) {
  if (!encoder->tokenizer->nfc || is_ascii(text, size)) {
    return encode_around_added(encoder, true, text, size, encode_pieces);
  }
  utf8proc_uint8_t *normal = NULL;
  utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &normal,
                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  if (length < 0) {
    return status_fail(STATUS_FAILED, "text of %zu bytes cannot be normalised: %s", size,
                       utf8proc_errmsg(length));
  }
  Status status = encode_around_added(encoder, true, (const char *)normal, (size_t)length, encode_pieces);
  free(normal);
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
  TRY_CLEAN(pre_scratch_create(&encoder.pre));
  if (add_special) TRY_CLEAN(append_all(out, &tokenizer->prefix));
  TRY_CLEAN(encode_around_added(&encoder, false, text, size, encode_normalized));
  if (add_special) TRY_CLEAN(append_all(out, &tokenizer->suffix));
cleanup:
  pre_scratch_free(encoder.pre);
  bpe_scratch_free(&encoder.bpe);
  str_free(&repaired);
  return status;
}

// ---- decoding ----

/// The bytes of a token; none for an id without a token, because a model's head may be wider than its
/// vocabulary.
static const char *token_bytes(const Tokenizer *tokenizer, int32_t id, bool skip_special, size_t *size) {
  const VocabEntry *entry = vocab_at(&tokenizer->vocab, id);
  *size = entry == NULL || (entry->special && skip_special) ? 0 : entry->bytes_size;
  return *size == 0 ? "" : tokenizer->vocab.arena.data + entry->bytes;
}

Status tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special,
                        Str *out) {
  Str bytes = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < count; i++) {
    size_t size;
    const char *token = token_bytes(tokenizer, ids[i], skip_special, &size);
    TRY_CLEAN(str_append(&bytes, token, size));
  }
  status = utf8_append_lossy(out, str_text(&bytes), bytes.size);
cleanup:
  str_free(&bytes);
  return status;
}

Status decode_stream_push(const Tokenizer *tokenizer, DecodeStream *stream, int32_t id, bool skip_special,
                          Str *out) {
  size_t size;
  const char *token = token_bytes(tokenizer, id, skip_special, &size);
  Str bytes = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(str_append(&bytes, stream->pending, stream->size));
  TRY_CLEAN(str_append(&bytes, token, size));
  size_t at = 0;
  while (at < bytes.size) {
    Utf8Char c = utf8_read(bytes.data + at, bytes.size - at);
    if (c.cut) break;
    TRY_CLEAN(utf8_append_lossy(out, bytes.data + at, c.size));
    at += c.size;
  }
  stream->size = bytes.size - at; // at most 3: the start of a character
  memcpy(stream->pending, bytes.data + at, stream->size);
cleanup:
  str_free(&bytes);
  return status;
}

Status decode_stream_end(DecodeStream *stream, Str *out) {
  Status status = utf8_append_lossy(out, stream->pending, stream->size);
  stream->size = 0;
  return status;
}
