// What is kept of a device beside its compiled programs: found again by the same driver and version, and by
// no other; damaged files are said to be stale and never taken. No test here needs a device.
#include "support/test.h"

#include "backend.h"
#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "forward own\n", version[] = "version 1";
static const Backend backend = {.name = "test"};

static Device make_device(const char *cache) {
  return (Device){.backend = &backend,
                  .info = {.platform = "platform", .name = "device", .driver = "1"},
                  .identity = "driver 1",
                  .cache = (char *)(uintptr_t)cache};
}

/// What was kept is `expected`, or, if that is NULL, nothing that can be used; then a file is there or not.
static void expect(const Device *device, const char *of, const char *expected, bool stale) {
  KeptText kept;
  assert_ok(device_kept(device, "gemm", of, &kept));
  if (expected == NULL)
    assert_null(kept.text);
  else
    assert_string_equal(kept.text, expected);
  assert_int_equal(kept.stale, stale);
  kept_text_free(&kept);
}

static void what_was_kept_is_found_by_the_same_driver_and_version(void **state) {
  (void)state;
  Device device = make_device(test_folder());
  expect(&device, version, NULL, false);
  assert_ok(device_keep(&device, "gemm", version, text));
  expect(&device, version, text, false);
  expect(&device, "version 2", NULL, true);
  device.identity = "driver 2";
  expect(&device, version, NULL, true);
  assert_ok(device_keep(&device, "gemm", version, "another\n")); // in the stale one's place
  expect(&device, version, "another\n", false);
  device.identity = "driver 1";
  expect(&device, version, NULL, true);
}

static void another_device_has_a_file_of_its_own(void **state) {
  (void)state;
  Device device = make_device(test_folder()), other = device;
  (void)snprintf(other.info.name, sizeof other.info.name, "other");
  assert_ok(device_keep(&device, "gemm", version, text));
  expect(&other, version, NULL, false);
  assert_ok(device_keep(&other, "gemm", version, "other\n"));
  expect(&device, version, text, false);
}

static void damaged_files_are_stale(void **state) {
  (void)state;
  Device device = make_device(test_folder());
  KeptText kept;
  MappedFile file;
  assert_ok(device_keep(&device, "gemm", version, text));
  assert_ok(device_kept(&device, "gemm", version, &kept));
  assert_ok(file_map(kept.path, &file));
  char *bytes = malloc(file.size + 1);
  assert_non_null(bytes);
  for (size_t cut = 0; cut <= file.size; cut++) { // every length, then one byte too many
    memcpy(bytes, file.bytes, file.size);
    bytes[file.size] = 0;
    assert_ok(file_write_atomic(kept.path, bytes, cut < file.size ? cut : file.size + 1));
    expect(&device, version, NULL, true);
  }
  for (size_t i = 0; i < file.size; i++) { // every byte changed
    memcpy(bytes, file.bytes, file.size);
    bytes[i] = (char)(bytes[i] ^ 0x80);
    assert_ok(file_write_atomic(kept.path, bytes, file.size));
    expect(&device, version, NULL, true);
  }
  assert_ok(file_write_atomic(kept.path, file.bytes, file.size));
  expect(&device, version, text, false);
  free(bytes);
  file_unmap(&file);
  kept_text_free(&kept);
}

static void a_huge_file_is_not_read(void **state) {
  (void)state;
  Device device = make_device(test_folder());
  KeptText kept;
  assert_ok(device_keep(&device, "gemm", version, text));
  assert_ok(device_kept(&device, "gemm", version, &kept));
  char *bytes = calloc(1 << 20, 1);
  assert_non_null(bytes);
  assert_ok(file_write_atomic(kept.path, bytes, 1 << 20));
  expect(&device, version, NULL, true);
  memset(bytes, 'a', KEPT_TEXT + 1);
  assert_fails(device_keep(&device, "gemm", version, bytes), STATUS_FAILED, "too many");
  free(bytes);
  kept_text_free(&kept);
}

static void nothing_is_kept_without_a_folder(void **state) {
  (void)state;
  Device device = make_device(NULL);
  expect(&device, version, NULL, false);
  assert_fails(device_keep(&device, "gemm", version, text), STATUS_FAILED, "device.cache");
  device = make_device("/proc/nowhere");
  expect(&device, version, NULL, false);
  assert_fails(device_keep(&device, "gemm", version, text), STATUS_FAILED, "cannot be written");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_kept_is_found_by_the_same_driver_and_version),
      cmocka_unit_test(another_device_has_a_file_of_its_own),
      cmocka_unit_test(damaged_files_are_stale),
      cmocka_unit_test(a_huge_file_is_not_read),
      cmocka_unit_test(nothing_is_kept_without_a_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
