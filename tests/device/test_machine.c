// A made-up machine below a folder: its system, cards, files in /dev and drivers as the doctor sees them; and
// the folders for compiled programs where a home is missing or cannot be written.
#include "support/test.h"

#include "device/cache_folder.h"
#include "device/machine.h"
#include "support/process.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[1100];

/// Writes `text` to a file below the root, with its folders.
static void put(const char *path, const char *text) {
  char full[1400];
  (void)snprintf(full, sizeof full, "%s%s", root, path);
  for (char *p = full + strlen(root) + 1; *p != '\0'; p++) {
    if (*p != '/') continue;
    *p = '\0';
    (void)mkdir(full, 0777);
    *p = '/';
  }
  write_text(full, text);
}

static void put_card(const char *address, const char *class, const char *vendor, const char *driver) {
  char path[256], link[1600], target[128];
  (void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/class", address);
  put(path, class);
  (void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vendor", address);
  put(path, vendor);
  (void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/device", address);
  put(path, "0x73bf\n");
  if (driver == NULL) return;
  (void)snprintf(link, sizeof link, "%s/sys/bus/pci/devices/%s/driver", root, address);
  (void)snprintf(target, sizeof target, "../../../../bus/pci/drivers/%s", driver);
  assert_int_equal(symlink(target, link), 0);
}

static void look(Machine *machine) {
  assert_int_equal(unsetenv("OCL_ICD_VENDORS"), 0);
  assert_int_equal(unsetenv("OPENCL_VENDOR_PATH"), 0);
  machine_read(root, machine);
}

static int fresh_root(void **state) {
  (void)state;
  assert_int_equal(unsetenv("TMPDIR"), 0);
  (void)snprintf(root, sizeof root, "%s", test_folder());
  return 0;
}

static void an_empty_machine_has_nothing(void **state) {
  (void)state;
  static Machine machine;
  look(&machine);
  assert_string_equal(machine.system, "Linux");
  assert_int_equal(machine.card_count + machine.node_count + machine.driver_count, 0);
  assert_false(machine.wsl);
}

static void a_machine_is_read(void **state) {
  (void)state;
  static Machine machine;
  put("/etc/os-release", "NAME=x\nID=linuxmint\nPRETTY_NAME=\"Linux Mint 22\"\nID_LIKE='ubuntu debian'\n");
  put("/proc/sys/kernel/osrelease", "5.15.90.1-microsoft-standard-WSL2\n");
  put_card("0000:03:00.0", "0x030000\n", "0x1002\n", "amdgpu");
  put_card("0000:04:00.0", "0x120000\n", "0x10de\n", NULL);
  put_card("0000:00:1f.3", "0x040300\n", "0x8086\n", "snd_hda_intel"); // sound
  put_card("0000:05:00.0", "rubbish", "", "x");
  put("/dev/dri/card0", "");
  put("/dev/dri/renderD128", "");
  put("/dev/kfd", "");
  put("/dev/null", "");
  put("/etc/OpenCL/vendors/none.icd", "libgee-cl-there-is-no-such.so.1\n");
  put("/etc/OpenCL/vendors/empty.icd", "");
  put("/etc/OpenCL/vendors/c.icd", "libm.so.6  \n");
  put("/etc/OpenCL/vendors/readme.txt", "x");
  look(&machine);
  assert_string_equal(machine.system, "Linux Mint 22");
  assert_string_equal(machine.families, " linuxmint ubuntu debian ");
  assert_true(machine.wsl);
  assert_int_equal(machine.card_count, 2);
  assert_string_equal(machine.cards[0].address, "0000:03:00.0");
  assert_string_equal(machine.cards[0].kernel_driver, "amdgpu");
  assert_int_equal(machine.cards[0].vendor, VENDOR_AMD);
  assert_int_equal(machine.cards[0].device_id, 0x73bf);
  assert_int_equal(machine.cards[1].vendor, VENDOR_NVIDIA);
  assert_string_equal(machine.cards[1].kernel_driver, "");
  assert_int_equal(machine.node_count, 2);
  assert_string_equal(machine.nodes[0].path, "/dev/dri/renderD128");
  assert_string_equal(machine.nodes[1].path, "/dev/kfd");
  assert_true(machine.nodes[0].usable);
  assert_int_equal(machine.driver_count, 3); // in order of their names
  assert_string_equal(machine.drivers[0].library, "libm.so.6");
  assert_string_equal(machine.drivers[0].error, "");
  assert_true(test_contains(machine.drivers[1].error, "empty"));
  assert_true(test_contains(machine.drivers[2].error, "libgee-cl-there-is-no-such.so.1"));
}

static void the_loaders_variables_are_followed(void **state) {
  (void)state;
  static Machine machine;
  put("/etc/OpenCL/vendors/a.icd", "libm.so.6\n");
  put("/other/b.icd", "libc.so.6\n");
  char path[1300];
  (void)snprintf(path, sizeof path, "%s/other", root);
  look(&machine);
  assert_false(machine.driver_folder_set);
  assert_int_equal(setenv("OPENCL_VENDOR_PATH", path, 1), 0);
  machine_read(root, &machine);
  assert_true(machine.driver_folder_set);
  assert_int_equal(machine.driver_count, 1);
  assert_string_equal(machine.drivers[0].library, "libc.so.6");
  (void)snprintf(path, sizeof path, "%s/etc/OpenCL/vendors/a.icd", root); // one file in place of a folder
  assert_int_equal(setenv("OCL_ICD_VENDORS", path, 1), 0);
  machine_read(root, &machine);
  assert_int_equal(machine.driver_count, 1);
  assert_string_equal(machine.drivers[0].library, "libm.so.6");
  look(&machine);
}

// ---- folders ----

static void set_home(const char *home, const char *xdg, const char *tmp) {
  const char *names[] = {"HOME", "XDG_CACHE_HOME", "TMPDIR"}, *values[] = {home, xdg, tmp};
  for (size_t i = 0; i < 3; i++)
    assert_int_equal(values[i] != NULL ? setenv(names[i], values[i], 1) : unsetenv(names[i]), 0);
}

static bool is_writable(const char *path) {
  bool writable = false;
  assert_ok(folder_is_writable(path, &writable));
  return writable;
}

static void expect_cache(const char *start, const char *end) {
  char *out = NULL;
  assert_ok(cache_directory(NULL, &out));
  assert_non_null(out);
  assert_int_equal(strncmp(out, start, strlen(start)), 0);
  assert_true(test_contains(out, end));
  assert_true(is_writable(out));
  free(out);
}

static void a_home_that_cannot_be_written_is_replaced(void **state) {
  (void)state;
  char file[1300];
  put("/file", "x");
  (void)snprintf(file, sizeof file, "%s/file", root); // no folder can be made below a file, not even by root
  set_home(root, NULL, root);
  expect_cache(root, "/.cache/gee-cl");
  set_home("/proc/there-is-no-home", root, root);
  expect_cache(root, "/gee-cl");
  const char *const homes[] = {NULL, "", "relative", "/proc/there-is-no-home", file};
  for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
    set_home(homes[i], NULL, root);
    expect_cache(root, "/gee-cl-");
  }
  set_home(file, NULL, file); // a TMPDIR that is none
  expect_cache("/", "/gee-cl-");
  assert_int_equal(access("relative", F_OK), -1);
}

static void pocl_gets_a_folder_that_works(void **state) {
  (void)state;
  char *usual = NULL;
  assert_int_equal(unsetenv("POCL_CACHE_DIR"), 0);
  set_home(root, NULL, root);
  assert_ok(pocl_cache_prepare());
  assert_null(getenv("POCL_CACHE_DIR")); // its own choice works
  assert_ok(pocl_cache_directory(&usual));
  assert_true(test_contains(usual, "/.cache/pocl/kcache"));
  free(usual);
  set_home("/proc/there-is-no-home", NULL, root);
  assert_ok(pocl_cache_prepare());
  assert_non_null(getenv("POCL_CACHE_DIR"));
  assert_int_equal(strncmp(getenv("POCL_CACHE_DIR"), root, strlen(root)), 0);
  assert_true(is_writable(getenv("POCL_CACHE_DIR")));
  assert_int_equal(setenv("POCL_CACHE_DIR", "/proc/mine", 1), 0); // the user's own choice stays
  assert_ok(pocl_cache_prepare());
  assert_string_equal(getenv("POCL_CACHE_DIR"), "/proc/mine");
  assert_int_equal(unsetenv("POCL_CACHE_DIR"), 0);
}

// In /tmp anybody can have made our folder first: as a link, or open to all.
static void a_folder_of_somebody_elses_is_not_used(void **state) {
  (void)state;
  char path[1300], target[1300];
  (void)snprintf(path, sizeof path, "%s/gee-cl-%lu", root, (unsigned long)geteuid());
  (void)snprintf(target, sizeof target, "%s/elsewhere", root);
  assert_int_equal(mkdir(target, 0777), 0);
  assert_int_equal(symlink(target, path), 0);
  set_home(NULL, NULL, root);
  char *out = NULL;
  assert_ok(cache_directory(NULL, &out));
  if (out != NULL) assert_int_not_equal(strncmp(out, root, strlen(root)), 0);
  free(out);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(mkdir(path, 0777), 0);
  assert_int_equal(chmod(path, 0777), 0);
  assert_ok(cache_directory(NULL, &out));
  if (out != NULL) assert_int_not_equal(strncmp(out, root, strlen(root)), 0);
  free(out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(an_empty_machine_has_nothing, fresh_root),
      cmocka_unit_test_setup(a_machine_is_read, fresh_root),
      cmocka_unit_test_setup(the_loaders_variables_are_followed, fresh_root),
      cmocka_unit_test_setup(a_home_that_cannot_be_written_is_replaced, fresh_root),
      cmocka_unit_test_setup(pocl_gets_a_folder_that_works, fresh_root),
      cmocka_unit_test_setup(a_folder_of_somebody_elses_is_not_used, fresh_root),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
