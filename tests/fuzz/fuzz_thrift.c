// Thrift's compact protocol: fields are read by type, or skipped.
#include "fuzz.h"

#include "thrift_compact.h"

static Status read_field(ThriftReader *reader, const ThriftField *field) {
  const uint8_t *bytes;
  size_t size, count;
  int64_t number;
  bool truth;
  switch (field->id % 5) {
  case 0:
    return thrift_integer(reader, field, -100, 100000, &number);
  case 1:
    return thrift_boolean(field, &truth);
  case 2:
    return thrift_binary(reader, field, &bytes, &size);
  case 3:
    return thrift_structs(reader, field, &count);
  default:
    return thrift_skip(reader, field);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  ThriftReader reader = {bytes, size, 0};
  ThriftField field = {0};
  while (fuzz_accepted(thrift_next(&reader, &field)) && field.type != THRIFT_STOP) {
    if (!fuzz_accepted(read_field(&reader, &field))) break;
    FUZZ_CHECK(reader.offset <= size);
  }
  FUZZ_CHECK(reader.offset <= size);
  return 0;
}
