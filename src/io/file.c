// Maps, paths, folders and checked writes. Rule: every error of the system is reported; a write succeeds only
// once it is synced, and a file's size is only ever what the system says.
#include "io/file.h"

#include "util/memory.h"
#include "util/str.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// The bytes between the end of a file and the end of its last page are readable zeros, so reading past the
// end would go unnoticed. AddressSanitizer is told to forbid them.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_TAIL
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POISON_TAIL
#endif
#ifdef POISON_TAIL
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(bytes, size)   ((void)(bytes), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(bytes, size) ((void)(bytes), (void)(size))
#endif

/// Bytes from the end of a file of `size` to the end of its last page.
static size_t tail_size(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (page - size % page) % page;
}

static const uint8_t EMPTY_FILE[1] = {0}; // the bytes of an empty file: mmap refuses length 0

Status file_fail(Status code, const char *path, const char *action) {
  bool lacking = errno == ENOMEM || errno == EMFILE || errno == ENFILE || errno == EIO;
  return status_fail(lacking ? STATUS_FAILED : code, "%s: cannot %s: %s", path, action, strerror(errno));
}

// ---- what was read ----

typedef struct ReadFile {
  dev_t device;
  ino_t number;
} ReadFile;

// A model in parts has some hundred files, a folder of data may have thousands. The list lasts as long as the
// process.
static struct {
  pthread_mutex_t lock;
  ReadFile *files; // [count]
  size_t count, capacity;
} read_files = {.lock = PTHREAD_MUTEX_INITIALIZER};

/// With the lock held.
static bool is_noted(const struct stat *info) {
  for (size_t i = 0; i < read_files.count; i++)
    if (read_files.files[i].device == info->st_dev && read_files.files[i].number == info->st_ino) return true;
  return false;
}

static Status note_read(const struct stat *info) {
  Status status = STATUS_OK;
  (void)pthread_mutex_lock(&read_files.lock);
  if (!is_noted(info)) {
    status = mem_reserve(&read_files.files, &read_files.capacity, read_files.count + 1, "the list of inputs");
    if (status == STATUS_OK) read_files.files[read_files.count++] = (ReadFile){info->st_dev, info->st_ino};
  }
  (void)pthread_mutex_unlock(&read_files.lock);
  return status;
}

Status file_note_read(int descriptor) {
  struct stat info;
  return fstat(descriptor, &info) == 0 ? note_read(&info) : STATUS_OK;
}

bool file_was_read(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0) return false;
  (void)pthread_mutex_lock(&read_files.lock);
  bool noted = is_noted(&info);
  (void)pthread_mutex_unlock(&read_files.lock);
  return noted;
}

// ---- maps ----

static Status map_descriptor(int descriptor, const char *path, MappedFile *out) {
  struct stat info;
  if (fstat(descriptor, &info) != 0) return file_fail(STATUS_INPUT, path, "read");
  if (S_ISDIR(info.st_mode)) return status_fail(STATUS_INPUT, "%s: is a folder, not a file", path);
  if (!S_ISREG(info.st_mode)) return status_fail(STATUS_INPUT, "%s: is not a regular file", path);
  TRY(note_read(&info));
  out->size = (size_t)info.st_size;
  out->bytes = EMPTY_FILE;
  if (out->size == 0) return STATUS_OK;
  void *bytes = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (bytes == MAP_FAILED) return file_fail(STATUS_FAILED, path, "map");
  out->bytes = bytes;
  ASAN_POISON_MEMORY_REGION(out->bytes + out->size, tail_size(out->size));
  return STATUS_OK;
}

Status file_map(const char *path, MappedFile *out) {
  *out = (MappedFile){0};
  // O_NONBLOCK: opening a pipe must not wait for a writer; map_descriptor refuses it.
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return file_fail(STATUS_INPUT, path, "open");
  MappedFile file = {0};
  Status status = map_descriptor(descriptor, path, &file);
  (void)close(descriptor); // the map remains valid
  if (status == STATUS_OK) status = str_copy(&file.path, path, strlen(path));
  if (status != STATUS_OK) {
    file_unmap(&file);
    return status;
  }
  *out = file;
  return STATUS_OK;
}

void file_unmap(MappedFile *file) {
  if (file == NULL) return;
  if (file->bytes != NULL && file->bytes != EMPTY_FILE) {
    ASAN_UNPOISON_MEMORY_REGION(file->bytes + file->size, tail_size(file->size));
    (void)munmap((void *)(uintptr_t)file->bytes, file->size);
  }
  free(file->path);
  *file = (MappedFile){0};
}

void file_forget(const uint8_t *bytes, size_t size) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  // The first page may hold something before; that is at most read again. The last may not be read yet.
  uintptr_t first = (uintptr_t)bytes / page * page, end = ((uintptr_t)bytes + size) / page * page;
  if (first < end) (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

Status file_sha256(const char *path, char out[SHA256_TEXT]) {
  MappedFile file;
  TRY(file_map(path, &file));
  hash_sha256(file.bytes, file.size, out);
  file_unmap(&file);
  return STATUS_OK;
}

Status file_lines(const char *path, FileLine line, void *user) {
  MappedFile file = {0};
  size_t number = 0;
  Status status = STATUS_OK;
  TRY(file_map(path, &file));
  const char *at = (const char *)file.bytes, *end = at + file.size;
  while (status == STATUS_OK && at < end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *stop = newline != NULL ? newline : end;
    status = line(user, at, (size_t)(stop - at), ++number);
    at = newline != NULL ? newline + 1 : end;
  }
  file_unmap(&file);
  return status;
}

// ---- paths and folders ----

bool file_exists(const char *path) {
  struct stat info;
  return stat(path, &info) == 0;
}

bool file_is_there(const char *path) {
  struct stat info;
  return lstat(path, &info) == 0;
}

bool file_is_same(const char *a, const char *b) {
  struct stat first, second;
  return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

bool file_is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

Status path_join(char **out, const char *directory, const char *name) {
  size_t length = strlen(directory);
  const char *between = length == 0 || directory[length - 1] == '/' ? "" : "/";
  return str_format(out, "%s%s%s", directory, between, name);
}

Status path_from(char **out, const char *directory, const char *path) {
  return path[0] == '/' ? str_copy(out, path, strlen(path)) : path_join(out, directory, path);
}

Status path_trim(char **out, const char *path) {
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  return str_copy(out, path, length);
}

/// "a/b" becomes "a", "a" becomes ".", and "/a" becomes "/"; false if there is nothing left to cut.
static bool cut_name(char *path) {
  char *slash = strrchr(path, '/');
  if (path[0] == '\0' || strcmp(path, ".") == 0 || strcmp(path, "/") == 0) return false;
  if (slash == NULL) path[0] = '.';
  if (slash == NULL || slash == path) slash = path + 1;
  *slash = '\0';
  return true;
}

enum { LINKS = 40 }; // that are followed, as Linux does

/// *out = where the link `path` leads; NULL if it is none.
static Status read_link(const char *path, char **out) {
  char target[PATH_MAX];
  const char *slash = strrchr(path, '/');
  ssize_t size = readlink(path, target, sizeof target);
  *out = NULL;
  if (size < 0) return STATUS_OK;
  int folder = target[0] == '/' || slash == NULL ? 0 : (int)(slash + 1 - path);
  return str_format(out, "%.*s%.*s", folder, path, (int)size, target);
}

Status file_follow(const char *path, char **out) {
  char *next = NULL;
  TRY(str_copy(out, path, strlen(path)));
  for (int links = 0; links <= LINKS; links++) {
    Status status = read_link(*out, &next);
    if (status == STATUS_OK && next == NULL) return STATUS_OK;
    free(*out);
    *out = next;
    TRY(status);
  }
  free(*out);
  *out = NULL;
  errno = ELOOP;
  return file_fail(STATUS_INPUT, path, "follow the links");
}

Status file_check_link(const char *path) {
  char *place = NULL;
  if (file_exists(path) || !file_is_there(path)) return STATUS_OK;
  TRY(file_follow(path, &place));
  Status status = status_fail(
      STATUS_INPUT, "%s: is a link to %s, which is not there; remove the link, or name another place", path,
      place);
  free(place);
  return status;
}

Status file_check_writable(const char *path) {
  struct stat info = {0};
  Status status = STATUS_OK;
  char *place = NULL;
  bool there = stat(path, &info) == 0 && !S_ISREG(info.st_mode); // is written to as it is
  // a file is replaced in the folder where it is
  TRY(there ? str_copy(&place, path, strlen(path)) : file_follow(path, &place));
  if (stat(place, &info) == 0 && S_ISREG(info.st_mode)) (void)cut_name(place);
  bool found = stat(place, &info) == 0;
  while (!found && (errno == ENOENT || errno == ENOTDIR) && cut_name(place)) found = stat(place, &info) == 0;
  int mode = found && S_ISDIR(info.st_mode) ? W_OK | X_OK : W_OK;
  if (found && S_ISREG(info.st_mode))
    status = status_fail(STATUS_INPUT, "%s: cannot be written: %s is a file, not a folder", path, place);
  else if (!found || faccessat(AT_FDCWD, place, mode, AT_EACCESS) != 0)
    status = file_fail(STATUS_INPUT, place, "write");
  free(place);
  return status;
}

static Status create_one(const char *path) {
  if (mkdir(path, 0777) == 0) return STATUS_OK;
  if (errno != EEXIST) return file_fail(STATUS_FAILED, path, "create the folder");
  if (file_is_directory(path)) return STATUS_OK;
  TRY(file_check_link(path));
  return status_fail(STATUS_INPUT, "%s: is a file where a folder is needed; name another place", path);
}

Status directory_create(const char *path) {
  char *prefix = NULL;
  TRY(str_copy(&prefix, path, strlen(path)));
  Status status = STATUS_OK;
  for (char *cut = prefix; status == STATUS_OK && *cut != '\0'; cut++) {
    if (*cut != '/' || cut == prefix || cut[-1] == '/') continue;
    *cut = '\0';
    status = create_one(prefix);
    *cut = '/';
  }
  free(prefix);
  return status == STATUS_OK ? create_one(path) : status;
}

Status directory_create_temporary(const char *name, char **out) {
  const char *place = getenv("TMPDIR");
  TRY(str_format(out, "%s/%s-XXXXXX", place != NULL && place[0] == '/' ? place : "/tmp", name));
  if (mkdtemp(*out) != NULL) return STATUS_OK;
  Status status = file_fail(STATUS_FAILED, *out, "create the temporary folder");
  free(*out);
  *out = NULL;
  return status;
}

/// Removes the entries of the folder open at `descriptor`, which it closes. Links are removed, never
/// followed.
static Status remove_entries(int descriptor, const char *path) {
  DIR *directory = fdopendir(descriptor);
  if (directory == NULL) {
    (void)close(descriptor);
    return file_fail(STATUS_FAILED, path, "list");
  }
  Status status = STATUS_OK;
  for (struct dirent *entry; status == STATUS_OK && (entry = readdir(directory)) != NULL;) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (unlinkat(descriptor, name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) {
      status = file_fail(STATUS_FAILED, path, "empty the folder");
      break;
    }
    int child = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    status = child < 0 ? file_fail(STATUS_FAILED, path, "empty the folder") : remove_entries(child, path);
    if (status == STATUS_OK && unlinkat(descriptor, name, AT_REMOVEDIR) != 0)
      status = file_fail(STATUS_FAILED, path, "empty the folder");
  }
  (void)closedir(directory);
  return status;
}

Status directory_empty(const char *path) {
  int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return descriptor < 0 ? file_fail(STATUS_FAILED, path, "empty") : remove_entries(descriptor, path);
}

Status directory_remove(const char *path) {
  struct stat info;
  if (lstat(path, &info) != 0) return errno == ENOENT ? STATUS_OK : file_fail(STATUS_FAILED, path, "remove");
  if (!S_ISDIR(info.st_mode)) return unlink(path) == 0 ? STATUS_OK : file_fail(STATUS_FAILED, path, "remove");
  TRY(directory_empty(path));
  return rmdir(path) == 0 ? STATUS_OK : file_fail(STATUS_FAILED, path, "remove");
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/// Appends the entries of `directory` to *names. The list is NULL-terminated at all times (mem_reserve zeroes
/// new memory), so that it can be freed after a failure.
static Status collect_names(DIR *directory, const char *path, char ***names, size_t *count) {
  size_t capacity = 0;
  TRY(mem_reserve(names, &capacity, 16, "a list of files"));
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(directory);
    if (entry == NULL) return errno == 0 ? STATUS_OK : file_fail(STATUS_INPUT, path, "list");
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    TRY(mem_reserve(names, &capacity, *count + 2, "a list of files"));
    TRY(str_copy(&(*names)[*count], entry->d_name, strlen(entry->d_name)));
    (*count)++;
  }
}

Status directory_list(const char *path, char ***names, size_t *count) {
  *names = NULL;
  *count = 0;
  DIR *directory = opendir(path);
  if (directory == NULL) return file_fail(STATUS_INPUT, path, "list");
  Status status = collect_names(directory, path, names, count);
  (void)closedir(directory);
  if (status != STATUS_OK) {
    directory_free_list(*names);
    *names = NULL;
    *count = 0;
    return status;
  }
  qsort(*names, *count, sizeof **names, compare_names);
  return STATUS_OK;
}

void directory_free_list(char **names) {
  for (size_t i = 0; names != NULL && names[i] != NULL; i++) free(names[i]);
  free(names);
}

// ---- files written in order ----

enum { WRITE_BUFFER = 1 << 16 };

struct FileWriter {
  char *path;
  int descriptor;
  size_t used; // bytes waiting in `buffer`
  uint8_t buffer[WRITE_BUFFER];
};

/// A writer of the open file, or of what `errno` says if `descriptor` is −1. It closes the descriptor in any
/// case.
static Status make_writer(int descriptor, const char *path, FileWriter **out) {
  if (descriptor < 0) return file_fail(STATUS_FAILED, path, "create");
  FileWriter *writer = NULL;
  Status status = mem_array(&writer, 1, "a file writer");
  if (status != STATUS_OK) {
    (void)close(descriptor);
    return status;
  }
  writer->descriptor = descriptor;
  status = str_copy(&writer->path, path, strlen(path));
  if (status == STATUS_OK)
    *out = writer;
  else
    writer_abandon(writer);
  return status;
}

Status writer_open(const char *path, FileWriter **out) {
  *out = NULL;
  return make_writer(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), path, out);
}

Status writer_open_beside(const char *path, char **name, FileWriter **out) {
  *name = NULL;
  *out = NULL;
  int descriptor = -1;
  // a number is taken if a thread writes there, or a process of the same number was killed there or runs
  // elsewhere
  for (unsigned number = 0; descriptor < 0 && number < 1000; number++) {
    free(*name);
    *name = NULL;
    TRY(str_format(name, "%s.%ld-%u.partial", path, (long)getpid(), number));
    descriptor = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0 && errno != EEXIST) break;
  }
  bool created = descriptor >= 0;
  Status status = make_writer(descriptor, *name, out);
  if (status == STATUS_OK) return status;
  if (created) (void)unlink(*name);
  free(*name);
  *name = NULL;
  return status;
}

static Status write_all(FileWriter *writer, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    ssize_t written = write(writer->descriptor, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_fail(STATUS_FAILED, writer->path, "write");
    bytes += written;
    size -= (size_t)written;
  }
  return STATUS_OK;
}

static Status flush_buffer(FileWriter *writer) {
  size_t used = writer->used;
  writer->used = 0;
  return write_all(writer, writer->buffer, used);
}

Status writer_append(FileWriter *writer, const void *bytes, size_t size) {
  if (size == 0) return STATUS_OK;
  if (size > WRITE_BUFFER - writer->used) TRY(flush_buffer(writer));
  if (size >= WRITE_BUFFER) return write_all(writer, bytes, size);
  memcpy(writer->buffer + writer->used, bytes, size);
  writer->used += size;
  return STATUS_OK;
}

Status writer_close(FileWriter *writer) {
  Status status = flush_buffer(writer);
  // EINVAL: this kind of file cannot be synced (a device), so there is nothing to lose.
  if (status == STATUS_OK && fsync(writer->descriptor) != 0 && errno != EINVAL)
    status = file_fail(STATUS_FAILED, writer->path, "sync");
  int closed = close(writer->descriptor);
  if (status == STATUS_OK && closed != 0) status = file_fail(STATUS_FAILED, writer->path, "close");
  writer->descriptor = -1;
  writer_abandon(writer);
  return status;
}

void writer_abandon(FileWriter *writer) {
  if (writer == NULL) return;
  if (writer->descriptor >= 0) (void)close(writer->descriptor);
  free(writer->path);
  free(writer);
}
