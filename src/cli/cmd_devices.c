// gee-cl devices: the devices of this machine, and the GEMM that each would use.
#include "cli.h"
#include "io/json_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool as_json;
static const Option options[] = {{"json", OPTION_FLAG, &as_json, NULL, "Print one JSON object.", 0, 0}, {0}};
static const Usage usage = {
    "devices", "List the devices of this machine.", NULL, options,
    "Shows every device, through CUDA and OpenCL, with its index, class, memory, "
    "largest single buffer, compute units, and the "
    "matrix\n"
    "product (gemm) that device.gemm = auto uses on it unless `gee-cl tune` kept another. A star marks what "
    "device.name = auto chooses. Behind them,\n"
    "NVIDIA's libraries: where they are, or which are missing and where they were "
    "looked for ($CUDA_PATH names\n"
    "another folder).\n\n"
    "  gee-cl devices\n"
    "  gee-cl train configs/quickstart.ini --set device.name=1"};

static const char *class_name(DeviceClass kind) {
  return kind == DEVICE_GPU ? "GPU" : "CPU";
}
static const char *gemm_name(const DeviceInfo *info) {
  return info->kind == DEVICE_GPU ? info->gemm : "own";
}

static void print_device(const DeviceInfo *info, size_t index, bool chosen) {
  char memory[32], buffer[32];
  format_bytes(memory, info->memory);
  format_bytes(buffer, info->max_allocation);
  printf("%s%c %zu  %s%s  %s: %s\n", style(stdout, STYLE_BOLD), chosen ? '*' : ' ', index,
         class_name(info->kind), style(stdout, STYLE_PLAIN), info->platform, info->name);
  printf("        %s, %s in one buffer, %u unit%s, gemm %s\n", memory, buffer, info->compute_units,
         str_plural(info->compute_units), gemm_name(info));
  printf("        %s%s %s%s\n", style(stdout, STYLE_DIM), info->backend, info->driver,
         style(stdout, STYLE_PLAIN));
}

/// What a back end's libraries are, or which of them are missing and where they were looked for.
static void print_library(const BackendLibrary *library) {
  printf("%s%-6s %s%s%s: %s%s\n", style(stdout, STYLE_DIM), library->backend, library->name,
         library->path[0] != '\0' ? " at " : "", library->path, library->finding, style(stdout, STYLE_PLAIN));
}

static void write_devices(JsonWriter *json, const DeviceInfo *list, size_t count, size_t chosen) {
  json_array_begin(json, "devices");
  for (size_t i = 0; i < count; i++) {
    const DeviceInfo *info = &list[i];
    json_object_begin(json, NULL);
    json_integer(json, "index", (int64_t)i);
    json_string(json, "backend", info->backend);
    json_string(json, "platform", info->platform);
    json_string(json, "name", info->name);
    json_string(json, "driver", info->driver);
    json_string(json, "class", class_name(info->kind));
    json_integer(json, "memory", (int64_t)info->memory);
    json_integer(json, "max_allocation", (int64_t)info->max_allocation);
    json_integer(json, "compute_units", info->compute_units);
    json_string(json, "gemm", gemm_name(info));
    json_bool(json, "chosen", i == chosen);
    json_object_end(json);
  }
  json_array_end(json);
}

static void write_libraries(JsonWriter *json, const BackendLibrary *list, size_t count) {
  json_array_begin(json, "libraries");
  for (size_t i = 0; i < count; i++) {
    json_object_begin(json, NULL);
    json_string(json, "backend", list[i].backend);
    json_string(json, "name", list[i].name);
    json_string(json, "path", list[i].path);
    json_bool(json, "usable", list[i].usable);
    json_string(json, "finding", list[i].finding);
    json_object_end(json);
  }
  json_array_end(json);
}

Status cmd_devices(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  DeviceInfo *list = NULL;
  BackendLibrary *libraries = NULL;
  size_t count = 0, library_count = 0, chosen = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(device_list(&list, &count));
  TRY_CLEAN(device_libraries(&libraries, &library_count));
  if (count > 0) TRY_CLEAN(device_choose(&(DeviceOptions){0}, list, count, &chosen));
  if (as_json) {
    JsonWriter json = {.layout = JSON_PRETTY};
    json_object_begin(&json, NULL);
    write_devices(&json, list, count, chosen);
    write_libraries(&json, libraries, library_count);
    json_object_end(&json);
    TRY_CLEAN(print_json(&json, "the list of devices"));
  } else {
    for (size_t i = 0; i < count; i++) print_device(&list[i], i, i == chosen);
    if (count == 0) printf("No device found. `gee-cl doctor` says what is missing and how to install it.\n");
    for (size_t i = 0; i < library_count; i++) print_library(&libraries[i]);
  }
cleanup:
  free(list);
  free(libraries);
  return status;
}
