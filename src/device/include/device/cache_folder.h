// Where compiled programs are kept: ours, and pocl's, which finds no device without a folder to write to. A
// home that is missing or read-only (a container, a service) gets a folder in /tmp instead.
#pragma once

#include "util/status.h"
#include <stdbool.h>

/// *out = the folder for compiled programs, created if it is missing; the caller frees it. `asked` as in
/// DeviceOptions.cache_directory. NULL if no cache is wanted, or no folder can be written: then a warning is
/// logged.
STATUS_CHECKED Status cache_directory(const char *asked, char **out);

/// Where pocl keeps its programs, by the rules that it follows; the caller frees it.
STATUS_CHECKED Status pocl_cache_directory(char **out);
/// Names a folder that works in POCL_CACHE_DIR if pocl's own choice cannot be written. Called before the
/// drivers are loaded, and while the program has one thread.
STATUS_CHECKED Status pocl_cache_prepare(void);

/// *writable = whether files can be made in `path`, or it can be created. Leaves nothing behind.
STATUS_CHECKED Status folder_is_writable(const char *path, bool *writable);
