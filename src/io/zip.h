// The entries of a ZIP archive that is mapped into memory, as PyTorch writes it: stored, not compressed.
// (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT) Private to this room.
#pragma once

#include "io/file.h"

typedef struct ZipEntry {
  const char *name; // not NUL-terminated
  size_t name_size;
  const uint8_t *bytes;
  size_t size;
} ZipEntry;

typedef struct ZipArchive {
  ZipEntry *entries; // in the order of their place in the file
  size_t count;
} ZipArchive;

/// Lists the entries; their bytes lie in the map and do not overlap. STATUS_INPUT if the archive is damaged
/// or has an entry that is compressed or encrypted.
STATUS_CHECKED Status zip_read(const MappedFile *map, ZipArchive *out);
void zip_free(ZipArchive *archive);
