// The context of all operations: one program a file of cl/, one kernel a row of KERNEL_LIST, made once and from the cache.
#include "context.h"

#include "kernels.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct KernelRow {
  const char *file, *kernel;
} KernelRow;

static const KernelRow kernel_rows[] = {
#define KERNEL_ROW(file, kernel) {#file, #kernel},
    KERNEL_LIST(KERNEL_ROW)
#undef KERNEL_ROW
};

/// A CPU driver that works a float at a time (Mesa's llvmpipe) spreads work items over its lanes by itself, as a GPU does:
/// it gets a GPU's kernels.
static DeviceClass choose_class(const DeviceInfo *info) {
  return info->kind == DEVICE_CPU && info->vector_width > 1 ? DEVICE_CPU : DEVICE_GPU;
}

/// True where the file's tiles are for this class of device: *_cpu.cl only for CPUs.
static bool is_for(const char *file, DeviceClass kind) {
  return kind == DEVICE_CPU || !str_ends(file, "_cpu.cl");
}

/// Parses device.gemm into ops->vendor_gemm.
static Status choose_gemm(Ops *ops, const char *gemm) {
  bool there = device_has_gemm(ops->device);
  if (gemm == NULL || strcmp(gemm, "auto") == 0) {
    ops->vendor_gemm = there && device_info(ops->device)->kind == DEVICE_GPU;
    return STATUS_OK;
  }
  if (strcmp(gemm, "own") == 0) return STATUS_OK;
  if (strcmp(gemm, "vendor") != 0 && strcmp(gemm, "clblast") != 0) {
    return status_fail(STATUS_INPUT, "device.gemm = %s: there is auto, own, vendor and clblast", gemm);
  }
  if (!there) {
    return status_fail(STATUS_INPUT, "device.gemm = %s: %s has no vendor's GEMM; use own or auto", gemm,
                       device_info(ops->device)->name);
  }
  ops->vendor_gemm = true;
  return STATUS_OK;
}

/// The largest power of two that the device allows in a group, up to 256; 1 on a CPU, where a row is one work item.
static size_t choose_group(const DeviceInfo *info, DeviceClass kind) {
  if (kind == DEVICE_CPU) return 1;
  size_t items = 256;
  while (items > 1 && items > info->max_group) items /= 2;
  return items;
}

/// Floats in the vectors of CPU tiles: what the device tells, within what gemm_cpu.cl has.
static size_t choose_width(const DeviceInfo *info) {
  return info->vector_width >= 16 ? 16 : info->vector_width >= 8 ? 8 : 4;
}

void ops_kernel_options(const Ops *ops, char options[KERNEL_OPTIONS]) {
  // -w: some drivers print their compiler's warnings to the terminal of whoever runs the program
  (void)snprintf(options, KERNEL_OPTIONS, "-w -cl-std=CL1.2 -DGROUP=%zu -DON_CPU=%d -DVECTOR_WIDTH=%zu",
                 ops->group_items, ops->kind == DEVICE_CPU, ops->vector_width);
}

static Status build_program(Ops *ops, size_t index) {
  const char *file = kernel_sources[index].name;
  char options[KERNEL_OPTIONS], *source = NULL, *name = NULL;
  Status status = STATUS_OK;
  ops_kernel_options(ops, options);
  TRY_CLEAN(kernel_source(file, &source));
  TRY_CLEAN(str_copy(&name, file, strlen(file) - strlen(".cl")));
  TRY_CLEAN(program_create(ops->device, name, source, options, &ops->programs[index]));
  for (size_t i = 0; i < KERNEL_COUNT; i++) {
    if (strcmp(kernel_rows[i].file, name) != 0) continue;
    TRY_CLEAN(kernel_create(ops->programs[index], kernel_rows[i].kernel, &ops->kernels[i]));
  }
cleanup:
  free(source);
  free(name);
  return status;
}

static Status build_programs(Ops *ops) {
  while (kernel_sources[ops->program_count].name != NULL) ops->program_count++;
  TRY(mem_array(&ops->programs, ops->program_count, "programs"));
  for (size_t i = 0; i < ops->program_count; i++) {
    const char *file = kernel_sources[i].name;
    if (str_ends(file, ".cl") && is_for(file, ops->kind)) TRY(build_program(ops, i));
  }
  return STATUS_OK;
}

static void take_limits(Ops *ops, const DeviceInfo *info) {
  ops->kind = choose_class(info);
  ops->group_items = choose_group(info, ops->kind);
  ops->vector_width = choose_width(info);
  ops->view_alignment = info->view_alignment;
  ops->max_allocation = info->max_allocation;
}

Status ops_create(Device *device, const char *gemm, Ops **out) {
  Ops *ops = NULL;
  *out = NULL;
  TRY(mem_array(&ops, 1, "ops"));
  Status status = STATUS_OK;
  ops->device = device;
  take_limits(ops, device_info(device));
  TRY_CLEAN(choose_gemm(ops, gemm));
  TRY_CLEAN(build_programs(ops));
  *out = ops;
  ops = NULL;
cleanup:
  ops_free(ops);
  return status;
}

Status ops_create_plan(const Device *like, Ops **out) {
  static const DeviceInfo roomy = {
      .vector_width = 16, .view_alignment = 128, .max_allocation = UINT64_MAX, .max_group = 256};
  *out = NULL;
  TRY(mem_array(out, 1, "ops"));
  take_limits(*out, like != NULL ? device_info(like) : &roomy);
  (*out)->vendor_gemm = like != NULL && device_has_gemm(like) && device_info(like)->kind == DEVICE_GPU;
  return STATUS_OK;
}

void ops_free(Ops *ops) {
  if (ops == NULL) return;
  for (size_t i = 0; i < SCRATCH_SLOTS; i++) tensor_free(&ops->scratch[i]);
  for (size_t i = 0; i < KERNEL_COUNT; i++) kernel_free(ops->kernels[i]);
  for (size_t i = 0; i < ops->program_count; i++) program_free(ops->programs[i]);
  free(ops->programs);
  free(ops);
}

bool ops_is_plan(const Ops *ops) {
  return ops->device == NULL;
}

const MemoryUse *ops_memory(const Ops *ops) {
  return &ops->memory;
}

size_t ops_view_alignment(const Ops *ops) {
  return (ops->view_alignment + 3) / sizeof(float);
}

uint64_t ops_max_allocation(const Ops *ops) {
  return ops->max_allocation;
}

Status ops_finish(Ops *ops) {
  return ops->device == NULL ? STATUS_OK : device_finish(ops->device);
}
