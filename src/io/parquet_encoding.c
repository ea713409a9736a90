// Parquet's encodings of levels, indices and values
// (https://parquet.apache.org/docs/file-format/data-pages/encodings). Rule: a decoder fills exactly `count`
// outputs or fails, and never reads beyond `in`.
//
//   runs:    header varint h     h even: h/2 times the number that follows, in ⌈width / 8⌉ bytes
//                                h odd:  h/2 groups of 8 numbers, packed from the lowest bit up
//   deltas:  block size, miniblocks per block, count: varints | first value: zigzag |
//            blocks: | smallest delta: zigzag | a width per miniblock: bytes | miniblocks, packed |
#include "parquet.h"
#include "thrift_compact.h"

#include "tensor_file.h" // load_u32
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

static Status fail_cut_page(void) {
  return status_fail(STATUS_INPUT, "a page ends in the middle of its values");
}

static Status take_varint(ByteSpan *in, uint64_t *out) {
  size_t size = varint_load(in->bytes, in->size, out);
  if (size == 0 && in->size < VARINT_BYTES) return fail_cut_page();
  if (size == 0) return status_fail(STATUS_INPUT, "a number in a page does not end");
  in->bytes += size;
  in->size -= size;
  return STATUS_OK;
}

static Status take_zigzag(ByteSpan *in, int64_t *out) {
  uint64_t raw = 0;
  TRY(take_varint(in, &raw));
  *out = zigzag_decode(raw);
  return STATUS_OK;
}

/// Number `index` of a packed sequence of numbers of `width` bits (at most 64). The caller checks that the
/// bytes are there.
static uint64_t unpack_bits(const uint8_t *bytes, unsigned width, size_t index) {
  uint64_t value = 0;
  size_t bit = index * width;
  for (unsigned got = 0; got < width;) { // the lowest `got` bits are in `value`
    unsigned offset = (unsigned)((bit + got) % 8);
    unsigned part = 8 - offset < width - got ? 8 - offset : width - got;
    uint64_t chunk = (uint64_t)(bytes[(bit + got) / 8] >> offset) & ((1u << part) - 1);
    value |= chunk << got;
    got += part;
  }
  return value;
}

// ---- runs ----

/// Takes a run of equal numbers, of which `length` are wanted.
static Status decode_equal(ByteSpan *in, unsigned width, size_t length, uint32_t *out) {
  size_t bytes = (width + 7) / 8;
  uint32_t value = 0;
  if (bytes > in->size) return fail_cut_page();
  for (size_t i = 0; i < bytes; i++) value |= (uint32_t)in->bytes[i] << (8 * i);
  in->bytes += bytes;
  in->size -= bytes;
  for (size_t i = 0; i < length; i++) out[i] = value;
  return STATUS_OK;
}

/// Takes `groups` times 8 packed numbers, of which `length` are wanted. Writers may cut off the unused end of
/// the last group.
static Status decode_packed(ByteSpan *in, unsigned width, uint64_t groups, size_t length, uint32_t *out) {
  if ((length * width + 7) / 8 > in->size) return fail_cut_page();
  for (size_t i = 0; i < length; i++) out[i] = (uint32_t)unpack_bits(in->bytes, width, i);
  // A page is below 2^31 bytes and width <= 32, so the product cannot overflow.
  uint64_t bytes = groups > in->size ? in->size : groups * width;
  if (bytes > in->size) bytes = in->size;
  in->bytes += bytes;
  in->size -= (size_t)bytes;
  return STATUS_OK;
}

Status parquet_decode_runs(ByteSpan in, unsigned width, size_t count, uint32_t *out) {
  if (width > 32) return status_fail(STATUS_INPUT, "numbers of %u bits in a page; it is damaged", width);
  if (width == 0) { // all zeros; the runs need not be read
    memset(out, 0, count * sizeof *out);
    return STATUS_OK;
  }
  size_t done = 0;
  while (done < count) { // ends even for empty runs: each takes at least the byte of its header
    uint64_t header = 0;
    TRY(take_varint(&in, &header));
    uint64_t run = header >> 1;
    uint64_t numbers = (header & 1) == 0 ? run : run > UINT64_MAX / 8 ? UINT64_MAX : run * 8;
    size_t length = numbers < count - done ? (size_t)numbers : count - done;
    if ((header & 1) == 0)
      TRY(decode_equal(&in, width, length, out + done));
    else
      TRY(decode_packed(&in, width, run, length, out + done));
    done += length;
  }
  return STATUS_OK;
}

// ---- plain ----

static Status decode_plain_strings(ByteSpan in, size_t count, ParquetValue *out) {
  for (size_t i = 0; i < count; i++) {
    if (in.size < 4) return fail_cut_page();
    size_t size = load_u32(in.bytes);
    if (size > in.size - 4) return fail_cut_page();
    out[i].bytes = (ByteSpan){in.bytes + 4, size};
    in.bytes += 4 + size;
    in.size -= 4 + size;
  }
  return STATUS_OK;
}

static double load_float(const uint8_t *bytes) {
  float value = 0;
  memcpy(&value, bytes, sizeof value);
  return (double)value;
}

static double load_double(const uint8_t *bytes) {
  double value = 0;
  memcpy(&value, bytes, sizeof value);
  return value;
}

Status parquet_decode_plain(int type, ByteSpan in, size_t count, ParquetValue *out) {
  if (type == PARQUET_BYTE_ARRAY) return decode_plain_strings(in, count, out);
  bool is_wide = type == PARQUET_INT64 || type == PARQUET_DOUBLE;
  size_t bits = type == PARQUET_BOOLEAN ? 1
                : is_wide               ? 64
                                        : 32; // count <= 2^24, so the product is below 2^31
  if ((count * bits + 7) / 8 > in.size) return fail_cut_page();
  for (size_t i = 0; i < count; i++) {
    switch (type) {
    case PARQUET_BOOLEAN:
      out[i].integer = in.bytes[i / 8] >> (i % 8) & 1;
      break;
    case PARQUET_INT32:
      out[i].integer = (int32_t)load_u32(in.bytes + 4 * i);
      break;
    case PARQUET_INT64:
      out[i].integer = (int64_t)load_u64(in.bytes + 8 * i);
      break;
    case PARQUET_FLOAT:
      out[i].number = load_float(in.bytes + 4 * i);
      break;
    case PARQUET_DOUBLE:
      out[i].number = load_double(in.bytes + 8 * i);
      break;
    default:
      return status_fail(STATUS_INPUT, "values of type %d, which is not supported", type);
    }
  }
  return STATUS_OK;
}

Status parquet_decode_booleans(ByteSpan in, size_t count, ParquetValue *out) {
  uint32_t *bits = NULL;
  if (in.size < 4 || load_u32(in.bytes) > in.size - 4) return fail_cut_page();
  TRY(mem_array(&bits, count, "Parquet booleans"));
  Status status = parquet_decode_runs((ByteSpan){in.bytes + 4, load_u32(in.bytes)}, 1, count, bits);
  for (size_t i = 0; status == STATUS_OK && i < count; i++) {
    out[i].integer = bits[i];
    if (bits[i] > 1)
      status = status_fail(STATUS_INPUT, "a boolean of %u; the page is damaged", (unsigned)bits[i]);
  }
  free(bits);
  return status;
}

// ---- deltas ----

typedef struct DeltaHeader {
  size_t per_miniblock, miniblocks;
} DeltaHeader;

static Status take_delta_header(ByteSpan *in, size_t count, DeltaHeader *out, int64_t *first) {
  uint64_t block = 0, miniblocks = 0, total = 0;
  TRY(take_varint(in, &block));
  TRY(take_varint(in, &miniblocks));
  TRY(take_varint(in, &total));
  TRY(take_zigzag(in, first));
  if (block == 0 || block > 1 << 20 || miniblocks == 0 || block % miniblocks != 0 ||
      block / miniblocks % 8 != 0)
    return status_fail(STATUS_INPUT, "a page of deltas has blocks of %llu in %llu parts; it is damaged",
                       (unsigned long long)block, (unsigned long long)miniblocks);
  if (total != count)
    return status_fail(STATUS_INPUT, "a page of deltas has %llu numbers, but %zu values",
                       (unsigned long long)total, count);
  *out = (DeltaHeader){(size_t)(block / miniblocks), (size_t)miniblocks};
  return STATUS_OK;
}

/// Takes a block of deltas. The first *done numbers are decoded, *done >= 1, so out[*done − 1] is the one to
/// add to. Sums wrap, as the format says, so they are computed unsigned.
static Status decode_delta_block(ByteSpan *in, const DeltaHeader *header, size_t count, size_t *done,
                                 int64_t *out) {
  int64_t smallest = 0;
  TRY(take_zigzag(in, &smallest));
  if (header->miniblocks > in->size) return fail_cut_page();
  const uint8_t *widths = in->bytes;
  in->bytes += header->miniblocks;
  in->size -= header->miniblocks;
  for (size_t m = 0; m < header->miniblocks && *done < count; m++) {
    unsigned width = widths[m];
    if (width > 64) return status_fail(STATUS_INPUT, "deltas of %u bits in a page; it is damaged", width);
    size_t length = header->per_miniblock < count - *done ? header->per_miniblock : count - *done;
    size_t bytes = header->per_miniblock / 8 * width;
    if (bytes > in->size) return fail_cut_page();
    for (size_t i = 0; i < length; i++, (*done)++) {
      uint64_t delta = (uint64_t)smallest + unpack_bits(in->bytes, width, i);
      out[*done] = (int64_t)((uint64_t)out[*done - 1] + delta);
    }
    in->bytes += bytes;
    in->size -= bytes;
  }
  return STATUS_OK;
}

/// out[count] = DELTA_BINARY_PACKED numbers, taken from `in`. For count 0 takes only the header.
static Status decode_deltas(ByteSpan *in, size_t count, int64_t *out) {
  DeltaHeader header = {0};
  int64_t first = 0;
  TRY(take_delta_header(in, count, &header, &first));
  if (count == 0) return STATUS_OK;
  out[0] = first;
  size_t done = 1;
  while (done < count) TRY(decode_delta_block(in, &header, count, &done, out));
  return STATUS_OK;
}

Status parquet_decode_delta_integers(int type, ByteSpan in, size_t count, ParquetValue *out) {
  int64_t *numbers = NULL;
  TRY(mem_array(&numbers, count, "Parquet integers"));
  Status status = decode_deltas(&in, count, numbers);
  for (size_t i = 0; status == STATUS_OK && i < count; i++)
    out[i].integer =
        type == PARQUET_INT32 ? (int32_t)numbers[i] : numbers[i]; // sums wrap at the type's width
  free(numbers);
  return status;
}

/// out[i] = a string of lengths[i] bytes, one after the other in `in`.
static Status cut_strings(ByteSpan in, size_t count, const int64_t *lengths, ParquetValue *out) {
  for (size_t i = 0; i < count; i++) {
    if (lengths[i] < 0 || (uint64_t)lengths[i] > in.size) return fail_cut_page();
    out[i].bytes = (ByteSpan){in.bytes, (size_t)lengths[i]};
    in.bytes += lengths[i];
    in.size -= (size_t)lengths[i];
  }
  return STATUS_OK;
}

Status parquet_decode_delta_lengths(ByteSpan in, size_t count, ParquetValue *out) {
  int64_t *lengths = NULL;
  TRY(mem_array(&lengths, count, "lengths of strings"));
  Status status = decode_deltas(&in, count, lengths);
  if (status == STATUS_OK) status = cut_strings(in, count, lengths, out);
  free(lengths);
  return status;
}

/// out[i] = the first shared[i] bytes of the joined out[i − 1], then the suffix in out[i]. The first pass
/// checks the lengths, so `total` is exactly what the second one writes.
static Status join_strings(size_t count, const int64_t *shared, ParquetValue *out, ParquetColumn *column) {
  size_t total = 0, before = 0;
  for (size_t i = 0; i < count; i++) {
    if (shared[i] < 0 || (uint64_t)shared[i] > before) return fail_cut_page();
    before = (size_t)shared[i] + out[i].bytes.size;
    total += before;
    if (total > PARQUET_CHUNK_LIMIT) return status_fail(STATUS_INPUT, "a page holds too much text");
  }
  uint8_t *bytes = NULL;
  TRY(parquet_column_alloc(column, total, &bytes));
  for (size_t i = 0; i < count; i++) {
    size_t prefix = (size_t)shared[i];
    if (prefix > 0) memcpy(bytes, out[i - 1].bytes.bytes, prefix);
    if (out[i].bytes.size > 0) memcpy(bytes + prefix, out[i].bytes.bytes, out[i].bytes.size);
    out[i].bytes = (ByteSpan){bytes, prefix + out[i].bytes.size};
    bytes += out[i].bytes.size;
  }
  return STATUS_OK;
}

Status parquet_decode_delta_strings(ByteSpan in, size_t count, ParquetValue *out, ParquetColumn *column) {
  int64_t *shared = NULL;
  TRY(mem_array(&shared, count, "lengths of strings"));
  Status status = decode_deltas(&in, count, shared);
  if (status == STATUS_OK) status = parquet_decode_delta_lengths(in, count, out);
  if (status == STATUS_OK) status = join_strings(count, shared, out, column);
  free(shared);
  return status;
}
