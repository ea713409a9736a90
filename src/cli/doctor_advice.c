// Advice for missing devices. Rule: a card gets one piece of advice, the first that is in its way: its kernel
// driver, the files in /dev, the right to open them, the OpenCL driver, the driver's own settings.
#include "doctor_advice.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/// How a family of distributions installs the OpenCL drivers. Names as of 2026; `search` lists them all.
typedef struct Installer {
  const char *family; // an id of /etc/os-release
  const char *command, *search;
  const char *cpu, *cards[VENDOR_COUNT]; // packages; for a card, with a remark
} Installer;

static const Installer INSTALLERS[] = {
    {"ubuntu",
     "sudo apt install",
     "apt search opencl-icd",
     "pocl-opencl-icd",
     {[VENDOR_AMD] = "rocm-opencl-icd (or mesa-opencl-icd, for cards that ROCm has dropped)",
      [VENDOR_INTEL] = "intel-opencl-icd",
      [VENDOR_NVIDIA] = "ubuntu-drivers-common, then: sudo ubuntu-drivers install"}},
    {"debian",
     "sudo apt install",
     "apt search opencl-icd",
     "pocl-opencl-icd",
     {[VENDOR_AMD] = "rocm-opencl-icd (Debian 13 on; or mesa-opencl-icd, for cards that ROCm has dropped)",
      [VENDOR_INTEL] = "intel-opencl-icd",
      [VENDOR_NVIDIA] = "nvidia-driver nvidia-opencl-icd (from the section non-free)"}},
    {"fedora",
     "sudo dnf install",
     "dnf search opencl",
     "pocl",
     {[VENDOR_AMD] = "rocm-opencl (or mesa-libOpenCL, for cards that ROCm has dropped)",
      [VENDOR_INTEL] = "intel-compute-runtime",
      [VENDOR_NVIDIA] = "akmod-nvidia xorg-x11-drv-nvidia-cuda (from RPM Fusion)"}},
    {"arch",
     "sudo pacman -S",
     "pacman -Ss opencl",
     "pocl",
     {[VENDOR_AMD] = "rocm-opencl-runtime (or opencl-mesa, for cards that ROCm has dropped)",
      [VENDOR_INTEL] = "intel-compute-runtime",
      [VENDOR_NVIDIA] = "opencl-nvidia"}},
    {"suse",
     "sudo zypper install",
     "zypper search opencl",
     "pocl",
     {[VENDOR_AMD] = "Mesa-libRusticlOpenCL",
      [VENDOR_INTEL] = "intel-opencl",
      [VENDOR_NVIDIA] = "nvidia-compute-G06 (from NVIDIA's repository)"}},
};

/// NULL for a distribution that is not in the table. openSUSE's ids begin with "opensuse".
static const Installer *find_installer(const Machine *machine) {
  for (size_t i = 0; i < sizeof INSTALLERS / sizeof *INSTALLERS; i++) {
    const char *found = strstr(machine->families, INSTALLERS[i].family);
    if (found != NULL) return &INSTALLERS[i];
  }
  return strstr(machine->families, " rhel ") != NULL ? &INSTALLERS[2] : NULL;
}

/// Whether `text` contains one of `words`, a NULL-terminated list, in any case.
static bool mentions(const char *text, const char *const *words) {
  for (; *words != NULL; words++)
    if (strcasestr(text, *words) != NULL) return true;
  return false;
}

static const char *const DEVICE_WORDS[VENDOR_COUNT][6] = {
    [VENDOR_AMD] = {"AMD", "Advanced Micro", "Radeon", "gfx", NULL},
    [VENDOR_INTEL] = {"Intel", NULL},
    [VENDOR_NVIDIA] = {"NVIDIA", NULL},
    [VENDOR_OTHER] = {NULL}};
static const char *const LIBRARY_WORDS[VENDOR_COUNT][4] = {
    [VENDOR_AMD] = {"amdocl", "Rusticl", "MesaOpenCL", NULL},
    [VENDOR_INTEL] = {"igdrcl", "Rusticl", NULL},
    [VENDOR_NVIDIA] = {"nvidia", "Rusticl", NULL},
    [VENDOR_OTHER] = {NULL}};
static const char *const NODE_WORDS[VENDOR_COUNT][4] = {[VENDOR_AMD] = {"/dev/dri/render", "/dev/kfd", NULL},
                                                        [VENDOR_INTEL] = {"/dev/dri/render", NULL},
                                                        [VENDOR_NVIDIA] = {"/dev/nvidia", NULL},
                                                        [VENDOR_OTHER] = {NULL}};

static bool has_gpu(const DeviceInfo *devices, size_t count, CardVendor vendor) {
  for (size_t i = 0; i < count; i++) {
    if (devices[i].kind != DEVICE_GPU) continue;
    if (mentions(devices[i].name, DEVICE_WORDS[vendor]) ||
        mentions(devices[i].platform, DEVICE_WORDS[vendor]))
      return true;
  }
  return false;
}

static bool has_cpu(const DeviceInfo *devices, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (devices[i].kind == DEVICE_CPU) return true;
  return false;
}

/// A file of /dev that the vendor's driver needs and this process may not open; NULL if there is none. *any =
/// whether there are such files at all.
static const DeviceNode *closed_node(const Machine *machine, CardVendor vendor, bool *any) {
  *any = false;
  for (size_t i = 0; i < machine->node_count; i++) {
    if (!mentions(machine->nodes[i].path, NODE_WORDS[vendor])) continue;
    *any = true;
    if (!machine->nodes[i].usable) return &machine->nodes[i];
  }
  return NULL;
}

static const InstalledDriver *find_driver(const Machine *machine, CardVendor vendor) {
  for (size_t i = 0; i < machine->driver_count; i++)
    if (mentions(machine->drivers[i].library, LIBRARY_WORDS[vendor])) return &machine->drivers[i];
  return NULL;
}

/// *out = how to install the driver of a card, or for VENDOR_COUNT that of the CPU.
static Status install_advice(const Machine *machine, CardVendor vendor, char **out) {
  const Installer *installer = find_installer(machine);
  bool cpu = vendor == VENDOR_COUNT;
  const char *what = cpu ? "the processor" : card_vendor_name(vendor);
  if (installer == NULL)
    return str_format(
        out, "Install an OpenCL driver for %s: %s. This distribution (%s) is not in the doctor's table.",
        what, cpu ? "pocl" : "ROCm's or Mesa's rusticl for AMD, Intel's compute runtime, NVIDIA's driver",
        machine->system);
  return str_format(
      out, "Install an OpenCL driver for %s:\n    %s %s\n(names differ between releases; %s lists them)",
      what, installer->command, cpu ? installer->cpu : installer->cards[vendor], installer->search);
}

static Status kernel_driver_advice(const Card *card, char **out) {
  const char *name = card_vendor_name(card->vendor);
  if (strcmp(card->kernel_driver, "vfio-pci") == 0)
    return str_format(
        out, "The %s card %s is reserved for a virtual machine (vfio-pci); release it to use it here.", name,
        card->address);
  if (card->vendor == VENDOR_NVIDIA && strcmp(card->kernel_driver, "nouveau") == 0)
    return str_format(
        out,
        "The NVIDIA card %s runs with nouveau, which has no OpenCL; install NVIDIA's own driver and "
        "restart.",
        card->address);
  if (card->kernel_driver[0] == '\0')
    return str_format(
        out,
        "No kernel driver is bound to the %s card %s. Install it (amdgpu, i915 and xe come with the "
        "kernel; an old card may need its firmware package) and restart; sudo dmesg says why not.",
        name, card->address);
  return STATUS_OK;
}

/// About files of /dev. In a container a card shows in /sys although its files were not passed in.
static Status node_advice(const Machine *machine, CardVendor vendor, char **out) {
  bool any = false;
  const DeviceNode *closed = closed_node(machine, vendor, &any);
  if (closed != NULL)
    return str_format(out,
                      "%s may not be opened; it belongs to the group %s. Join it, then log out and in:\n"
                      "    sudo usermod -aG %s \"$USER\"",
                      closed->path, closed->group, closed->group);
  if (any || vendor == VENDOR_OTHER) return STATUS_OK;
  return str_format(out, "The %s card has no files in /dev. In a container, pass them in: docker run %s",
                    card_vendor_name(vendor),
                    vendor == VENDOR_NVIDIA ? "--gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility"
                    : vendor == VENDOR_AMD  ? "--device /dev/dri --device /dev/kfd"
                                            : "--device /dev/dri");
}

static Status driver_advice(const Machine *machine, CardVendor vendor, char **out) {
  const InstalledDriver *driver = find_driver(machine, vendor);
  if (driver == NULL) return install_advice(machine, vendor, out);
  if (driver->error[0] != '\0')
    return str_format(
        out, "%s names a library that cannot be loaded: %s. Install its package anew, or delete the file.",
        driver->file, driver->error);
  if (strstr(driver->library, "Rusticl") != NULL && vendor != VENDOR_OTHER)
    return str_format(out,
                      "Mesa's rusticl is installed but lists a card only if it is asked to:\n    export "
                      "RUSTICL_ENABLE=%s",
                      vendor == VENDOR_AMD     ? "radeonsi"
                      : vendor == VENDOR_INTEL ? "iris"
                                               : "nouveau");
  return str_format(
      out,
      "%s is installed and loads, but lists no %s device: the card may be too old or too new for it. "
      "Try another release of it.",
      driver->library, card_vendor_name(vendor));
}

static Status card_advice(const Machine *machine, const Card *card, char **out) {
  *out = NULL;
  TRY(kernel_driver_advice(card, out));
  if (*out == NULL) TRY(node_advice(machine, card->vendor, out));
  return *out == NULL ? driver_advice(machine, card->vendor, out) : STATUS_OK;
}

/// Appends `text`, if there is one; the list owns it, on failure too.
static Status take(AdviceList *list, char *text) {
  if (text == NULL) return STATUS_OK;
  Status status = mem_reserve(&list->texts, &list->capacity, list->count + 1, "advice");
  if (status == STATUS_OK)
    list->texts[list->count++] = text;
  else
    free(text);
  return status;
}

Status doctor_advise(const Machine *machine, const DeviceInfo *devices, size_t count, AdviceList *out) {
  char *text = NULL;
  for (size_t i = 0; i < machine->card_count; i++) {
    const Card *card = &machine->cards[i];
    if (card->vendor == VENDOR_OTHER || has_gpu(devices, count, card->vendor)) continue;
    TRY(card_advice(machine, card, &text));
    TRY(take(out, text));
  }
  if (machine->wsl && machine->card_count == 0 && count == 0) {
    TRY(str_format(&text,
                   "This is Windows Subsystem for Linux: Intel's driver reaches the graphics card from here "
                   "(/dev/dxg), AMD's and NVIDIA's OpenCL do not. The processor works through pocl."));
    TRY(take(out, text));
  }
  if (machine->driver_folder_set && machine->driver_count == 0) {
    TRY(str_format(
        &text,
        "OCL_ICD_VENDORS or OPENCL_VENDOR_PATH names %s, which has no driver. Without it, the usual "
        "folder is used:\n    unset OCL_ICD_VENDORS OPENCL_VENDOR_PATH",
        machine->driver_folder));
    return take(out, text);
  }
  if (has_cpu(devices, count)) return STATUS_OK;
  TRY(install_advice(machine, VENDOR_COUNT, &text));
  return take(out, text);
}

Status doctor_advise_cuda(const BackendLibrary *libraries, size_t count, AdviceList *out) {
  Str packages = {0};
  char *text = NULL;
  Status status = STATUS_OK;
  for (size_t i = 0; i < count; i++)
    if (libraries[i].package[0] != '\0') TRY_CLEAN(str_append_format(&packages, " %s", libraries[i].package));
  if (packages.size == 0) goto cleanup;
  TRY_CLEAN(str_format(&text,
                       "NVIDIA's driver works, but libraries that CUDA needs lack here, so its cards are "
                       "used through OpenCL, if "
                       "at all. pip has them, no toolkit is needed:\n    pip install%s\n"
                       "Then start gee-cl in that environment, or name their folder:\n"
                       "    export CUDA_PATH=.../site-packages/nvidia",
                       packages.data));
  TRY_CLEAN(take(out, text));
cleanup:
  str_free(&packages);
  return status;
}

void advice_free(AdviceList *list) {
  for (size_t i = 0; i < list->count; i++) free(list->texts[i]);
  free(list->texts);
  *list = (AdviceList){0};
}
