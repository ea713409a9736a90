// The pages of a column chunk. Rule: a page is unpacked into memory that the column owns, or stays in the
// file if it is not compressed, and is used only if its sizes, counts and checksum agree.
//
//   data v1:  header | packed( [u32 n | repetition runs: n] [u32 n | definition runs: n] values )
//   data v2:  header | repetition runs | definition runs | packed( values )    the levels are never packed
//   Levels are stored only if the largest one is above 0.
#include "parquet.h"
#include "thrift_compact.h"

#include "tensor_file.h" // load_u32
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PAGE_DATA = 0, PAGE_INDEX = 1, PAGE_DICTIONARY = 2, PAGE_DATA_V2 = 3 };
enum {
  ENCODING_PLAIN = 0,
  ENCODING_PLAIN_DICTIONARY = 2,
  ENCODING_RLE = 3,
  ENCODING_DELTA = 5,
  ENCODING_DELTA_LENGTH = 6,
  ENCODING_DELTA_STRINGS = 7,
  ENCODING_RLE_DICTIONARY = 8
};

typedef struct PageHeader {
  int64_t type, unpacked_size, packed_size, crc;
  bool has_crc;
  int64_t count, encoding;                          // of the values
  int64_t definition_encoding, repetition_encoding; // v1
  int64_t definition_size, repetition_size;         // v2: bytes
  bool is_packed;                                   // v2
} PageHeader;

/// The struct in a page header that describes its values: v1, dictionary or v2.
static Status read_value_header(ThriftReader *reader, bool v2, PageHeader *header) {
  ThriftField field = {0};
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) return STATUS_OK;
    if (field.id == 1)
      TRY(thrift_integer(reader, &field, 0, PARQUET_ENTRY_LIMIT, &header->count));
    else if (field.id == (v2 ? 4 : 2))
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &header->encoding));
    else if (!v2 && field.id == 3 && field.type == THRIFT_I32)
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &header->definition_encoding));
    else if (!v2 && field.id == 4)
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &header->repetition_encoding));
    else if (v2 && field.id == 5)
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &header->definition_size));
    else if (v2 && field.id == 6)
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &header->repetition_size));
    else if (v2 && field.id == 7)
      TRY(thrift_boolean(&field, &header->is_packed));
    else
      TRY(thrift_skip(reader, &field));
  }
}

static Status read_page_header(ThriftReader *reader, PageHeader *header) {
  ThriftField field = {0};
  *header = (PageHeader){.type = -1,
                         .is_packed = true,
                         .count = -1,
                         .definition_encoding = ENCODING_RLE,
                         .repetition_encoding = ENCODING_RLE};
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) break;
    switch (field.id) {
    case 1:
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &header->type));
      break;
    case 2:
      TRY(thrift_integer(reader, &field, 0, PARQUET_PAGE_LIMIT, &header->unpacked_size));
      break;
    case 3:
      TRY(thrift_integer(reader, &field, 0, PARQUET_PAGE_LIMIT, &header->packed_size));
      break;
    case 4:
      TRY(thrift_integer(reader, &field, INT32_MIN, INT32_MAX, &header->crc));
      header->has_crc = true;
      break;
    case 5: // data_page_header
    case 7: // dictionary_page_header
    case 8: // data_page_header_v2
      TRY(thrift_struct(&field));
      TRY(read_value_header(reader, field.id == 8, header));
      break;
    default:
      TRY(thrift_skip(reader, &field));
    }
  }
  if (header->type == PAGE_INDEX || header->count >= 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "a page header does not describe its values");
}

// ---- memory of a column ----

Status parquet_column_alloc(ParquetColumn *column, size_t size, uint8_t **bytes) {
  if (size > PARQUET_CHUNK_LIMIT - column->buffer_bytes) {
    return status_fail(STATUS_INPUT,
                       "unpacks to more than %zu MiB in one row group; write smaller row groups",
                       PARQUET_CHUNK_LIMIT >> 20);
  }
  TRY(mem_reserve(&column->buffers, &column->buffer_capacity, column->buffer_count + 1, "Parquet pages"));
  TRY(mem_array(bytes, size, "a Parquet page"));
  column->buffers[column->buffer_count++] = *bytes;
  column->buffer_bytes += size;
  return STATUS_OK;
}

void parquet_column_free(ParquetColumn *column) {
  for (size_t i = 0; i < column->buffer_count; i++) free(column->buffers[i]);
  free(column->buffers);
  free(column->repetition);
  free(column->definition);
  free(column->values);
  free(column->dictionary);
  *column = (ParquetColumn){0};
}

/// *out = `in` unpacked to `size` bytes in memory of the column, or `in` itself if it is not compressed.
static Status unpack(ParquetColumn *column, int codec, ByteSpan in, size_t size, ByteSpan *out) {
  if (codec == 0) {
    *out = in;
    if (in.size == size) return STATUS_OK;
    return status_fail(STATUS_INPUT, "an uncompressed page has %zu bytes, but claims %zu", in.size, size);
  }
  uint8_t *bytes = NULL;
  *out = (ByteSpan){in.bytes, 0};
  if (size == 0) return STATUS_OK; // some writers store nothing for an empty page
  TRY(parquet_column_alloc(column, size, &bytes));
  *out = (ByteSpan){bytes, size};
  return parquet_unpack(codec, in, bytes, size);
}

// ---- levels ----

static unsigned bits_for(unsigned largest) {
  unsigned bits = 0;
  while (largest >> bits != 0) bits++;
  return bits;
}

/// levels[start, start + count) = levels decoded from `in`, or 0 if `largest` is 0. scratch[count] is
/// overwritten.
static Status add_levels(ByteSpan in, unsigned largest, size_t count, size_t start, uint32_t *scratch,
                         uint8_t *levels) {
  if (largest == 0) return STATUS_OK; // mem_reserve zeroes new memory
  TRY(parquet_decode_runs(in, bits_for(largest), count, scratch));
  for (size_t i = 0; i < count; i++) {
    if (scratch[i] > largest)
      return status_fail(STATUS_INPUT, "a level of %u, but the largest is %u; the page is damaged",
                         (unsigned)scratch[i], largest);
    levels[start + i] = (uint8_t)scratch[i];
  }
  return STATUS_OK;
}

/// v1: *out = levels taken from the front of *page, a u32 length and that many bytes; empty if `largest` is
/// 0.
static Status take_levels(ByteSpan *page, unsigned largest, int64_t encoding, ByteSpan *out) {
  *out = (ByteSpan){page->bytes, 0};
  if (largest == 0) return STATUS_OK;
  if (encoding != ENCODING_RLE)
    return status_fail(STATUS_INPUT, "levels in the old encoding %d, which is not supported", (int)encoding);
  if (page->size < 4 || load_u32(page->bytes) > page->size - 4)
    return status_fail(STATUS_INPUT, "a page ends in the middle of its levels");
  *out = (ByteSpan){page->bytes + 4, load_u32(page->bytes)};
  page->bytes += 4 + out->size;
  page->size -= 4 + out->size;
  return STATUS_OK;
}

// ---- values ----

/// out[count] = entries of the dictionary, by the indices in `in`: their width, then runs.
static Status look_up(const ParquetColumn *column, ByteSpan in, size_t count, uint32_t *scratch,
                      ParquetValue *out) {
  if (!column->has_dictionary)
    return status_fail(STATUS_INPUT, "a page refers to a dictionary that is missing");
  if (in.size == 0) return status_fail(STATUS_INPUT, "a page ends before its values");
  TRY(parquet_decode_runs((ByteSpan){in.bytes + 1, in.size - 1}, in.bytes[0], count, scratch));
  for (size_t i = 0; i < count; i++) {
    if (scratch[i] >= column->dictionary_count)
      return status_fail(STATUS_INPUT, "entry %u of a dictionary of %zu; the page is damaged",
                         (unsigned)scratch[i], column->dictionary_count);
    out[i] = column->dictionary[scratch[i]];
  }
  return STATUS_OK;
}

/// Decodes `count` values of a page to the end of column->values. Refuses an encoding that is not defined for
/// the leaf's type: readers take a ParquetValue for a pointer or a number by that type alone.
static Status decode_values(ParquetColumn *column, const ParquetNode *leaf, int64_t encoding, ByteSpan in,
                            size_t count, uint32_t *scratch) {
  ParquetValue *out = column->values + column->count;
  bool is_text = leaf->type == PARQUET_BYTE_ARRAY;
  if (encoding == ENCODING_PLAIN) return parquet_decode_plain(leaf->type, in, count, out);
  if (encoding == ENCODING_PLAIN_DICTIONARY || encoding == ENCODING_RLE_DICTIONARY)
    return look_up(column, in, count, scratch, out);
  if (encoding == ENCODING_RLE && leaf->type == PARQUET_BOOLEAN)
    return parquet_decode_booleans(in, count, out);
  if (encoding == ENCODING_DELTA && (leaf->type == PARQUET_INT32 || leaf->type == PARQUET_INT64))
    return parquet_decode_delta_integers(leaf->type, in, count, out);
  if (encoding == ENCODING_DELTA_LENGTH && is_text) return parquet_decode_delta_lengths(in, count, out);
  if (encoding == ENCODING_DELTA_STRINGS && is_text)
    return parquet_decode_delta_strings(in, count, out, column);
  return status_fail(STATUS_INPUT, "values in encoding %d, which is not supported for their type",
                     (int)encoding);
}

/// Appends `count` values of a page.
static Status add_values(ParquetColumn *column, const ParquetNode *leaf, int64_t encoding, ByteSpan in,
                         size_t count, uint32_t *scratch) {
  if (count == 0) return STATUS_OK; // only nulls: some writers store nothing at all
  TRY(mem_reserve(&column->values, &column->value_capacity, column->count + count, "Parquet values"));
  TRY(decode_values(column, leaf, encoding, in, count, scratch));
  column->count += count;
  return STATUS_OK;
}

/// Appends the entries of a data page of either version, given its three parts.
static Status add_entries(ParquetColumn *column, const ParquetNode *leaf, const PageHeader *header,
                          ByteSpan repetition, ByteSpan definition, ByteSpan values) {
  size_t count = (size_t)header->count, start = column->entries;
  uint32_t *scratch = NULL;
  if (count > PARQUET_ENTRY_LIMIT - start)
    return status_fail(STATUS_INPUT, "more than %zu values in one column", PARQUET_ENTRY_LIMIT);
  TRY(mem_reserve(&column->repetition, &column->repetition_capacity, start + count, "Parquet levels"));
  TRY(mem_reserve(&column->definition, &column->definition_capacity, start + count, "Parquet levels"));
  TRY(mem_array(&scratch, count, "Parquet levels"));
  Status status = STATUS_OK;
  TRY_CLEAN(add_levels(repetition, leaf->repeats, count, start, scratch, column->repetition));
  TRY_CLEAN(add_levels(definition, leaf->definition, count, start, scratch, column->definition));
  column->entries += count;
  size_t present = 0;
  for (size_t i = 0; i < count; i++) present += column->definition[start + i] == leaf->definition;
  TRY_CLEAN(add_values(column, leaf, header->encoding, values, present, scratch));

cleanup:
  free(scratch);
  return status;
}

static Status add_data_page(ParquetColumn *column, const ParquetNode *leaf, int codec,
                            const PageHeader *header, ByteSpan packed) {
  ByteSpan page, repetition, definition;
  TRY(unpack(column, codec, packed, (size_t)header->unpacked_size, &page));
  TRY(take_levels(&page, leaf->repeats, header->repetition_encoding, &repetition));
  TRY(take_levels(&page, leaf->definition, header->definition_encoding, &definition));
  return add_entries(column, leaf, header, repetition, definition, page);
}

static Status add_data_page_v2(ParquetColumn *column, const ParquetNode *leaf, int codec,
                               const PageHeader *header, ByteSpan packed) {
  size_t repetition_size = (size_t)header->repetition_size, definition_size = (size_t)header->definition_size;
  size_t levels = repetition_size + definition_size; // each below 2^31
  if (levels > packed.size || levels > (size_t)header->unpacked_size)
    return status_fail(STATUS_INPUT, "a page ends in the middle of its levels");
  ByteSpan repetition = {packed.bytes, repetition_size};
  ByteSpan definition = {packed.bytes + repetition_size, definition_size};
  ByteSpan rest = {packed.bytes + levels, packed.size - levels}, values;
  TRY(unpack(column, header->is_packed ? codec : 0, rest, (size_t)header->unpacked_size - levels, &values));
  return add_entries(column, leaf, header, repetition, definition, values);
}

static Status set_dictionary(ParquetColumn *column, const ParquetNode *leaf, int codec,
                             const PageHeader *header, ByteSpan packed) {
  ByteSpan page;
  if (column->has_dictionary) return status_fail(STATUS_INPUT, "a second dictionary in one column chunk");
  if (header->encoding != ENCODING_PLAIN && header->encoding != ENCODING_PLAIN_DICTIONARY)
    return status_fail(STATUS_INPUT, "a dictionary in encoding %d, which is not supported",
                       (int)header->encoding);
  if (leaf->type == PARQUET_BOOLEAN) return status_fail(STATUS_INPUT, "a dictionary of booleans");
  TRY(unpack(column, codec, packed, (size_t)header->unpacked_size, &page));
  size_t count = (size_t)header->count;
  if (count > page.size / 4) // a string has a length of 4 bytes, a number at least 4 bytes
    return status_fail(STATUS_INPUT, "a dictionary claims more values than its bytes can hold");
  TRY(mem_array(&column->dictionary, count, "a Parquet dictionary"));
  column->has_dictionary = true;
  column->dictionary_count = count;
  return parquet_decode_plain(leaf->type, page, count, column->dictionary);
}

static Status add_page(ParquetColumn *column, const ParquetNode *leaf, int codec, const PageHeader *header,
                       ByteSpan packed) {
  if (header->has_crc && (uint32_t)header->crc != crc32(0, packed.bytes, (uInt)packed.size))
    return status_fail(STATUS_INPUT, "a page's checksum does not match; the file is damaged");
  switch (header->type) {
  case PAGE_DATA:
    return add_data_page(column, leaf, codec, header, packed);
  case PAGE_DATA_V2:
    return add_data_page_v2(column, leaf, codec, header, packed);
  case PAGE_DICTIONARY:
    return set_dictionary(column, leaf, codec, header, packed);
  default:
    return STATUS_OK; // index pages have no values
  }
}

Status parquet_column_read(const MappedFile *file, const ParquetMeta *meta, const ParquetNode *leaf,
                           const ParquetChunk *chunk, ParquetColumn *out) {
  if (chunk->in_other_file)
    return status_fail(STATUS_INPUT, "its values are in another file, which is not supported");
  if (chunk->type != leaf->type) return status_fail(STATUS_INPUT, "its type differs from the schema's");
  TRY(parquet_check_codec(chunk->codec));
  if (chunk->values == 0) return STATUS_OK; // its place is not checked
  if (chunk->start > meta->data_size || chunk->bytes > meta->data_size - chunk->start)
    return status_fail(STATUS_INPUT, "its values lie beyond the file");
  ThriftReader reader = {file->bytes + chunk->start, chunk->bytes, 0};
  while (out->entries < chunk->values) {
    PageHeader header;
    size_t place = chunk->start + reader.offset;
    TRY(status_context(read_page_header(&reader, &header), "page at byte %zu", place));
    if ((size_t)header.packed_size > reader.size - reader.offset)
      return status_fail(STATUS_INPUT, "page at byte %zu: ends beyond its column chunk; the file is damaged",
                         place);
    ByteSpan packed = {reader.bytes + reader.offset, (size_t)header.packed_size};
    reader.offset += packed.size;
    TRY(status_context(add_page(out, leaf, chunk->codec, &header, packed), "page at byte %zu (%s)", place,
                       parquet_codec_name(chunk->codec)));
  }
  if (out->entries == chunk->values) return STATUS_OK;
  return status_fail(STATUS_INPUT, "has more values than the footer's %zu; the file is damaged",
                     chunk->values);
}
