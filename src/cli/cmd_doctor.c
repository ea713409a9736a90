// gee-cl doctor: what this machine has for gee-cl, and what to do about what it lacks. Rule: each finding is
// on the screen before the next is looked for, so that a driver that crashes is known by the line after which
// it did.
#include "cli.h"

#include "device/cache_folder.h"
#include "doctor_advice.h"
#include "provenance.h"
#include "wrap.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const Option options[] = {{0}};
static const Usage usage = {"doctor", "Say what this machine lacks, and how to install it.", NULL, options,
                            "Shows the system, graphics cards, drivers, rights, memory and folders, "
                            "checks every device with the\n"
                            "self-test, and says what to install or set if a card has no device. Put its "
                            "output into a report of a fault.\n\n"
                            "  gee-cl doctor"};

static void print_row(const char *what, Style tone, const char *text) {
  static const char lead[] = "          ";
  Str wrapped = {0};
  bool whole = wrap_append(&wrapped, text, strlen(lead), lead, terminal_width(stdout)) == STATUS_OK;
  printf("%s%-9s%s %s%s%s\n", style(stdout, STYLE_BOLD), what, style(stdout, STYLE_PLAIN),
         style(stdout, tone), whole ? str_text(&wrapped) : text, style(stdout, STYLE_PLAIN));
  (void)fflush(stdout);
  str_free(&wrapped);
}

/// A row of formatted text, which is cut at the size of a path.
static void row(const char *what, Style tone, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void row(const char *what, Style tone, const char *format, ...) {
  char text[1400];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  print_row(what, tone, text);
}

static void print_system(const Machine *machine) {
  char total[32], available[32], disk[32] = "?";
  struct statvfs info;
  format_bytes(total, (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
  format_bytes(available, host_memory_available());
  if (statvfs(".", &info) == 0) format_bytes(disk, (uint64_t)info.f_bavail * info.f_frsize);
  row("program", STYLE_PLAIN, "%s", provenance_program());
  row("system", STYLE_PLAIN, "%s%s, %ld processors", machine->system,
      machine->wsl ? " (Windows Subsystem for Linux)" : "", sysconf(_SC_NPROCESSORS_ONLN));
  row("memory", STYLE_PLAIN, "%s, %s of it available", total, available);
  row("disk", STYLE_PLAIN, "%s free in this folder", disk);
}

static void print_cards(const Machine *machine) {
  for (size_t i = 0; i < machine->card_count; i++) {
    const Card *card = &machine->cards[i];
    row("card", STYLE_PLAIN, "%s %04x:%04x (%s), kernel driver %s", card->address, card->vendor_id,
        card->device_id, card_vendor_name(card->vendor),
        card->kernel_driver[0] != '\0' ? card->kernel_driver : "none");
  }
  if (machine->card_count == 0) row("card", STYLE_PLAIN, "no graphics card on the PCI bus");
  for (size_t i = 0; i < machine->node_count; i++) {
    const DeviceNode *node = &machine->nodes[i];
    row("file", node->usable ? STYLE_PLAIN : STYLE_YELLOW, "%s: %s (group %s)", node->path,
        node->usable ? "can be opened" : "may not be opened", node->group);
  }
}

static void print_drivers(const Machine *machine) {
  if (machine->driver_folder_set)
    row("drivers", STYLE_PLAIN, "in %s, which OCL_ICD_VENDORS or OPENCL_VENDOR_PATH names",
        machine->driver_folder);
  for (size_t i = 0; i < machine->driver_count; i++) {
    const InstalledDriver *driver = &machine->drivers[i];
    bool loads = driver->error[0] == '\0';
    row("driver", loads ? STYLE_PLAIN : STYLE_YELLOW, "%s: %s%s%s", driver->file, driver->library,
        loads ? "" : ": ", driver->error);
  }
  if (machine->driver_count == 0)
    row("driver", STYLE_YELLOW, "no OpenCL driver in %s", machine->driver_folder);
}

static Status print_folder(const char *what, const char *path) {
  bool writable = false;
  TRY(folder_is_writable(path, &writable));
  row("folder", writable ? STYLE_PLAIN : STYLE_YELLOW, "%s: %s, %s", path, what,
      writable ? "can be written" : "cannot be written");
  return STATUS_OK;
}

static Status print_folders(void) {
  char *ours = NULL, *pocl = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(print_folder("this folder, where runs are saved", "."));
  TRY_CLEAN(cache_directory(NULL, &ours));
  if (ours != NULL) TRY_CLEAN(print_folder("compiled kernels", ours));
  TRY_CLEAN(pocl_cache_prepare());
  TRY_CLEAN(pocl_cache_directory(&pocl));
  TRY_CLEAN(print_folder("pocl's kernels", pocl));
cleanup:
  free(ours);
  free(pocl);
  return status;
}

static void count_check(void *user, const char *operation, double error, double tolerance, bool passed) {
  size_t *checks = user;
  (void)operation, (void)error, (void)tolerance, (void)passed;
  *checks += 1;
}

/// Runs the self-test on device `index`. *works = whether it passed; why not is printed.
static Status check_device(size_t index, const DeviceInfo *info, bool *works) {
  Runtime runtime = {0};
  char name[24];
  size_t checks = 0;
  (void)snprintf(name, sizeof name, "%zu", index);
  row("device", STYLE_PLAIN, "%zu: %s: %s (%s)", index, info->platform, info->name, info->driver);
  Status status = runtime_open_device(&runtime, &(DeviceOptions){.name = name});
  if (status == STATUS_OK) status = ops_create(runtime.device, NULL, &runtime.ops);
  if (status == STATUS_OK) status = ops_selftest(runtime.ops, SELFTEST_DEEP, count_check, &checks);
  *works = status == STATUS_OK;
  if (*works)
    row("", STYLE_GREEN, "computes correctly: all %zu checks passed", checks);
  else
    row("", STYLE_RED, "%s", status_message());
  runtime_close(&runtime);
  return status == STATUS_INTERRUPTED ? status : STATUS_OK;
}

/// The libraries that are looked for at run time. Without an NVIDIA card none is expected.
static void print_libraries(const Machine *machine, const BackendLibrary *list, size_t count) {
  bool expected = false;
  for (size_t i = 0; i < machine->card_count; i++)
    expected = expected || machine->cards[i].vendor == VENDOR_NVIDIA;
  for (size_t i = 0; i < count; i++)
    row(list[i].backend, list[i].usable || !expected ? STYLE_PLAIN : STYLE_YELLOW, "%s%s%s: %s", list[i].name,
        list[i].path[0] != '\0' ? " at " : "", list[i].path, list[i].finding);
}

/// *working = how many devices computed correctly.
static Status check_devices(const DeviceInfo *list, size_t count, size_t *working) {
  *working = 0;
  for (size_t i = 0; i < count; i++) {
    bool works = false;
    TRY(check_device(i, &list[i], &works));
    *working += works;
  }
  if (count == 0) row("device", STYLE_RED, "no device was found");
  return STATUS_OK;
}

static void print_advice(const AdviceList *advice, size_t working) {
  if (working > 0) printf("\nDevices work here%s.\n", advice->count > 0 ? ", and more could be done" : "");
  if (advice->count > 0) printf("\n%sWhat to do%s\n", style(stdout, STYLE_BOLD), style(stdout, STYLE_PLAIN));
  for (size_t i = 0; i < advice->count; i++) printf("%zu. %s\n", i + 1, advice->texts[i]);
}

Status cmd_doctor(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  static Machine machine; // 40 KB
  DeviceInfo *list = NULL;
  BackendLibrary *libraries = NULL;
  AdviceList advice = {0};
  size_t count = 0, library_count = 0, working = 0;
  Status status = STATUS_OK;
  machine_read("", &machine);
  print_system(&machine);
  print_cards(&machine);
  print_drivers(&machine);
  TRY_CLEAN(device_libraries(&libraries, &library_count));
  print_libraries(&machine, libraries, library_count);
  TRY_CLEAN(print_folders());
  TRY_CLEAN(device_list(&list, &count));
  TRY_CLEAN(check_devices(list, count, &working));
  TRY_CLEAN(doctor_advise(&machine, list, count, &advice));
  TRY_CLEAN(doctor_advise_cuda(libraries, library_count, &advice));
  print_advice(&advice, working);
  if (working == 0) status = status_fail(STATUS_FAILED, "no device works here; see above for what to do");
cleanup:
  advice_free(&advice);
  free(libraries);
  free(list);
  return status;
}
