// Which device to use. Rule: the choice depends only on the list and the options, so that every rule is
// tested without hardware.
#include "device/device.h"

#include "util/str.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_auto(const char *text) {
  return text == NULL || text[0] == '\0' || strcasecmp(text, "auto") == 0;
}

static bool contains_ignoring_case(const char *text, const char *part) {
  size_t size = strlen(part);
  for (; *text != '\0'; text++) {
    if (strncasecmp(text, part, size) == 0) return true;
  }
  return size == 0;
}

static bool is_number(const char *text) {
  if (*text == '\0') return false;
  for (; *text != '\0'; text++) {
    if (!isdigit((unsigned char)*text)) return false;
  }
  return true;
}

/// What stands behind "<back end>:" in `name`, in any case; NULL if it does not begin so.
static const char *behind_backend(const char *name, const char *backend) {
  size_t size = strlen(backend);
  return strncasecmp(name, backend, size) == 0 && name[size] == ':' ? name + size + 1 : NULL;
}

/// True if `name` is the number `index`. At most 8 digits, so that atol cannot overflow.
static bool is_index(const char *name, size_t index) {
  return is_number(name) && strlen(name) < 9 && (size_t)atol(name) == index;
}

/// How many devices before `index` have the same back end.
static size_t index_in_backend(const DeviceInfo *list, size_t index) {
  size_t before = 0;
  for (size_t i = 0; i < index; i++) before += strcmp(list[i].backend, list[index].backend) == 0;
  return before;
}

/// True if device number `index` of the list is what `name` asks for.
static bool matches(const DeviceInfo *list, size_t index, const char *name) {
  const DeviceInfo *device = &list[index];
  if (is_auto(name)) return true;
  const char *number = behind_backend(name, device->backend);
  if (number != NULL) return is_index(number, index_in_backend(list, index));
  if (strcasecmp(name, "cpu") == 0) return device->kind == DEVICE_CPU;
  if (strcasecmp(name, "gpu") == 0) return device->kind == DEVICE_GPU;
  if (is_number(name)) return is_index(name, index);
  char full[sizeof device->platform + sizeof device->name + 1];
  (void)snprintf(full, sizeof full, "%s %s", device->platform, device->name);
  return contains_ignoring_case(full, name);
}

/// STATUS_INPUT, naming what was asked for and the devices in the list.
static Status none_found(const DeviceOptions *options, const DeviceInfo *list, size_t count) {
  if (count == 0) {
    return status_fail(STATUS_INPUT,
                       "no device was found: install a driver, for example pocl (Debian: pocl-opencl-icd), "
                       "which runs on any CPU; `gee-cl doctor` says what is missing here");
  }
  Str devices = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    status = str_append_format(&devices, "%s%zu: %s %s (%s)", i == 0 ? "" : ", ", i, list[i].platform,
                               list[i].name, list[i].kind == DEVICE_GPU ? "gpu" : "cpu");
  }
  if (status == STATUS_OK) {
    status = status_fail(STATUS_INPUT, "no device matches \"%s\" (device.backend %s); the devices are %s",
                         options->name != NULL ? options->name : "auto",
                         options->backend != NULL ? options->backend : "auto", str_text(&devices));
  }
  str_free(&devices);
  return status;
}

Status device_choose(const DeviceOptions *options, const DeviceInfo *list, size_t count, size_t *index) {
  static const DeviceOptions nothing_asked = {0};
  if (options == NULL) options = &nothing_asked;
  if (!is_auto(options->backend) && strcasecmp(options->backend, "cuda") != 0 &&
      strcasecmp(options->backend, "opencl") != 0) {
    return status_fail(STATUS_INPUT, "device.backend = %s: use auto, cuda or opencl", options->backend);
  }
  bool found = false;
  for (size_t i = 0; i < count; i++) {
    if (!is_auto(options->backend) && strcasecmp(options->backend, list[i].backend) != 0) continue;
    if (!matches(list, i, options->name)) continue;
    // The first match is kept, unless it is a CPU and a GPU matches too.
    if (found && !(list[i].kind == DEVICE_GPU && list[*index].kind == DEVICE_CPU)) continue;
    *index = i;
    found = true;
  }
  return found ? STATUS_OK : none_found(options, list, count);
}
