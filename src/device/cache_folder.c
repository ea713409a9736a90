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

Status folder_is_writable(const char *path, bool *writable) {
  char *folder = NULL, *probe = NULL;
  struct stat info;
  Status status = STATUS_OK;
  *writable = false;
  TRY_CLEAN(str_copy(&folder, path, strlen(path)));
  bool exists = stat(folder, &info) == 0;
  while (!exists && errno == ENOENT && cut_last(folder)) exists = stat(folder, &info) == 0;
  if (!exists || !S_ISDIR(info.st_mode)) goto cleanup;
  TRY_CLEAN(str_format(&probe, "%s/.gee-cl-XXXXXX", folder));
  *writable = mkdtemp(probe) != NULL && rmdir(probe) == 0;
cleanup:
  free(probe);
  free(folder);
  return status;
}

/// *path = NULL unless it is there, or could be made, and can be written.
static Status keep_if_writable(char **path) {
  bool made = make_folders(*path);
  Status status = made ? folder_is_writable(*path, &made) : STATUS_OK;
  if (status == STATUS_OK && made) return STATUS_OK;
  free(*path);
  *path = NULL;
  return status;
}

/// *path = NULL unless it is, or could be made, a folder in a place that all can write: a real folder of this
/// user's that nobody else can write. Anybody may have put something of that name there.
static Status keep_if_private(char **path) {
  struct stat info;
  bool made = (mkdir(*path, 0700) == 0 || errno == EEXIST) && lstat(*path, &info) == 0 &&
              S_ISDIR(info.st_mode) && info.st_uid == geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (made) return keep_if_writable(path);
  free(*path);
  *path = NULL;
  return STATUS_OK;
}

/// *out = a folder of this user's in a place for temporary files; NULL if none can be written.
static Status temporary_directory(char **out) {
  const char *places[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"};
  *out = NULL;
  for (size_t i = 0; i < sizeof places / sizeof *places && *out == NULL; i++) {
    if (places[i] == NULL || places[i][0] != '/') continue;
    TRY(str_format(out, "%s/gee-cl-%lu", places[i], (unsigned long)geteuid()));
    TRY(keep_if_private(out));
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

Status cache_directory(const char *asked, char **out) {
  *out = NULL;
  if (asked != NULL && asked[0] == '\0') return STATUS_OK;
  TRY(asked != NULL ? str_copy(out, asked, strlen(asked)) : usual_directory("gee-cl", out));
  if (*out != NULL) TRY(keep_if_writable(out));
  if (*out == NULL && asked == NULL) TRY(temporary_directory(out));
  if (*out == NULL)
    log_say(LOG_WARNING,
            "nothing can be written to %s: compiled kernels are not kept, so every start compiles them",
            asked != NULL ? asked : "~/.cache and /tmp");
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
  bool works = false;
  Status status = STATUS_OK;
  if (getenv("POCL_CACHE_DIR") != NULL) return STATUS_OK; // the user's choice
  TRY_CLEAN(pocl_cache_directory(&usual));
  TRY_CLEAN(folder_is_writable(usual, &works));
  if (works) goto cleanup;
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
