// A lock that a process holds on a file or a folder. Rule: only this file opens lock files, because closing
// any descriptor of a file ends all locks of fcntl that the process has on it. A folder has a lock of flock,
// which belongs to the descriptor.
#include "io/file.h"

#include "util/log.h"
#include "util/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/// Who holds the lock, for people: the file says it. The process that takes the lock writes it a moment
/// later.
static Status fail_held(const char *path, int descriptor) {
  char holder[128] = {0};
  ssize_t size = pread(descriptor, holder, sizeof holder - 1, 0);
  if (size <= 0) (void)snprintf(holder, sizeof holder, "another process");
  holder[strcspn(holder, "\n")] = '\0';
  return status_fail(STATUS_INPUT, "%s is held by %s", path, holder);
}

static bool is_unlockable(int error) {
  // EBADF: NFS makes a lock of flock one of fcntl, which needs a file open for writing; a folder never is
  return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP || error == EINVAL || error == EBADF;
}

static Status write_holder(int descriptor, const char *path) {
  char host[64] = "?", text[128];
  (void)gethostname(host, sizeof host - 1);
  int size = snprintf(text, sizeof text, "process %ld on %s\n", (long)getpid(), host);
  if (ftruncate(descriptor, 0) == 0 && pwrite(descriptor, text, (size_t)size, 0) == size) return STATUS_OK;
  return file_fail(STATUS_FAILED, path, "write");
}

static Status take(int descriptor, const char *path) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(descriptor, F_SETLK, &whole) == 0) return write_holder(descriptor, path);
  if (errno == EACCES || errno == EAGAIN) return fail_held(path, descriptor);
  if (!is_unlockable(errno)) return file_fail(STATUS_FAILED, path, "lock");
  log_say(LOG_WARNING, "%s: this file system has no locks (%s): nothing prevents a second process here", path,
          strerror(errno));
  return STATUS_OK;
}

Status file_lock(const char *path, FileLock *out) {
  *out = (FileLock){0};
  int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return file_fail(STATUS_FAILED, path, "open");
  Status status = take(descriptor, path);
  if (status != STATUS_OK) {
    (void)close(descriptor);
    return status;
  }
  *out = (FileLock){.held = true, .descriptor = descriptor};
  return STATUS_OK;
}

Status file_check_lock(const char *path) {
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return STATUS_OK; // file_lock will say what is wrong, if anything is
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  Status status = STATUS_OK;
  if (fcntl(descriptor, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK)
    status = fail_held(path, descriptor);
  (void)close(descriptor);
  return status;
}

/// Whether the open folder is still the one of that name.
static bool is_at(int descriptor, const char *path) {
  struct stat opened, named;
  return fstat(descriptor, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

static Status fail_written(const char *path) {
  return status_fail(STATUS_INPUT, "another process is writing %s: wait until it ends, or write elsewhere",
                     path);
}

Status directory_lock(const char *path, bool wait, FileLock *out) {
  *out = (FileLock){0};
  // Another process may remove or rename the folder before it is locked; one that does so again and again is
  // at work there.
  for (int tries = 0; tries < 100; tries++) {
    if (mkdir(path, 0777) != 0 && errno != EEXIST) TRY(directory_create(path));
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT) continue;
    if (descriptor < 0) return file_fail(STATUS_FAILED, path, "open");
    bool locked = flock(descriptor, wait ? LOCK_EX : LOCK_EX | LOCK_NB) == 0;
    int error = locked ? 0 : errno;
    if (locked ? is_at(descriptor, path) : is_unlockable(error)) {
      *out = (FileLock){.held = true, .descriptor = descriptor};
      return STATUS_OK;
    }
    (void)close(descriptor);
    errno = error;
    if (error == EWOULDBLOCK) return fail_written(path);
    if (error != 0 && error != EINTR) return file_fail(STATUS_FAILED, path, "lock");
  }
  return fail_written(path);
}

void file_unlock(FileLock *lock) {
  if (lock->held) (void)close(lock->descriptor);
  *lock = (FileLock){0};
}
