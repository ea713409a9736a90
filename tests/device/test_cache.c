// Compiled programs on disk: a stored binary is found under its own key and no other, damaged files are
// ignored, and a device with a damaged cache still compiles. Only the last test needs a device.
#include "support/kernel_words.h"
#include "support/test.h"

#include "cache.h"
#include "device/cache_folder.h"
#include "device/device.h"
#include "io/file.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char binary[] = "compiled bytes\0with a NUL in them";
static const Backend backend = {.name = "test"};

static Device make_device(char *cache) {
  return (Device){.backend = &backend, .identity = "platform 1\ndevice 2", .cache = cache};
}

/// Stores `binary` under the key (source, options) in a fresh folder.
static void store(Device *device, CacheEntry *entry) {
  const char *folder = test_folder();
  assert_non_null(folder);
  *device = make_device((char *)folder);
  *entry = (CacheEntry){0};
  assert_ok(cache_find(device, "name", "source", "-DA", entry));
  assert_null(entry->bytes);
  cache_store(entry, binary, sizeof binary);
}

static bool found(const Device *device, const char *name, const char *source, const char *options) {
  CacheEntry entry = {0};
  assert_ok(cache_find(device, name, source, options, &entry));
  bool hit = entry.bytes != NULL;
  if (hit) {
    assert_int_equal(entry.size, sizeof binary);
    assert_memory_equal(entry.bytes, binary, sizeof binary);
  }
  cache_entry_free(&entry);
  return hit;
}

static void the_same_key_finds_the_binary_and_no_other(void **state) {
  (void)state;
  Device device;
  CacheEntry entry;
  store(&device, &entry);
  assert_true(found(&device, "name", "source", "-DA"));
  assert_false(found(&device, "name", "source ", "-DA"));
  assert_false(found(&device, "name", "source", "-DB"));
  device.identity = "platform 1\ndevice 3";
  assert_false(found(&device, "name", "source", "-DA"));
  cache_entry_free(&entry);
}

/// Two keys with the same hash share a file name: the key inside the file decides.
static void a_file_of_another_key_is_not_taken(void **state) {
  (void)state;
  Device device;
  CacheEntry entry;
  store(&device, &entry);
  entry.key[entry.key_size - 1] ^= 1;
  cache_store(&entry, binary, sizeof binary);
  assert_false(found(&device, "name", "source", "-DA"));
  cache_entry_free(&entry);
}

static void damaged_files_are_ignored(void **state) {
  (void)state;
  Device device;
  CacheEntry entry;
  store(&device, &entry);
  MappedFile file;
  assert_ok(file_map(entry.path, &file));
  size_t size = file.size;
  unsigned char *bytes = malloc(size + 1);
  assert_non_null(bytes);
  for (size_t cut = 0; cut <= size; cut++) { // every length, then one byte too many
    memcpy(bytes, file.bytes, size);
    bytes[size] = 0;
    size_t length = cut < size ? cut : size + 1;
    assert_ok(file_write_atomic(entry.path, bytes, length));
    assert_false(found(&device, "name", "source", "-DA"));
  }
  for (size_t i = 0; i < size; i++) { // every byte changed
    memcpy(bytes, file.bytes, size);
    bytes[i] ^= 0x80;
    assert_ok(file_write_atomic(entry.path, bytes, size));
    assert_false(found(&device, "name", "source", "-DA"));
  }
  assert_ok(file_write_atomic(entry.path, file.bytes, size));
  assert_true(found(&device, "name", "source", "-DA"));
  free(bytes);
  file_unmap(&file);
  cache_entry_free(&entry);
}

static void a_folder_that_cannot_be_made_means_no_cache(void **state) {
  (void)state;
  const char *folder = test_folder();
  char path[512], *out;
  (void)snprintf(path, sizeof path, "%s/file", folder);
  assert_ok(file_write_atomic(path, "x", 1));
  (void)snprintf(path, sizeof path, "%s/file/below", folder);
  assert_ok(cache_directory(path, &out));
  assert_null(out);
  assert_ok(cache_directory("", &out));
  assert_null(out);
  (void)snprintf(path, sizeof path, "%s/deep/er", folder);
  assert_ok(cache_directory(path, &out));
  assert_string_equal(out, path);
  assert_true(file_is_directory(path));
  free(out);
}

static void a_compilers_log_is_kept_and_its_first_lines_are_in_the_message(void **state) {
  (void)state;
  Device device = make_device((char *)test_folder());
  char path[512];
  assert_fails(cache_report_log(&device, "name", "line 1\nline 2\n3\n4\n5th\n"), STATUS_FAILED,
               "line 1 line 2 3 4 (");
  (void)snprintf(path, sizeof path, "%s/name.log", device.cache);
  assert_true(file_exists(path));
}

/// Overwrites every program that the device has stored with rubbish, and returns how many there were.
static size_t damage_all(const char *folder) {
  char **names, path[1024];
  size_t count, programs = 0;
  assert_ok(directory_list(folder, &names, &count));
  for (size_t i = 0; i < count; i++) {
    if (!str_ends(names[i], ".program")) continue;
    (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    assert_ok(file_write_atomic(path, "rubbish", 7));
    programs++;
  }
  directory_free_list(names);
  return programs;
}

static void a_device_compiles_beside_a_damaged_cache(void **state) {
  (void)state;
  const char *folder = test_folder(), *source = KERNEL_WORDS "KERNEL one(GLOBAL int *x) { x[0] = 1; }\n";
  DeviceOptions options = {.name = getenv("GEE_TEST_DEVICE"), .cache_directory = folder};
  Device *device;
  if (device_open(&options, &device) != STATUS_OK) skip();
  for (int round = 0; round < 4; round++) { // compiled, from the cache, damaged, from the cache
    Program *program;
    Kernel *kernel;
    Buffer *buffer;
    int32_t seen = 0;
    if (round == 2) assert_int_equal(damage_all(folder), device->keeps_programs ? 0 : 1);
    assert_ok(program_create(device, "one", source, "", &program));
    assert_ok(kernel_create(program, "one", &kernel));
    assert_ok(buffer_create(device, 4, &buffer));
    assert_ok(kernel_launch(kernel, (size_t[]){1, 1, 1}, (size_t[]){1, 1, 1},
                            &(KernelArgument){.buffer = buffer}, 1));
    assert_ok(buffer_read(buffer, 0, &seen, 4));
    assert_int_equal(seen, 1);
    buffer_free(buffer);
    kernel_free(kernel);
    program_free(program);
  }
  device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_key_finds_the_binary_and_no_other),
      cmocka_unit_test(a_file_of_another_key_is_not_taken),
      cmocka_unit_test(damaged_files_are_ignored),
      cmocka_unit_test(a_folder_that_cannot_be_made_means_no_cache),
      cmocka_unit_test(a_compilers_log_is_kept_and_its_first_lines_are_in_the_message),
      cmocka_unit_test(a_device_compiles_beside_a_damaged_cache),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
