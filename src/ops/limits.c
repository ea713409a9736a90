// Measures what the device can do at most, with the kernels of cl/limits.cl.
#include "ops/limits.h"

#include "context.h"
#include "util/clock.h"
#include "util/memory.h"
#include <stdlib.h>

enum {
  MOST_RUNS = 40,
  LEAST_RUNS = 3,
  CPU_CHAINS = 12, // as in cl/limits.cl
  GPU_CHAINS = 16,
  CPU_ROUNDS = 1 << 16,
  GPU_ROUNDS = 2048, // Mesa's llvmpipe leaves loops after 65,535 rounds
  CPU_GROUPS = 8,    // of a compute unit, so that none waits long for another
  GPU_GROUPS = 32,
  BLOCK = 1 << 16,        // floats that a group moves
  MOST_BYTES = 256 << 20, // of a buffer
  SHARE = 16,             // of the device's memory: at most one 16th
};
// Short runs, so that some find a busy machine's processors free; but a launch takes no time beside them.
static const double run_seconds = 0.01;
static const double all_seconds = 0.7; // of all runs, beyond the least

typedef struct Limits {
  Ops *ops;
  Program *program;
  Kernel *fma, *read, *triad;
  Tensor a, b, c;
  size_t width, items; // floats of a number, items in a group
  size_t fma_groups, blocks;
} Limits;

static Status limits_create(Ops *ops, Limits *l) {
  const DeviceInfo *info = device_info(ops->device);
  bool cpu = ops->family->cpu_files;
  uint64_t bytes = info->memory / SHARE < MOST_BYTES ? info->memory / SHARE : MOST_BYTES;
  if (bytes > info->max_allocation) bytes = info->max_allocation;
  *l = (Limits){.ops = ops,
                .width = cpu ? ops->vector_width : 1,
                .items = ops->group_items,
                .fma_groups = ops_compute_units(ops) * (cpu ? CPU_GROUPS : GPU_GROUPS),
                .blocks = (size_t)bytes / (BLOCK * sizeof(float))};
  if (l->blocks == 0) return status_fail(STATUS_FAILED, "%s has too little memory to measure", info->name);
  TRY(ops_create_program(ops, "limits.cl", &l->program));
  TRY(kernel_create(l->program, "limit_fma", &l->fma));
  TRY(kernel_create(l->program, "limit_read", &l->read));
  TRY(kernel_create(l->program, "limit_triad", &l->triad));
  TRY(tensor_create(ops, "limits", MEMORY_ACTIVATIONS, DTYPE_F32, l->blocks, BLOCK, &l->a));
  TRY(tensor_create(ops, "limits", MEMORY_ACTIVATIONS, DTYPE_F32, l->blocks, BLOCK, &l->b));
  return tensor_create(ops, "limits", MEMORY_ACTIVATIONS, DTYPE_F32, l->blocks, BLOCK, &l->c);
}

static void limits_free(Limits *l) {
  tensor_free(&l->a);
  tensor_free(&l->b);
  tensor_free(&l->c);
  kernel_free(l->fma);
  kernel_free(l->read);
  kernel_free(l->triad);
  program_free(l->program);
}

/// A kernel with its groups and arguments.
typedef struct Launch {
  Kernel *kernel;
  size_t groups;
  const KernelArgument *arguments;
  size_t count;
} Launch;

/// *seconds = what `times` launches one after another take.
static Status time_launches(const Limits *l, const Launch *launch, size_t times, double *seconds) {
  double start = clock_seconds();
  for (size_t i = 0; i < times; i++)
    TRY(kernel_launch(launch->kernel, (const size_t[]){launch->groups, 1, 1},
                      (const size_t[]){l->items, 1, 1}, launch->arguments, launch->count));
  TRY(ops_finish(l->ops));
  *seconds = clock_seconds() - start;
  return STATUS_OK;
}

/// *rate = the rates, per second, of a launch that does `work`. The first launches compile and touch memory.
static Status measure(const Limits *l, const Launch *launch, double work, Spread *rate) {
  double rates[MOST_RUNS], seconds = 0;
  size_t times = 1, runs = 0;
  TRY(time_launches(l, launch, 1, &seconds));
  for (;; times *= 2) {
    TRY(time_launches(l, launch, times, &seconds));
    if (seconds >= run_seconds) break;
  }
  double start = clock_seconds();
  while (runs < LEAST_RUNS || (runs < MOST_RUNS && clock_seconds() - start < all_seconds)) {
    TRY(time_launches(l, launch, times, &seconds));
    rates[runs++] = work * (double)times / seconds;
  }
  *rate = spread_of(rates, runs);
  return STATUS_OK;
}

static Status measure_all(const Limits *l, OpsLimits *out) {
  bool cpu = l->ops->family->cpu_files;
  size_t rounds = cpu ? CPU_ROUNDS : GPU_ROUNDS, chains = cpu ? CPU_CHAINS : GPU_CHAINS;
  double bytes = (double)l->blocks * BLOCK * sizeof(float);
  const KernelArgument fma[] = {ARG_TENSOR(&l->a), ARG_FLOAT(0.25f), ARG_UINT(rounds)};
  const KernelArgument read[] = {ARG_TENSOR(&l->a), ARG_TENSOR(&l->b), ARG_UINT(BLOCK)};
  const KernelArgument triad[] = {ARG_TENSOR(&l->a), ARG_TENSOR(&l->b), ARG_TENSOR(&l->c), ARG_FLOAT(0.25f),
                                  ARG_UINT(BLOCK)};
  double flops = 2.0 * (double)(l->fma_groups * l->items * l->width * chains * rounds);
  TRY(measure(l, &(Launch){l->fma, l->fma_groups, fma, 3}, flops, &out->flops));
  TRY(measure(l, &(Launch){l->read, l->blocks, read, 3}, bytes, &out->read));
  return measure(l, &(Launch){l->triad, l->blocks, triad, 5}, 3 * bytes, &out->triad);
}

Status ops_measure_limits(Ops *ops, OpsLimits *out) {
  Limits l = {0};
  if (ops_is_plan(ops)) return status_fail(STATUS_FAILED, "a plan has no device to measure");
  Status status = limits_create(ops, &l);
  if (status == STATUS_OK) status = measure_all(&l, out);
  limits_free(&l);
  return status_context(status, "measuring the device's limits");
}

double ops_limit_seconds(const OpsLimits *limits, OpsWork work) {
  double memory = limits->read.maximum > limits->triad.maximum ? limits->read.maximum : limits->triad.maximum;
  double computing = work.flops / limits->flops.maximum, moving = work.bytes / memory;
  return computing > moving ? computing : moving;
}
