// Protobuf messages. Rule: protobuf-c takes memory only through the allocator here, which tells a lack of
// memory from bytes that are no message; packing takes none.
#include "proto_message.h"

#include <stdbool.h>
#include <stdlib.h>

typedef struct StrBuffer {
  ProtobufCBuffer base;
  Str *out;
  Status status;
} StrBuffer;

static void append_piece(ProtobufCBuffer *buffer, size_t size, const uint8_t *bytes) {
  StrBuffer *str = (StrBuffer *)buffer;
  if (str->status == STATUS_OK) str->status = str_append(str->out, (const char *)bytes, size);
}

Status proto_append(Str *out, const ProtobufCMessage *message) {
  StrBuffer buffer = {.base = {append_piece}, .out = out, .status = STATUS_OK};
  (void)protobuf_c_message_pack_to_buffer(message, &buffer.base);
  return buffer.status;
}

static void *take(void *failed, size_t size) {
  void *memory = malloc(size);
  if (memory == NULL && size > 0) *(bool *)failed = true;
  return memory;
}

static void give(void *failed, void *memory) {
  (void)failed;
  free(memory);
}

Status proto_read(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size,
                  ProtobufCMessage **out) {
  bool failed = false;
  ProtobufCAllocator allocator = {take, give, &failed};
  *out = protobuf_c_message_unpack(type, &allocator, size, bytes);
  if (*out != NULL) return STATUS_OK;
  if (failed) return status_fail(STATUS_FAILED, "out of memory for a record of a tracker");
  return status_fail(STATUS_INPUT, "this is no message of the type \"%s\"", type->name);
}

void proto_free(ProtobufCMessage *message) {
  ProtobufCAllocator allocator = {take, give, NULL};
  if (message != NULL) protobuf_c_message_free_unpacked(message, &allocator);
}
