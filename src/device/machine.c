// Reading /etc, /sys and /dev. Rule: nothing here fails. A file that is missing or odd leaves its field
// empty, since the doctor is called for machines on which things are missing.
#include "device/machine.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 600 };

/// The first line of a file without blanks at its end; false if it cannot be read or is empty.
static bool read_line(const char *path, char *out, size_t size) {
  FILE *file = fopen(path, "r");
  if (file == NULL) return false;
  bool read = fgets(out, (int)size, file) != NULL;
  (void)fclose(file);
  if (!read) return false;
  size_t length = strlen(out);
  while (length > 0 && isspace((unsigned char)out[length - 1])) length--;
  out[length] = '\0';
  return length > 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

/// Calls `take` for every name in a folder, in order of the names.
static void for_each(const char *folder, void (*take)(Machine *, const char *, const char *), Machine *out) {
  struct dirent **names = NULL;
  int count = scandir(folder, &names, NULL, by_name);
  for (int i = 0; i < count; i++) {
    if (names[i]->d_name[0] != '.') take(out, folder, names[i]->d_name);
    free(names[i]);
  }
  free(names);
}

// ---- the system ----

/// Copies the value of a line KEY=value or KEY="value".
static bool take_value(const char *line, const char *key, char *out, size_t size) {
  size_t length = strlen(key);
  if (strncmp(line, key, length) != 0 || line[length] != '=') return false;
  const char *start = line + length + 1;
  if (*start == '"' || *start == '\'') start++;
  (void)snprintf(out, size, "%.*s", (int)strcspn(start, "\"'\r\n"), start);
  return true;
}

static void read_system(const char *root, Machine *out) {
  char path[PATH_SIZE], line[512], id[48] = "", like[72] = "";
  (void)snprintf(out->system, sizeof out->system, "Linux");
  (void)snprintf(path, sizeof path, "%s/etc/os-release", root);
  FILE *file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (take_value(line, "PRETTY_NAME", out->system, sizeof out->system)) continue;
    if (take_value(line, "ID_LIKE", like, sizeof like)) continue;
    (void)take_value(line, "ID", id, sizeof id);
  }
  if (file != NULL) (void)fclose(file);
  (void)snprintf(out->families, sizeof out->families, " %s %s ", id, like);
  (void)snprintf(path, sizeof path, "%s/proc/sys/kernel/osrelease", root);
  out->wsl = read_line(path, line, sizeof line) && strstr(line, "icrosoft") != NULL;
}

// ---- cards ----

static unsigned read_hex(const char *folder, const char *name, const char *file) {
  char path[PATH_SIZE], line[32];
  (void)snprintf(path, sizeof path, "%.200s/%.100s/%s", folder, name, file);
  return read_line(path, line, sizeof line) ? (unsigned)strtoul(line, NULL, 16) : 0;
}

static CardVendor vendor_of(unsigned id) {
  return id == 0x1002   ? VENDOR_AMD
         : id == 0x8086 ? VENDOR_INTEL
         : id == 0x10DE ? VENDOR_NVIDIA
                        : VENDOR_OTHER;
}

static void take_card(Machine *out, const char *folder, const char *name) {
  // Classes of PCI: 0x03 display (VGA, XGA, 3D, other), 0x12 processing accelerators.
  unsigned class = read_hex(folder, name, "class") >> 16;
  if ((class != 0x03 && class != 0x12) || out->card_count == MACHINE_CARDS) return;
  Card *card = &out->cards[out->card_count++];
  (void)snprintf(card->address, sizeof card->address, "%.15s", name);
  card->vendor_id = read_hex(folder, name, "vendor");
  card->device_id = read_hex(folder, name, "device");
  card->vendor = vendor_of(card->vendor_id);
  char path[PATH_SIZE], target[256];
  (void)snprintf(path, sizeof path, "%.200s/%.100s/driver", folder, name);
  ssize_t size = readlink(path, target, sizeof target - 1);
  if (size <= 0) return;
  target[size] = '\0';
  const char *slash = strrchr(target, '/');
  (void)snprintf(card->kernel_driver, sizeof card->kernel_driver, "%.31s",
                 slash != NULL ? slash + 1 : target);
}

const char *card_vendor_name(CardVendor vendor) {
  static const char *const names[VENDOR_COUNT] = {"AMD", "Intel", "NVIDIA", "other"};
  return names[vendor];
}

// ---- files of /dev ----

static void take_node(Machine *out, const char *folder, const char *name) {
  char path[PATH_SIZE];
  struct stat info;
  (void)snprintf(path, sizeof path, "%.400s/%.100s", folder, name);
  if (out->node_count == MACHINE_NODES || stat(path, &info) != 0 || S_ISDIR(info.st_mode)) return;
  DeviceNode *node = &out->nodes[out->node_count++];
  (void)snprintf(node->path, sizeof node->path, "%.47s", strstr(path, "/dev/"));
  node->usable = access(path, R_OK | W_OK) == 0;
  const struct group *group = getgrgid(info.st_gid);
  if (group != NULL)
    (void)snprintf(node->group, sizeof node->group, "%.63s", group->gr_name);
  else
    (void)snprintf(node->group, sizeof node->group, "%lu", (unsigned long)info.st_gid);
}

static void take_render_node(Machine *out, const char *folder, const char *name) {
  if (strncmp(name, "renderD", 7) == 0) take_node(out, folder, name);
}

static void take_other_node(Machine *out, const char *folder, const char *name) {
  bool nvidia = strncmp(name, "nvidia", 6) == 0 && strncmp(name, "nvidia-cap", 10) != 0;
  if (nvidia || strcmp(name, "kfd") == 0 || strcmp(name, "dxg") == 0) take_node(out, folder, name);
}

// ---- drivers ----

/// What a child process sends of its attempt to load a library: nothing if it worked, else why not.
static void try_to_load(const char *library, int to) {
  const char *why = dlopen(library, RTLD_LAZY | RTLD_LOCAL) == NULL ? dlerror() : NULL;
  if (why != NULL && write(to, why, strlen(why)) < 0) _exit(1);
  _exit(why == NULL ? 0 : 1);
}

/// Why `library` cannot be loaded; empty if it can. A process of its own loads it, since a broken driver
/// takes the process along, and some (pocl's LLVM) cannot be loaded a second time.
static void load_error(const char *library, char *out, size_t size) {
  int ends[2], code = 0;
  if (pipe(ends) != 0) return;
  (void)fflush(NULL);
  pid_t child = fork();
  if (child == 0) try_to_load(library, ends[1]);
  (void)close(ends[1]);
  size_t length = 0;
  for (ssize_t more = 1; more > 0 && length + 1 < size; length += more > 0 ? (size_t)more : 0)
    more = read(ends[0], out + length, size - 1 - length);
  out[length] = '\0';
  (void)close(ends[0]);
  if (child < 0 || waitpid(child, &code, 0) != child) return;
  if (length == 0 && (!WIFEXITED(code) || WEXITSTATUS(code) != 0))
    (void)snprintf(out, size, "the process that loaded it crashed (%s)",
                   WIFSIGNALED(code) ? strsignal(WTERMSIG(code)) : "it exited");
}

static void take_driver(Machine *out, const char *folder, const char *name) {
  size_t length = strlen(name);
  if (length < 5 || strcmp(name + length - 4, ".icd") != 0 || out->driver_count == MACHINE_DRIVERS) return;
  InstalledDriver *driver = &out->drivers[out->driver_count++];
  (void)snprintf(driver->file, sizeof driver->file, "%.200s/%.90s", folder, name);
  if (read_line(driver->file, driver->library, sizeof driver->library))
    load_error(driver->library, driver->error, sizeof driver->error);
  else
    (void)snprintf(driver->error, sizeof driver->error, "the file is empty or cannot be read");
}

/// Where the loaders look: ocl-icd reads both variables, the Khronos loader the second. Either may name one
/// .icd file instead of a folder.
static void read_drivers(const char *root, Machine *out) {
  const char *variables[] = {"OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH"};
  for (size_t i = 0; i < 2 && !out->driver_folder_set; i++) {
    const char *value = getenv(variables[i]);
    if (value == NULL || value[0] == '\0') continue;
    (void)snprintf(out->driver_folder, sizeof out->driver_folder, "%.255s", value);
    out->driver_folder_set = true;
  }
  if (!out->driver_folder_set)
    (void)snprintf(out->driver_folder, sizeof out->driver_folder, "%.200s/etc/OpenCL/vendors", root);
  for_each(out->driver_folder, take_driver, out);
  struct stat info;
  if (stat(out->driver_folder, &info) != 0 || !S_ISREG(info.st_mode)) return;
  char folder[256];
  (void)snprintf(folder, sizeof folder, "%s", out->driver_folder);
  char *slash = strrchr(folder, '/');
  if (slash == NULL) return take_driver(out, ".", folder);
  *slash = '\0';
  take_driver(out, folder, slash + 1);
}

void machine_read(const char *root, Machine *out) {
  char path[PATH_SIZE];
  *out = (Machine){0};
  read_system(root, out);
  (void)snprintf(path, sizeof path, "%.400s/sys/bus/pci/devices", root);
  for_each(path, take_card, out);
  (void)snprintf(path, sizeof path, "%.400s/dev/dri", root);
  for_each(path, take_render_node, out);
  (void)snprintf(path, sizeof path, "%.400s/dev", root);
  for_each(path, take_other_node, out);
  read_drivers(root, out);
}
