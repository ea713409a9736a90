// Compiled programs on disk; cache.h has the format and the rules.
#include "cache.h"

#include "util/hash.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "GEECLPR1";

typedef struct Header {
  char magic[8];
  uint64_t key_size, binary_size, binary_hash;
} Header;

/// *bytes = the whole file, or NULL if it cannot be read or has more than `most` bytes. Fails only where
/// memory runs out.
static Status read_file(const char *path, size_t most, unsigned char **bytes, size_t *size) {
  Status status = STATUS_OK;
  struct stat information;
  *bytes = NULL;
  FILE *file = fopen(path, "rb");
  if (file == NULL) return STATUS_OK;
  bool good = fstat(fileno(file), &information) == 0 && S_ISREG(information.st_mode) &&
              information.st_size > 0 && (uint64_t)information.st_size <= most;
  if (good) {
    *size = (size_t)information.st_size;
    status = mem_array(bytes, *size, "the cache of compiled kernels");
    good = status == STATUS_OK && fread(*bytes, 1, *size, file) == *size;
  }
  (void)fclose(file);
  if (!good) {
    free(*bytes);
    *bytes = NULL;
  }
  return status;
}

/// Copies the binary out of a cache file's bytes if every length, the key and the hash are right. Each length
/// is checked against what is left of the file before it is used, so no sum can overflow.
static Status take_binary(const unsigned char *bytes, size_t size, CacheEntry *entry) {
  Header header;
  if (size < sizeof header) return STATUS_OK;
  memcpy(&header, bytes, sizeof header);
  size_t rest = size - sizeof header;
  if (memcmp(header.magic, magic, sizeof magic) != 0 || header.key_size != entry->key_size) return STATUS_OK;
  if (header.key_size > rest || header.binary_size != rest - header.key_size) return STATUS_OK;
  if (memcmp(bytes + sizeof header, entry->key, entry->key_size) != 0) return STATUS_OK;
  const unsigned char *binary = bytes + sizeof header + entry->key_size;
  if (hash_bytes(HASH_START, binary, header.binary_size) != header.binary_hash) return STATUS_OK;
  TRY(mem_alloc(&entry->bytes, header.binary_size, 1, "compiled kernels"));
  memcpy(entry->bytes, binary, header.binary_size);
  entry->size = header.binary_size;
  return STATUS_OK;
}

Status cache_read(CacheEntry *entry, size_t most) {
  unsigned char *bytes;
  size_t size = 0;
  TRY(read_file(entry->path, most, &bytes, &size));
  if (bytes == NULL) return STATUS_OK;
  Status status = take_binary(bytes, size, entry);
  free(bytes);
  return status;
}

Status cache_find(const Device *device, const char *name, const char *source, const char *options,
                  CacheEntry *entry) {
  Status status = STATUS_OK;
  Str key = {0};
  TRY_CLEAN(str_append_format(&key, "gee-cl compiled kernels\n%s\n%s\n%s\n", device->backend->name,
                              device->identity, options));
  TRY_CLEAN(str_append_text(&key, source));
  uint64_t hash = hash_bytes(HASH_START, key.data, key.size);
  TRY_CLEAN(str_format(&entry->path, "%s/%s-%016" PRIx64 ".program", device->cache, name, hash));
  entry->key = key.data;
  entry->key_size = key.size;
  key = (Str){0};
  status = cache_read(entry, CACHE_MOST);
cleanup:
  str_free(&key);
  if (status != STATUS_OK) cache_entry_free(entry);
  return status;
}

/// Writes the parts to a new file beside `path`, then renames it to `path`.
static bool write_file(const char *path, const void *const parts[], const size_t sizes[], size_t count) {
  char *temporary = NULL;
  if (str_format(&temporary, "%s.XXXXXX", path) != STATUS_OK) return false;
  int descriptor = mkstemp(temporary);
  FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
  bool good = file != NULL;
  for (size_t i = 0; i < count && good; i++) good = fwrite(parts[i], 1, sizes[i], file) == sizes[i];
  if (file != NULL) good = fclose(file) == 0 && good;
  if (file == NULL && descriptor >= 0) (void)close(descriptor);
  good = good && rename(temporary, path) == 0;
  if (!good && descriptor >= 0) (void)unlink(temporary);
  free(temporary);
  return good;
}

bool cache_write(const CacheEntry *entry, const void *binary, size_t size) {
  Header header = {.key_size = entry->key_size, .binary_size = size};
  memcpy(header.magic, magic, sizeof magic);
  header.binary_hash = hash_bytes(HASH_START, binary, size);
  const void *parts[] = {&header, entry->key, binary};
  const size_t sizes[] = {sizeof header, entry->key_size, size};
  return write_file(entry->path, parts, sizes, 3);
}

void cache_store(const CacheEntry *entry, const void *binary, size_t size) {
  if (!cache_write(entry, binary, size)) {
    log_say(LOG_NOTE, "%s: %s; compiled kernels are not kept", entry->path, strerror(errno));
  }
}

void cache_entry_free(CacheEntry *entry) {
  free(entry->path);
  free(entry->key);
  free(entry->bytes);
  *entry = (CacheEntry){0};
}

Status cache_report_log(const Device *device, const char *name, const char *log) {
  char first[400];
  size_t size = 0, lines = 0;
  for (const char *p = log; *p != '\0' && size < sizeof first - 4 && lines < 4; p++) {
    if (*p == '\n') lines++;
    // A message is one line: line ends and tabs become single spaces.
    bool blank = *p == '\n' || *p == '\r' || *p == '\t';
    if (blank && (size == 0 || first[size - 1] == ' ')) continue;
    first[size++] = blank ? ' ' : *p;
  }
  while (size > 0 && first[size - 1] == ' ') size--;
  first[size] = '\0';
  char *path = NULL;
  const void *parts[] = {log};
  const size_t sizes[] = {strlen(log)};
  bool kept = device->cache != NULL && str_format(&path, "%s/%s.log", device->cache, name) == STATUS_OK &&
              write_file(path, parts, sizes, 1);
  Status status = status_fail(STATUS_FAILED, "the compiler of %s failed: %s%s%s%s", device->info.name, first,
                              kept ? " (whole log: " : "", kept ? path : "", kept ? ")" : "");
  free(path);
  return status;
}
