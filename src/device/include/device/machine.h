// What a machine has for OpenCL, seen from outside the drivers: graphics cards, the files through which
// drivers reach them, and the drivers that are installed. For `gee-cl doctor`, where no device is found or
// the wrong one.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { MACHINE_CARDS = 16, MACHINE_NODES = 48, MACHINE_DRIVERS = 32 };

typedef enum CardVendor { VENDOR_AMD, VENDOR_INTEL, VENDOR_NVIDIA, VENDOR_OTHER, VENDOR_COUNT } CardVendor;

/// A display or 3D controller on the PCI bus.
typedef struct Card {
  char address[16]; // "0000:03:00.0"
  CardVendor vendor;
  unsigned vendor_id, device_id; // PCI numbers
  char kernel_driver[32];        // "amdgpu"; empty if none is bound
} Card;

/// A file that drivers open to reach a card: /dev/dri/renderD128, /dev/kfd, /dev/nvidia0, ...
typedef struct DeviceNode {
  char path[48];
  bool usable;    // this process may read and write it
  char group[64]; // that it belongs to, by name, or by number if it has none
} DeviceNode;

/// An OpenCL driver as the loader finds it: a .icd file that names a library.
typedef struct InstalledDriver {
  char file[300];
  char library[256]; // the first line of the file
  char error[300];   // why the library cannot be loaded; empty if it can
} InstalledDriver;

typedef struct Machine {
  char system[128]; // "Debian GNU/Linux 12 (bookworm)"; "Linux" if the machine does not say
  char
      families[128]; // " debian ubuntu ": the ids of the distribution and of those it is like, between blanks
  bool wsl;          // Windows Subsystem for Linux
  Card cards[MACHINE_CARDS];
  size_t card_count;
  DeviceNode nodes[MACHINE_NODES];
  size_t node_count;
  char driver_folder[256]; // where the OpenCL loader looks for drivers; or the one .icd file it was told to
                           // take
  bool driver_folder_set;  // by the environment
  InstalledDriver drivers[MACHINE_DRIVERS];
  size_t driver_count;
} Machine;

/// Looks at the machine whose root folder is `root` ("" for this one; tests give another). What cannot be
/// read is left empty. Loads the drivers' libraries to see whether that works.
void machine_read(const char *root, Machine *out);
const char *card_vendor_name(CardVendor vendor); // "AMD"
