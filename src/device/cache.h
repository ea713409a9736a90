// Compiled programs on disk. Private to the device room.
//
//   <cache>/<hash>.program      "GEECLPR1" | key size u64 | binary size u64 | binary hash u64 | key | binary
//
// The key is everything the binary depends on, the source included; the file's name is only its hash, so the key in the
// file is compared whole. Files are written beside their place and renamed: several processes may share a folder. A file
// that is cut, damaged or of another key is as good as none. Nothing here can make a run fail: without a cache it is slower.
#pragma once

#include "backend.h"

typedef struct CacheEntry {
  char *path;
  char *key;
  size_t key_size;
  void *bytes; // the binary, or NULL where there is none
  size_t size;
} CacheEntry;

/// *out = the folder for `asked` (as in DeviceOptions), made if need be; NULL where there is to be none or it cannot be.
STATUS_CHECKED Status cache_directory(const char *asked, char **out);
/// Fills in path and key, and bytes where the cache has them.
STATUS_CHECKED Status cache_find(const Device *device, const char *name, const char *source,
                                 const char *options, CacheEntry *entry);
/// Writes the binary for the entry's key; a failure is only noted in the log.
void cache_store(const CacheEntry *entry, const void *binary, size_t size);
void cache_entry_free(CacheEntry *entry);

/// STATUS_FAILED with the first lines of a compiler's log, which is kept whole in <cache>/<name>.log.
Status cache_report_log(const Device *device, const char *name, const char *log);
