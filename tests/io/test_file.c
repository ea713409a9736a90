// Maps, folders, checked writes, and folders that appear whole or not at all, even on a full disk.
#include "support/test.h"

#include "io/file.h"
#include "util/str.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/// "folder/name", in static memory that the eighth call after this one overwrites.
static const char *path_in(const char *folder, const char *name) {
  static char slots[8][600];
  static size_t next;
  char *slot = slots[next++ % 8];
  (void)snprintf(slot, sizeof slots[0], "%s/%s", folder, name);
  return slot;
}

static void put(const char *path, const char *text) {
  assert_ok(file_write_atomic(path, text, strlen(text)));
}

static void assert_holds(const char *path, const char *text) {
  MappedFile file;
  assert_ok(file_map(path, &file));
  assert_int_equal(file.size, strlen(text));
  assert_memory_equal(file.bytes, text, file.size);
  file_unmap(&file);
}

static size_t entries(const char *path) {
  char **names = NULL;
  size_t count = 0;
  assert_ok(directory_list(path, &names, &count));
  directory_free_list(names);
  return count;
}

static void maps_files(void **state) {
  (void)state;
  const char *folder = test_folder();
  MappedFile file;
  put(path_in(folder, "a"), "text");
  assert_holds(path_in(folder, "a"), "text");
  put(path_in(folder, "empty"), "");
  assert_ok(file_map(path_in(folder, "empty"), &file));
  assert_int_equal(file.size, 0);
  assert_non_null(file.bytes);
  file_unmap(&file);
  file_unmap(&file);
  assert_fails(file_map(path_in(folder, "missing"), &file), STATUS_INPUT,
               "missing: cannot open: No such file");
  assert_fails(file_map(folder, &file), STATUS_INPUT, "is a folder");
  assert_int_equal(mkfifo(path_in(folder, "pipe"), 0600), 0);
  assert_fails(file_map(path_in(folder, "pipe"), &file), STATUS_INPUT, "not a regular file");
  file_unmap(&file);
}

static void hashes_files(void **state) {
  (void)state;
  const char *folder = test_folder();
  char sha256[SHA256_TEXT];
  put(path_in(folder, "abc"), "abc");
  assert_ok(file_sha256(path_in(folder, "abc"), sha256));
  assert_string_equal(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert_fails(file_sha256(path_in(folder, "missing"), sha256), STATUS_INPUT, "missing: cannot open");
}

static void joins_paths(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}};
  for (size_t i = 0; i < 4; i++) {
    char *path = NULL;
    assert_ok(path_join(&path, cases[i][0], cases[i][1]));
    assert_string_equal(path, cases[i][2]);
    free(path);
  }
}

static void handles_folders(void **state) {
  (void)state;
  const char *folder = test_folder();
  assert_ok(directory_create(path_in(folder, "x/y//z/")));
  assert_ok(directory_create(path_in(folder, "x/y/z")));
  assert_true(file_is_directory(path_in(folder, "x/y/z")));
  put(path_in(folder, "x/b"), "1");
  put(path_in(folder, "x/a"), "2");
  assert_fails(directory_create(path_in(folder, "x/a")), STATUS_INPUT, "is a file where a folder is needed");
  assert_fails(directory_create(path_in(folder, "x/a/c")), STATUS_INPUT,
               "is a file where a folder is needed");
  char **names = NULL;
  size_t count = 0;
  assert_ok(directory_list(path_in(folder, "x"), &names, &count));
  assert_int_equal(count, 3);
  assert_string_equal(names[0], "a");
  assert_string_equal(names[1], "b");
  assert_string_equal(names[2], "y");
  assert_null(names[3]);
  directory_free_list(names);
  assert_fails(directory_list(path_in(folder, "nowhere"), &names, &count), STATUS_INPUT,
               "nowhere: cannot list");
  assert_null(names);
}

static void removes_without_following_links(void **state) {
  (void)state;
  const char *folder = test_folder();
  assert_ok(directory_create(path_in(folder, "keep")));
  put(path_in(folder, "keep/file"), "kept");
  assert_ok(directory_create(path_in(folder, "x/y")));
  put(path_in(folder, "x/y/file"), "1");
  assert_int_equal(symlink(path_in(folder, "keep"), path_in(folder, "x/y/link")), 0);
  assert_int_equal(symlink(path_in(folder, "keep"), path_in(folder, "link")), 0);
  assert_ok(directory_remove(path_in(folder, "x")));
  assert_ok(directory_remove(path_in(folder, "link")));
  assert_ok(directory_remove(path_in(folder, "x")));
  assert_false(file_exists(path_in(folder, "x")));
  assert_holds(path_in(folder, "keep/file"), "kept");
}

static void writes_atomically(void **state) {
  (void)state;
  const char *folder = test_folder();
  put(path_in(folder, "a"), "old");
  put(path_in(folder, "a"), "new");
  assert_holds(path_in(folder, "a"), "new");
  assert_int_equal(entries(folder), 1);
  assert_fails(file_write_atomic(path_in(folder, "no/a"), "x", 1), STATUS_FAILED, "cannot create");
  assert_ok(directory_create(path_in(folder, "taken")));
  assert_fails(file_write_atomic(path_in(folder, "taken"), "x", 1), STATUS_FAILED, "cannot rename");
  assert_int_equal(entries(folder), 2);
  assert_int_equal(mkfifo(path_in(folder, "pipe"), 0600), 0);
  assert_fails(file_write_atomic(path_in(folder, "pipe"), "x", 1), STATUS_FAILED,
               "pipe: cannot open"); // nobody reads
}

/// A child that holds the lock until it is killed.
static pid_t hold_lock(const char *path) {
  int ready[2];
  char byte = 0;
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    FileLock lock;
    if (file_lock(path, &lock) != STATUS_OK || write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) (void)pause();
  }
  assert_int_equal(read(ready[0], &byte, 1), 1);
  (void)close(ready[0]);
  (void)close(ready[1]);
  return child;
}

static void locks_end_with_their_process(void **state) {
  (void)state;
  const char *folder = test_folder();
  char path[600], holder[64];
  FileLock lock;
  (void)snprintf(path, sizeof path, "%s/lock", folder);
  assert_ok(file_check_lock(path)); // there is no file yet, and none is made
  assert_false(file_exists(path));
  pid_t child = hold_lock(path);
  (void)snprintf(holder, sizeof holder, "lock is held by process %ld on ", (long)child);
  assert_fails(file_lock(path, &lock), STATUS_INPUT, holder);
  assert_fails(file_check_lock(path), STATUS_INPUT, holder);
  file_unlock(&lock); // which is not held
  assert_fails(file_lock(path, &lock), STATUS_INPUT, holder);
  assert_int_equal(truncate(path, 0), 0); // before the holder has written who it is
  assert_fails(file_lock(path, &lock), STATUS_INPUT, "lock is held by another process");
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_ok(file_check_lock(path));
  assert_ok(file_lock(path, &lock));
  file_unlock(&lock);
  file_unlock(&lock);
  child = hold_lock(path); // it was given back
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_fails(file_lock(path_in(folder, "missing/lock"), &lock), STATUS_FAILED, "missing/lock: cannot open");
}

static void streams_large_files(void **state) {
  (void)state;
  const char *path = path_in(test_folder(), "large");
  FileWriter *writer = NULL;
  static uint8_t block[100000];
  size_t total = 0;
  assert_ok(writer_open(path, &writer));
  for (size_t size = 1; size <= sizeof block; size = size * 3 + 1) {
    for (size_t i = 0; i < size; i++) block[i] = (uint8_t)((total + i) % 251);
    assert_ok(writer_append(writer, block, size));
    total += size;
  }
  assert_ok(writer_close(writer));
  MappedFile file;
  assert_ok(file_map(path, &file));
  assert_int_equal(file.size, total);
  for (size_t i = 0; i < total; i++) assert_int_equal(file.bytes[i], i % 251);
  file_unmap(&file);
  writer_abandon(NULL);
}

static void folder_appears_whole(void **state) {
  (void)state;
  const char *folder = test_folder();
  AtomicDir dir;
  assert_ok(atomic_dir_begin(path_in(folder, "out/step_1/"), &dir));
  assert_string_equal(dir.path, path_in(folder, "out/step_1"));
  put(path_in(dir.partial, "a"), "first");
  assert_false(file_exists(path_in(folder, "out/step_1")));
  assert_ok(atomic_dir_commit(&dir));
  atomic_dir_abort(&dir);
  assert_holds(path_in(folder, "out/step_1/a"), "first");

  assert_ok(atomic_dir_begin(path_in(folder, "out/step_1"), &dir));
  assert_ok(directory_create(path_in(dir.partial, "deep/er")));
  put(path_in(dir.partial, "deep/er/b"), "second");
  assert_holds(path_in(folder, "out/step_1/a"), "first");
  assert_ok(atomic_dir_commit(&dir));
  assert_holds(path_in(folder, "out/step_1/deep/er/b"), "second");
  assert_false(file_exists(path_in(folder, "out/step_1/a")));
  assert_int_equal(entries(path_in(folder, "out")), 1);

  assert_ok(atomic_dir_begin(path_in(folder, "out/step_1"), &dir));
  put(path_in(dir.partial, "c"), "third");
  atomic_dir_abort(&dir);
  atomic_dir_abort(&dir);
  assert_int_equal(entries(path_in(folder, "out")), 1);
  assert_holds(path_in(folder, "out/step_1/deep/er/b"), "second");
}

static void recovers_from_a_kill(void **state) {
  (void)state;
  const char *folder = test_folder();
  AtomicDir dir;
  // Killed while filling: the unfinished files must not reach the new folder.
  assert_ok(directory_create(path_in(folder, "step" PARTIAL_END)));
  put(path_in(folder, "step" PARTIAL_END "/stale"), "half");
  assert_ok(atomic_dir_begin(path_in(folder, "step"), &dir));
  assert_int_equal(entries(dir.partial), 0);
  put(path_in(dir.partial, "a"), "one");
  assert_ok(atomic_dir_commit(&dir));
  // Killed between the two renames: the old folder was moved aside and is put back.
  assert_int_equal(rename(path_in(folder, "step"), path_in(folder, "step" OLD_END)), 0);
  assert_ok(atomic_dir_begin(path_in(folder, "step"), &dir));
  assert_holds(path_in(folder, "step/a"), "one");
  put(path_in(dir.partial, "a"), "two");
  assert_ok(atomic_dir_commit(&dir));
  // Killed before the old folder was removed: it is removed.
  assert_ok(directory_create(path_in(folder, "step" OLD_END)));
  put(path_in(folder, "step" OLD_END "/a"), "one");
  assert_ok(atomic_dir_begin(path_in(folder, "step"), &dir));
  atomic_dir_abort(&dir);
  assert_holds(path_in(folder, "step/a"), "two");
  assert_int_equal(entries(folder), 1);
}

/// Of two writers the second is refused and takes nothing from the first. A link is never followed.
static void one_writer_at_a_time(void **state) {
  (void)state;
  const char *folder = test_folder();
  AtomicDir dir, second;
  for (int round = 0; round < 2; round++) { // with no older folder, then over one
    assert_ok(atomic_dir_begin(path_in(folder, "step"), &dir));
    put(path_in(dir.partial, "a"), "first");
    assert_fails(atomic_dir_begin(path_in(folder, "step"), &second), STATUS_INPUT,
                 "another process is writing");
    atomic_dir_abort(&second);
    assert_holds(path_in(folder, "step" PARTIAL_END "/a"), "first");
    assert_ok(atomic_dir_commit(&dir));
    assert_holds(path_in(folder, "step/a"), "first");
  }
  assert_ok(directory_create(path_in(folder, "kept")));
  put(path_in(folder, "kept/a"), "kept");
  assert_int_equal(symlink("kept", path_in(folder, "step" PARTIAL_END)), 0);
  assert_ok(atomic_dir_begin(path_in(folder, "step"), &dir));
  atomic_dir_abort(&dir);
  assert_holds(path_in(folder, "kept/a"), "kept");
  assert_int_equal(entries(folder), 2);
}

enum { WRITERS = 4, WRITTEN = 40 };

/// Writes folder/step again and again, two files of one number each, and is refused now and then. The files
/// of a writer are removed by no other: every commit is of both files.
static int write_often(const char *folder) {
  AtomicDir dir = {0};
  for (int done = 0, tries = 0; done < WRITTEN && tries < 100000; tries++) {
    Status status = atomic_dir_begin(path_in(folder, "step"), &dir);
    if (status == STATUS_INPUT && test_contains(status_message(), "another process is writing")) {
      (void)usleep(50);
      continue;
    }
    if (status != STATUS_OK) break;
    put(path_in(dir.partial, "a"), "a");
    put(path_in(dir.partial, "b"), "b");
    if (atomic_dir_commit(&dir) != STATUS_OK) break;
    if (++done == WRITTEN) return 0;
  }
  (void)fprintf(stderr, "%s\n", status_message());
  return 1;
}

static void writers_do_not_mix(void **state) {
  (void)state;
  const char *folder = test_folder();
  pid_t pids[WRITERS];
  for (int i = 0; i < WRITERS; i++) {
    pids[i] = fork();
    if (pids[i] == 0) _exit(write_often(folder));
    assert_true(pids[i] > 0);
  }
  for (int i = 0; i < WRITERS; i++) {
    int ended = -1;
    assert_int_equal(waitpid(pids[i], &ended, 0), pids[i]);
    assert_int_equal(ended, 0);
  }
  assert_int_equal(entries(folder), 1);
  assert_int_equal(entries(path_in(folder, "step")), 2);
}

/// Writes a new version of folder/step with a file of `kilobytes`. Returns the first failure.
static Status write_version(const char *folder, size_t kilobytes) {
  static const uint8_t block[1024] = {7};
  AtomicDir dir = {0};
  FileWriter *writer = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(atomic_dir_begin(path_in(folder, "step"), &dir));
  TRY_CLEAN(writer_open(path_in(dir.partial, "weights"), &writer));
  for (size_t i = 0; i < kilobytes; i++) TRY_CLEAN(writer_append(writer, block, sizeof block));
  FileWriter *closing = writer;
  writer = NULL;
  TRY_CLEAN(writer_close(closing));
  TRY_CLEAN(atomic_dir_commit(&dir));

cleanup:
  writer_abandon(writer);
  atomic_dir_abort(&dir);
  return status;
}

static void assert_old_is_whole(const char *folder, size_t kilobytes) {
  MappedFile file;
  assert_ok(file_map(path_in(folder, "step/weights"), &file));
  assert_int_equal(file.size, kilobytes * 1024);
  file_unmap(&file);
  assert_int_equal(entries(folder), 1); // no unfinished folder
}

/// Over a link its target is replaced, and the link stays; what is no file at all is written to and stays
/// what it is.
static void links_and_devices_stay(void **state) {
  (void)state;
  const char *folder = test_folder();
  char link[300], target[300], device[300];
  struct stat info;
  (void)snprintf(link, sizeof link, "%s/link", folder);
  (void)snprintf(target, sizeof target, "%s/target", folder);
  (void)snprintf(device, sizeof device, "%s/full", folder);
  assert_ok(file_write_atomic(target, "old", 3));
  assert_int_equal(symlink(target, link), 0);
  assert_ok(file_write_atomic(link, "new one", 7));
  assert_true(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
  assert_true(stat(target, &info) == 0 && info.st_size == 7);
  // and where it leads to nothing yet, that becomes the file
  assert_int_equal(unlink(target), 0);
  assert_ok(file_check_writable(link));
  assert_ok(file_write_atomic(link, "again", 5));
  assert_true(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
  assert_true(stat(target, &info) == 0 && info.st_size == 5);
  assert_int_equal(unlink(target), 0);
  assert_int_equal(symlink("link", target), 0); // to each other
  assert_fails(file_write_atomic(link, "x", 1), STATUS_INPUT, "Too many levels of symbolic links");
  assert_fails(file_check_writable(link), STATUS_INPUT, "Too many levels of symbolic links");
  if (mknod(device, S_IFCHR | 0600, makedev(1, 7)) != 0)
    return; // a /dev/full of the test's own, which only root may make
  assert_fails(file_write_atomic(device, "x", 1), STATUS_FAILED, "full: cannot write: No space left");
  assert_true(stat(device, &info) == 0 && S_ISCHR(info.st_mode));
}

static void full_device(void **state) {
  (void)state;
  FileWriter *writer = NULL;
  assert_ok(writer_open("/dev/full", &writer));
  assert_ok(writer_append(writer, "x", 1)); // waits in the buffer
  assert_fails(writer_close(writer), STATUS_FAILED, "/dev/full: cannot write: No space left");
}

/// A limit on file sizes stands for a full disk; it is set in a child process and ends with it.
static void limited_file_size(void **state) {
  (void)state;
  const char *folder = test_folder();
  assert_ok(write_version(folder, 64));
  pid_t child = fork();
  if (child == 0) {
    struct rlimit limit = {256 * 1024, 256 * 1024};
    bool failed = signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                  write_version(folder, 1024) == STATUS_FAILED &&
                  test_contains(status_message(), "weights: cannot");
    _exit(failed ? 0 : 1);
  }
  int code = 0;
  assert_int_equal(waitpid(child, &code, 0), child);
  assert_int_equal(code, 0);
  assert_old_is_whole(folder, 64);
}

/// A real full file system, if this process may mount one.
static void full_disk(void **state) {
  (void)state;
  const char *folder = test_folder();
  if (mount("tmpfs", folder, "tmpfs", 0, "size=512k") != 0) {
    print_message(
        "full_disk: no right to mount a tmpfs (%s); limited_file_size and device_without_room stand in\n",
        strerror(errno));
    skip();
  }
  Status first = write_version(folder, 200);
  Status second = write_version(folder, 1024);
  bool named = test_contains(status_message(), "No space left on device");
  Status third = write_version(folder, 100);
  size_t left = entries(folder);
  MappedFile file = {0};
  Status read = file_map(path_in(folder, "step/weights"), &file);
  size_t size = file.size;
  file_unmap(&file);
  assert_int_equal(umount(folder), 0);
  assert_int_equal(first, STATUS_OK);
  assert_int_equal(second, STATUS_FAILED);
  assert_true(named);
  assert_int_equal(third, STATUS_OK); // the failed version was removed, so there is room again
  assert_int_equal(read, STATUS_OK);
  assert_int_equal(size, 100 * 1024);
  assert_int_equal(left, 1);
}

/// What could not be written is known before the work. Root may write anywhere, so it becomes somebody else.
static void says_what_cannot_be_written(void **state) {
  (void)state;
  const char *folder = test_folder();
  put(path_in(folder, "file"), "text");
  assert_int_equal(chmod(folder, 0711), 0);
  assert_int_equal(mkdir(path_in(folder, "closed"), 0755), 0);
  assert_int_equal(symlink(path_in(folder, "closed/linked"), path_in(folder, "link")), 0);
  put(path_in(folder, "closed/linked"), "text");
  assert_int_equal(chmod(path_in(folder, "closed"), 0555), 0);
  assert_ok(file_check_writable(folder));
  assert_ok(file_check_writable(path_in(folder, "file")));
  assert_ok(file_check_writable(path_in(folder, "new")));
  assert_ok(file_check_writable(path_in(folder, "new/folders/")));
  assert_ok(file_check_writable("/dev/null"));
  assert_ok(file_check_writable("new"));
  assert_fails(file_check_writable(path_in(folder, "file/new")), STATUS_INPUT,
               "file is a file, not a folder");
  assert_fails(file_check_writable(""), STATUS_INPUT, "cannot write");
  bool root = geteuid() == 0;
  if (root) assert_ok(file_check_writable("/new"));
  if (root) assert_int_equal(seteuid(65534), 0);
  Status closed = file_check_writable(path_in(folder, "closed/new/file"));
  bool named = strstr(status_message(), "closed: cannot write: Permission denied") != NULL;
  Status linked = file_check_writable(path_in(folder, "link"));
  if (root) assert_int_equal(seteuid(0), 0);
  assert_true(closed == STATUS_INPUT && named && linked == STATUS_INPUT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(maps_files),
      cmocka_unit_test(hashes_files),
      cmocka_unit_test(joins_paths),
      cmocka_unit_test(handles_folders),
      cmocka_unit_test(removes_without_following_links),
      cmocka_unit_test(writes_atomically),
      cmocka_unit_test(locks_end_with_their_process),
      cmocka_unit_test(streams_large_files),
      cmocka_unit_test(folder_appears_whole),
      cmocka_unit_test(recovers_from_a_kill),
      cmocka_unit_test(one_writer_at_a_time),
      cmocka_unit_test(writers_do_not_mix),
      cmocka_unit_test(links_and_devices_stay),
      cmocka_unit_test(full_device),
      cmocka_unit_test(limited_file_size),
      cmocka_unit_test(full_disk),
      cmocka_unit_test(says_what_cannot_be_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
