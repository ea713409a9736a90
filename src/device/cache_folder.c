// Choosing folders for compiled programs. Rule: whether a folder can be written is found by writing, since
// permissions say nothing of read-only file systems, and root passes every check of them.
#include "device/cache_folder.h"

#include "util/log.h"
#include "util/str.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/// mkdir -p; false if that fails. `path` is changed and restored on the way.
static bool make_folders(char *path) {
  for (char *p = path + 1; *p != '\0'; p++) {
    if (*p != '/') continue;
    *p = '\0';
    bool exists = mkdir(path, 0777) == 0 || errno == EEXIST;
    *p = '/';
    if (!exists) return false;
  }
  return mkdir(path, 0777) == 0 || errno == EEXIST;
}

/// Cuts the last name off a path; false if nothing is left.
static bool cut_last(char *path) {
  char *slash = strrchr(path, '/');
  if (slash == NULL || slash == path) return false;
  *slash = '\0';
  return true;
}

bool folder_is_writable(const char *path) {
  char *folder = NULL, *probe = NULL;
  struct stat info;
  bool writable = false;
  if (str_format(&folder, "%s", path) != STATUS_OK) return false;
  bool exists = stat(folder, &info) == 0;
  while (!exists && errno == ENOENT && cut_last(folder)) exists = stat(folder, &info) == 0;
  if (exists && S_ISDIR(info.st_mode) && str_format(&probe, "%s/.gee-cl-XXXXXX", folder) == STATUS_OK)
    writable = mkdtemp(probe) != NULL && rmdir(probe) == 0;
  free(probe);
  free(folder);
  return writable;
}

/// Makes `path`, a folder under /tmp, where others may have put something of that name: it must be a real
/// folder of this user's that nobody else can write.
static bool make_private(const char *path) {
  struct stat info;
  if (mkdir(path, 0700) != 0 && errno != EEXIST) return false;
  return lstat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
         (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 && folder_is_writable(path);
}

/// *out = a folder of this user's in a place for temporary files; NULL if none can be written.
static Status temporary_directory(char **out) {
  const char *places[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"};
  *out = NULL;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (places[i] == NULL || places[i][0] != '/') continue;
    TRY(str_format(out, "%s/gee-cl-%lu", places[i], (unsigned long)geteuid()));
    if (make_private(*out)) return STATUS_OK;
    free(*out);
    *out = NULL;
  }
  return STATUS_OK;
}

/// *out = `xdg`/NAME or `home`/.cache/NAME, whichever is set and absolute; NULL if neither is.
static Status usual_directory(const char *name, char **out) {
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  *out = NULL;
  if (xdg != NULL && xdg[0] == '/') return str_format(out, "%s/%s", xdg, name);
  if (home != NULL && home[0] == '/') return str_format(out, "%s/.cache/%s", home, name);
  return STATUS_OK;
}

/// *path = NULL after a warning, unless it is there and can be written.
static void keep_if_writable(char **path) {
  if (make_folders(*path) && folder_is_writable(*path)) return;
  log_say(LOG_WARNING, "%s cannot be written: compiled kernels are not kept, so every start compiles them",
          *path);
  free(*path);
  *path = NULL;
}

Status cache_directory(const char *asked, char **out) {
  *out = NULL;
  if (asked != NULL && asked[0] == '\0') return STATUS_OK;
  if (asked != NULL) {
    TRY(str_copy(out, asked, strlen(asked)));
    keep_if_writable(out);
    return STATUS_OK;
  }
  TRY(usual_directory("gee-cl", out));
  if (*out != NULL && make_folders(*out) && folder_is_writable(*out)) return STATUS_OK;
  free(*out);
  TRY(temporary_directory(out));
  if (*out == NULL)
    log_say(LOG_WARNING,
            "no folder for compiled kernels can be written: neither ~/.cache nor /tmp; every start "
            "compiles them");
  return STATUS_OK;
}

Status pocl_cache_directory(char **out) {
  const char *asked = getenv("POCL_CACHE_DIR");
  if (asked != NULL && asked[0] != '\0') return str_copy(out, asked, strlen(asked));
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (xdg != NULL && xdg[0] != '\0') return str_format(out, "%s/pocl/kcache", xdg);
  if (home != NULL && home[0] != '\0') return str_format(out, "%s/.cache/pocl/kcache", home);
  return str_format(out, "/tmp/pocl/kcache");
}

Status pocl_cache_prepare(void) {
  char *usual = NULL, *other = NULL, *folder = NULL;
  Status status = STATUS_OK;
  if (getenv("POCL_CACHE_DIR") != NULL) return STATUS_OK; // the user's choice
  TRY_CLEAN(pocl_cache_directory(&usual));
  if (folder_is_writable(usual)) goto cleanup;
  TRY_CLEAN(temporary_directory(&other));
  if (other == NULL) goto cleanup;
  TRY_CLEAN(str_format(&folder, "%s/pocl", other));
  if (setenv("POCL_CACHE_DIR", folder, 1) != 0)
    status = status_fail(STATUS_FAILED, "out of memory for POCL_CACHE_DIR");
cleanup:
  free(usual);
  free(other);
  free(folder);
  return status;
}
