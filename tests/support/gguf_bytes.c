// GGUF files, byte by byte.
#include "support/gguf_bytes.h"

#include "io/file.h"
#include <string.h>

enum { ALIGNMENT = 32, HEADER = 24 };

static void put(Str *out, uint64_t value, size_t size) {
  char bytes[8];
  for (size_t i = 0; i < size; i++) bytes[i] = (char)(value >> (8 * i));
  assert_ok(str_append(out, bytes, size));
}

void gguf_put_u32(Str *out, uint32_t value) {
  put(out, value, 4);
}

void gguf_put_u64(Str *out, uint64_t value) {
  put(out, value, 8);
}

void gguf_put_string(Str *out, const char *text) {
  gguf_put_u64(out, strlen(text));
  assert_ok(str_append_text(out, text));
}

void gguf_put_start(Str *out, uint32_t version, uint64_t tensors, uint64_t values) {
  str_clear(out);
  assert_ok(str_append_text(out, "GGUF"));
  gguf_put_u32(out, version);
  gguf_put_u64(out, tensors);
  gguf_put_u64(out, values);
}

void gguf_put_text(Str *out, const char *key, const char *value) {
  gguf_put_string(out, key);
  gguf_put_u32(out, GGUF_TYPE_STRING);
  gguf_put_string(out, value);
}

void gguf_put_number(Str *out, const char *key, uint32_t value) {
  gguf_put_string(out, key);
  gguf_put_u32(out, GGUF_TYPE_U32);
  gguf_put_u32(out, value);
}

void gguf_put_tensor(Str *out, const char *name, uint64_t columns, uint32_t type, uint64_t offset) {
  gguf_put_string(out, name);
  gguf_put_u32(out, 1);
  gguf_put_u64(out, columns);
  gguf_put_u32(out, type);
  gguf_put_u64(out, offset);
}

void gguf_put_data(Str *out, size_t size) {
  for (size_t i = (ALIGNMENT - out->size % ALIGNMENT) % ALIGNMENT + size; i > 0; i--) put(out, 0, 1);
}

void gguf_add_values(const char *from, const char *to, const Str *values, uint64_t count) {
  static const char key[] = "test.filler";
  enum { FILLER = 8 + sizeof key - 1 + 4 + 8 }; // a string value without its text
  MappedFile file;
  Str out = {0};
  uint64_t before = 0;
  assert_ok(file_map(from, &file));
  memcpy(&before, file.bytes + HEADER - 8, sizeof before);
  assert_ok(str_append(&out, (const char *)file.bytes, HEADER - 8));
  gguf_put_u64(&out, before + count + 1);
  if (values->size > 0) assert_ok(str_append(&out, values->data, values->size));
  // The data has to stay aligned: what is put in is filled up to a multiple of the alignment.
  char text[ALIGNMENT + 1] = {0};
  memset(text, 'x', (ALIGNMENT - (values->size + FILLER) % ALIGNMENT) % ALIGNMENT);
  gguf_put_text(&out, key, text);
  assert_ok(str_append(&out, (const char *)file.bytes + HEADER, file.size - HEADER));
  assert_ok(file_write_atomic(to, out.data, out.size));
  str_free(&out);
  file_unmap(&file);
}
