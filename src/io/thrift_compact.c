// Thrift's compact protocol. Rule: every read is checked, a count may not exceed the bytes left (every item
// takes at least one), and recursion ends at SKIP_DEPTH.
#include "thrift_compact.h"

enum { SKIP_DEPTH = 32 };

static Status fail_cut(const ThriftReader *reader) {
  return status_fail(STATUS_INPUT, "Thrift data ends too early, at byte %zu", reader->offset);
}

static Status fail_field_type(const ThriftField *field) {
  return status_fail(STATUS_INPUT, "Thrift field %d has the unexpected type %d", (int)field->id,
                     (int)field->type);
}

static Status read_byte(ThriftReader *reader, uint8_t *out) {
  if (reader->offset >= reader->size) return fail_cut(reader);
  *out = reader->bytes[reader->offset++];
  return STATUS_OK;
}

size_t varint_load(const uint8_t *bytes, size_t size, uint64_t *out) {
  *out = 0;
  for (size_t i = 0; i < VARINT_BYTES && i < size; i++) {
    *out |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
    if (bytes[i] < 0x80) return i + 1;
  }
  return 0;
}

int64_t zigzag_decode(uint64_t raw) {
  return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
}

static Status read_varint(ThriftReader *reader, uint64_t *out) {
  size_t left = reader->size - reader->offset;
  size_t size = varint_load(reader->bytes + reader->offset, left, out);
  reader->offset += size;
  if (size > 0) return STATUS_OK;
  if (left < VARINT_BYTES) return fail_cut(reader);
  return status_fail(STATUS_INPUT, "a Thrift number near byte %zu does not end", reader->offset);
}

static Status read_zigzag(ThriftReader *reader, int64_t *out) {
  uint64_t raw = 0;
  TRY(read_varint(reader, &raw));
  *out = zigzag_decode(raw);
  return STATUS_OK;
}

static Status skip_bytes(ThriftReader *reader, uint64_t size) {
  if (size > reader->size - reader->offset) return fail_cut(reader);
  reader->offset += (size_t)size;
  return STATUS_OK;
}

Status thrift_next(ThriftReader *reader, ThriftField *field) {
  uint8_t byte = 0;
  TRY(read_byte(reader, &byte));
  field->type = (ThriftType)(byte & 15);
  if (field->type > THRIFT_STRUCT) return status_fail(STATUS_INPUT, "unknown Thrift type %d", byte & 15);
  if (field->type == THRIFT_STOP) return STATUS_OK;
  int64_t id = (int64_t)field->id + (byte >> 4);
  if (byte >> 4 == 0) TRY(read_zigzag(reader, &id));
  if (id < INT16_MIN || id > INT16_MAX) return status_fail(STATUS_INPUT, "Thrift field id out of range");
  field->id = (int32_t)id;
  return STATUS_OK;
}

Status thrift_integer(ThriftReader *reader, const ThriftField *field, int64_t low, int64_t high,
                      int64_t *out) {
  if (field->type != THRIFT_I16 && field->type != THRIFT_I32 && field->type != THRIFT_I64)
    return fail_field_type(field);
  TRY(read_zigzag(reader, out));
  if (*out >= low && *out <= high) return STATUS_OK;
  return status_fail(STATUS_INPUT, "Thrift field %d is %lld, outside %lld to %lld", (int)field->id,
                     (long long)*out, (long long)low, (long long)high);
}

Status thrift_boolean(const ThriftField *field, bool *out) {
  *out = field->type == THRIFT_TRUE;
  return field->type == THRIFT_TRUE || field->type == THRIFT_FALSE ? STATUS_OK : fail_field_type(field);
}

Status thrift_binary(ThriftReader *reader, const ThriftField *field, const uint8_t **bytes, size_t *size) {
  if (field->type != THRIFT_BINARY) return fail_field_type(field);
  uint64_t length = 0;
  TRY(read_varint(reader, &length));
  *bytes = reader->bytes + reader->offset;
  *size = (size_t)length;
  return skip_bytes(reader, length);
}

static Status read_list(ThriftReader *reader, ThriftType *item, size_t *count) {
  uint8_t byte = 0;
  TRY(read_byte(reader, &byte));
  uint64_t number = byte >> 4;
  *item = (ThriftType)(byte & 15);
  if (number == 15) TRY(read_varint(reader, &number));
  if (number > reader->size - reader->offset) {
    return status_fail(STATUS_INPUT, "a Thrift list near byte %zu claims more items than bytes are left",
                       reader->offset);
  }
  *count = (size_t)number;
  return STATUS_OK;
}

Status thrift_structs(ThriftReader *reader, const ThriftField *field, size_t *count) {
  if (field->type != THRIFT_LIST) return fail_field_type(field);
  ThriftType item = THRIFT_STOP;
  TRY(read_list(reader, &item, count));
  if (*count > 0 && item != THRIFT_STRUCT) return fail_field_type(field);
  return STATUS_OK;
}

Status thrift_struct(const ThriftField *field) {
  return field->type == THRIFT_STRUCT ? STATUS_OK : fail_field_type(field);
}

static Status skip_value(ThriftReader *reader, ThriftType type, bool in_list, int depth);

static Status skip_struct(ThriftReader *reader, int depth) {
  ThriftField field = {0};
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) return STATUS_OK;
    TRY(skip_value(reader, field.type, false, depth));
  }
}

static Status skip_map(ThriftReader *reader, int depth) {
  uint64_t count = 0;
  uint8_t types = 0;
  TRY(read_varint(reader, &count));
  if (count == 0) return STATUS_OK;
  TRY(read_byte(reader, &types));
  if (count > reader->size - reader->offset) return fail_cut(reader);
  for (uint64_t i = 0; i < count; i++) {
    TRY(skip_value(reader, (ThriftType)(types >> 4), true, depth));
    TRY(skip_value(reader, (ThriftType)(types & 15), true, depth));
  }
  return STATUS_OK;
}

static Status skip_list(ThriftReader *reader, int depth) {
  ThriftType item = THRIFT_STOP;
  size_t count = 0;
  TRY(read_list(reader, &item, &count));
  for (size_t i = 0; i < count; i++) TRY(skip_value(reader, item, true, depth));
  return STATUS_OK;
}

static Status skip_value(ThriftReader *reader, ThriftType type, bool in_list, int depth) {
  if (depth > SKIP_DEPTH) return status_fail(STATUS_INPUT, "Thrift data nested deeper than %d", SKIP_DEPTH);
  uint64_t number = 0;
  switch (type) {
  case THRIFT_TRUE:
  case THRIFT_FALSE:
    return in_list ? skip_bytes(reader, 1) : STATUS_OK;
  case THRIFT_BYTE:
    return skip_bytes(reader, 1);
  case THRIFT_I16:
  case THRIFT_I32:
  case THRIFT_I64:
    return read_varint(reader, &number);
  case THRIFT_DOUBLE:
    return skip_bytes(reader, 8);
  case THRIFT_BINARY:
    TRY(read_varint(reader, &number));
    return skip_bytes(reader, number);
  case THRIFT_LIST:
  case THRIFT_SET:
    return skip_list(reader, depth + 1);
  case THRIFT_MAP:
    return skip_map(reader, depth + 1);
  case THRIFT_STRUCT:
    return skip_struct(reader, depth + 1);
  default:
    return status_fail(STATUS_INPUT, "unknown Thrift type %d", (int)type);
  }
}

Status thrift_skip(ThriftReader *reader, const ThriftField *field) {
  return skip_value(reader, field->type, false, 0);
}
