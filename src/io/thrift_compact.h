// Reading Thrift's compact protocol, in which Parquet keeps its footer and page headers
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
//
//   field:   | delta of id : 4 | type : 4 |   delta 0: the id follows, a zigzag varint; byte 0 ends a struct
//   integer: zigzag varint   binary: varint length, bytes   list: | count : 4 | type : 4 |, 15: count follows
//
// Every read is checked against the bytes left, and nesting is limited.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ThriftType {
  THRIFT_STOP = 0,
  THRIFT_TRUE = 1, // a boolean field has its value in its type
  THRIFT_FALSE = 2,
  THRIFT_BYTE = 3,
  THRIFT_I16 = 4,
  THRIFT_I32 = 5,
  THRIFT_I64 = 6,
  THRIFT_DOUBLE = 7,
  THRIFT_BINARY = 8,
  THRIFT_LIST = 9,
  THRIFT_SET = 10,
  THRIFT_MAP = 11,
  THRIFT_STRUCT = 12,
} ThriftType;

typedef struct ThriftReader {
  const uint8_t *bytes;
  size_t size, offset; // offset <= size: of the next byte to read
} ThriftReader;

/// A field header. Zero-initialise it at the start of a struct and pass it on: each id is a difference from
/// the last.
typedef struct ThriftField {
  int32_t id;
  ThriftType type;
} ThriftField;

/// Reads the next field header; type THRIFT_STOP at the end of the struct. All failures here are
/// STATUS_INPUT.
STATUS_CHECKED Status thrift_next(ThriftReader *reader, ThriftField *field);

/// The value of `field`, which must be an integer of any width within [low, high].
STATUS_CHECKED Status thrift_integer(ThriftReader *reader, const ThriftField *field, int64_t low,
                                     int64_t high, int64_t *out);
STATUS_CHECKED Status thrift_boolean(const ThriftField *field, bool *out);
/// *bytes points into the reader's bytes.
STATUS_CHECKED Status thrift_binary(ThriftReader *reader, const ThriftField *field, const uint8_t **bytes,
                                    size_t *size);
/// Begins a list of structs: the caller then reads *count of them, field by field. *count is at most the
/// bytes left.
STATUS_CHECKED Status thrift_structs(ThriftReader *reader, const ThriftField *field, size_t *count);
/// Fails unless the field is a struct; the caller then reads its fields.
STATUS_CHECKED Status thrift_struct(const ThriftField *field);
/// Skips the value of `field`, nested at most 32 deep.
STATUS_CHECKED Status thrift_skip(ThriftReader *reader, const ThriftField *field);

// ---- numbers, which Parquet's own encodings use too ----

enum { VARINT_BYTES = 10 }; // at most: 7 bits a byte

/// *out = the varint at the front of bytes[size]. Returns its bytes; 0 if it does not end within them or
/// VARINT_BYTES.
size_t varint_load(const uint8_t *bytes, size_t size, uint64_t *out);
/// The signed number that `raw` stands for: 0, −1, 1, −2, …
int64_t zigzag_decode(uint64_t raw);
