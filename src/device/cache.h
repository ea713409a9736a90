// Compiled programs on disk. Private to the device room.
//
//   <cache>/<hash>.program      "GEECLPR1" | key size u64 | binary size u64 | binary hash u64 | key | binary
//
// The key is everything that the binary depends on, the source included. The file's name has only the key's
// hash, so the whole key is compared with the one in the file. A file is written under another name and then
// renamed, because several processes may share a folder. A file that is cut off, damaged or has another key
// is ignored. A cache that cannot be used never fails a run; it only makes the start slower.
#pragma once

#include "backend.h"

enum { CACHE_MOST = 1 << 30, KEPT_MOST = 1 << 16 }; // bytes of a file that are read

typedef struct CacheEntry {
  char *path;
  char *key;
  size_t key_size;
  void *bytes; // the binary, or NULL if the cache has none
  size_t size;
} CacheEntry;

/// Fills in path and key, and bytes if the cache has them.
STATUS_CHECKED Status cache_find(const Device *device, const char *name, const char *source,
                                 const char *options, CacheEntry *entry);
/// Fills in bytes if the file at the entry's path has at most `most` bytes and is whole, under the entry's
/// key.
STATUS_CHECKED Status cache_read(CacheEntry *entry, size_t most);
/// Writes the binary under the entry's key; false, with the reason in errno, if that fails.
bool cache_write(const CacheEntry *entry, const void *binary, size_t size);
/// The same. A failure is only logged.
void cache_store(const CacheEntry *entry, const void *binary, size_t size);
void cache_entry_free(CacheEntry *entry);

/// STATUS_FAILED with the first lines of the compiler's log. The whole log is written to <cache>/<name>.log.
Status cache_report_log(const Device *device, const char *name, const char *log);
