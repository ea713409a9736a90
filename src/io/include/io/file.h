// Files: read-only maps, folders, and writes that appear whole or not at all.
#pragma once

#include "util/hash.h"
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

/// Maps `path`. STATUS_INPUT if it is missing, unreadable or not a regular file.
STATUS_CHECKED Status file_map(const char *path, MappedFile *out);
void file_unmap(MappedFile *file);
/// These bytes of a MappedFile have been read: their pages no longer count as this process's memory, and come
/// back from the file if they are read again.
void file_forget(const uint8_t *bytes, size_t size);

/// Keeps in mind that this process reads the open file, as file_map does of its own.
STATUS_CHECKED Status file_note_read(int descriptor);
/// Whether `path` is a file that this process has read, whatever the paths say: writing there would destroy
/// what the work was made from.
bool file_was_read(const char *path);

bool file_exists(const char *path);
bool file_is_directory(const char *path);
/// Something has this name, be it a link to nothing.
bool file_is_there(const char *path);
/// STATUS_INPUT if `path` is a link to nothing: says where it leads, and what to do.
STATUS_CHECKED Status file_check_link(const char *path);
/// Both exist and are one file, whatever the paths say.
bool file_is_same(const char *a, const char *b);
/// out = the SHA-256 of a file's bytes.
STATUS_CHECKED Status file_sha256(const char *path, char out[SHA256_TEXT]);
/// What a line is passed to: line `number` of the file, from 1, without its end. A failure ends the reading.
typedef Status (*FileLine)(void *user, const char *line, size_t size, size_t number);
STATUS_CHECKED Status file_lines(const char *path, FileLine line, void *user);
/// *out = "directory/name" in fresh memory.
STATUS_CHECKED Status path_join(char **out, const char *directory, const char *name);
/// *out = `path` in fresh memory, as it is meant from `directory`: an absolute path stays as it is.
STATUS_CHECKED Status path_from(char **out, const char *directory, const char *path);
/// *out = `path` in fresh memory, without trailing slashes.
STATUS_CHECKED Status path_trim(char **out, const char *path);
/// Records "path: cannot <action>: <the system's reason, errno>" and returns `code`, or STATUS_FAILED if the
/// reason is that the system lacks something (memory, descriptors, a working disk).
Status file_fail(Status code, const char *path, const char *action);

/// *out = where `path` leads, in fresh memory: a link is followed, also one to what is not there yet.
STATUS_CHECKED Status file_follow(const char *path, char **out);

/// STATUS_INPUT unless something can be written at `path`, as far as permissions say: into it, if it is a
/// folder or a device; else into the nearest folder above it that there is. Writes nothing.
STATUS_CHECKED Status file_check_writable(const char *path);

/// mkdir -p. STATUS_FAILED with the system's reason.
STATUS_CHECKED Status directory_create(const char *path);
/// *out = a new folder that only this user can enter, in $TMPDIR or /tmp, its name beginning with `name`; the
/// caller removes it and frees the path.
STATUS_CHECKED Status directory_create_temporary(const char *name, char **out);
/// Removes `path` and everything below it; a missing path is fine. Never follows links.
STATUS_CHECKED Status directory_remove(const char *path);
/// Removes everything in the folder `path`, which stays. Never follows links.
STATUS_CHECKED Status directory_empty(const char *path);
/// *names = sorted, NULL-terminated list of the entries without . and ..; free with directory_free_list.
STATUS_CHECKED Status directory_list(const char *path, char ***names, size_t *count);
void directory_free_list(char **names);

/// Writes another file beside `path`, syncs it and renames it to `path`: readers see either the old file or
/// the new one, whole, and of several writers the last one's. A link is followed; a device or a pipe is
/// written to.
STATUS_CHECKED Status file_write_atomic(const char *path, const void *bytes, size_t size);
/// Waits until the name of a new or renamed file is on the disk: syncs the folder that it is in.
STATUS_CHECKED Status file_sync_name(const char *path);
/// Copies from_directory/name to to_directory/name in the same way. Unless `required`, a missing file is
/// fine.
STATUS_CHECKED Status file_copy(const char *from_directory, const char *to_directory, const char *name,
                                bool required);

/// A file being written from start to end. Not atomic: use it inside an AtomicDir.
typedef struct FileWriter FileWriter;
STATUS_CHECKED Status writer_open(const char *path, FileWriter **out);
/// Creates a file "<path>.<...>.partial" that no other writer has. *name = its path; the caller frees it, and
/// renames or removes the file.
STATUS_CHECKED Status writer_open_beside(const char *path, char **name, FileWriter **out);
STATUS_CHECKED Status writer_append(FileWriter *writer, const void *bytes, size_t size);
/// Flushes, syncs and closes. Frees the writer even if it fails.
STATUS_CHECKED Status writer_close(FileWriter *writer);
/// Closes and frees without flushing, so the file may be incomplete; safe on NULL.
void writer_abandon(FileWriter *writer);

/// A lock on a file that one process holds until it ends, however it ends. It does not keep the same process
/// from taking it again. On NFS the server keeps the lock, so that it holds between hosts; a host that
/// vanishes keeps it until the server gives it up. Where a file system has no locks, the lock is a warning.
typedef struct FileLock {
  bool held;
  int descriptor;
} FileLock;
/// Creates `path` if need be, and writes there who holds it. The file stays. STATUS_INPUT names another
/// process that holds it.
STATUS_CHECKED Status file_lock(const char *path, FileLock *out);
/// Whether file_lock would fail now with STATUS_INPUT; changes nothing. A process must not ask about its own
/// lock: that would end it.
STATUS_CHECKED Status file_check_lock(const char *path);
/// Makes the folder `path` if need be, and locks it until file_unlock or the end of the process, also when it
/// is renamed. If it is locked already, by this process or another, waits, or fails with STATUS_INPUT. A file
/// system without such locks does not protect it.
STATUS_CHECKED Status directory_lock(const char *path, bool wait, FileLock *out);
/// Safe on a zeroed struct and twice.
void file_unlock(FileLock *lock);

// The ends of the names that a folder has beside its own. What is found there is removed, so they are names
// that nobody gives.
#define PARTIAL_END ".gee-cl-partial"
#define OLD_END     ".gee-cl-old"

/// A folder that appears whole or not at all: filled as <path>PARTIAL_END, then synced and renamed to <path>,
/// or exchanged with an older <path>, which is then removed. If the file system cannot exchange two names,
/// the older folder is first moved to <path>OLD_END; if a kill leaves it there, the next begin puts it back
/// (atomic_dir_recover).
typedef struct AtomicDir {
  char *path;
  char *partial; // write into this folder
  FileLock lock; // on `partial`, so that one writer at a time fills it
} AtomicDir;

/// Cleans up after a writer of `path` that was killed: puts <path>OLD_END back, or removes it if <path>
/// exists, and removes <path>PARTIAL_END. Nobody may be writing there.
STATUS_CHECKED Status atomic_dir_recover(const char *path);
/// Clears what a killed writer left. STATUS_INPUT if another writer is at work there.
STATUS_CHECKED Status atomic_dir_begin(const char *path, AtomicDir *out);
STATUS_CHECKED Status atomic_dir_commit(AtomicDir *dir);
/// Removes what was written; safe after commit and on a zeroed struct.
void atomic_dir_abort(AtomicDir *dir);
