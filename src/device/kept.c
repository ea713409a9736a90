// What is kept of a device beside its compiled programs, in a file of their format (cache.h) with a text in
// place of a binary. Rule: the file's name says which device it is of, and the key inside everything else
// that the text depends on. So a file of another driver is found, said to be stale, and overwritten by the
// next.
#include "cache.h"

#include "util/hash.h"
#include "util/str.h"
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>

/// Fills in path and key; the path stays NULL where the device has no folder.
static Status address(const Device *device, const char *name, const char *version, CacheEntry *entry) {
  const DeviceInfo *info = &device->info;
  Str which = {0};
  Status status = STATUS_OK;
  if (device->cache == NULL) return STATUS_OK;
  TRY_CLEAN(str_append_format(&which, "%s\n%s\n%s\n", device->backend->name, info->platform, info->name));
  uint64_t hash = hash_bytes(HASH_START, which.data, which.size);
  TRY_CLEAN(str_format(&entry->path, "%s/%s-%016" PRIx64 ".kept", device->cache, name, hash));
  TRY_CLEAN(str_append_format(&which, "gee-cl keeps %s\n%s\n%s\n", name, device->identity, version));
  entry->key = which.data;
  entry->key_size = which.size;
  which = (Str){0};
cleanup:
  str_free(&which);
  if (status != STATUS_OK) cache_entry_free(entry);
  return status;
}

/// *out = a text of the entry's bytes, unless there is a NUL among them.
static Status take_text(const CacheEntry *entry, char **out) {
  if (entry->size > KEPT_TEXT || memchr(entry->bytes, '\0', entry->size) != NULL) return STATUS_OK;
  return str_copy(out, entry->bytes, entry->size);
}

Status device_kept(const Device *device, const char *name, const char *version, KeptText *out) {
  CacheEntry entry = {0};
  struct stat info;
  Status status = STATUS_OK;
  *out = (KeptText){0};
  TRY(address(device, name, version, &entry));
  if (entry.path == NULL) return STATUS_OK;
  TRY_CLEAN(cache_read(&entry, KEPT_MOST));
  if (entry.bytes != NULL) TRY_CLEAN(take_text(&entry, &out->text));
  out->stale = out->text == NULL && lstat(entry.path, &info) == 0;
  out->path = entry.path;
  entry.path = NULL;
cleanup:
  cache_entry_free(&entry);
  return status;
}

Status device_keep(const Device *device, const char *name, const char *version, const char *text) {
  CacheEntry entry = {0};
  Status status = STATUS_OK;
  TRY(address(device, name, version, &entry));
  if (entry.path == NULL)
    return status_fail(STATUS_FAILED, "there is no folder to keep anything of %s in (device.cache)",
                       device->info.name);
  if (strlen(text) > KEPT_TEXT)
    status = status_fail(STATUS_FAILED, "%s: %zu bytes are too many to keep", entry.path, strlen(text));
  else if (!cache_write(&entry, text, strlen(text)))
    status = status_fail(STATUS_FAILED, "%s cannot be written: %s", entry.path, strerror(errno));
  cache_entry_free(&entry);
  return status;
}

void kept_text_free(KeptText *kept) {
  free(kept->text);
  free(kept->path);
  *kept = (KeptText){0};
}
