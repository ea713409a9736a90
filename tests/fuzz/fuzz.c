// Files and checks of the fuzz targets. Files are in memory (/dev/shm) if there is such a folder.
#include "fuzz.h"

#include "io/file.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Noreturn void fuzz_broken(const char *condition, const char *file, int line) {
  (void)fprintf(stderr, "%s:%d: does not hold: %s (last message: %s)\n", file, line, condition,
                status_message());
  abort();
}

bool fuzz_accepted(Status status) {
  if (status == STATUS_OK) return true;
  FUZZ_CHECK(status == STATUS_INPUT);
  FUZZ_CHECK(status_message()[0] != '\0' && strchr(status_message(), '\n') == NULL);
  return false;
}

static char folder[64];

static void remove_folder(void) {
  (void)!directory_remove(folder);
}

const char *fuzz_path(const char *name) {
  static char paths[16][256];
  static size_t next;
  if (folder[0] == '\0') {
    (void)snprintf(folder, sizeof folder, "%s/gee-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) abort();
    (void)atexit(remove_folder);
  }
  char *path = paths[next++ % 16];
  (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

const char *fuzz_file(const char *name, const void *bytes, size_t size) {
  const char *path = fuzz_path(name);
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || write(file, bytes, size) != (ssize_t)size || close(file) != 0) abort();
  return path;
}

const char *fuzz_source(const char *path) {
  static char whole[1024];
  (void)snprintf(whole, sizeof whole, "%s/%s", GEE_SOURCE_DIR, path);
  return whole;
}

void fuzz_link(const char *source, const char *name) {
  if (symlink(fuzz_source(source), fuzz_path(name)) != 0) abort();
}

FuzzParts fuzz_cut(const uint8_t *bytes, size_t size) {
  static const char line[] = "\n----\n";
  const uint8_t *at = memmem(bytes, size, line, sizeof line - 1);
  if (at == NULL) return (FuzzParts){.first = bytes, .first_size = size, .second = bytes + size};
  const uint8_t *rest = at + sizeof line - 1;
  return (FuzzParts){bytes, rest, (size_t)(at - bytes), (size_t)(bytes + size - rest)};
}

char *fuzz_text(const uint8_t *bytes, size_t size) {
  char *text = malloc(size + 1);
  if (text == NULL) abort();
  memcpy(text, bytes, size);
  text[size] = '\0';
  return text;
}
