// The context of all operations: a program for each file that KERNEL_LIST names and a kernel for each of its
// rows, all made once, in ops_create.
#include "gemm_choice.h"

#include "block_list.h"
#include "kernels.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct KernelRow {
  const char *file, *kernel;
} KernelRow;

static const KernelRow kernel_rows[] = {
#define KERNEL_ROW(file, kernel) {#file, #kernel},
    KERNEL_LIST(KERNEL_ROW)
#undef KERNEL_ROW
};

static bool is_auto(const char *gemm) {
  return gemm == NULL || strcmp(gemm, "auto") == 0;
}

/// Sets ops->vendor from device.gemm. With "auto" a GPU uses its vendor's GEMM and a CPU gee-cl's own.
static Status choose_vendor(Ops *ops, const Device *device, const char *gemm) {
  static const GemmCall plain = {.m = 1, .n = 1, .k = 1}; // float32
  bool available = device_can_gemm(device, &plain);
  const DeviceInfo *info = device_info(device);
  if (is_auto(gemm)) {
    ops->vendor = gemm_is_usually_vendors(device) ? device : NULL;
    return STATUS_OK;
  }
  if (strcmp(gemm, "own") == 0) return STATUS_OK;
  bool named = strcmp(gemm, "clblast") == 0 || strcmp(gemm, "cublas") == 0;
  if (!named && strcmp(gemm, "vendor") != 0) {
    return status_fail(STATUS_INPUT, "device.gemm = %s: use auto, own, vendor, clblast or cublas", gemm);
  }
  if (!available || (named && strcasecmp(gemm, info->gemm) != 0)) {
    return status_fail(STATUS_INPUT, "device.gemm = %s: %s through %s has %s; use own or auto", gemm,
                       info->name, info->backend, available ? info->gemm : "no vendor GEMM");
  }
  ops->vendor = device;
  return STATUS_OK;
}

/// Chooses from device.gemm and from what `gee-cl tune` kept.
static Status choose_gemm(Ops *ops, const Device *device, const char *gemm) {
  char *stale = NULL;
  TRY(choose_vendor(ops, device, gemm));
  TRY(gemm_choice_take(ops, device, is_auto(gemm), &stale));
  if (stale != NULL && ops->device != NULL)
    log_say(LOG_NOTE,
            "%s is ignored: it is of another driver or gee-cl, or damaged; `gee-cl tune` makes it anew",
            stale);
  free(stale);
  return STATUS_OK;
}

/// GROUP: the largest power of two that both the family and the device allow. max_row_items is a power of
/// two.
static size_t choose_group(const DeviceInfo *info, const KernelFamily *family) {
  size_t items = family->max_row_items;
  while (items > 1 && items > info->max_group) items /= 2;
  return items;
}

/// VECTOR_WIDTH: floats in a vector of gemm_cpu.h, which has code for 16, 8 and 4.
static size_t choose_width(const DeviceInfo *info) {
  return info->vector_width >= 16 ? 16 : info->vector_width >= 8 ? 8 : 4;
}

/// The sizes of a quantised type's blocks.
static Status append_block(Str *out, DType type) {
  const DTypeInfo *info = dtype_info(type);
  return str_append_format(out, " -DELEMENTS_%s=%zuu -DBYTES_%s=%zuu", info->name, info->block_elements,
                           info->name, info->block_bytes);
}

Status ops_kernel_options(const Ops *ops, Str *out) {
  TRY(str_append_format(out, "-DGROUP=%zu -DLANES=%zu -DVECTOR_WIDTH=%zu", ops->group_items,
                        ops->family->lanes, ops->vector_width));
  for (unsigned type = 0; type < DTYPE_COUNT; type++) {
    TRY(str_append_format(out, " -DTYPE_%s=%uu", dtype_name((DType)type), type));
  }
#define BLOCK_ROW(name) TRY(append_block(out, DTYPE_##name));
  BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
  return ops->tile != NULL ? tile_options(ops->tile, ops->compute, out) : STATUS_OK;
}

Status ops_create_program(Ops *ops, const char *file, Program **out) {
  return ops_create_variant(ops, file, "", out);
}

Status ops_create_variant(Ops *ops, const char *file, const char *more, Program **out) {
  char *source = NULL, *name = NULL;
  Str options = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(ops_kernel_options(ops, &options));
  TRY_CLEAN(str_append_text(&options, more));
  TRY_CLEAN(kernel_source(file, &source));
  TRY_CLEAN(str_copy(&name, file, strlen(file) - strlen(".cl")));
  TRY_CLEAN(program_create(ops->device, name, source, str_text(&options), out));
cleanup:
  str_free(&options);
  free(source);
  free(name);
  return status;
}

/// True if the kernel is in cl/<file>.
static bool is_in(const KernelRow *row, const char *file) {
  size_t size = strlen(row->file);
  return strncmp(file, row->file, size) == 0 && strcmp(file + size, ".cl") == 0;
}

static Status build_program(Ops *ops, size_t index) {
  const char *file = kernel_sources[index].name;
  TRY(ops_create_program(ops, file, &ops->programs[index]));
  for (size_t i = 0; i < KERNEL_COUNT; i++) {
    if (is_in(&kernel_rows[i], file))
      TRY(kernel_create(ops->programs[index], kernel_rows[i].kernel, &ops->kernels[i]));
  }
  return STATUS_OK;
}

void ops_drop_program(Ops *ops, KernelId kernel) {
  for (size_t i = 0; i < ops->program_count; i++) {
    const char *file = kernel_sources[i].name;
    if (!is_in(&kernel_rows[kernel], file)) continue;
    for (size_t j = 0; j < KERNEL_COUNT; j++) {
      if (!is_in(&kernel_rows[j], file)) continue;
      kernel_free(ops->kernels[j]);
      ops->kernels[j] = NULL;
    }
    program_free(ops->programs[i]);
    ops->programs[i] = NULL;
  }
}

/// True if the Ops computes with kernels of the file: those of KERNEL_LIST, but *_cpu.cl only in the CPU
/// family, and *_bf16_cpu.cl, *_int8_cpu.cl, gemm_tile.cl and halves.cl only where products are computed so.
static bool is_compiled(const Ops *ops, const char *file) {
  bool listed = false;
  for (size_t i = 0; i < KERNEL_COUNT; i++) listed = listed || is_in(&kernel_rows[i], file);
  if (!ops->family->cpu_files && str_ends(file, "_cpu.cl")) return false;
  if (str_ends(file, "_bf16_cpu.cl")) return ops->compute == COMPUTE_BF16;
  if (str_ends(file, "_int8_cpu.cl")) return ops->compute == COMPUTE_INT8;
  if (is_in(&kernel_rows[KERNEL_gemm_tile], file)) return ops->tile != NULL;
  if (is_in(&kernel_rows[KERNEL_half_rows], file)) return ops->compute == COMPUTE_F16;
  return listed;
}

static Status make_programs(Ops *ops) {
  size_t count = 0;
  while (kernel_sources[count].name != NULL) count++;
  TRY(mem_array(&ops->programs, count, "programs"));
  ops->program_count = count;
  return ops_build_programs(ops);
}

Status ops_build_programs(Ops *ops) {
  for (size_t i = 0; i < ops->program_count; i++) {
    if (ops->programs[i] == NULL && is_compiled(ops, kernel_sources[i].name)) TRY(build_program(ops, i));
  }
  return gemm_choice_build(ops);
}

/// Sets the family and the sizes that depend on the device.
static void set_limits(Ops *ops, const DeviceInfo *info) {
  ops->family = family_for(info);
  ops->group_items = choose_group(info, ops->family);
  ops->vector_width = choose_width(info);
  ops->view_alignment = info->view_alignment;
  ops->max_allocation = info->max_allocation;
  ops->local_memory = info->local_memory;
  ops->max_group = info->max_group;
}

Status ops_create(Device *device, const char *gemm, Ops **out) {
  Ops *ops = NULL;
  *out = NULL;
  TRY(mem_array(&ops, 1, "ops"));
  Status status = STATUS_OK;
  ops->device = device;
  set_limits(ops, device_info(device));
  TRY_CLEAN(choose_gemm(ops, device, gemm));
  TRY_CLEAN(make_programs(ops));
  *out = ops;
  ops = NULL;
cleanup:
  ops_free(ops);
  return status;
}

Status device_describe_gemm(const Device *device, const char *gemm, Str *out) {
  Ops ops = {0};
  set_limits(&ops, device_info(device));
  TRY(choose_gemm(&ops, device, gemm));
  return ops_can_choose(&ops) ? gemm_choice_describe(device, &ops.products, out) : STATUS_OK;
}

Status ops_create_plan(const Device *like, Ops **out) {
  static const DeviceInfo unlimited = {
      .vector_width = 16, .view_alignment = 128, .max_allocation = UINT64_MAX, .max_group = 256};
  *out = NULL;
  TRY(mem_array(out, 1, "ops"));
  set_limits(*out, like != NULL ? device_info(like) : &unlimited);
  return like != NULL ? choose_gemm(*out, like, NULL) : STATUS_OK;
}

void ops_free(Ops *ops) {
  if (ops == NULL) return;
  ops_profile_free(ops);
  for (size_t i = 0; i < SCRATCH_SLOTS; i++) tensor_free(&ops->scratch[i]);
  gemm_choice_free(ops);
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

Status ops_keep_pace(Ops *ops) {
  bool is_cpu = ops->device != NULL && device_info(ops->device)->kind == DEVICE_CPU;
  return is_cpu ? ops_finish(ops) : STATUS_OK;
}
