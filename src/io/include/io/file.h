// Files: read-only maps, whole reads, and writes that are never half there.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A read-only view of a whole file. Free with file_unmap; `bytes` is non-NULL even for an empty file.
typedef struct MappedFile {
  char *path; // as given, for messages
  const uint8_t *bytes;
  size_t size;
} MappedFile;

/// Maps `path`. Fails with STATUS_INPUT where it is missing, no regular file, or unreadable.
STATUS_CHECKED Status file_map(const char *path, MappedFile *out);
void file_unmap(MappedFile *file);

bool file_exists(const char *path);
bool file_is_directory(const char *path);
/// *out = "directory/name" in fresh memory.
STATUS_CHECKED Status path_join(char **out, const char *directory, const char *name);
/// mkdir -p. STATUS_FAILED with the system's reason.
STATUS_CHECKED Status directory_create(const char *path);
/// Removes `path` and all below it; missing is fine. Never follows links.
STATUS_CHECKED Status directory_remove(const char *path);
/// *names = a sorted, NULL-terminated list of entries (without . and ..); free with directory_free_list.
STATUS_CHECKED Status directory_list(const char *path, char ***names, size_t *count);
void directory_free_list(char **names);

/// Writes a file beside its place, syncs it and renames it over `path`: readers see the old or the new,
/// whole.
STATUS_CHECKED Status file_write_atomic(const char *path, const void *bytes, size_t size);

/// A file being written in order; every call checks the disk. Used inside an AtomicDir.
typedef struct FileWriter FileWriter;
STATUS_CHECKED Status writer_open(const char *path, FileWriter **out);
STATUS_CHECKED Status writer_append(FileWriter *writer, const void *bytes, size_t size);
/// Flushes, syncs and closes; the writer is gone whatever it returns.
STATUS_CHECKED Status writer_close(FileWriter *writer);
/// Closes without a promise about what is on the disk; safe on NULL.
void writer_abandon(FileWriter *writer);

/// A folder that appears whole or not at all: filled as "<path>.partial", then synced and renamed to <path>,
/// or exchanged with an older <path>, which is removed after. Where the file system cannot exchange, the
/// older one is moved aside to "<path>.old" first; one left there by a kill is put back by the next begin.
typedef struct AtomicDir {
  char *path;
  char *partial; // write into this folder
} AtomicDir;

STATUS_CHECKED Status atomic_dir_begin(const char *path, AtomicDir *out);
STATUS_CHECKED Status atomic_dir_commit(AtomicDir *dir);
/// Removes what was written; safe after commit and on a zeroed struct.
void atomic_dir_abort(AtomicDir *dir);
