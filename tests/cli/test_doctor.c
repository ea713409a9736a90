// What the doctor advises, machine by machine; and the command itself on this one.
#include "support/process.h"

#include "doctor_advice.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const DeviceInfo CPU = {
    .kind = DEVICE_CPU, .platform = "Portable Computing Language", .name = "pthread"};
static const DeviceInfo RADEON = {
    .kind = DEVICE_GPU, .platform = "AMD Accelerated Parallel Processing", .name = "gfx1030"};

static Machine debian(void) {
  return (Machine){.system = "Debian GNU/Linux 13 (trixie)", .families = " debian  "};
}

static void add_card(Machine *machine, CardVendor vendor, const char *driver) {
  Card *card = &machine->cards[machine->card_count++];
  *card = (Card){.address = "0000:03:00.0", .vendor = vendor};
  (void)snprintf(card->kernel_driver, sizeof card->kernel_driver, "%s", driver);
}

static void add_node(Machine *machine, const char *path, bool usable, const char *group) {
  DeviceNode *node = &machine->nodes[machine->node_count++];
  *node = (DeviceNode){.usable = usable};
  (void)snprintf(node->path, sizeof node->path, "%s", path);
  (void)snprintf(node->group, sizeof node->group, "%s", group);
}

static void add_driver(Machine *machine, const char *library, const char *error) {
  InstalledDriver *driver = &machine->drivers[machine->driver_count++];
  *driver = (InstalledDriver){.file = "/etc/OpenCL/vendors/x.icd"};
  (void)snprintf(driver->library, sizeof driver->library, "%s", library);
  (void)snprintf(driver->error, sizeof driver->error, "%s", error);
}

/// The advice for a machine that has a CPU device, one text, contains every part (NULL-ended).
static void expect_one(const Machine *machine, const char *const *parts) {
  AdviceList list = {0};
  assert_ok(doctor_advise(machine, &CPU, 1, &list));
  assert_int_equal(list.count, 1);
  for (; *parts != NULL; parts++)
    if (!test_contains(list.texts[0], *parts)) fail_msg("\"%s\" lacks \"%s\"", list.texts[0], *parts);
  advice_free(&list);
}
#define EXPECT_ONE(machine, ...) expect_one((machine), (const char *const[]){__VA_ARGS__, NULL})

static void nothing_is_advised_if_nothing_is_missing(void **state) {
  (void)state;
  Machine machine = debian();
  add_card(&machine, VENDOR_AMD, "amdgpu");
  add_card(&machine, VENDOR_OTHER, "ast"); // the screen of a server's board
  AdviceList list = {0};
  assert_ok(doctor_advise(&machine, (DeviceInfo[]){CPU, RADEON}, 2, &list));
  assert_int_equal(list.count, 0);
  advice_free(&list);
}

static void the_first_obstacle_is_named(void **state) {
  (void)state;
  Machine machine = debian();
  add_card(&machine, VENDOR_AMD, "");
  EXPECT_ONE(&machine, "No kernel driver", "0000:03:00.0");
  machine = debian();
  add_card(&machine, VENDOR_AMD, "vfio-pci");
  EXPECT_ONE(&machine, "virtual machine");
  machine = debian();
  add_card(&machine, VENDOR_NVIDIA, "nouveau");
  EXPECT_ONE(&machine, "nouveau", "NVIDIA's own driver");
  machine = debian();
  add_card(&machine, VENDOR_AMD, "amdgpu"); // no files in /dev
  EXPECT_ONE(&machine, "--device /dev/kfd");
  add_node(&machine, "/dev/dri/renderD128", true, "render");
  add_node(&machine, "/dev/kfd", false, "render");
  EXPECT_ONE(&machine, "/dev/kfd", "sudo usermod -aG render \"$USER\"");
  machine.nodes[1].usable = true;
  EXPECT_ONE(&machine, "sudo apt install rocm-opencl-icd", "mesa-opencl-icd");
  add_driver(&machine, "libamdocl64.so", "libhsa.so: cannot open shared object file");
  EXPECT_ONE(&machine, "cannot be loaded", "libhsa.so");
  machine.drivers[0].error[0] = '\0';
  EXPECT_ONE(&machine, "loads, but lists no AMD device");
  (void)snprintf(machine.drivers[0].library, sizeof machine.drivers[0].library, "libRusticlOpenCL.so.1");
  EXPECT_ONE(&machine, "RUSTICL_ENABLE=radeonsi");
}

static void each_distribution_installs_in_its_way(void **state) {
  (void)state;
  static const char *const cases[][4] = {
      {" debian  ", "sudo apt install intel-opencl-icd", "sudo apt install pocl-opencl-icd", "apt search"},
      {" linuxmint ubuntu debian ", "sudo apt install intel-opencl-icd", "sudo apt install pocl-opencl-icd",
       "apt"},
      {" fedora  ", "sudo dnf install intel-compute-runtime", "sudo dnf install pocl", "dnf search"},
      {" rocky rhel centos fedora ", "sudo dnf install intel-compute-runtime", "sudo dnf install pocl",
       "dnf"},
      {" manjaro arch ", "sudo pacman -S intel-compute-runtime", "sudo pacman -S pocl", "pacman -Ss"},
      {" opensuse-tumbleweed opensuse suse ", "sudo zypper install intel-opencl", "sudo zypper install pocl",
       "zypper"},
      {" alpine  ", "Intel's compute runtime", "pocl", "not in the doctor's table"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Machine machine = {.system = "x"};
    (void)snprintf(machine.families, sizeof machine.families, "%s", cases[i][0]);
    add_card(&machine, VENDOR_INTEL, "i915");
    add_node(&machine, "/dev/dri/renderD128", true, "render");
    AdviceList list = {0};
    assert_ok(doctor_advise(&machine, NULL, 0, &list));
    assert_int_equal(list.count, 2); // the card, and the processor
    assert_true(test_contains(list.texts[0], cases[i][1]));
    assert_true(test_contains(list.texts[1], cases[i][2]));
    assert_true(test_contains(list.texts[1], cases[i][3]));
    advice_free(&list);
  }
}

static void a_machine_without_a_device_gets_pocl(void **state) {
  (void)state;
  Machine machine = debian();
  machine.wsl = true;
  AdviceList list = {0};
  assert_ok(doctor_advise(&machine, NULL, 0, &list));
  assert_int_equal(list.count, 2);
  assert_true(test_contains(list.texts[0], "Windows Subsystem for Linux"));
  assert_true(test_contains(list.texts[1], "pocl-opencl-icd"));
  advice_free(&list);
}

static void the_command_runs_here(void **state) {
  (void)state;
  Ran ran = GEE("devices");
  if (test_contains(ran.out, "No device found")) skip();
  ran = GEE("doctor");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "computes correctly"));
  assert_true(test_contains(ran.out, "Devices work here"));
  ASSERT_ERROR(GEE("doctor", "now"), 2, "now");
}

static void a_home_that_cannot_be_written_does_not_hide_the_devices(void **state) {
  (void)state;
  char *home = strdup(getenv("HOME") != NULL ? getenv("HOME") : "/");
  Ran ran = GEE("devices");
  bool any = !test_contains(ran.out, "No device found");
  assert_int_equal(setenv("HOME", "/proc", 1), 0);
  ran = GEE("devices");
  assert_int_equal(setenv("HOME", home, 1), 0);
  free(home);
  if (!any) skip();
  assert_code(ran, 0);
  assert_false(test_contains(ran.out, "No device found"));
}

static void without_a_driver_the_doctor_says_what_to_do(void **state) {
  (void)state;
  const char *before = getenv("OCL_ICD_VENDORS");
  char *kept = before != NULL ? strdup(before) : NULL;
  assert_int_equal(setenv("OCL_ICD_VENDORS", test_folder(), 1), 0); // an empty folder
  Ran doctor = GEE("doctor"), selftest = GEE("selftest");
  assert_int_equal(kept != NULL ? setenv("OCL_ICD_VENDORS", kept, 1) : unsetenv("OCL_ICD_VENDORS"), 0);
  free(kept);
  assert_code(doctor, 1);
  assert_true(test_contains(doctor.out, "What to do"));
  assert_true(test_contains(doctor.out, "unset OCL_ICD_VENDORS"));
  ASSERT_ERROR(selftest, 2, "no device was found", "gee-cl doctor");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_advised_if_nothing_is_missing),
      cmocka_unit_test(the_first_obstacle_is_named),
      cmocka_unit_test(each_distribution_installs_in_its_way),
      cmocka_unit_test(a_machine_without_a_device_gets_pocl),
      cmocka_unit_test(the_command_runs_here),
      cmocka_unit_test(a_home_that_cannot_be_written_does_not_hide_the_devices),
      cmocka_unit_test(without_a_driver_the_doctor_says_what_to_do),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
