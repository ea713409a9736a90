// Files and folders that appear whole or not at all. Rule: everything is on disk (fsync of the files, then of
// the folders) before the rename that makes it visible, and the old version is removed only after that
// rename.
//
// P and O stand for PARTIAL_END and OLD_END (io/file.h).
//
//   step_5P ──sync──> exchanged with step_5 in one step ──> step_5P (now the old one), removed
//
// If the file system cannot exchange two names:
//
//   step_5 ──rename──> step_5O      step_5P ──rename──> step_5      step_5O, removed
//
// A kill between those two renames leaves step_5O; the next begin puts it back.
//
// A writer holds a lock on step_5P from begin to its end, and on the old step_5 from before the
// exchange, so that no other writer takes a folder that is being filled or removed.
#include "io/file.h"

#include "util/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static Status sync_path(const char *path) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return file_fail(STATUS_FAILED, path, "open to sync");
  // EINVAL: this file system cannot sync folders; the rename is as safe as it makes it.
  bool synced = fsync(descriptor) == 0 || errno == EINVAL;
  Status status = synced ? STATUS_OK : file_fail(STATUS_FAILED, path, "sync");
  (void)close(descriptor);
  return status;
}

Status file_sync_name(const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL) return sync_path(".");
  char *parent = NULL;
  TRY(str_copy(&parent, path, slash == path ? 1 : (size_t)(slash - path)));
  Status status = sync_path(parent);
  free(parent);
  return status;
}

/// Syncs `path` and, for a folder, everything below it, children first.
static Status sync_tree(const char *path) {
  struct stat info;
  if (lstat(path, &info) != 0) return file_fail(STATUS_FAILED, path, "sync");
  if (S_ISREG(info.st_mode)) return sync_path(path);
  if (!S_ISDIR(info.st_mode)) return STATUS_OK;
  char **names = NULL;
  size_t count = 0;
  TRY(directory_list(path, &names, &count));
  Status status = STATUS_OK;
  for (size_t i = 0; status == STATUS_OK && i < count; i++) {
    char *child = NULL;
    status = path_join(&child, path, names[i]);
    if (status == STATUS_OK) status = sync_tree(child);
    free(child);
  }
  directory_free_list(names);
  return status == STATUS_OK ? sync_path(path) : status;
}

static Status rename_path(const char *from, const char *to) {
  if (rename(from, to) == 0) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: cannot rename to %s: %s", from, to, strerror(errno));
}

/// Writes to what cannot be replaced: a device or a pipe. A pipe that nobody reads is an error, and not
/// waited for.
static Status write_through(const char *path, const uint8_t *bytes, size_t size) {
  int descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return file_fail(STATUS_FAILED, path, "open for writing");
  (void)fcntl(descriptor, F_SETFL, 0); // what is open is waited for
  while (size > 0) {
    ssize_t written = write(descriptor, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      Status status = file_fail(STATUS_FAILED, path, "write");
      (void)close(descriptor);
      return status;
    }
    bytes += written;
    size -= (size_t)written;
  }
  return close(descriptor) == 0 ? STATUS_OK : file_fail(STATUS_FAILED, path, "close");
}

/// Writes a regular file, new or over an older one.
static Status replace_file(const char *path, const void *bytes, size_t size) {
  Status status = STATUS_OK;
  FileWriter *writer = NULL;
  char *partial = NULL;
  TRY(writer_open_beside(path, &partial, &writer));
  TRY_CLEAN(writer_append(writer, bytes, size));
  FileWriter *closing = writer;
  writer = NULL;
  TRY_CLEAN(writer_close(closing));
  TRY_CLEAN(rename_path(partial, path));
  TRY_CLEAN(file_sync_name(path));

cleanup:
  writer_abandon(writer);
  if (status != STATUS_OK) (void)unlink(partial);
  free(partial);
  return status;
}

// A rename over a device would put a file in its place, and one over a link would leave the link's target as
// it was.
Status file_write_atomic(const char *path, const void *bytes, size_t size) {
  struct stat info;
  char *target = NULL;
  if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
    return write_through(path, bytes, size);
  TRY(file_follow(path, &target));
  Status status = replace_file(target, bytes, size);
  free(target);
  return status;
}

Status file_copy(const char *from_directory, const char *to_directory, const char *name, bool required) {
  Status status = STATUS_OK;
  char *from = NULL, *to = NULL;
  MappedFile file = {0};
  TRY_CLEAN(path_join(&from, from_directory, name));
  if (!required && !file_exists(from)) goto cleanup;
  TRY_CLEAN(path_join(&to, to_directory, name));
  TRY_CLEAN(file_map(from, &file));
  TRY_CLEAN(file_write_atomic(to, file.bytes, file.size));
cleanup:
  file_unmap(&file);
  free(from);
  free(to);
  return status;
}

/// Puts <path>.old back, or removes it if <path> exists.
static Status recover_old(const char *path) {
  char *old = NULL;
  TRY(str_format(&old, "%s" OLD_END, path));
  Status status = STATUS_OK;
  if (file_is_directory(old)) status = file_exists(path) ? directory_remove(old) : rename_path(old, path);
  free(old);
  return status;
}

Status atomic_dir_recover(const char *path) {
  char *partial = NULL;
  TRY(recover_old(path));
  TRY(str_format(&partial, "%s" PARTIAL_END, path));
  Status status = directory_remove(partial);
  free(partial);
  return status;
}

Status atomic_dir_begin(const char *path, AtomicDir *out) {
  *out = (AtomicDir){0};
  Status status = STATUS_OK;
  AtomicDir dir = {0};
  TRY_CLEAN(path_trim(&dir.path, path)); // "step_5/" must not become "step_5/" PARTIAL_END
  TRY_CLEAN(str_format(&dir.partial, "%s" PARTIAL_END, dir.path));
  (void)unlink(dir.partial); // a file or a link there; a folder stays
  TRY_CLEAN(directory_lock(dir.partial, false, &dir.lock));
  TRY_CLEAN(recover_old(dir.path));
  TRY_CLEAN(directory_empty(dir.partial));
  *out = dir;
  return STATUS_OK;

cleanup:
  atomic_dir_abort(&dir);
  return status;
}

static void end_dir(AtomicDir *dir) {
  file_unlock(&dir->lock);
  free(dir->path);
  free(dir->partial);
  *dir = (AtomicDir){0};
}

/// Replaces an existing folder by dir->partial with two renames. If the second fails, puts the old one back.
static Status swap_by_renames(const AtomicDir *dir) {
  char *old = NULL;
  TRY(str_format(&old, "%s" OLD_END, dir->path));
  Status status = rename_path(dir->path, old);
  if (status == STATUS_OK) {
    status = rename_path(dir->partial, dir->path);
    if (status != STATUS_OK) (void)rename(old, dir->path);
  }
  if (status == STATUS_OK) status = file_sync_name(dir->path);
  if (status == STATUS_OK) status = directory_remove(old);
  free(old);
  return status;
}

/// Exchanges dir->partial and dir->path, and removes what dir->path was.
static Status exchange(const AtomicDir *dir) {
  if (renameat2(AT_FDCWD, dir->partial, AT_FDCWD, dir->path, RENAME_EXCHANGE) != 0)
    return swap_by_renames(dir);
  TRY(file_sync_name(dir->path));
  return directory_remove(dir->partial);
}

/// Makes dir->partial visible as dir->path.
static Status swap_in(const AtomicDir *dir) {
  struct stat info;
  FileLock old = {0};
  if (!file_is_there(dir->path)) {
    TRY(rename_path(dir->partial, dir->path));
    return file_sync_name(dir->path);
  }
  // waits for a writer that has just put it there, and is about to end
  if (lstat(dir->path, &info) == 0 && S_ISDIR(info.st_mode)) TRY(directory_lock(dir->path, true, &old));
  Status status = exchange(dir);
  file_unlock(&old);
  return status;
}

Status atomic_dir_commit(AtomicDir *dir) {
  TRY(sync_tree(dir->partial));
  TRY(swap_in(dir));
  end_dir(dir);
  return STATUS_OK;
}

void atomic_dir_abort(AtomicDir *dir) {
  if (dir == NULL) return;
  if (dir->lock.held) (void)!directory_remove(dir->partial);
  end_dir(dir);
}
