// How fast the linear operations are on a device, on a CPU compared with its peak rates: those of a kernel
// that only multiplies and adds in registers, and of one that only reads memory. Not a test.
//
//   build/bench_gemm [DEVICE [own|vendor [bf16]]]
//
// The shapes are those of SmolLM2-135M (width 576, feed-forward 1536, key/value 192, vocabulary 49152). Each
// figure is the best of several runs. `ms` is wall time. `GFLOP/s a core` is per second of processor time,
// all threads together, so that other programs on the machine do not change it. A GPU has only wall time, and
// "a core" is the whole device.
#include "device/device.h"
#include "ops/ops.h"
#include "util/clock.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char peak_source[] =
    "__kernel void multiply_add(__global float *out, float factor) {\n"
    // Enough chains to hide an fma's latency, as wide as the device's vectors, so that each stays in a
    // register.
    "  vector s[12];\n"
    "  for (int i = 0; i < 12; i++) s[i] = (vector)(factor * i);\n"
    "  for (int n = 0; n < 2000000; n++) {\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 12; i++) s[i] = fma(s[i], (vector)(factor), "
    "(vector)(0.5f));\n"
    "  }\n"
    "  for (int i = 1; i < 12; i++) s[0] += s[i];\n"
    "  store_vector(s[0], get_group_id(0), out);\n"
    "}\n"
    "__kernel void read_all(__global float *out, __global const float *from, uint each) {\n"
    "  float16 s[4] = {0, 0, 0, 0};\n"
    "  for (uint i = 0; i < each; i += 64) {\n"
    "    _Pragma(\"unroll\") for (uint j = 0; j < 4; j++)\n"
    "      s[j] += vload16(0, from + (size_t)get_group_id(0) * each + i + 16 * j);\n"
    "  }\n"
    "  vstore16(s[0] + s[1] + s[2] + s[3], get_group_id(0), out);\n"
    "}\n";

typedef enum Form { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT } Form;

typedef struct Shape {
  Form form;
  size_t m, n, k; // rows of x, columns of out, columns of x
  DType type;
} Shape;

static const Shape shapes[] = {
    {FORWARD, 1, 1536, 576, DTYPE_F32},           {FORWARD, 1, 49152, 576, DTYPE_F32},
    {FORWARD, 1, 49152, 576, DTYPE_BF16},         {FORWARD, 20, 576, 576, DTYPE_F32},
    {FORWARD, 20, 1536, 576, DTYPE_F32},          {FORWARD, 20, 49152, 576, DTYPE_F32},
    {FORWARD, 20, 49152, 576, DTYPE_BF16},        {FORWARD, 64, 576, 576, DTYPE_F32},
    {FORWARD, 64, 1536, 576, DTYPE_F32},          {FORWARD, 64, 49152, 576, DTYPE_F32},
    {FORWARD, 512, 192, 576, DTYPE_F32},          {FORWARD, 512, 576, 576, DTYPE_F32},
    {FORWARD, 512, 1536, 576, DTYPE_F32},         {FORWARD, 512, 1536, 576, DTYPE_BF16},
    {FORWARD, 512, 1536, 576, DTYPE_F16},         {FORWARD, 512, 576, 1536, DTYPE_F32},
    {FORWARD, 2048, 576, 576, DTYPE_F32},         {FORWARD, 2048, 1536, 576, DTYPE_F32},
    {FORWARD, 2048, 8, 576, DTYPE_F32},           {FORWARD, 2048, 576, 8, DTYPE_F32},
    {INPUT_GRADIENT, 512, 576, 576, DTYPE_F32},   {INPUT_GRADIENT, 512, 1536, 576, DTYPE_F32},
    {INPUT_GRADIENT, 512, 576, 1536, DTYPE_F32},  {INPUT_GRADIENT, 2048, 1536, 576, DTYPE_F32},
    {INPUT_GRADIENT, 128, 49152, 576, DTYPE_F32}, {WEIGHT_GRADIENT, 2048, 576, 576, DTYPE_F32},
    {WEIGHT_GRADIENT, 2048, 8, 576, DTYPE_F32},   {WEIGHT_GRADIENT, 2048, 576, 8, DTYPE_F32},
    {FORWARD, 4096, 4096, 4096, DTYPE_F32},       {FORWARD, 4096, 4096, 4096, DTYPE_BF16},
};

/// The best times of one piece of work in seconds: wall time, and processor time (on a GPU wall time too).
typedef struct Timing {
  double wall, core;
} Timing;

static double core_seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void keep_best(Timing *best, Timing start, DeviceClass kind) {
  double wall = clock_seconds() - start.wall;
  double core = kind == DEVICE_CPU ? core_seconds() - start.core : wall;
  if (wall < best->wall) best->wall = wall;
  if (core < best->core) best->core = core;
}

static Timing start_timing(void) {
  return (Timing){clock_seconds(), core_seconds()};
}

static const Timing never = {1e30, 1e30};

static Status time_launch(Device *device, Kernel *kernel, size_t groups, const KernelArgument *arguments,
                          size_t count, Timing *best) {
  *best = never;
  double began = clock_seconds();
  for (int run = 0; run < 4 || (run < 2000 && clock_seconds() - began < 1); run++) {
    Timing start = start_timing();
    TRY(kernel_launch(kernel, (const size_t[]){groups, 1, 1}, (const size_t[]){1, 1, 1}, arguments, count));
    TRY(device_finish(device));
    keep_best(best, start, device_info(device)->kind);
  }
  return STATUS_OK;
}

/// A CPU's peak rates per core.
static Status measure_peaks(Device *device, double *gflops, double *gbytes) {
  Status status = STATUS_OK;
  Program *program = NULL;
  Kernel *multiply = NULL, *reader = NULL;
  Buffer *out = NULL, *memory = NULL;
  size_t groups = device_info(device)->compute_units;
  const uint32_t each = 64 * 1024 * 1024 / 4;
  const float factor = 0.25f;
  Timing time;
  unsigned width = device_info(device)->vector_width >= 16  ? 16
                   : device_info(device)->vector_width >= 8 ? 8
                                                            : 4;
  char options[96];
  (void)snprintf(options, sizeof options, "-w -cl-std=CL1.2 -Dvector=float%u -Dstore_vector=vstore%u", width,
                 width);
  TRY_CLEAN(program_create(device, "peak", peak_source, options, &program));
  TRY_CLEAN(kernel_create(program, "multiply_add", &multiply));
  TRY_CLEAN(kernel_create(program, "read_all", &reader));
  TRY_CLEAN(buffer_create(device, groups * 64, &out));
  TRY_CLEAN(buffer_create(device, groups * each * 4, &memory));
  TRY_CLEAN(buffer_zero(memory, 0, groups * each * 4));
  const KernelArgument first[] = {{.buffer = out}, {.value = &factor, .size = 4}};
  TRY_CLEAN(time_launch(device, multiply, groups, first, 2, &time));
  *gflops = (double)groups * 2e6 * 12 * width * 2 / time.core * 1e-9;
  const KernelArgument second[] = {{.buffer = out}, {.buffer = memory}, {.value = &each, .size = 4}};
  TRY_CLEAN(time_launch(device, reader, groups, second, 3, &time));
  *gbytes = (double)groups * each * 4 / time.core * 1e-9;
cleanup:
  buffer_free(memory);
  buffer_free(out);
  kernel_free(reader);
  kernel_free(multiply);
  program_free(program);
  return status;
}

static Status call(Form form, Tensor *out, const Tensor *left, const Tensor *right) {
  if (form == FORWARD) return op_linear(out, left, right, 1.0f, 0.0f);
  if (form == INPUT_GRADIENT) return op_linear_dx(out, left, right, 1.0f, 0.0f);
  return op_linear_dw(out, left, right, 1.0f, 0.0f);
}

static Status time_shape(Ops *ops, DeviceClass kind, const Shape *s, Timing *best) {
  bool forward = s->form == FORWARD, dw = s->form == WEIGHT_GRADIENT;
  Status status = STATUS_OK;
  Tensor out = {0}, left = {0}, right = {0};
  TRY_CLEAN(tensor_create(ops, "left", MEMORY_ACTIVATIONS, DTYPE_F32, s->m, forward ? s->k : s->n, &left));
  TRY_CLEAN(tensor_create(ops, "right", MEMORY_WEIGHTS, s->type, dw ? s->m : s->n, s->k, &right));
  TRY_CLEAN(tensor_create(ops, "out", MEMORY_ACTIVATIONS, DTYPE_F32, dw ? s->n : s->m, forward ? s->n : s->k,
                          &out));
  *best = never;
  double began = clock_seconds();
  for (int run = 0; run < 4 || (run < 200 && clock_seconds() - began < 0.3); run++) {
    Timing start = start_timing();
    TRY_CLEAN(call(s->form, &out, &left, &right));
    TRY_CLEAN(ops_finish(ops));
    keep_best(best, start, kind);
  }
cleanup:
  tensor_free(&out);
  tensor_free(&left);
  tensor_free(&right);
  return status;
}

static Status measure(Device *device, const char *gemm, bool bf16) {
  static const char *const forms[] = {"out = x w'", "dx = dout w", "dw = dout' x"};
  static const char *const types[] = {"f32", "f16", "bf16"};
  Ops *ops;
  double gflops = INFINITY, gbytes = 0;
  (void)printf("%s %s, GEMM %s\n", device_info(device)->platform, device_info(device)->name, gemm);
  if (device_info(device)->kind == DEVICE_CPU) {
    TRY(measure_peaks(device, &gflops, &gbytes));
    (void)printf("peak a core: %.0f GFLOP/s of fma in registers, %.1f GB/s read from memory\n", gflops,
                 gbytes);
  }
  (void)printf("\nform             M     N     K  weights        ms  GFLOP/s a core  of peak  GB/s a core\n");
  TRY(ops_create(device, gemm, &ops));
  Status status = bf16 ? ops_use_compute(ops, COMPUTE_BF16) : STATUS_OK;
  for (size_t i = 0; status == STATUS_OK && i < sizeof shapes / sizeof shapes[0]; i++) {
    const Shape *s = &shapes[i];
    Timing time;
    status = time_shape(ops, device_info(device)->kind, s, &time);
    if (status != STATUS_OK) break;
    double rate = 2e-9 * (double)s->m * (double)s->n * (double)s->k / time.core;
    double bytes = (double)dtype_bytes(s->type, s->n * s->k);
    (void)printf("%-12s %5zu %5zu %5zu  %-7s %9.3f  %14.1f  %6.0f%%  %11.1f\n", forms[s->form], s->m, s->n,
                 s->k, types[s->type], 1e3 * time.wall, rate, 100 * rate / gflops, 1e-9 * bytes / time.core);
    (void)fflush(stdout);
  }
  ops_free(ops);
  return status;
}

int main(int count, char **arguments) {
  DeviceOptions options = {.name = count > 1 ? arguments[1] : NULL};
  Device *device;
  Status status = device_open(&options, &device);
  if (status == STATUS_OK) {
    status = measure(device, count > 2 ? arguments[2] : "auto", count > 3);
    device_close(device);
  }
  if (status != STATUS_OK) (void)fprintf(stderr, "bench_gemm: %s\n", status_message());
  return status == STATUS_OK ? 0 : 1;
}
