// Decoding tokens, at once or one by one. Rule: both give the same text.
#include "internal.h"

#include "util/utf8.h"
#include <string.h>

/// Appends the first token of a text without the marks in it.
static Status append_unmarked(const Tokenizer *tokenizer, int32_t id, Str *out) {
  const VocabEntry *entry = vocab_at(&tokenizer->vocab, id);
  const char *text = tokenizer->vocab.arena.data + entry->text, *mark = tokenizer->decoding.drop_mark;
  size_t width = strlen(mark);
  for (size_t at = 0; at < entry->text_size;) {
    bool found = entry->text_size - at >= width && memcmp(text + at, mark, width) == 0;
    if (!found) TRY(str_append(out, text + at, 1));
    at += found ? width : 1;
  }
  return STATUS_OK;
}

Status decode_stream_bytes(const Tokenizer *tokenizer, DecodeStream *stream, int32_t id, bool skip_special,
                           Str *out) {
  const VocabEntry *entry = vocab_at(&tokenizer->vocab, id);
  if (entry == NULL || (entry->special && skip_special)) return STATUS_OK;
  bool first = !stream->started;
  if (tokenizer->decoding.drop_mark != NULL && first) {
    stream->started = true;
    return append_unmarked(tokenizer, id, out);
  }
  const char *bytes = str_text(&tokenizer->vocab.arena) + entry->bytes;
  size_t size = entry->bytes_size;
  while (first && size > 0 && *bytes == ' ' && stream->stripped < tokenizer->decoding.strip) {
    stream->stripped++;
    bytes++;
    size--;
  }
  if (size > 0) stream->started = true;
  return str_append(out, bytes, size);
}

Status tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special,
                        Str *out) {
  Str bytes = {0};
  DecodeStream stream = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < count; i++)
    TRY_CLEAN(decode_stream_bytes(tokenizer, &stream, ids[i], skip_special, &bytes));
  status = utf8_append_lossy(out, str_text(&bytes), bytes.size);
cleanup:
  str_free(&bytes);
  return status;
}

Status decode_stream_push(const Tokenizer *tokenizer, DecodeStream *stream, int32_t id, bool skip_special,
                          Str *out) {
  Str bytes = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(str_append(&bytes, stream->pending, stream->size));
  TRY_CLEAN(decode_stream_bytes(tokenizer, stream, id, skip_special, &bytes));
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
