// Protobuf messages to bytes and back, with failures as Status. The messages are in proto/*.proto.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/// Appends the message's bytes.
STATUS_CHECKED Status proto_append(Str *out, const ProtobufCMessage *message);
/// *out = the message in `size` bytes; free with proto_free. STATUS_INPUT if they are none.
STATUS_CHECKED Status proto_read(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size,
                                 ProtobufCMessage **out);
/// Safe on NULL.
void proto_free(ProtobufCMessage *message);
