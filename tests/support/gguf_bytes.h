// GGUF files written byte by byte, without code of gee-cl, so that a test can write what no library would.
#pragma once

#include "support/test.h"
#include "util/str.h"

enum GgufTypeNumber { GGUF_TYPE_U32 = 4, GGUF_TYPE_BOOL = 7, GGUF_TYPE_STRING = 8, GGUF_TYPE_ARRAY = 9 };

void gguf_put_u32(Str *out, uint32_t value);
void gguf_put_u64(Str *out, uint64_t value);
/// Its length, and the text.
void gguf_put_string(Str *out, const char *text);

/// Empties `out` and writes the start of a file.
void gguf_put_start(Str *out, uint32_t version, uint64_t tensors, uint64_t values);
/// Metadata: a string, a 32-bit number.
void gguf_put_text(Str *out, const char *key, const char *value);
void gguf_put_number(Str *out, const char *key, uint32_t value);
/// A tensor of one dimension.
void gguf_put_tensor(Str *out, const char *name, uint64_t columns, uint32_t type, uint64_t offset);
/// Zeros up to the alignment, and `size` zeros of data.
void gguf_put_data(Str *out, size_t size);

/// Writes the GGUF file `from` to `to` with `count` more metadata values, whose bytes are `values`, in front.
void gguf_add_values(const char *from, const char *to, const Str *values, uint64_t count);
