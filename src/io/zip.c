// Reading the directory of a ZIP archive.
//
//   | local header, name, extra, data | … | directory: an entry each | [64-bit end] | end |
//
// Rule: the directory says where an entry is; the local header must agree, and no two entries may overlap.
#include "zip.h"

#include "tensor_file.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

enum {
  END_SIZE = 22,
  END64_SIZE = 56,
  LOCATOR_SIZE = 20,
  ENTRY_SIZE = 46,
  LOCAL_SIZE = 30,
  COMMENT_LIMIT = UINT16_MAX
};
static const uint32_t END_MARK = 0x06054b50, END64_MARK = 0x06064b50, LOCATOR_MARK = 0x07064b50;
static const uint32_t ENTRY_MARK = 0x02014b50, LOCAL_MARK = 0x04034b50;

static Status fail_damaged(const MappedFile *map, const char *what) {
  return status_fail(STATUS_INPUT, "%s: %s; the archive is damaged or cut off", map->path, what);
}

typedef struct Directory {
  uint64_t start, size, count;
} Directory;

static Status read_end64(const MappedFile *map, size_t end, Directory *out) {
  if (end < LOCATOR_SIZE || load_u32(map->bytes + end - LOCATOR_SIZE) != LOCATOR_MARK)
    return fail_damaged(map, "its 64-bit end is missing");
  uint64_t at = load_u64(map->bytes + end - LOCATOR_SIZE + 8);
  if (at > map->size || map->size - at < END64_SIZE || load_u32(map->bytes + at) != END64_MARK)
    return fail_damaged(map, "its 64-bit end is not where it should be");
  out->count = load_u64(map->bytes + at + 32);
  out->size = load_u64(map->bytes + at + 40);
  out->start = load_u64(map->bytes + at + 48);
  return STATUS_OK;
}

static Status find_directory(const MappedFile *map, Directory *out) {
  if (map->size < END_SIZE) return fail_damaged(map, "it is too short");
  size_t last = map->size - END_SIZE;
  for (size_t back = 0; back <= last && back <= COMMENT_LIMIT; back++) {
    const uint8_t *end = map->bytes + last - back;
    if (load_u32(end) != END_MARK || load_u16(end + 20) != back) continue;
    *out = (Directory){load_u32(end + 16), load_u32(end + 12), load_u16(end + 10)};
    bool wide = out->start == UINT32_MAX || out->size == UINT32_MAX || out->count == UINT16_MAX;
    if (wide) TRY(read_end64(map, last - back, out));
    if (out->start > map->size || out->size > map->size - out->start || out->count > out->size / ENTRY_SIZE)
      return fail_damaged(map, "its directory does not lie in the file");
    return STATUS_OK;
  }
  return fail_damaged(map, "it has no directory");
}

/// Sizes and place of an entry; those that are too large for 32 bits stand in an extra field, in this order.
typedef struct Place {
  uint64_t unpacked, packed, local;
} Place;

static Status read_place(const MappedFile *map, const uint8_t *entry, Place *out) {
  *out = (Place){load_u32(entry + 24), load_u32(entry + 20), load_u32(entry + 42)};
  const uint8_t *at = entry + ENTRY_SIZE + load_u16(entry + 28);
  const uint8_t *end = at + load_u16(entry + 30);
  uint64_t *const wide[] = {&out->unpacked, &out->packed, &out->local};
  while (end - at >= 4) {
    uint16_t tag = load_u16(at), size = load_u16(at + 2);
    at += 4;
    if (size > end - at) return fail_damaged(map, "an entry's extra field is too long");
    const uint8_t *value = at;
    at += size;
    for (size_t i = 0; tag == 1 && i < 3; i++) {
      if (*wide[i] != UINT32_MAX) continue;
      if (at - value < 8) return fail_damaged(map, "an entry's 64-bit size is missing");
      *wide[i] = load_u64(value);
      value += 8;
    }
  }
  return STATUS_OK;
}

static Status check_method(const MappedFile *map, const uint8_t *entry, const ZipEntry *named) {
  if ((load_u16(entry + 8) & 1) == 0 && load_u16(entry + 10) == 0) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s: \"%.*s\" is compressed or encrypted, which PyTorch does not do; unpack the archive and "
      "save it again",
      map->path, (int)size_min(named->name_size, 100), named->name);
}

static Status read_entry(const MappedFile *map, const uint8_t *entry, const Directory *directory,
                         ZipEntry *out) {
  Place place = {0};
  out->name = (const char *)entry + ENTRY_SIZE;
  out->name_size = load_u16(entry + 28);
  TRY(check_method(map, entry, out));
  TRY(read_place(map, entry, &place));
  if (place.local > directory->start || directory->start - place.local < LOCAL_SIZE)
    return fail_damaged(map, "an entry lies outside of it");
  const uint8_t *local = map->bytes + place.local;
  size_t before = (size_t)LOCAL_SIZE + load_u16(local + 26) + load_u16(local + 28);
  uint64_t room = directory->start - place.local;
  if (load_u32(local) != LOCAL_MARK || load_u16(local + 26) != out->name_size || before > room ||
      memcmp(local + LOCAL_SIZE, out->name, out->name_size) != 0)
    return fail_damaged(map, "an entry is not where the directory says");
  if (place.packed != place.unpacked || place.unpacked > room - before)
    return fail_damaged(map, "an entry is longer than the file");
  out->bytes = local + before;
  out->size = (size_t)place.unpacked;
  return STATUS_OK;
}

static int compare_places(const void *a, const void *b) {
  const ZipEntry *first = a, *second = b;
  if (first->bytes != second->bytes) return first->bytes < second->bytes ? -1 : 1;
  return (first->size > second->size) - (first->size < second->size);
}

static Status check_apart(const MappedFile *map, const ZipArchive *archive) {
  for (size_t i = 1; i < archive->count; i++) {
    const ZipEntry *entry = &archive->entries[i], *before = &archive->entries[i - 1];
    // Between the data of two entries is at least the header of the second.
    if ((size_t)(entry->bytes - before->bytes) < before->size + LOCAL_SIZE + entry->name_size)
      return fail_damaged(map, "two of its entries overlap");
  }
  return STATUS_OK;
}

static Status read_entries(const MappedFile *map, ZipArchive *out) {
  Directory directory = {0};
  TRY(find_directory(map, &directory));
  const uint8_t *at = map->bytes + directory.start, *end = at + directory.size;
  TRY(mem_array(&out->entries, (size_t)directory.count, "the entries of an archive"));
  for (; out->count < directory.count; out->count++) {
    if (end - at < ENTRY_SIZE || load_u32(at) != ENTRY_MARK)
      return fail_damaged(map, "its directory ends early");
    size_t size = (size_t)ENTRY_SIZE + load_u16(at + 28) + load_u16(at + 30) + load_u16(at + 32);
    if (size > (size_t)(end - at)) return fail_damaged(map, "its directory ends early");
    TRY(read_entry(map, at, &directory, &out->entries[out->count]));
    at += size;
  }
  if (at != end) return fail_damaged(map, "its directory has more entries than it says");
  qsort(out->entries, out->count, sizeof *out->entries, compare_places);
  return check_apart(map, out);
}

Status zip_read(const MappedFile *map, ZipArchive *out) {
  *out = (ZipArchive){0};
  Status status = read_entries(map, out);
  if (status != STATUS_OK) zip_free(out);
  return status;
}

void zip_free(ZipArchive *archive) {
  free(archive->entries);
  *archive = (ZipArchive){0};
}
