// Files that grow by whole pieces. Rule: `size` is the end of the last whole piece at all times.
#include "growing_file.h"

#include "io/file.h"
#include "util/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Status growing_open(const char *path, GrowingFile *out) {
  struct stat info;
  GrowingFile file = {0};
  Status status = STATUS_OK;
  *out = file;
  TRY(str_copy(&file.path, path, strlen(path)));
  file.descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file.descriptor < 0) {
    status = file_fail(STATUS_FAILED, path, "open");
    free(file.path);
    return status;
  }
  if (fstat(file.descriptor, &info) != 0) {
    status = file_fail(STATUS_FAILED, path, "read the size");
    growing_close(&file);
    return status;
  }
  file.size = (uint64_t)info.st_size;
  *out = file;
  return STATUS_OK;
}

Status growing_append(GrowingFile *file, const void *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t written = write(file->descriptor, (const char *)bytes + done, size - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      if (written == 0) errno = ENOSPC;
      Status status = file_fail(STATUS_FAILED, file->path, "write");
      // best effort: the next run's opening also cuts a partial piece
      if (ftruncate(file->descriptor, (off_t)file->size) != 0) errno = 0;
      return status;
    }
    done += (size_t)written;
  }
  file->size += size;
  return STATUS_OK;
}

Status growing_sync(const GrowingFile *file) {
  // EINVAL: a pipe or a device, with no disk behind it
  if (fdatasync(file->descriptor) == 0 || errno == EINVAL) return STATUS_OK;
  return file_fail(STATUS_FAILED, file->path, "sync");
}

void growing_close(GrowingFile *file) {
  if (file->path == NULL) return;
  (void)close(file->descriptor);
  free(file->path);
  *file = (GrowingFile){0};
}

bool growing_is_blank(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

Status growing_refuse(Status status, const char *path, size_t offset) {
  char found[256];
  if (status != STATUS_INPUT) return status;
  (void)snprintf(found, sizeof found, "%s", status_message());
  return status_fail(STATUS_INPUT, "%s: the record at byte %zu: %s; move the file away to resume without it",
                     path, offset, found);
}
