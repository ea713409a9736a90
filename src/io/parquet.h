// The parts of the Parquet reader (https://github.com/apache/parquet-format). Private to this room:
//
//   table_parquet.c      finding columns; values as cells
//   parquet_meta.c       footer: schema, row groups, where each column chunk is
//   parquet_pages.c      pages of a chunk: headers, levels, choice of decoder
//   parquet_encoding.c   decoders: runs of levels and indices; plain and delta-encoded values
//   parquet_codec.c      decompression
//   thrift_compact.c     the protocol of footer and page headers
#pragma once

#include "io/file.h"
#include <stdbool.h>

/// Limits on what a file may unpack to: in a few bytes it can claim any number of equal rows.
#define PARQUET_PAGE_LIMIT  ((size_t)256 << 20) // bytes of one page, unpacked
#define PARQUET_CHUNK_LIMIT ((size_t)1 << 30)   // bytes of one column chunk, unpacked
#define PARQUET_ENTRY_LIMIT ((size_t)1 << 24)   // values and nulls of one column in all row groups
#define PARQUET_DEPTH_LIMIT 32                  // of the schema, so that levels fit into a byte

typedef enum ParquetType {
  PARQUET_GROUP = -1,
  PARQUET_BOOLEAN = 0,
  PARQUET_INT32 = 1,
  PARQUET_INT64 = 2,
  PARQUET_FLOAT = 4,
  PARQUET_DOUBLE = 5,
  PARQUET_BYTE_ARRAY = 6
} ParquetType;
typedef enum ParquetRepetition {
  PARQUET_REQUIRED = 0,
  PARQUET_OPTIONAL = 1,
  PARQUET_REPEATED = 2
} ParquetRepetition;

/// A node of the schema tree, in the footer's depth-first order; node 0 is the root.
typedef struct ParquetNode {
  char *name;
  size_t parent;
  size_t children;     // 0: a leaf
  size_t leaf;         // index among the leaves, and of its chunk in every row group
  int type;            // of a leaf: a ParquetType or another number of the format; else PARQUET_GROUP
  bool is_unsigned;    // of integers
  bool is_null;        // of the type of nothing: every value is null
  const char *meaning; // "decimals" and the like if the values are not plainly of their type; else NULL
  ParquetRepetition repetition;
  uint8_t definition, repeats; // the largest definition and repetition level here
} ParquetNode;

typedef struct ParquetChunk {
  int type, codec;
  size_t values;       // entries, nulls included
  size_t start, bytes; // in the file, dictionary page included
  bool in_other_file;
} ParquetChunk;

typedef struct ParquetGroup {
  ParquetChunk *chunks; // one per leaf
  size_t rows;
} ParquetGroup;

typedef struct ParquetMeta {
  ParquetNode *nodes;
  size_t node_count, leaf_count;
  ParquetGroup *groups;
  size_t group_count;
  size_t data_size; // bytes of the file before the footer
} ParquetMeta;

/// Reads the footer. The caller zeroes `meta` and frees it with parquet_meta_free, also after a failure.
STATUS_CHECKED Status parquet_meta_read(const MappedFile *file, ParquetMeta *meta);
void parquet_meta_free(ParquetMeta *meta);

typedef struct ByteSpan {
  const uint8_t *bytes;
  size_t size;
} ByteSpan;

/// A value; the leaf's type tells which member: byte strings; integers and booleans (0 or 1); floats and
/// doubles.
typedef union ParquetValue {
  ByteSpan bytes;
  int64_t integer;
  double number;
} ParquetValue;

/// A decoded column chunk: `entries` levels, and a value for each entry with the largest definition level.
/// Values point into the file or into `buffers`.
typedef struct ParquetColumn {
  uint8_t *repetition, *definition;
  size_t entries, repetition_capacity, definition_capacity;
  ParquetValue *values;
  size_t count, value_capacity;
  ParquetValue *dictionary;
  size_t dictionary_count;
  bool has_dictionary;
  uint8_t **buffers;
  size_t buffer_count, buffer_capacity, buffer_bytes;
} ParquetColumn;

/// Decodes the chunk of `leaf`. The caller zeroes `out` and frees it with parquet_column_free, also after a
/// failure.
STATUS_CHECKED Status parquet_column_read(const MappedFile *file, const ParquetMeta *meta,
                                          const ParquetNode *leaf, const ParquetChunk *chunk,
                                          ParquetColumn *out);
void parquet_column_free(ParquetColumn *column);
/// *bytes = fresh memory that the column owns. STATUS_INPUT if its buffers would exceed PARQUET_CHUNK_LIMIT.
STATUS_CHECKED Status parquet_column_alloc(ParquetColumn *column, size_t size, uint8_t **bytes);

// ---- decoders: each fails with STATUS_INPUT if `in` ends too early ----

/// Runs: RLE / bit-packed hybrid of `count` numbers of `width` bits (at most 32).
STATUS_CHECKED Status parquet_decode_runs(ByteSpan in, unsigned width, size_t count, uint32_t *out);
/// PLAIN, by type: strings as u32 length and bytes, numbers little-endian, booleans as one bit each.
STATUS_CHECKED Status parquet_decode_plain(int type, ByteSpan in, size_t count, ParquetValue *out);
/// RLE booleans: u32 length, then runs of 1 bit.
STATUS_CHECKED Status parquet_decode_booleans(ByteSpan in, size_t count, ParquetValue *out);
/// DELTA_BINARY_PACKED integers of `type`.
STATUS_CHECKED Status parquet_decode_delta_integers(int type, ByteSpan in, size_t count, ParquetValue *out);
/// DELTA_LENGTH_BYTE_ARRAY: lengths by deltas, then the bytes.
STATUS_CHECKED Status parquet_decode_delta_lengths(ByteSpan in, size_t count, ParquetValue *out);
/// DELTA_BYTE_ARRAY: the lengths shared with the string before, by deltas, then the suffixes as above. The
/// strings are joined in memory of `column`.
STATUS_CHECKED Status parquet_decode_delta_strings(ByteSpan in, size_t count, ParquetValue *out,
                                                   ParquetColumn *column);

// ---- codecs ----

const char *parquet_codec_name(int codec);
/// out[size] = `in` unpacked. STATUS_INPUT if that does not give exactly `size` bytes or the codec is not
/// supported.
STATUS_CHECKED Status parquet_unpack(int codec, ByteSpan in, uint8_t *out, size_t size);
/// STATUS_INPUT, with the codec's name, if it is not supported.
STATUS_CHECKED Status parquet_check_codec(int codec);
