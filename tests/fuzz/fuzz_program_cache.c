// A file in the folder of compiled programs: an entry is used only if it has this program's key and the right
// hash.
#include "fuzz.h"

#include "cache.h"
#include "device/cache_folder.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static char identity[] = "device", folder[256];
  static Backend backend = {.name = "none"};
  if (folder[0] == '\0') strcpy(folder, fuzz_path("cache"));
  Device device = {.backend = &backend, .identity = identity, .cache = folder};
  char *made = NULL;
  CacheEntry entry = {0};
  FUZZ_CHECK(cache_directory(folder, &made) == STATUS_OK && made != NULL);
  free(made);
  FUZZ_CHECK(cache_find(&device, "k", "source", "", &entry) == STATUS_OK); // where the file belongs
  const char *name = strrchr(entry.path, '/') + 1;
  char inner[128] = "cache/";
  (void)strncat(inner, name, sizeof inner - strlen(inner) - 1);
  (void)fuzz_file(inner, bytes, size);
  cache_entry_free(&entry);
  FUZZ_CHECK(cache_find(&device, "k", "source", "", &entry) == STATUS_OK);
  if (entry.bytes != NULL) FUZZ_CHECK(entry.size + entry.key_size + 32 == size);
  cache_entry_free(&entry);
  return 0;
}
